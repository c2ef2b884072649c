r"""The price of a Lucas tree with recursive utility and long-run risk (Bansal & Yaron 2004, J. of Finance 59).

    ln g' = mu + x + sigma e1',   x' = rho x + phi sigma e2',   correlation of e1 and e2 given
    v = [ (1 - beta) + beta m^(1-1/psi) ]^(1/(1-1/psi)),   m = E[ (v' g')^(1-gamma) ]^(1/(1-gamma))
    p = E[ beta g'^(-1/psi) (v' g'/m)^(1/psi-gamma) g' (1 + p') ]

v is the value of the consumption stream over consumption, p the price of the tree over its dividend, which is
consumption. Nothing is decided here: both are defined forward. A residual is the error of one period's definition, and
the errors of all periods add up: v and p are wrong by about the residual over 1 - beta.

The network sees expected growth x and says by which factor v and p differ from a first guess, by default
what they would be without risk.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium import Economy, Gaussian, Report

from .parameters import Parameters


class State(NamedTuple):
    expected: tf.Tensor  # [batch] x, what is expected of growth beyond its mean, log points
    growth: tf.Tensor  # [batch] ln g, this period's growth, which the rule need not know


class Policy(NamedTuple):
    value: tf.Tensor  # [batch] v, utility over consumption
    price: tf.Tensor  # [batch] p, price over dividend, in periods


class LucasTree(Economy):
    """The economy above, per month or per year."""

    Parameters, State, Policy = Parameters, State, Policy
    report = Report(
        letters={"expected": "x", "growth": "g", "value": "v", "price": "p"},
        units={
            "expected": "log points", "growth": "log points", "value": "consumption", "price": "dividends per period",
        },
    )  # fmt: skip

    def __init__(self, parameters: Parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        p = parameters
        self.shocks = Gaussian(2, nodes=p.nodes)
        self.outputs = 2
        self.power = 1 - 1 / p.substitution
        grown = p.discount_factor * np.exp(p.mean_growth * self.power)  # below 1, or nothing has a value
        without_risk = ((1 - p.discount_factor) / (1 - grown)) ** (1 / self.power), grown / (1 - grown)
        self.first_guess = p.first_guess or without_risk
        self.spread = p.relative_sd * p.growth_sd / np.sqrt(1 - p.persistence**2)  # standard deviation of x

    def features(self, state: State) -> tf.Tensor:
        return state.expected[:, None]

    def policy(self, output: tf.Tensor, state: State) -> Policy:
        value, price = self.first_guess
        return Policy(value=value * tf.exp(output[:, 0]), price=price * tf.exp(output[:, 1]))

    def transition(self, state: State, policy: Policy, shock: tf.Tensor) -> State:
        p = self.p
        first, other = shock[:, 0], shock[:, 1]
        second = p.correlation * first + np.sqrt(1 - p.correlation**2) * other
        return State(
            expected=p.persistence * state.expected + p.relative_sd * p.growth_sd * second,
            growth=p.mean_growth + state.expected + p.growth_sd * first,
        )

    def residuals(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        """What v and p should be, over what they are, less one."""
        beta, gamma, psi = self.p.discount_factor, self.p.risk_aversion, self.p.substitution

        def ahead(s: State, q: Policy) -> tf.Tensor:
            """(v' g')^(1-gamma), and what the price is E of but for m, [batch, 2]: one pass over the nodes for both."""
            g = tf.exp(s.growth)
            paid = beta * g ** (1 - 1 / psi) * (q.value * g) ** (1 / psi - gamma) * (1 + q.price)
            return tf.stack([(q.value * g) ** (1 - gamma), paid], axis=1)

        expected = E(ahead)
        m = expected[:, 0] ** (1 / (1 - gamma))
        value = ((1 - beta) + beta * m**self.power) ** (1 / self.power)
        price = expected[:, 1] * m ** (gamma - 1 / psi)
        return {"value": value / policy.value - 1, "price": price / policy.price - 1}

    def definitions(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        return {"log_price_dividend": tf.math.log(policy.price)}

    def initial_states(self, count: int, generator: np.random.Generator) -> State:
        """Expected growth from three times its stationary spread; the first is the mean.

        Risk aversion weighs bad news as if it came more often than it does: what v and p are in states that are hardly
        ever visited moves them everywhere.
        """
        expected = 3.0 * self.spread * generator.standard_normal(count)
        expected[0] = 0.0
        return State(expected, np.full(count, self.p.mean_growth))
