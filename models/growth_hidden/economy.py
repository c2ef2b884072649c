r"""Stochastic growth by regimes that nobody sees: households infer from past growth how it will go on.

    ln A = ln A_ + g,   g = mu(z) + sigma e,   z moves by Pi,   e standard normal

A planner with capital k and consumption c, both in units of productivity A, saves a:

    c + a = k^alpha + (1-delta) k,   k' = a e^-g'
    u'(c) = beta E[ e^(-gamma g') R' u'(c') ],   R = alpha k^(alpha-1) + 1 - delta,   u'(c) = c^-gamma

Growth is seen, its regime z never is. Households know Pi, mu and sigma; b is the probability of an expansion that
Bayes' rule gives them, the forward algorithm of `deqn.sequence.hmm`:

    b' = w_1 / (w_1 + w_2),   w_j = (b Pi_1j + (1-b) Pi_2j) exp( -(g' - mu_j)^2 / (2 sigma^2) )

Nature draws z' from where z is; the E of households weighs the regimes by b (`perceived`). `Belief` sees k and b.
`History` sees k and this quarter's growth, and what it remembers if the file gives it a memory.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium import Economy, Gaussian, Joint, MarkovChain, Report, power
from deqn.project.errors import UserError

from .balanced import balanced_growth
from .parameters import Parameters

_GOODS = "units of the good per unit of productivity"


class State(NamedTuple):
    capital: tf.Tensor  # [batch] k, at the start of the quarter, when growth is known
    growth: tf.Tensor  # [batch] g, which led to this quarter
    belief: tf.Tensor  # [batch] b, probability of an expansion, this quarter's growth known
    shock: tf.Tensor  # [batch] z, 0 in an expansion, 1 in a recession: hidden


class Policy(NamedTuple):
    savings: tf.Tensor  # [batch] a
    consumption: tf.Tensor  # [batch] c


class AsBelieved:
    """What households expect: the shocks that nature may draw, the regimes weighted by their belief."""

    def __init__(self, shocks: Joint, transition: Any) -> None:
        self.shocks, self.transition, self.discrete = shocks, np.asarray(transition), shocks.discrete

    def successors(self, state: State) -> tuple[Any, tf.Tensor]:
        """The successors of nature's process, each weighted as from both regimes by their probabilities."""
        values, _ = self.shocks.successors(state)
        from_each = [self.shocks.successors(state._replace(shock=tf.fill(tf.shape(state.shock), z)))[1] for z in (0, 1)]
        return values, state.belief * from_each[0] + (1 - state.belief) * from_each[1]

    def draw(self, state: State, key: tf.Tensor) -> Any:
        """What households think may happen, drawn."""
        known = tf.random.stateless_uniform(tf.shape(state.shock), key, dtype=state.belief.dtype) < state.belief
        return self.shocks.draw(state._replace(shock=tf.where(known, 0, 1)), key)


