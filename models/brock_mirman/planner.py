"""Brock and Mirman's planner by reinforcement learning and by dynamic programming, against the closed form.

share saved = alpha beta,   c = (1 - alpha beta) y
V(k, z) = b ln k + e_z,   b = alpha/(1 - alpha beta),
e = (I - beta Pi)^-1 [ ln(1 - alpha beta) + beta b ln(alpha beta) + (1 + beta b) ln z ]
"""

from __future__ import annotations

from typing import final

import numpy as np
import tensorflow as tf

from deqn.equilibrium import evaluation
from deqn.rl.economy_agent import AgentInEconomy
from deqn.rl.economy_grid import GridOfEconomy
from deqn.rl.planner import Planner
from deqn.rl.rules import ShareRule

from .economy import BrockMirman, Policy, State
from .parameters import Parameters


@final
class PlannedBrockMirman(Planner, BrockMirman):
    """The economy with its planner's utility, and the policy of a share saved."""

    def period_utility(self, state: State, policy: Policy) -> tf.Tensor:
        """ln c, [batch]."""
        return tf.math.log(policy.consumption)

    def policy_from_share(self, share: tf.Tensor, state: State) -> Policy:
        """a = share y: the solution is share = alpha beta at every state."""
        y = self.output(state)
        return Policy(savings=share * y, consumption=(1 - share) * y)


def exact_share(p: Parameters) -> float:
    """The share of output that the solution saves, alpha beta."""
    return p.capital_share * p.discount_factor


def exact_value(p: Parameters, capital: np.ndarray) -> np.ndarray:
    """V of the formula above at each shock, [S, N]; capital: [N]."""
    beta, saved = p.discount_factor, exact_share(p)
    b = p.capital_share / (1 - saved)
    constant = np.log(1 - saved) + beta * b * np.log(saved) + (1 + beta * b) * np.array(p.log_productivity)
    e = np.linalg.solve(np.eye(len(constant)) - beta * np.array(p.transition), constant)
    return b * np.log(capital) + e[:, None]


def share_errors(rule: ShareRule, p: Parameters) -> dict[str, float]:
    """Distance of the share saved from alpha beta, on the rule's own path."""
    states = evaluation.simulated_states(rule, 1000, 200, 0, 10)
    error = np.abs(rule.share(rule.economy.tensors(states)).numpy() - exact_share(p))
    return {"saving rate error, mean": float(error.mean()), "saving rate error, max": float(error.max())}


@final
class ByDDPG(AgentInEconomy):
    """The agent's action is the share of output that it saves."""

    planner = PlannedBrockMirman

    def against(self, rule: ShareRule) -> dict[str, float]:
        """Errors against the closed form."""
        return share_errors(rule, self.p.economy)


@final
class ByValueIteration(GridOfEconomy):
    """Value function iteration, V <- T V."""

    planner = PlannedBrockMirman

    def against(self, rule: ShareRule) -> dict[str, float]:
        """The closed form; savings where the grid holds the exact ones."""
        p = self.p.economy
        exact = exact_share(p) * np.exp(p.log_productivity)[:, None] * self.grid**p.capital_share  # [S, N]
        inside = (exact > self.grid[0]) & (exact < self.grid[-1])
        value = np.abs(np.asarray(self.table.value) - exact_value(p, self.grid))
        return {
            **share_errors(rule, p),
            "savings error, max": float(np.abs(self.next_states() - exact)[inside].max()),
            "value error, max": float(value.max()),
        }
