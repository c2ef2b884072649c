"""What an economy says beside its equations so that an agent or a dynamic program can decide in it."""

from __future__ import annotations

import abc
from typing import Any

import tensorflow as tf

from deqn.equilibrium.economy import Economy
from deqn.project.errors import UserError


class Planner(Economy):
    """An economy whose equilibrium is the optimum of one planner, discounted by `p.discount_factor`."""

    @abc.abstractmethod
    def period_utility(self, state: Any, policy: Any) -> tf.Tensor:
        """The planner's utility this period, [batch]."""

    @abc.abstractmethod
    def policy_from_share(self, share: tf.Tensor, state: Any) -> Any:
        """The admissible policy that saves the share, [batch] in (0, 1), of what the economy lets the planner divide.

        Savings are affine in it where the economy is to be solved on a grid.
        """


def planner_of(economy: Economy) -> Planner:
    """The economy itself. Raises UserError unless it has a planner."""
    if not isinstance(economy, Planner):
        raise UserError(
            f"{type(economy).__name__} is no Planner: expected its period_utility and policy_from_share, see "
            "deqn.rl.planner"
        )
    return economy