class HiddenGrowth(Economy):
    """The economy above; `Belief` and `History` say what its rule sees."""

    Parameters, State, Policy = Parameters, State, Policy
    report = Report(
        letters={"capital": "k", "growth": "g", "belief": "b", "shock": "z", "savings": "a", "consumption": "c"},
        units={"capital": _GOODS, "savings": _GOODS, "consumption": _GOODS, "growth": "log points per quarter"},
        output="Y",
        aggregates={"Y": "output", "C": "consumption", "K": "capital"},
        condition_names={"euler": "relative Euler error"},
    )

    def __init__(self, parameters: Parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        p = parameters
        self.shocks = Joint(z=MarkovChain(p.transition), e=Gaussian(1, nodes=p.nodes))
        self.perceived = AsBelieved(self.shocks, p.transition)
        self.outputs = 1
        self.steady = balanced_growth(p, self.shocks.stationary)

    def output_of(self, capital: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Output y and gross return R, each [batch]."""
        y = capital**self.p.capital_share
        return y, self.p.capital_share * y / capital + 1 - self.p.depreciation

    def deviation(self, state: State) -> tf.Tensor:
        """ln k from balanced growth, [batch]."""
        return tf.math.log(state.capital / self.steady.capital)

    def policy(self, output: tf.Tensor, state: State) -> Policy:
        y, _ = self.output_of(state.capital)
        cash = y + (1 - self.p.depreciation) * state.capital
        share = self.steady.share
        odds = math.log(share / (1 - share)) + self.steady.slope * self.deviation(state) + output[:, 0]
        return Policy(savings=tf.sigmoid(-odds) * cash, consumption=tf.sigmoid(odds) * cash)

    def transition(self, state: State, policy: Policy, shock: Any) -> State:
        growth = self.by_shock(self.p.growth, shock.z) + self.p.growth_sd * shock.e[:, 0]
        return State(policy.savings * tf.exp(-growth), growth, self.updated(state.belief, growth), shock.z)

    def updated(self, belief: tf.Tensor, growth: tf.Tensor) -> tf.Tensor:
        """b', Bayes' rule in log odds."""
        (stays, _), (returns, _) = self.p.transition
        (fast, slow), variance = self.p.growth, self.p.growth_sd**2
        expected = belief * stays + (1 - belief) * returns
        evidence = ((growth - slow) ** 2 - (growth - fast) ** 2) / (2 * variance)
        return tf.sigmoid(tf.math.log(expected / (1 - expected)) + evidence)

    def residuals(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        """Relative Euler error in units of consumption: u'^-1(beta E[..]) / c - 1, [batch]."""
        gamma = self.p.risk_aversion
        value = self.p.discount_factor * E(
            lambda s, q: tf.exp(-gamma * s.growth) * self.output_of(s.capital)[1] * power(q.consumption, -gamma)
        )
        return {"euler": power(value, -1 / gamma) / policy.consumption - 1}

    def definitions(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        y, gross_return = self.output_of(state.capital)
        return {"K": state.capital, "C": policy.consumption, "Y": y, "r": gross_return, "b": state.belief}

    def is_inside(self, state: State) -> tf.Tensor:
        """Whether capital is between a third of balanced growth's and three times it, and the belief a probability."""
        return (tf.abs(self.deviation(state)) < math.log(3)) & (state.belief >= 0) & (state.belief <= 1)

    def initial_states(self, count: int, generator: np.random.Generator) -> State:
        """Capital around balanced growth, growth of one quarter, and the belief from it; the first is as usual."""
        stationary, p = self.shocks.stationary, self.p
        deviation = 0.1 * np.clip(generator.standard_normal(count), -3, 3)
        shock = generator.choice(2, size=count, p=stationary)
        growth = np.take(p.growth, shock) + p.growth_sd * generator.standard_normal(count)
        deviation[0], shock[0], growth[0] = 0.0, 0, stationary @ np.array(p.growth)
        likely = stationary * np.exp(-(((growth[:, None] - p.growth) / p.growth_sd) ** 2) / 2)  # [count, 2]
        belief = likely[:, 0] / likely.sum(axis=1)
        return State(self.steady.capital * np.exp(deviation), growth, belief, shock.astype(np.int32))

    def check_states(self, state) -> State:
        checked = super().check_states(state)
        for name, bad, wanted in (
            ("capital", checked.capital <= 0, "above 0"),
            ("belief", (checked.belief < 0) | (checked.belief > 1), "0 to 1, a probability"),
        ):
            if bad.any():
                first = int(np.argmax(bad))
                raise UserError(f"states: {name}[{first}] is {getattr(checked, name)[first]:g}, expected {wanted}")
        return checked

    def describe_shocks(self) -> list[str]:
        names = ("expansion", "recession")
        return [f"shock {z + 1}: {name}, growth {self.p.growth[z]:g}" for z, name in enumerate(names)]


class Belief(HiddenGrowth):
    """Households follow Bayes' rule: the network sees capital and belief."""

    def features(self, state: State) -> tf.Tensor:
        return tf.stack([10 * self.deviation(state), state.belief], axis=1)


class History(HiddenGrowth):
    """The network sees capital and this quarter's growth, and what it remembers: never a belief, never a regime."""

    def features(self, state: State) -> tf.Tensor:
        return tf.stack([10 * self.deviation(state), state.growth / self.p.growth_sd], axis=1)
