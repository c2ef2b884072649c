r"""Many households that save against risk of their own, under one price of capital.

    c + a' = R a + w y(z,s),   a' >= 0
    u'(c) = beta E[ R' u'(c') ] + lambda,   0 <= lambda  ⟂  a' >= 0,   u'(c) = c^-gamma
    R = 1 - delta + alpha z (K/L)^(alpha-1),   w = (1-alpha) z (K/L)^alpha,   K = sum_(a,s) m(a,s) a

A household has wealth a and a type s, which becomes s' by Pi(z,z'); z moves for all. m is the histogram of wealth by
type (Young 2010): what is saved lies between two bins, and a lottery with the right mean sends the household to one of
them. So the distribution is moved by the policy itself, and given z it is known: E sums over z' and s', exactly.

One network decides for all households. It sees a, z and what `told` says of m, at each of the `nodes` of wealth, and
gives for each type c_u, consumption if no limit bound today, relative to a yardstick: what a household would consume
for ever if its later income were the expected one, at the prices of an economy without risk. Between nodes c_u is
linear, and c = min(c_u, R a + w y). Its Euler equation holds at every node, so that lambda = u'(c) - u'(c_u).
"""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium import Economy, MarkovChain, Report, power
from deqn.equilibrium.markov import rouwenhorst, stationary_distribution

from .parameters import AiyagariParameters, KrusellSmithParameters

_LITTLE = 1 / 40  # of the yardstick's capital: wealth that is much smaller hardly differs from none
_EMPTY = 1e-4  # share of households at the largest wealth which says that `richest` is too small
_RANKS = (0, 0.1, 0.5, 0.9, 0.99, 1)  # shares of households, the poorest first, between which means are taken
_GOODS, _FLOW = "units of the good", "units of the good per period"


class State(NamedTuple):
    histogram: tf.Tensor  # [batch, bins, types] m, sums to 1
    shock: tf.Tensor  # [batch] index z, from 0


class Policy(NamedTuple):
    consumption: tf.Tensor  # [batch, nodes, types] c
    savings: tf.Tensor  # [batch, nodes, types] a'
    unconstrained: tf.Tensor  # [batch, nodes, types] c_u
    multiplier: tf.Tensor  # [batch, nodes, types] lambda c^gamma, as a share of u'(c)


