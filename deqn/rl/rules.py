"""Decision rules that a share determines: those of an agent, or of a table on a grid; and their errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, final

import numpy as np
import tensorflow as tf

from deqn.equilibrium import evaluation
from deqn.equilibrium.decision_rule import DecisionRule
from deqn.rl.planner import Planner
from deqn.training.problem import Problem


@final
class ShareRule(DecisionRule):
    """Decides by a share: a function of states in TensorFlow, [batch] in (0, 1), of any precision."""

    economy: Planner

    def __init__(self, economy: Planner, share: Callable[[Any], tf.Tensor]) -> None:
        self.economy, self.share = economy, share

    def __call__(self, state: Any) -> Any:
        return self.economy.policy_from_share(tf.cast(self.share(state), self.economy.dtype), state)


def share_on_grid(name: str, grid: np.ndarray, shares: np.ndarray) -> Callable[[Any], tf.Tensor]:
    """Returns a share of states from its values on a grid: linear between its points, constant beyond.

    name: of the state that the grid [N] is of. shares: [S, N], for each shock.
    """
    table = tf.constant(shares)

    def share(state: Any) -> tf.Tensor:
        knots = tf.constant(grid)
        x = tf.clip_by_value(tf.cast(getattr(state, name), knots.dtype), grid[0], grid[-1])
        right = tf.clip_by_value(tf.searchsorted(knots, x), 1, len(grid) - 1)
        low, high = tf.gather(knots, right - 1), tf.gather(knots, right)
        at = tf.gather(table, state.shock)  # [batch, N]
        left_share, right_share = (tf.gather(at, column, batch_dims=1) for column in (right - 1, right))
        return left_share + (x - low) / (high - low) * (right_share - left_share)

    return share


def euler_row(rule: DecisionRule, periods: int = 1200, burn_in: int = 200, tracks: int = 10) -> dict[str, float]:
    """Returns mean and largest error of the economy's first condition on the rule's own path."""
    states = evaluation.simulated_states(rule, periods - burn_in, burn_in, 0, tracks)
    _, _, _, errors, *_ = evaluation.at_states(rule, states)
    name, values = next(iter(errors.items()))
    return {f"{name} error, mean": float(np.abs(values).mean()), f"{name} error, max": float(np.abs(values).max())}


class PlannersProblem(Problem):
    """A planner's problem in the economy whose parameters are the file's section `economy`.

    planner: the class of that economy.
    """

    planner: ClassVar[type[Planner]]
    p: Any

    def make_economy(self, dtype: str) -> Planner:
        """Makes the economy of the parameters."""
        return self.planner(self.p.economy, dtype)

    def against(self, rule: ShareRule) -> dict[str, float]:
        """Returns errors against what else is known of the solution, by name."""
        return {}

    def errors_of(self, rule: ShareRule) -> dict[str, float]:
        """Returns the rule's errors on its own path."""
        return {**euler_row(rule), **self.against(rule)}
