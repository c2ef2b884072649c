"""The planner of stochastic growth by reinforcement learning and by dynamic programming."""

from __future__ import annotations

from typing import final

from deqn.rl.economy_agent import AgentInEconomy
from deqn.rl.economy_grid import GridOfEconomy

from .economy import Growth


@final
class ByDDPG(AgentInEconomy):
    """The agent's action is gross investment as a share of output."""

    def make_economy(self, dtype: str) -> Growth:
        """Of the file's section `economy`."""
        return Growth(self.p.economy, dtype)


@final
class ByValueIteration(GridOfEconomy):
    """V <- T V."""

    def make_economy(self, dtype: str) -> Growth:
        """Of the file's section `economy`."""
        return Growth(self.p.economy, dtype)
