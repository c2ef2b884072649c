"""Stochastic overlapping generations with a borrowing limit (Azinovic, Gaegauf & Scheidegger 2019, sections 3 and 5).

Cohorts h = 1..N hold capital k^h, earn l^h w, consume c^h and save a^h = k'^{h+1} >= a_low; k^1 = 0, a^N = 0.

    c^h + a^h = r k^h + l^h w
    u'(c^h) = beta E[ r' u'(c'^{h+1}) ] + lambda^h,   0 <= lambda^h  ⟂  a^h >= a_low      h = 1..N-1
    r = alpha eta K^(alpha-1) L^(1-alpha) + 1 - delta,   w = (1-alpha) eta K^alpha L^(-alpha)

The network gives *unconstrained* consumption c_u: c = min(c_u, r k + l w - a_low) then meets complementarity exactly,
with lambda = u'(c) - u'(c_u). Its only condition is the Euler equation of c_u, at every state:

    c_u^h = u'^{-1}( beta E[ r' u'(c'^{h+1}) ] )
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium import Economy, MarkovChain, Report, power
from deqn.project.errors import UserError

from .parameters import Parameters
from .steady_state import steady_state_of


class State(NamedTuple):
    capital: tf.Tensor  # [batch, N] holdings by age at the start of the period, the first zero
    shock: tf.Tensor  # [batch] index z of depreciation and TFP, from 0


class OverlappingGenerations(Economy):
    """Prices, budgets and errors of the economy above. `OLG` and paper.py say what the network decides."""

    Parameters, State = Parameters, State
    report = Report(
        letters={"capital": "k", "shock": "z", "savings": "a", "multiplier": "lam", "consumption": "c"},
        units={
            "capital": "units of the good",
            "savings": "units of the good",
            "consumption": "units of the good per period",
            "multiplier": "utility per unit of the good",
            "financial_wealth": "units of the good",
            "total_income": "units of the good per period",
        },
        axis_labels={"age": "age [years]"},
        foreseen=["savings"],
        binding="multiplier",
        products=["kkt"],
        output="Y",
        aggregates={"Y": "output", "C": "consumption", "I": "investment", "K": "capital"},
        condition_names={
            "optimality": "Euler error, multiplier-free",
            "euler": "relative Euler error",
            "kkt": "KKT error",
        },
        figures={
            "capital_by_age": ["capital"],
            "consumption_by_age": ["consumption"],
            "multiplier_by_age": ["multiplier"],
            "euler_by_age": ["log10_euler", "log10_optimality"],
            "kkt_by_age": ["log10_kkt"],
        },
        stage_variables=["capital", "multiplier", "consumption", "log10_euler"],
        shock_variables=["financial_wealth", "total_income", "consumption"],
    )

    def __init__(self, parameters: Parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        p = parameters
        self.shocks = MarkovChain(p.transition)
        self.axes = {"age": p.ages()}
        self.labour = p.labour_endowments()  # [N]
        self.labour_supply = float(self.labour.sum())
        self.steady = steady_state_of(p, self.shocks.stationary)

    def prices(self, state: State) -> tuple[tf.Tensor, tf.Tensor]:
        """Gross return r and wage w, each [batch, 1]."""
        K, L, alpha = tf.reduce_sum(state.capital, 1), self.labour_supply, self.p.capital_share
        eta, delta = self.by_shock(self.p.tfp, state.shock), self.by_shock(self.p.depreciation, state.shock)
        K = tf.maximum(K, self.p.floor)
        Y = eta * power(K, alpha) * L ** (1 - alpha)
        r = alpha * Y / K + 1 - delta
        w = (1 - alpha) * Y / L
        return r[:, None], w[:, None]

    def u_prime(self, c: tf.Tensor) -> tf.Tensor:
        return power(c, -self.p.risk_aversion)

    def u_prime_inverse(self, value: tf.Tensor) -> tf.Tensor:
        return power(value, -1 / self.p.risk_aversion)

    def transition(self, state: State, policy: Any, shock: tf.Tensor) -> State:
        return State(capital=tf.pad(policy.savings, [[0, 0], [1, 0]]), shock=shock)

    def euler_value(self, E) -> tf.Tensor:
        """beta E[ r' u'(c'^{h+1}) ], [batch, N-1]."""
        return self.p.discount_factor * E(lambda s, q: self.prices(s)[0] * self.u_prime(q.consumption[:, 1:]))

    def errors(self, state: State, policy: Any, E) -> dict[str, tf.Tensor]:
        """Multiplier-free error, whose zero is all of optimality; eq. 36 with the policy's multiplier; KKT."""
        value, c = self.euler_value(E), policy.consumption[:, :-1]
        slack = policy.savings - self.p.borrowing_limit
        return {
            "optimality": tf.minimum(self.u_prime_inverse(value) / c - 1, slack / c),
            "euler": self.u_prime_inverse(value + policy.multiplier) / c - 1,
            "kkt": policy.multiplier * slack,
        }

    def definitions(self, state: State, policy: Any, E) -> dict[str, tf.Tensor]:
        r, w = self.prices(state)
        K, C = tf.reduce_sum(state.capital, 1), tf.reduce_sum(policy.consumption, 1)
        eta, delta = self.by_shock(self.p.tfp, state.shock), self.by_shock(self.p.depreciation, state.shock)
        productive = tf.maximum(K, self.p.floor)  # as in `prices`: debts may exceed what the others hold
        Y = eta * productive**self.p.capital_share * self.labour_supply ** (1 - self.p.capital_share)
        investment = tf.reduce_sum(policy.savings, 1) - (1 - delta) * K
        return {
            "K": K, "C": C, "Y": Y, "I": investment, "r": r[:, 0], "w": w[:, 0],
            "financial_wealth": r * state.capital,
            "total_income": r * state.capital + w * self.labour,
        }  # fmt: skip

    def initial_states(self, count: int, generator: np.random.Generator) -> State:
        """Steady-state capital, scaled by a common and a cohort's own factor; the first is the steady state itself."""
        common = np.exp(0.2 * generator.standard_normal((count, 1)))
        own = np.exp(0.1 * generator.standard_normal((count, self.p.cohorts)))
        capital = np.maximum(self.steady.capital, 0.0) * common * own
        shock = generator.choice(len(self.p.tfp), size=count, p=self.shocks.stationary)
        capital[0], shock[0] = np.maximum(self.steady.capital, 0.0), 0
        return State(capital, shock.astype(np.int32))

    def check_states(self, state) -> State:
        checked = super().check_states(state)
        total = checked.capital.sum(axis=1)
        if (total <= 0).any():
            bad = int(np.argmax(total <= 0))
            raise UserError(f"states: aggregate capital of state {bad} is {total[bad]:g}, expected above 0")
        if checked.capital[:, 0].any():
            bad = int(np.argmax(checked.capital[:, 0] != 0))
            raise UserError(
                f"states: capital[{bad}, 0] is {checked.capital[bad, 0]:g}, expected 0: nobody is born rich"
            )
        debt = checked.capital[:, 1:] < self.p.borrowing_limit - 1e-6  # rounding of the savings that led there
        if debt.any():
            state, cohort = np.argwhere(debt)[0] + [0, 1]
            raise UserError(
                f"states: capital[{state}, {cohort}] is {checked.capital[state, cohort]:g}, expected at least the "
                f"borrowing limit of {self.p.borrowing_limit:g}: nobody can have saved less"
            )
        return checked

    def describe_shocks(self) -> list[str]:
        return [
            f"shock {z + 1}: TFP {eta:g}, depreciation {delta:g}"
            for z, (eta, delta) in enumerate(zip(self.p.tfp, self.p.depreciation, strict=True))
        ]


class Policy(NamedTuple):
    savings: tf.Tensor  # [batch, N-1] a^h
    multiplier: tf.Tensor  # [batch, N-1] lambda^h, in units of u'(c)
    consumption: tf.Tensor  # [batch, N] c^h
    unconstrained: tf.Tensor  # [batch, N-1] c_u^h


class OLG(OverlappingGenerations):
    """The economy above for any number of cohorts."""

    Policy = Policy

    def __init__(self, parameters: Parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        self.outputs = parameters.cohorts - 1
        self.own = range(self.outputs)
        # c_u is relative to what a household would consume that expects steady-state prices for ever.
        self.propensity, self.human_wealth = self.steady.propensity[:-1], self.steady.human_wealth[:-1]

    def features(self, state: State) -> tf.Tensor:
        """Capital by cohort, k^1..k^N, and its sum: the shock chooses the network's head."""
        return tf.concat([state.capital, tf.reduce_sum(state.capital, 1, keepdims=True)], axis=1)

    def policy(self, output: tf.Tensor, state: State) -> Policy:
        r, w = self.prices(state)
        cash = r * state.capital + w * self.labour  # [batch, N]
        wealth = cash[:, :-1] + w * self.human_wealth
        floor = self.p.floor
        unconstrained = tf.maximum(self.propensity * wealth * (1 + output), floor)
        limit = tf.maximum(cash[:, :-1] - self.p.borrowing_limit, floor)  # consumption with a = a_low
        c = tf.minimum(unconstrained, limit)
        multiplier = tf.maximum(self.u_prime(c) - self.u_prime(unconstrained), 0)
        savings = cash[:, :-1] - c
        # The oldest consumes all; with debt larger than income there is nothing to consume.
        oldest = tf.maximum(cash[:, -1:], floor)
        return Policy(savings, multiplier, tf.concat([c, oldest], axis=1), unconstrained)

    def residuals(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        return {"euler": self.u_prime_inverse(self.euler_value(E)) / policy.unconstrained - 1}

    def correction(self, output: tf.Tensor, state: State, policy: Policy, E) -> tf.Tensor:
        """c_u is proportional to 1 + output: it should change by the share that its Euler equation says."""
        return (1 + output) * self.residuals(state, policy, E)["euler"]

    def flags(self, state: State, policy: Policy) -> dict[str, tf.Tensor]:
        floor = self.p.floor
        return {
            "consumption_floor": policy.consumption <= floor,
            "unconstrained_floor": policy.unconstrained <= floor,
            "capital_floor": tf.reduce_sum(state.capital, 1) <= floor,
        }

    def is_inside(self, state: State) -> tf.Tensor:
        """Aggregate capital between a quarter of the steady state's and two and a half times it."""
        ratio = tf.reduce_sum(state.capital, 1) / self.steady.capital.sum()
        return (ratio > 0.25) & (ratio < 2.5)
