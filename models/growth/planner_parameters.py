"""What a parameter file may say of the planner by reinforcement learning and by dynamic programming."""

from __future__ import annotations

from deqn.project.schema import setting
from deqn.rl.parameters import EconomyDDPGSettings, GridSettings

from .parameters import Parameters


class ByDDPGParameters(EconomyDDPGSettings):
    """Growth, met by an agent that knows none of its equations."""

    economy: Parameters = setting(Parameters(states=5))


class ByValueIterationParameters(GridSettings):
    """Growth on a grid of capital."""

    economy: Parameters = setting(Parameters(states=5))
