r"""A continuum of households that save in one bond (Azinovic, Gaegauf & Scheidegger 2022, IER 63(4), appendix A.5).

    c + p a' = a + eta Y(z),   a' >= 0
    v = [ (1-beta) c^(1-rho) + beta m^(1-rho) ]^(1/(1-rho)),   m = E[ v'^(1-gamma) ]^(1/(1-gamma))
    p c^-rho = beta E[ (v'/m)^(rho-gamma) c'^-rho ] + lambda,   0 <= lambda  ⟂  a' >= 0
    sum_(a,s) m(a,s) a' = B

A household has wealth a, which is its bonds, and a type s with labour eta, which becomes s' by a chain of its own; z
moves for all, and says both income Y and how income will move. A bond costs p and pays one good. Its supply B is given
from outside, and nobody is taxed for it, as in the authors' program: households as a whole consume Y + (1 - p) B.

The state is the histogram m of wealth by type (Young 2010), moved by the policy itself, and z. A network of the
aggregate state says p. Another decides for all households: it sees own wealth and the mean of exp(-a/scale) of each
type, for a few scales, and gives for each z and type c_u, consumption if no limit bound today, and v, both relative to
what a household would consume for ever if its later income were the expected one and p = beta; p is relative to what
would be left for bonds if all consumed so. c = min(c_u, a + eta Y) makes complementarity exact. Euler and Bellman
equations hold at the `nodes` of wealth; between nodes both rules are linear. With `price: cleared` there is no price
network: c_u does not depend on p, so that p is what is left for bonds over B.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from scipy.special import ndtr

from deqn.equilibrium import Economy, MarkovChain, Report, power
from deqn.equilibrium.markov import stationary_distribution

from .parameters import Parameters

_LITTLE = 0.1  # of the supply per household: wealth that is much smaller hardly differs from none
_FINE = 0.1  # of the price network's output: prices differ by a few per cent, and should not jump from update to update
_EMPTY = 1e-4  # share of households at the largest wealth which says that `richest` is too small


class State(NamedTuple):
    histogram: tf.Tensor  # [batch, bins, types] m, sums to 1
    shock: tf.Tensor  # [batch] index z, from 0


class Policy(NamedTuple):
    price: tf.Tensor  # [batch] p
    consumption: tf.Tensor  # [batch, nodes, types] c
    savings: tf.Tensor  # [batch, nodes, types] a'
    value: tf.Tensor  # [batch, nodes, types] v
    unconstrained: tf.Tensor  # [batch, nodes, types] c_u
    multiplier: tf.Tensor  # [batch, nodes, types] 1 - (c_u/c)^-rho, a share of c^-rho
    consumed: tf.Tensor  # [batch, bins, types] c of the histogram's households


class Continuum(Economy):
    """The economy above."""

    Parameters, State, Policy = Parameters, State, Policy
    xla = False  # the lottery of the histogram
    report = Report(
        letters={
            "histogram": "m", "shock": "z", "price": "p", "consumption": "c", "savings": "a", "value": "v",
            "multiplier": "lam",
        },
        units={"consumption": "goods per period", "savings": "bonds", "value": "goods per period", "price": "goods",
               "C": "goods per period", "Y": "goods per period", "wealth": "bonds", "r": "per period"},
        dims={
            "histogram": ("bin", "type"), "consumed": ("bin", "type"),
            **dict.fromkeys(("consumption", "savings", "value", "unconstrained", "multiplier"), ("wealth", "type")),
            **dict.fromkeys(("optimality", "bellman"), ("wealth", "type")),
        },
        axis_labels={"wealth": "wealth [bonds]", "bin": "wealth [bonds]"},
        output="Y",
        aggregates={"r": "interest rate", "C": "consumption", "B": "bonds held", "poor": "households without wealth"},
        condition_names={
            "optimality": "Euler error, multiplier-free", "bellman": "Bellman error", "clearing": "market clearing",
            "price": "price that the Euler equations of all imply",
        },
        binding="multiplier",
    )  # fmt: skip

    def __init__(self, parameters: Parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        p = parameters
        self.shocks = MarkovChain(p.transition)
        self.income = np.outer(p.income, p.labour)  # [Z, S]
        self.types = np.asarray(p.labour_transition)
        Z, S = self.income.shape
        self.outputs = {"consumption": (S,), "value": (S,)} | ({"price": 1} if p.price == "learned" else {})
        self.nodes = p.richest * np.linspace(0, 1, p.nodes) ** 3  # denser where households are poor
        self.bins = np.linspace(0, p.richest, p.bins)
        self.axes = {
            "wealth": self.nodes, "type": [f"labour {eta:g}" for eta in p.labour], "bin": self.bins,
        }  # fmt: skip
        self.shares = stationary_distribution(self.types)
        joint = np.einsum("zy,st->zsyt", p.transition, self.types).reshape(Z * S, Z * S)
        worth = np.linalg.solve(np.eye(Z * S) - p.discount_factor * joint, self.income.ravel()).reshape(Z, S)
        self.for_ever = (1 - p.discount_factor) * (self.nodes[:, None] + worth[:, None])  # [Z, nodes, S], the yardstick
        # What would be left of incomes for bonds, if all held the supply and consumed the yardstick's consumption.
        self.spare = (self.income - self.for_ever[:, 0]) @ self.shares - (1 - p.discount_factor) * p.supply
        # Where the bins lie between the nodes.
        self.node_below = np.clip(np.searchsorted(self.nodes, self.bins, "right") - 1, 0, p.nodes - 2)
        low, high = self.nodes[self.node_below], self.nodes[self.node_below + 1]
        self.node_above_share = (self.bins - low) / (high - low)

    def describe_shocks(self) -> list[str]:
        return [f"shock {z + 1}: income {y:g}" for z, y in enumerate(self.p.income)]

    def cash(self, state: State, wealth: np.ndarray) -> tf.Tensor:
        """a + eta Y, [batch, points, types]. wealth: [points]."""
        return tf.constant(wealth, self.dtype)[:, None] + self.by_shock(self.income, state.shock)[:, None]

    def mean_wealth(self, state: State) -> tf.Tensor:
        """Bonds per household, [batch]."""
        return tf.einsum("bjs,j->b", state.histogram, tf.constant(self.bins, self.dtype))

    # --- the network's part ----------------------------------------------------------------------------------------

    def features(self, state: State) -> tf.Tensor:
        """At each node own wealth in logarithms, from 0 to 1, and the mean of exp(-a/scale) by type and scale."""
        little = _LITTLE * self.p.supply
        own = tf.constant(np.log1p(self.nodes / little) / math.log1p(self.p.richest / little), self.dtype)
        poor = tf.constant(np.exp(-self.bins[:, None] / self.p.scales) * 10, self.dtype)
        told = tf.einsum("bjs,jk->bsk", state.histogram, poor) / tf.constant(self.shares, self.dtype)[:, None]
        told = tf.reshape(told, [-1, 1, len(self.shares) * len(self.p.scales)])
        batch, count = tf.shape(told)[0], told.shape[2]
        return tf.concat(
            [tf.broadcast_to(own[:, None], [batch, self.p.nodes, 1]),
             tf.broadcast_to(told, [batch, self.p.nodes, count])], axis=2
        )  # fmt: skip

    def policy(self, output, state: State) -> Policy:
        """output.consumption, output.value: [batch, nodes, types]; output.price: [batch, nodes], one number."""
        for_ever = self.by_shock(self.for_ever, state.shock)
        unconstrained, value = for_ever * tf.exp(output.consumption), for_ever * tf.exp(output.value)
        consumed = tf.minimum(self.at_bins(unconstrained), self.cash(state, self.bins))
        if self.p.price == "learned":
            # Relative to a guess that sees what households hold: else errors of clearing would last for decades.
            guess = (self.mean_wealth(state) + self.by_shock(self.spare, state.shock)) / self.p.supply
            price = guess * tf.exp(_FINE * tf.reduce_mean(output.price, axis=1))
        else:
            price = self.left(state, consumed) / self.p.supply
        cash = self.cash(state, self.nodes)
        c = tf.minimum(unconstrained, cash)
        savings = tf.where(unconstrained < cash, cash - c, tf.zeros_like(c)) / price[:, None, None]
        multiplier = 1 - power(tf.minimum(cash / unconstrained, 1), self.p.inverse_substitution)
        return Policy(price, c, savings, value, unconstrained, multiplier, consumed)

    def at_bins(self, values: tf.Tensor) -> tf.Tensor:
        """[batch, nodes, types] -> [batch, bins, types]."""
        low, high = (tf.gather(values, i, axis=1) for i in (self.node_below, self.node_below + 1))
        return low + tf.constant(self.node_above_share, self.dtype)[:, None] * (high - low)

    def left(self, state: State, consumed: tf.Tensor) -> tf.Tensor:
        """Goods per household that are not consumed, [batch]: what all pay for bonds."""
        return tf.reduce_sum(state.histogram * (self.cash(state, self.bins) - consumed), axis=[1, 2])

    # --- what follows ----------------------------------------------------------------------------------------------

    def transition(self, state: State, policy: Policy, shock: tf.Tensor) -> State:
        """Every bin's households save, a lottery between two bins keeps the mean, then types change."""
        types = tf.constant(self.types, self.dtype)
        return State(tf.einsum("bjs,st->bjt", self.moved(state, policy), types), shock)

    def moved(self, state: State, policy: Policy) -> tf.Tensor:
        """The histogram after savings, by the types that saved, [batch, bins, types]."""
        J, S = self.p.bins, len(self.shares)
        savings = (self.cash(state, self.bins) - policy.consumed) / policy.price[:, None, None]
        position = tf.clip_by_value(savings / self.p.richest, 0, 1) * (J - 1)
        below = tf.minimum(tf.cast(tf.stop_gradient(position), tf.int32), J - 2)
        above = position - tf.cast(below, self.dtype)
        batch = tf.shape(savings)[0]
        first = (tf.range(batch)[:, None, None] * J + below) * S + tf.range(S)
        sizes = tf.stack([state.histogram * (1 - above), state.histogram * above])
        where = tf.stack([first, first + S])
        flat = tf.math.unsorted_segment_sum(tf.reshape(sizes, [-1]), tf.reshape(where, [-1]), batch * (J * S))
        return tf.reshape(flat, [-1, J, S])

    # --- conditions ------------------------------------------------------------------------------------------------

    def wanted(self, state: State, policy: Policy, E) -> tuple[tf.Tensor, tf.Tensor]:
        """Consumption that the Euler equation asks for if no limit binds, and what v should be, [batch, nodes, types].

        Next period's values are in shares of today's, so that powers of them stay near 1.
        """
        p, types = self.p, tf.constant(self.types, self.dtype)
        beta, gamma, rho = p.discount_factor, p.risk_aversion, p.inverse_substitution
        position = (p.nodes - 1) * power(tf.clip_by_value(policy.savings / p.richest, 1e-12, 1), 1 / 3)
        below = tf.minimum(tf.cast(tf.stop_gradient(position), tf.int32), p.nodes - 2)
        points = tf.constant(self.nodes, self.dtype)
        # The root is rounded: a point too far on either side would give shares outside [0, 1].
        below -= tf.cast((policy.savings < tf.gather(points, below)) & (below > 0), tf.int32)
        below += tf.cast((policy.savings >= tf.gather(points, below + 1)) & (below < p.nodes - 2), tf.int32)
        low, high = tf.gather(points, below), tf.gather(points, below + 1)
        share = tf.nn.relu((policy.savings - low) / (high - low))[
            ..., None, None
        ]  # beyond the richest the line goes on

        def ahead(s: State, q: Policy) -> tf.Tensor:
            """v'^(1-gamma) and v'^(rho-gamma) c'^-rho over the household's own types, [batch, 2, nodes, types]."""
            rules = tf.stack([q.value, q.unconstrained], axis=2)  # [batch, nodes, 2, types ahead]
            low, high = (tf.gather(rules, i, axis=1, batch_dims=1) for i in (below, below + 1))
            v, c = tf.unstack(low + share * (high - low), axis=3)  # [batch, nodes, types, types ahead]
            log_v = tf.math.log(v / policy.value[..., None])
            cash = policy.savings[..., None] + self.by_shock(self.income, s.shock)[:, None, None]
            log_c = tf.math.log(tf.minimum(c, cash))
            both = tf.exp(tf.stack([(1 - gamma) * log_v, (rho - gamma) * log_v - rho * log_c], axis=1))
            return tf.einsum("bkist,st->bkis", both, types)

        expected = E(ahead)
        m = power(expected[:, 0], 1 / (1 - gamma))
        wanted = power(beta * power(m, gamma - rho) * expected[:, 1] / policy.price[:, None, None], -1 / rho)
        return wanted, self.aggregated(policy.consumption, m * policy.value)

    def aggregated(self, c: tf.Tensor, m: tf.Tensor) -> tf.Tensor:
        """The value of c today and of the certainty equivalent m, of the same shape."""
        beta, rho = self.p.discount_factor, self.p.inverse_substitution
        return m * power((1 - beta) * power(c / m, 1 - rho) + beta, 1 / (1 - rho))

    def residuals(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        wanted, value = self.wanted(state, policy, E)
        found = {"euler": wanted / policy.unconstrained - 1, "bellman": value / policy.value - 1}
        if self.p.price == "learned":
            found["clearing"] = self.held(state, policy) / self.p.supply - 1
        return found

    def held(self, state: State, policy: Policy) -> tf.Tensor:
        """Bonds per household that are wanted at p, [batch]."""
        return self.left(state, policy.consumed) / policy.price

    def errors(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        """Zero where all of optimality holds, the limit included: min(c_wanted/c - 1, p a'/c). The rest by household.

        clearing: bonds wanted over the supply, less one. price: what would be left for bonds if all consumed what their
        Euler equations ask for, over p B, less one: errors of one sign move the price.
        """
        wanted, value = self.wanted(state, policy, E)
        c, spent = policy.consumption, policy.price[:, None, None] * policy.savings
        asked = tf.minimum(self.at_bins(wanted), self.cash(state, self.bins))
        return {
            "optimality": tf.minimum(wanted / c - 1, spent / c),
            "bellman": value / policy.value - 1,
            "clearing": self.held(state, policy) / self.p.supply - 1,
            "price": self.left(state, asked) / (policy.price * self.p.supply) - 1,
        }

    def definitions(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        return {
            "r": 1 / policy.price - 1,
            "Y": self.by_shock(self.income @ self.shares, state.shock),
            "C": tf.reduce_sum(state.histogram * policy.consumed, axis=[1, 2]),
            "B": self.mean_wealth(state),
            "poor": tf.reduce_sum(state.histogram[:, 0], axis=1),
        }

    def flags(self, state: State, policy: Policy) -> dict[str, tf.Tensor]:
        return {"richest": tf.reduce_sum(state.histogram[:, -1], axis=1) > _EMPTY}

    def is_inside(self, state: State) -> tf.Tensor:
        """Whether households hold between half the supply and twice that."""
        return tf.abs(tf.math.log(self.mean_wealth(state) / self.p.supply)) < math.log(2)

    def initial_states(self, count: int, generator: np.random.Generator) -> State:
        """Wealth normal in each type, nothing where that is negative; together the supply, up to the bins' width."""
        B, S = self.p.supply, len(self.shares)
        mean = B * generator.uniform(1.0, 1.1, count)
        spread = B * generator.uniform(0.6, 0.9, count)
        apart = B * generator.uniform(0.0, 0.2, count)
        shock = generator.choice(len(self.income), size=count, p=self.shocks.stationary)
        mean[0], spread[0], apart[0], shock[0] = 1.05 * B, 0.75 * B, 0.1 * B, 0
        centre = mean[:, None] + apart[:, None] * np.linspace(-1, 1, S)  # [count, types]
        edges = np.append((self.bins[1:] + self.bins[:-1]) / 2, np.inf)
        below = ndtr((edges[:, None] - centre[:, None]) / spread[:, None, None])  # [count, bins, types]
        mass = np.diff(below, axis=1, prepend=0) * self.shares
        excess = np.maximum(1 - B / np.einsum("njs,j->n", mass, self.bins), 0)[:, None, None]
        mass = (1 - excess) * mass
        mass[:, 0] += excess[:, 0] * self.shares
        return State(mass, shock.astype(np.int32))
