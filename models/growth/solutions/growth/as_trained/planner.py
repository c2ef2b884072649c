"""The planner of stochastic growth by reinforcement learning and by dynamic programming."""

from __future__ import annotations

from typing import final

import tensorflow as tf

from deqn.rl.economy_agent import AgentInEconomy
from deqn.rl.economy_grid import GridOfEconomy
from deqn.rl.planner import Planner

from .economy import Growth
from .equations import Policy, State


@final
class PlannedGrowth(Planner, Growth):
    """The economy with its planner's utility, and the policy of a share saved."""

    def period_utility(self, state: State, policy: Policy) -> tf.Tensor:
        """u(c) = (c^(1-gamma) - 1) / (1-gamma), ln c where gamma is 1: [batch]."""
        c, gamma = policy.consumption, self.gamma
        return tf.math.log(c) if gamma == 1 else (c ** (1 - gamma) - 1) / (1 - gamma)

    def policy_from_share(self, share: tf.Tensor, state: State) -> Policy:
        """Gross investment is a share of output, a = (1-delta) k + share y: capital is not eaten."""
        at = self.goods(state)
        return Policy(savings=at.cash - (1 - share) * at.output, consumption=(1 - share) * at.output)


@final
class ByDDPG(AgentInEconomy):
    """The agent's action is gross investment as a share of output."""

    planner = PlannedGrowth


@final
class ByValueIteration(GridOfEconomy):
    """Value function iteration, V <- T V."""

    planner = PlannedGrowth
