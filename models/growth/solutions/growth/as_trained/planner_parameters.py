"""What a parameter file may say of the planner by reinforcement learning and by dynamic programming."""

from __future__ import annotations

from deqn.project.schema import setting
from deqn.rl.parameters import EconomyDDPGSettings, GridSettings

from .parameters import Parameters


class ByDDPGParameters(EconomyDDPGSettings):
    """Settings of an agent in the growth economy that knows none of its equations."""

    economy: Parameters = setting(Parameters(states=5))


class ByValueIterationParameters(GridSettings):
    """Settings of the growth economy on a grid of capital."""

    economy: Parameters = setting(Parameters(states=5))
