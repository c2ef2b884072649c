"""What a parameter file may say of the planner by reinforcement learning and by dynamic programming."""

from __future__ import annotations

from deqn.project.schema import setting
from deqn.rl.parameters import EconomyDDPGSettings, GridSettings

from .parameters import Parameters


class ByDDPGParameters(EconomyDDPGSettings):
    """Settings of an agent in the economy that knows none of its equations."""

    economy: Parameters = setting(Parameters())


class ByValueIterationParameters(GridSettings):
    """Settings of the economy on a grid of capital."""

    economy: Parameters = setting(Parameters())