class Grid:
    """Points of wealth from 0 to the richest, a_i = richest (i/n)^power."""

    def __init__(self, points: int, richest: float, power: float, dtype: str) -> None:
        self.count, self.richest, self.power, self.dtype = points, richest, power, dtype
        self.wealth = richest * np.linspace(0, 1, points) ** power

    def tensor(self) -> tf.Tensor:
        """[points]."""
        return tf.constant(self.wealth, self.dtype)

    def lottery(self, wealth: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The point below, int32, and the share that goes to the one above: the mean of both is wealth again.

        Beyond the richest point the share is above 1, so that the line through the last two points goes on.
        """
        points, last = self.tensor(), self.count - 2
        position = (self.count - 1) * power(tf.maximum(wealth / self.richest, 1e-12), 1 / self.power)
        below = tf.clip_by_value(tf.cast(tf.stop_gradient(position), tf.int32), 0, last)
        # The root is rounded: a point too far on either side would give shares outside [0, 1].
        below -= tf.cast((wealth < tf.gather(points, below)) & (below > 0), tf.int32)
        below += tf.cast((wealth >= tf.gather(points, below + 1)) & (below < last), tf.int32)
        low, high = tf.gather(points, below), tf.gather(points, below + 1)
        return below, tf.nn.relu((wealth - low) / (high - low))


class ManyHouseholds(Economy):
    """The economy above; `Aiyagari` and `KrusellSmith` say who the types are and how they change.

    Subclasses give to `_begin` the chain of z, productivity [Z], income [Z, S] in wages, the types' transition
    [Z, Z, S, S], and labour [Z].
    """

    State, Policy = State, Policy
    xla = False  # the lottery of the histogram
    report = Report(
        letters={
            "histogram": "m", "shock": "z", "consumption": "c", "savings": "a", "multiplier": "lam",
        },
        units={
            "consumption": _FLOW, "savings": _GOODS, "K": _GOODS, "Y": _FLOW, "C": _FLOW, "r": "per period",
            "mean_consumption": _FLOW, "mean_savings": _GOODS,
        },
        dims={
            "histogram": ("bin", "type"),
            **dict.fromkeys(("consumption", "savings", "unconstrained", "multiplier"), ("wealth", "type")),
            "optimality": ("wealth", "type"),
            **dict.fromkeys(("mean_consumption", "mean_savings"), ("rank",)),
        },
        axis_labels={
            "wealth": "wealth [units of the good]", "bin": "wealth [units of the good]",
            "rank": "households [%], poorest first",
        },
        output="Y",
        aggregates={"K": "capital", "Y": "output", "C": "consumption", "gini": "Gini coefficient of wealth"},
        condition_names={
            "optimality": "Euler error, multiplier-free", "average": "Euler error, signed mean of all households",
        },
        binding="multiplier",
    )  # fmt: skip

    def _begin(self, chain: Any, productivity: Any, income: Any, types: Any, labour: Any) -> None:
        p = self.p
        self.shocks = MarkovChain(chain)
        self.productivity, self.income, self.types, self.labour = (
            np.asarray(x, np.float64) for x in (productivity, income, types, labour)
        )
        self.nodes = Grid(p.nodes, p.richest, 3.0, self.dtype)
        self.bins = Grid(p.bins, p.richest, 1.5, self.dtype)
        self.outputs = self.income.shape[1]
        often = self.shocks.stationary
        # The yardstick: no aggregate risk, and R = 1 / beta as without any risk.
        rental = 1 / p.discount_factor - 1 + p.depreciation
        mean_z, mean_labour = often @ self.productivity, often @ self.labour
        ratio = (p.capital_share * mean_z / rental) ** (1 / (1 - p.capital_share))
        self.typical = ratio * mean_labour
        wage = (1 - p.capital_share) * mean_z * ratio**p.capital_share
        Z, S = self.income.shape
        joint = (np.asarray(chain)[:, :, None, None] * self.types).transpose(0, 2, 1, 3).reshape(Z * S, Z * S)
        later = np.linalg.solve(np.eye(Z * S) - p.discount_factor * joint, joint @ self.income.ravel())
        self.human_wealth = wage * p.discount_factor * later.reshape(Z, S)
        self.yardstick_wage = wage
        self.shares = stationary_distribution(joint).reshape(Z, S)
        self.shares = self.shares / self.shares.sum(axis=1, keepdims=True)  # of types, [Z, S]
        self.axes = {"wealth": self.nodes.wealth, "type": self.type_names(), "bin": self.bins.wealth}
        self.axes["rank"] = [f"{100 * low:g}-{100 * high:g}" for low, high in itertools.pairwise(_RANKS)]
        edges = np.linspace(0, 1, p.cells + 1)[1:-1] ** 2 * 3 * self.typical
        self.cell = np.searchsorted(edges, self.bins.wealth)  # of each bin
        # Where the bins lie between the nodes.
        self.node_below = np.clip(np.searchsorted(self.nodes.wealth, self.bins.wealth, "right") - 1, 0, p.nodes - 2)
        low, high = self.nodes.wealth[self.node_below], self.nodes.wealth[self.node_below + 1]
        self.node_above_share = (self.bins.wealth - low) / (high - low)
        self.around = np.zeros((p.bins, p.nodes))
        np.put_along_axis(self.around, self.node_below[:, None], 1 - self.node_above_share[:, None], axis=1)
        np.put_along_axis(self.around, self.node_below[:, None] + 1, self.node_above_share[:, None], axis=1)

    def type_names(self) -> list[str]:
        """What the types are called in tables and figures."""
        raise NotImplementedError

    # --- prices and budgets ----------------------------------------------------------------------------------------

    def capital(self, state: State) -> tf.Tensor:
        """K [batch], what all households hold."""
        return tf.einsum("bjs,j->b", state.histogram, self.bins.tensor())

    def prices(self, state: State) -> tuple[tf.Tensor, tf.Tensor]:
        """Gross return R and wage w, [batch] each."""
        alpha, z = self.p.capital_share, self.by_shock(self.productivity, state.shock)
        ratio = self.capital(state) / self.by_shock(self.labour, state.shock)
        y = z * power(ratio, alpha)
        return 1 - self.p.depreciation + alpha * y / ratio, (1 - alpha) * y

    def cash(self, state: State, wealth: tf.Tensor) -> tf.Tensor:
        """R a + w y of every type with this wealth, [batch, ..., types]. wealth: [points] or [batch, ...]."""
        R, w = self.prices(state)
        rank = max(len(wealth.shape), 2)
        wide = [-1] + [1] * (rank - 1)
        income = tf.reshape(
            w[:, None] * self.by_shock(self.income, state.shock), [-1] + [1] * (rank - 1) + [self.outputs]
        )
        return (tf.reshape(R, wide) * wealth)[..., None] + income

    # --- the network's part ----------------------------------------------------------------------------------------

    def features(self, state: State) -> tf.Tensor:
        """At each node own wealth in logarithms, from 0 to 1; z; and what is told of the distribution."""
        little = _LITTLE * self.typical
        own = tf.constant(np.log1p(self.nodes.wealth / little) / math.log1p(self.p.richest / little), self.dtype)
        told = [self.told(state)]
        if (self.shocks.discrete or 1) > 1:
            told.insert(0, tf.one_hot(state.shock, self.shocks.discrete, dtype=self.dtype)[:, 1:])
        of_all = tf.concat(told, axis=1)
        batch, count = tf.shape(of_all)[0], of_all.shape[1]
        shown = tf.broadcast_to(of_all[:, None], [batch, self.p.nodes, count])
        return tf.concat([tf.broadcast_to(own[:, None], [batch, self.p.nodes, 1]), shown], axis=2)

    def told(self, state: State) -> tf.Tensor:
        """What the network sees of the distribution, [batch, numbers]."""
        m, wealth = state.histogram, self.bins.tensor()
        if self.p.told == "bins":
            cells = tf.one_hot(self.cell, self.p.cells, dtype=self.dtype)
            return tf.reshape(tf.einsum("bjs,jk->bsk", m, cells), [-1, self.outputs * self.p.cells])
        mean = 10 * tf.math.log(self.capital(state) / self.typical)[:, None]
        if self.p.told == "mean":
            return mean
        if self.p.told == "spread":
            m = tf.reduce_sum(m, axis=2, keepdims=True)  # all types alike
        mass = tf.reduce_sum(m, axis=1)  # [batch, types]
        of_type = tf.einsum("bjs,j->bs", m, wealth) / mass
        square = tf.einsum("bjs,bjs->bs", m, (wealth[None, :, None] - of_type[:, None]) ** 2) / mass
        return tf.concat([10 * tf.math.log(of_type / self.typical), tf.sqrt(square) / self.typical], axis=1)

    def policy(self, output: tf.Tensor, state: State) -> Policy:
        """output: [batch, nodes, types]."""
        R, beta = 1 / self.p.discount_factor, self.p.discount_factor
        wealth = self.nodes.tensor()
        later = self.yardstick_wage * self.by_shock(self.income, state.shock)
        later += self.by_shock(self.human_wealth, state.shock)  # [batch, types]
        unconstrained = (1 - beta) * (R * wealth[:, None] + later[:, None]) * tf.exp(output)
        cash = self.cash(state, wealth)
        c = tf.minimum(unconstrained, cash)
        savings = tf.where(unconstrained < cash, cash - c, tf.zeros_like(c))
        multiplier = 1 - power(tf.minimum(cash / unconstrained, 1), self.p.risk_aversion)
        return Policy(c, savings, unconstrained, multiplier)

    # --- what follows ----------------------------------------------------------------------------------------------

    def transition(self, state: State, policy: Policy, shock: tf.Tensor) -> State:
        """Every bin's households save, the lottery moves them, then types change."""
        types = self.types_ahead(state.shock, shock)
        return State(tf.einsum("bjs,bst->bjt", self.moved(state, policy), types), shock)

    def types_ahead(self, shock: tf.Tensor, shock_ahead: tf.Tensor) -> tf.Tensor:
        """Pi(z, z'), [batch, types, types]."""
        Z, S = self.income.shape
        return tf.gather(tf.constant(self.types.reshape(Z * Z, S, S), self.dtype), shock * Z + shock_ahead)

    def savings(self, state: State, policy: Policy) -> tf.Tensor:
        """a' of the households of each bin, [batch, bins, types]."""
        below, share = self.node_below, tf.constant(self.node_above_share, self.dtype)[:, None]
        low, high = (tf.gather(policy.unconstrained, i, axis=1) for i in (below, below + 1))
        return tf.nn.relu(self.cash(state, self.bins.tensor()) - (low + share * (high - low)))

    def moved(self, state: State, policy: Policy) -> tf.Tensor:
        """The histogram after savings, by the types that saved, [batch, bins, types]."""
        savings = self.savings(state, policy)
        bin_below, above = self.bins.lottery(tf.minimum(savings, self.p.richest))  # [batch, bins, types]
        J, S = self.p.bins, self.outputs
        batch = tf.shape(savings)[0]
        first = (tf.range(batch)[:, None, None] * J + bin_below) * S + tf.range(S)
        sizes = tf.stack([state.histogram * (1 - above), state.histogram * above])
        where = tf.stack([first, first + S])
        flat = tf.math.unsorted_segment_sum(tf.reshape(sizes, [-1]), tf.reshape(where, [-1]), batch * (J * S))
        return tf.reshape(flat, [-1, J, S])

    # --- conditions ------------------------------------------------------------------------------------------------

    def wanted(self, state: State, policy: Policy, E) -> tf.Tensor:
        """u'^-1( beta E[ R' u'(c') ] ): consumption today if no limit bound today, [batch, nodes, types]."""
        gamma, below_share = self.p.risk_aversion, self.nodes.lottery(policy.savings)

        def value(s: State, q: Policy) -> tf.Tensor:
            below, share = below_share  # [batch, nodes, types]: where savings lie among the nodes
            low, high = (tf.gather(q.unconstrained, i, axis=1, batch_dims=1) for i in (below, below + 1))
            c = tf.minimum(low + share[..., None] * (high - low), self.cash(s, policy.savings))  # [..., types ahead]
            R, _ = self.prices(s)
            types = self.types_ahead(state.shock, s.shock)
            return R[:, None, None] * tf.einsum("bist,bst->bis", power(c, -gamma), types)

        return power(self.p.discount_factor * E(value), -1 / gamma)

    def residuals(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        return {"euler": self.wanted(state, policy, E) / policy.unconstrained - 1}

    def errors(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        """Zero where all of optimality holds, the limit included: min(c_wanted/c - 1, a'/c); and its average."""
        c = policy.consumption
        optimality = tf.minimum(self.wanted(state, policy, E) / c - 1, policy.savings / c)
        return {"optimality": optimality, "average": self.average(state, policy, optimality)}

    def average(self, state: State, policy: Policy, euler: tf.Tensor) -> tf.Tensor:
        """The signed mean [batch] of Euler errors over households that save, weighted by their consumption.

        A mean e is as another beta, so that capital's level is off by e / ((1-alpha) (r + delta)), 45 e where r + delta
        is .035 a quarter: errors too small to be seen in any household's budget add up there if they are of one sign.
        Each node stands for the households around it, as a lottery over nodes would place them.
        """
        there = tf.einsum("bjs,jn->bns", state.histogram, tf.constant(self.around, self.dtype))
        weight = tf.stop_gradient(there * policy.consumption * tf.cast(policy.savings > 0, self.dtype))
        return tf.reduce_sum(weight * euler, axis=(1, 2)) / tf.reduce_sum(weight, axis=(1, 2))

    def definitions(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        K, (R, _) = self.capital(state), self.prices(state)
        ahead = tf.einsum("bjs,j->b", self.moved(state, policy), self.bins.tensor())
        y = (R - 1 + self.p.depreciation) * K / self.p.capital_share
        mass = tf.reduce_sum(state.histogram, axis=2)  # [batch, bins]
        poorer = tf.cumsum(mass, axis=1) - mass / 2
        gini = 2 * tf.einsum("bj,bj,j->b", mass, poorer, self.bins.tensor()) / K - 1
        savings = self.savings(state, policy)
        return {
            "K": K, "Y": y, "C": y + (1 - self.p.depreciation) * K - ahead, "r": R - 1, "gini": gini,
            "mean_consumption": self.by_rank(state, self.cash(state, self.bins.tensor()) - savings),
            "mean_savings": self.by_rank(state, savings),
        }  # fmt: skip

    def by_rank(self, state: State, values: tf.Tensor) -> tf.Tensor:
        """Means of `values` [batch, bins, types] over the households of each rank of wealth, [batch, ranks]."""
        mass = tf.reduce_sum(state.histogram, axis=2)  # [batch, bins]
        upto = tf.cumsum(mass, axis=1)
        of_bin = tf.einsum("bjs,bjs->bj", state.histogram, values) / tf.maximum(mass, 1e-30)
        means = []
        for low, high in itertools.pairwise(_RANKS):
            inside = tf.nn.relu(tf.minimum(upto, high) - tf.maximum(upto - mass, low))
            means.append(tf.einsum("bj,bj->b", inside, of_bin) / tf.reduce_sum(inside, axis=1))
        return tf.stack(means, axis=1)

    def flags(self, state: State, policy: Policy) -> dict[str, tf.Tensor]:
        return {"richest": tf.reduce_sum(state.histogram[:, -1], axis=1) > _EMPTY}

    def is_inside(self, state: State) -> tf.Tensor:
        """Whether capital is between half of what it would be without risk and twice that."""
        return tf.abs(tf.math.log(self.capital(state) / self.typical)) < math.log(2)

    def initial_states(self, count: int, generator: np.random.Generator) -> State:
        """Wealth lognormal in each type, with means and spreads at random; the first is as without risk."""
        mean = self.typical * np.exp(0.05 * np.clip(generator.standard_normal(count), -3, 3))
        spread = generator.uniform(*self.spreads, count)
        shock = generator.choice(len(self.labour), size=count, p=self.shocks.stationary)
        mean[0], spread[0], shock[0] = self.typical, np.mean(self.spreads), 0
        wealth = np.maximum(self.bins.wealth, 1e-3 * self.typical)
        width = np.gradient(self.bins.wealth)
        density = np.exp(-0.5 * ((np.log(wealth / mean[:, None]) + spread[:, None] ** 2 / 2) / spread[:, None]) ** 2)
        mass = density * width / wealth
        mass /= mass.sum(axis=1, keepdims=True)
        return State(mass[:, :, None] * self.shares[shock][:, None], shock.astype(np.int32))


class Aiyagari(ManyHouseholds):
    """No aggregate risk: z is one number; labour differs between households (Aiyagari 1994)."""

    Parameters = AiyagariParameters
    spreads = (0.7, 1.0)  # of ln wealth, at which paths of training begin

    def __init__(self, parameters: AiyagariParameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        p = parameters
        log_labour, types = rouwenhorst(p.types, p.persistence, p.labour_sd * math.sqrt(1 - p.persistence**2))
        labour = np.exp(log_labour)
        labour /= stationary_distribution(types) @ labour
        self._begin([[1.0]], [1.0], labour[None], types[None, None], [1.0])

    def type_names(self) -> list[str]:
        return [f"labour {number + 1}" for number in range(self.p.types)]


class KrusellSmith(ManyHouseholds):
    """Booms and recessions, employed and unemployed (Krusell and Smith 1998; den Haan, Judd and Juillard 2010)."""

    Parameters = KrusellSmithParameters
    spreads = (0.2, 0.4)

    def __init__(self, parameters: KrusellSmithParameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        p = parameters
        u, stays = np.array(p.unemployment), np.array(p.stays)
        loses = (u[None] - u[:, None] * stays) / (1 - u[:, None])  # so that z alone decides how many have no work
        types = np.stack([np.stack([stays, 1 - stays], axis=2), np.stack([loses, 1 - loses], axis=2)], axis=2)
        tax = p.benefit * u / (p.hours * (1 - u))
        income = np.stack([np.full(len(u), p.benefit), (1 - tax) * p.hours], axis=1)
        self._begin(p.transition, p.productivity, income, types, p.hours * (1 - u))

    def residuals(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        """Beside the Euler equation its signed mean, on which capital's level hangs."""
        euler = super().residuals(state, policy, E)["euler"]
        return {"euler": euler, "average": self.average(state, policy, euler)}

    def type_names(self) -> list[str]:
        return ["unemployed", "employed"]

    def describe_shocks(self) -> list[str]:
        shown = zip(self.p.productivity, self.p.unemployment, strict=True)
        return [f"shock {z + 1}: productivity {a:g}, unemployment {u:.0%}" for z, (a, u) in enumerate(shown)]
