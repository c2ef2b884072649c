r"""Overlapping generations who save in capital and in a bond, and whose portfolios are known: nobody trades.

Cohorts h = 1..N have log utility and work in the first period of life only; capital depreciates fully.

    c_h + k'_h + p b'_h = W_h,   W_1 = w,   W_h = R k_h + b_h,   sum_h b'_h = 0                    h = 1..N-1
    1 / c_h = beta E[ R' / c'_{h+1} ]
    p / c_h = beta E[ 1 / c'_{h+1} ]
    R = alpha z K^(alpha-1),   w = (1-alpha) z K^alpha,   c_N = W_N

Every cohort wants the same mix of capital and bond, and bonds are in zero net supply: b' = 0. Both Euler equations are
nearly the same equation, because returns are nearly the same: portfolios may be far off where both errors are small.

The network says which share of wealth is saved, which share of savings is held above the most that may be borrowed,
x' = b' + kappa k' >= 0, and the price; so k' > 0 and next period's wealth is positive whatever it says.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium import Economy, MarkovChain, Report

from .parameters import Parameters

_PRICE, _HELD = 0.5, -2.0  # first guesses: of p, and of the log odds of a share of savings being held in x'
_POOREST = 1e-6  # wealth below it counts as this much


class State(NamedTuple):
    capital: tf.Tensor  # [batch, N] k by cohort at the start of the period, the first zero
    bonds: tf.Tensor  # [batch, N] b by cohort, the first zero
    shock: tf.Tensor  # [batch] index z of productivity, from 0


class Policy(NamedTuple):
    savings: tf.Tensor  # [batch, N-1] k' in capital
    bonds_bought: tf.Tensor  # [batch, N-1] b'
    consumption: tf.Tensor  # [batch, N] c
    price: tf.Tensor  # [batch] p of the bond


class Portfolio(Economy):
    """The economy above for any number of cohorts and any chain of productivity."""

    Parameters, State, Policy = Parameters, State, Policy
    report = Report(
        letters={
            "capital": "k", "bonds": "b", "shock": "z", "savings": "a", "bonds_bought": "d", "consumption": "c",
            "price": "p",
        },
        units={
            "capital": "units of the good",
            "bonds": "units of the good",
            "savings": "units of the good",
            "bonds_bought": "units of the good, next period",
            "consumption": "units of the good per period",
        },
        axis_labels={"age": "cohort"},
        foreseen=["savings"],
        relative_to={"bonds_bought": "savings"},
    )  # fmt: skip

    def __init__(self, parameters: Parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        N, alpha = parameters.cohorts, parameters.capital_share
        self.shocks = MarkovChain(parameters.transition)
        self.axes = {"age": np.arange(1, N + 1)}
        self.outputs = 2 * (N - 1) + 1
        left = np.arange(N - 1, 0, -1)  # periods of life after this one
        self.log_odds = np.log(left)  # of a unit of wealth being saved, were the future not discounted
        self.level = (alpha * parameters.discount_factor) ** (1 / (1 - alpha))  # about what capital there is

    def returns(self, state: State) -> tuple[tf.Tensor, tf.Tensor]:
        """R and w, each [batch]."""
        alpha, K = self.p.capital_share, tf.reduce_sum(state.capital, 1)
        z = self.by_shock(self.p.tfp, state.shock)
        return alpha * z * K ** (alpha - 1), (1 - alpha) * z * K**alpha

    def wealth(self, state: State) -> tf.Tensor:
        """W, [batch, N]."""
        R, w = self.returns(state)
        old = R[:, None] * state.capital[:, 1:] + state.bonds[:, 1:]
        return tf.concat([w[:, None], tf.maximum(old, _POOREST)], axis=1)

    def features(self, state: State) -> tf.Tensor:
        """Capital and bonds by cohort, and all capital, relative to a level; the shock chooses the head."""
        K = tf.reduce_sum(state.capital, 1, keepdims=True)
        return tf.concat([state.capital[:, 1:], state.bonds[:, 1:], K], axis=1) / self.level

    def policy(self, output: tf.Tensor, state: State) -> Policy:
        N, kappa, W = self.p.cohorts, self.p.collateral, self.wealth(state)
        odds = self.log_odds.astype(self.dtype) + output[:, : N - 1]
        held = _HELD + output[:, N - 1 : 2 * N - 2]
        p = _PRICE * tf.exp(output[:, -1:])  # [batch, 1]
        saved = W[:, :-1] * tf.sigmoid(odds)  # k' + p b' = (1 - kappa p) k' + p x'
        savings = saved * tf.sigmoid(-held) / tf.maximum(1 - kappa * p, 0.1)
        bonds = saved * tf.sigmoid(held) / p - kappa * savings
        c = tf.concat([W[:, :-1] * tf.sigmoid(-odds), W[:, -1:]], axis=1)
        return Policy(savings, bonds, c, p[:, 0])

    def transition(self, state: State, policy: Policy, shock: tf.Tensor) -> State:
        born = [[0, 0], [1, 0]]
        return State(tf.pad(policy.savings, born), tf.pad(policy.bonds_bought, born), shock)

    def residuals(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        """Euler errors in units of consumption (Judd 1992), and bonds bought over all capital saved."""
        beta, c = self.p.discount_factor, policy.consumption[:, :-1]
        by_capital = 1 / (beta * E(lambda s, q: self.returns(s)[0][:, None] / q.consumption[:, 1:]))
        by_bond = policy.price[:, None] / (beta * E(lambda s, q: 1 / q.consumption[:, 1:]))
        cleared = tf.reduce_sum(policy.bonds_bought, 1) / tf.reduce_sum(policy.savings, 1)
        return {"euler": by_capital / c - 1, "euler_bond": by_bond / c - 1, "clearing": cleared}

    def definitions(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        R, w = self.returns(state)
        K, lent = tf.reduce_sum(state.capital, 1), tf.reduce_sum(tf.maximum(policy.bonds_bought, 0), 1)
        return {"K": K, "Y": w / (1 - self.p.capital_share), "R": R, "w": w, "credit": lent}

    def initial_states(self, count: int, generator: np.random.Generator) -> State:
        """Capital of all cohorts about the level, and few bonds; the first state has none."""
        N = self.p.cohorts
        capital = self.level / (N - 1) * np.exp(0.1 * generator.standard_normal((count, N)))
        bonds = 0.05 * capital * generator.standard_normal((count, N))
        capital[:, 0] = bonds[:, 0] = 0.0
        bonds[0] = 0.0
        bonds[:, 1:] -= bonds[:, 1:].mean(axis=1, keepdims=True)
        shock = generator.choice(len(self.p.tfp), size=count, p=self.shocks.stationary)
        shock[0] = 0
        return State(capital, bonds, shock.astype(np.int32))

    def is_inside(self, state: State) -> tf.Tensor:
        """Aggregate capital between a tenth of the level and ten times it."""
        ratio = tf.reduce_sum(state.capital, 1) / self.level
        return (ratio > 0.1) & (ratio < 10)

    def describe_shocks(self) -> list[str]:
        return [f"shock {z + 1}: TFP {tfp:g}" for z, tfp in enumerate(self.p.tfp)]
