"""Overlapping generations with a known solution (Huffman 1987; Krueger & Kubler 2004; AGS22, appendix A.8).

Cohorts h = 1..N hold capital k^h, consume c^h and save a^h = k'^{h+1}. They work in the first period of life only
(one unit of labour), have log utility, and no borrowing limit; k^1 = 0, a^N = 0.

    c^1 + a^1 = w,   c^h + a^h = r k^h                                h = 2..N
    1 / c^h = beta E[ r' / c'^{h+1} ]                                 h = 1..N-1
    r = alpha eta K^(alpha-1) + 1 - delta,   w = (1-alpha) eta K^alpha

The solution, saving a share of cash that only age decides, is not in this file. The network says how much a cohort
would consume were its cash x no limit, as a multiple of what it consumes in the deterministic steady state,

    c_u^h = c_steady^h ln(1 + exp(4 (1 + output))) / 4,   1 / c = 1 / c_u + 1 / x.

The multiple is close to 1 + output where that is positive and nowhere negative; so 0 < c < x whatever the network
says. Less than nothing nobody could hold: who has no labour left can't repay a debt. At the solution c_u is
proportional to x: how it moves with every cohort's capital and the shock is what the network has to learn.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium import Economy, MarkovChain, Report
from deqn.project.errors import UserError

from .parameters import Parameters
from .steady_state import steady_state_of


class State(NamedTuple):
    capital: tf.Tensor  # [batch, N] holdings by cohort at the start of the period, the first zero
    shock: tf.Tensor  # [batch] index z of depreciation and TFP, from 0


class Policy(NamedTuple):
    savings: tf.Tensor  # [batch, N-1] a^h
    consumption: tf.Tensor  # [batch, N] c^h


class AnalyticOLG(Economy):
    """The economy above for any number of cohorts and any chain of shocks."""

    Parameters, State, Policy = Parameters, State, Policy
    report = Report(
        letters={"capital": "k", "shock": "z", "savings": "a", "consumption": "c"},
        units={
            "capital": "units of the good",
            "savings": "units of the good",
            "consumption": "units of the good per period",
        },
        axis_labels={"age": "cohort"},
        foreseen=["savings"],
        output="Y",
        aggregates={"Y": "output", "C": "consumption", "I": "investment", "K": "capital"},
        condition_names={"euler": "relative Euler error"},
    )

    def __init__(self, parameters: Parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        self.shocks = MarkovChain(parameters.transition)
        self.axes = {"age": np.arange(1, parameters.cohorts + 1)}
        self.outputs = parameters.cohorts - 1
        # Nearest to the first cohort, who lives on the wage, is the last feature, aggregate capital.
        self.own = [self.outputs, *range(self.outputs - 1)]
        self.steady = steady_state_of(parameters, self.shocks.stationary)

    def technology(self, state: State) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Output Y, gross return r and wage w, each [batch]."""
        alpha, K = self.p.capital_share, tf.reduce_sum(state.capital, 1)
        Y = self.by_shock(self.p.tfp, state.shock) * K**alpha
        return Y, alpha * Y / K + 1 - self.by_shock(self.p.depreciation, state.shock), (1 - alpha) * Y

    def cash(self, state: State) -> tf.Tensor:
        """x^1 = w, x^h = r k^h: [batch, N]; untrained rules may leave a cohort next to nothing, hence the floor."""
        _, r, w = self.technology(state)
        return tf.concat([w[:, None], tf.maximum(r[:, None] * state.capital[:, 1:], self.p.floor)], axis=1)

    def features(self, state: State) -> tf.Tensor:
        """Capital k^2..k^N and its sum, each as a multiple of the steady state's; the shock chooses the head."""
        K = tf.reduce_sum(state.capital, 1, keepdims=True)
        steady = np.append(self.steady.capital[1:], self.steady.capital.sum())
        return tf.concat([state.capital[:, 1:], K], axis=1) / steady.astype(self.dtype)

    def policy(self, output: tf.Tensor, state: State) -> Policy:
        multiple = tf.nn.softplus(4 * (1 + output)) / 4
        x, unlimited = self.cash(state), self.steady.consumption[:-1].astype(self.dtype) * multiple
        share = x[:, :-1] / (unlimited + x[:, :-1])  # saved
        # Savings are not x - c, which would lose digits where little is saved: with 1/c = 1/c_u + 1/x it is x share.
        c = tf.concat([unlimited * share, x[:, -1:]], axis=1)
        return Policy(savings=x[:, :-1] * share, consumption=c)

    def transition(self, state: State, policy: Policy, shock: tf.Tensor) -> State:
        return State(capital=tf.pad(policy.savings, [[0, 0], [1, 0]]), shock=shock)

    def residuals(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        """Relative Euler error in units of consumption (Judd 1992): 1 / (beta E[r' / c'^{h+1}]) / c^h - 1."""
        value = self.p.discount_factor * E(lambda s, q: self.technology(s)[1][:, None] / q.consumption[:, 1:])
        return {"euler": 1 / (value * policy.consumption[:, :-1]) - 1}

    def definitions(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        Y, r, w = self.technology(state)
        K, C = tf.reduce_sum(state.capital, 1), tf.reduce_sum(policy.consumption, 1)
        kept = (1 - self.by_shock(self.p.depreciation, state.shock)) * K
        return {"K": K, "C": C, "Y": Y, "I": tf.reduce_sum(policy.savings, 1) - kept, "r": r, "w": w}

    def flags(self, state: State, policy: Policy) -> dict[str, tf.Tensor]:
        return {"cash_floor": self.cash(state) <= self.p.floor}

    def initial_states(self, count: int, generator: np.random.Generator) -> State:
        """Steady-state capital, scaled by a common and a cohort's own factor; the first is the steady state itself."""
        common = np.exp(0.2 * generator.standard_normal((count, 1)))
        capital = self.steady.capital * common * np.exp(0.1 * generator.standard_normal((count, self.p.cohorts)))
        shock = generator.choice(len(self.p.tfp), size=count, p=self.shocks.stationary)
        capital[0], shock[0] = self.steady.capital, 0
        return State(capital, shock.astype(np.int32))

    def check_states(self, state) -> State:
        checked = super().check_states(state)
        if checked.capital[:, 0].any():
            bad = int(np.argmax(checked.capital[:, 0] != 0))
            raise UserError(
                f"states: capital[{bad}, 0] is {checked.capital[bad, 0]:g}, expected 0: nobody is born rich"
            )
        if (checked.capital[:, 1:] <= 0).any():
            bad, h = np.argwhere(checked.capital[:, 1:] <= 0)[0] + [0, 1]
            raise UserError(
                f"states: capital[{bad}, {h}] is {checked.capital[bad, h]:g}, expected above 0: who no longer works "
                "lives on capital"
            )
        return checked

    def is_inside(self, state: State) -> tf.Tensor:
        """Each cohort's capital between a fiftieth and fifty times its steady state's, the sum between 1/4 and 4 times.

        An untrained rule may let a cohort consume nearly all of its cash: what it saves is then of the order of cash^2.
        """
        ratio = self.features(state)  # [batch, N], the last of all together
        kept = tf.reduce_all((ratio > 0.02) & (ratio < 50.0), axis=1)
        return kept & (ratio[:, -1] > 0.25) & (ratio[:, -1] < 4.0)

    def describe_shocks(self) -> list[str]:
        return [
            f"shock {z + 1}: TFP {eta:g}, depreciation {delta:g}"
            for z, (eta, delta) in enumerate(zip(self.p.tfp, self.p.depreciation, strict=True))
        ]
