r"""International real business cycles of N countries with complete markets (Juillard & Villemot 2011, JEDC 35).

Country j = 1..N has capital k_j, productivity a_j, elasticity of intertemporal substitution gamma_j, welfare weight
tau_j. A planner shares what all produce:

    sum_j c_j + k'_j + phi/2 k_j g_j^2 = sum_j a_j A k_j^alpha + (1-delta) k_j,   g_j = k'_j / k_j - 1
    c_j = (lambda / tau_j)^(-gamma_j)
    lambda (1 + phi g_j) = beta E[ lambda' ( a'_j alpha A k'_j^(alpha-1) + 1 - delta + phi/2 g'_j (g'_j + 2) ) ]
    ln a'_j = rho ln a_j + sigma (e_j + e),   e, e_1, ..., e_N ~ N(0, 1)

A makes steady-state capital one, tau_j makes every country consume c = A - delta there, at lambda = 1.

The network says ln(1 + g_j) for each country. lambda is what makes the countries' consumption add up to what is left:
the resource constraint holds by construction, and the N Euler equations are the only conditions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium import Economy, Gaussian, Report

from .parameters import Parameters

_LEAST = 0.05  # of steady-state consumption: less, which only untrained rules leave, counts as this much
_NEWTON = 3  # steps to ln lambda from a guess that is off by half the variance of gamma: then by 1e-16


class State(NamedTuple):
    capital: tf.Tensor  # [batch, N] k
    log_productivity: tf.Tensor  # [batch, N] ln a


class Policy(NamedTuple):
    next_capital: tf.Tensor  # [batch, N] k'
    multiplier: tf.Tensor  # [batch] lambda of the world's resources
    consumption: tf.Tensor  # [batch, N] c


class IRBC(Economy):
    """The economy above for any number of countries."""

    Parameters, State, Policy = Parameters, State, Policy
    report = Report(
        letters={
            "capital": "k", "log_productivity": "ln_a", "next_capital": "k_next", "multiplier": "lam",
            "consumption": "c",
        },
        units={"log_productivity": "log points", "investment_rate": "share of capital per quarter"},
        output="Y",
        aggregates={"Y": "output", "C": "consumption", "I": "investment", "K": "capital"},
        condition_names={"euler": "Euler error", "resources": "resource constraint"},
        figures={
            "capital_by_country": ["capital"],
            "consumption_by_country": ["consumption"],
            "investment_by_country": ["investment_rate"],
            "euler_by_country": ["log10_euler"],
        },
    )  # fmt: skip

    def __init__(self, parameters: Parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        p, N = parameters, parameters.countries
        self.shocks = Gaussian(N + 1, rule="monomial", degree=p.degree)
        self.axes = {"country": [f"country {j}" for j in range(1, N + 1)]}
        self.outputs = N
        self.gamma = np.linspace(p.lowest_elasticity, p.highest_elasticity, N)
        self.A = (1 - p.discount_factor * (1 - p.depreciation)) / (p.capital_share * p.discount_factor)
        self.steady_consumption = self.A - p.depreciation

    def produced(self, state: State) -> tf.Tensor:
        """a A k^alpha, [batch, N]."""
        return self.A * tf.exp(state.log_productivity + self.p.capital_share * tf.math.log(state.capital))

    def features(self, state: State) -> tf.Tensor:
        return tf.concat([tf.math.log(state.capital), state.log_productivity], axis=1)

    def policy(self, output: tf.Tensor, state: State) -> Policy:
        return Policy(*self.shared(tf.exp(output), state))

    def shared(self, growth: tf.Tensor, state: State) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """k', lambda and c, if capital is to be `growth` [batch, N] times as large."""
        x = self.log_multiplier(tf.maximum(self.left(growth, state), _LEAST * self.steady_consumption))
        c = self.steady_consumption * tf.exp(-self.gamma.astype(self.dtype) * x)
        return growth * state.capital, tf.exp(x[:, 0]), c

    def left(self, growth: tf.Tensor, state: State) -> tf.Tensor:
        """What is left for consumption, per country, [batch, 1]."""
        cost = growth + self.p.adjustment_cost / 2 * (growth - 1) ** 2
        return tf.reduce_mean(self.produced(state) + (1 - self.p.depreciation - cost) * state.capital, 1, keepdims=True)

    def log_multiplier(self, C: tf.Tensor) -> tf.Tensor:
        """x = ln lambda, the root of ln mean_j exp(-gamma_j x) = ln C/c, [batch, 1]; by Newton's method."""
        gamma = self.gamma.astype(self.dtype)
        wanted = tf.math.log(C / self.steady_consumption)
        x = tf.stop_gradient(-wanted / self.gamma.mean())
        for step in range(_NEWTON + 1):
            # Only the last step needs a gradient: there the derivative of Newton's step is that of the root.
            each = tf.exp(-gamma * tf.stop_gradient(x))
            mean, slope = tf.reduce_mean(each, 1, keepdims=True), tf.reduce_mean(gamma * each, 1, keepdims=True)
            target = wanted if step == _NEWTON else tf.stop_gradient(wanted)
            x = tf.stop_gradient(x) + (tf.math.log(mean) - target) * mean / slope
        return x

    def transition(self, state: State, policy: Policy, shock: tf.Tensor) -> State:
        own, common = shock[:, :-1], shock[:, -1:]
        ln_a = self.p.persistence * state.log_productivity + self.p.innovation_sd * (own + common)
        return State(policy.next_capital, ln_a)

    def paid(self, s: State, q: Policy) -> tf.Tensor:
        """lambda' ( a' alpha A k'^(alpha-1) + 1 - delta + phi/2 g' (g' + 2) ), [batch, N]."""
        grown = (q.next_capital / s.capital) ** 2 - 1  # g (g + 2)
        product = self.p.capital_share * self.produced(s) / s.capital
        return q.multiplier[:, None] * (product + 1 - self.p.depreciation + self.p.adjustment_cost / 2 * grown)

    def residuals(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        """What a unit of capital pays over what it costs, less one (Juillard & Villemot 2011), [batch, N]."""
        cost = 1 + self.p.adjustment_cost * (policy.next_capital / state.capital - 1)
        return {"euler": self.p.discount_factor * E(self.paid) / (policy.multiplier[:, None] * cost) - 1}

    def errors(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        """Euler errors, and what is left of resources as a share of output, which holds by construction."""
        lacking = tf.reduce_mean(policy.consumption, 1) - self.left(policy.next_capital / state.capital, state)[:, 0]
        return {**self.residuals(state, policy, E), "resources": lacking / tf.reduce_mean(self.produced(state), 1)}

    def definitions(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        """Sums over countries, per country."""
        invested = policy.next_capital - (1 - self.p.depreciation) * state.capital
        means = {"Y": self.produced(state), "C": policy.consumption, "I": invested, "K": state.capital}
        return {
            **{name: tf.reduce_mean(x, 1) for name, x in means.items()},
            "investment_rate": invested / state.capital,
        }

    def flags(self, state: State, policy: Policy) -> dict[str, tf.Tensor]:
        left = self.left(policy.next_capital / state.capital, state)
        return {"consumption_floor": left <= _LEAST * self.steady_consumption}

    def initial_states(self, count: int, generator: np.random.Generator) -> State:
        """Around the steady state, productivity from its stationary distribution; the first is the steady state."""
        N, spread = self.p.countries, self.p.innovation_sd / np.sqrt(1 - self.p.persistence**2)
        ln_a = spread * (generator.standard_normal((count, N)) + generator.standard_normal((count, 1)))
        ln_k = spread * (generator.standard_normal((count, N)) + generator.standard_normal((count, 1)))
        ln_a[0] = ln_k[0] = 0.0
        return State(np.exp(ln_k), ln_a)

    def is_inside(self, state: State) -> tf.Tensor:
        """Whether every country's capital is between a quarter of the steady state's and four times it."""
        return tf.reduce_all((state.capital > 0.25) & (state.capital < 4.0), axis=1)
