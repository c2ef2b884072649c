r"""The same economy where adjustment costs keep capital apart from the bond: today's market is solved, not learned.

With psi > 0 the two conditions of a household say all about its decisions once two expectations are known, which are
what the network gives:

    W^h = u'^{-1}( beta E[ min(kappa r', 1) u'(c'^{h+1}) ] )
    V^h = E[ R'^{h+1} u'(c'^{h+1}) ] / E[ min(kappa r', 1) u'(c'^{h+1}) ]

At a price p of the bond a household whom no limit binds consumes c = W p^(1/gamma) and buys capital until its cost
q = 1 + 2 psi (a - m k) is p V; what is left is spent on bonds. Where collateral binds, d = -a/kappa and

    (q - p/kappa) u'(c) = u'(W) (V - 1/kappa).

The price is where all bonds add up to zero. So budgets, limits, multipliers and the market hold at every state whatever
the network says, and the errors are those of W and V alone. With three cohorts training on W and V has not settled
(README.md): `CapitalAndBond` is for few cohorts, and for psi = 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium import Economy, power
from deqn.project.errors import UserError

from .economy import CapitalAndBond, State, _bent

_STEPS = 12  # of Newton for the price, at most: four leave twelve digits with sixty cohorts, three may need more
_STEP, _RANGE = 0.3, 3.0  # the largest of them, and how far from the price without risk it may be, in ln p
_FOUND = 1e-6  # in ln p: after so small a step the next one is rounding
_LEAST = 0.3  # of 1 + an output: far from what it was trained on, a network may say anything
_WORTH = 0.01  # u'(c) less the multiplier of capital, in shares of u'(c), is at least so much
_REVERSION = 0.5  # where the network's answers begin, capital returns by this share a period to the first guess


class Policy(NamedTuple):
    savings: tf.Tensor  # [batch, N-1] a
    bonds_bought: tf.Tensor  # [batch, N-1] d
    consumption: tf.Tensor  # [batch, N] c
    price: tf.Tensor  # [batch] p
    foreseen_price: tf.Tensor  # [batch] p: the same market is solved inside expectations
    capital_multiplier: tf.Tensor  # [batch, N-1] as in `CapitalAndBond`
    bond_multiplier: tf.Tensor  # [batch, N-1]
    liquid: tf.Tensor  # [batch, N-1] W
    valued: tf.Tensor  # [batch, N-1] V


class Chosen(NamedTuple):
    """What households do at a price, each [batch, N-1]."""

    savings: tf.Tensor  # a
    consumption: tf.Tensor  # c
    unbound: tf.Tensor  # W p^(1/gamma)
    bound: tf.Tensor  # whether collateral binds
    spent: tf.Tensor  # p d
    slope: tf.Tensor  # d (p d) / d ln p


class Illiquid(CapitalAndBond):
    """The economy of `CapitalAndBond` with an adjustment cost; the network gives W and V of every cohort."""

    Policy = Policy
    report = CapitalAndBond.report._replace(
        condition_names=CapitalAndBond.report.condition_names | {"portfolio": "share of cash in the wrong asset"}
    )

    def __init__(self, parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        p, N = parameters, parameters.cohorts
        if not p.adjustment_cost or p.trading_cost:
            raise UserError(
                f"parameters: adjustment_cost is {p.adjustment_cost:g} and trading_cost {p.trading_cost:g}; Illiquid "
                "needs the first above 0 and the second 0: without them take economy: CapitalAndBond"
            )
        self.outputs = {"liquid": (N - 1,), "valued": (N - 1,)}
        k, b, all_capital = range(N - 2), range(N - 1, 2 * N - 3), 2 * N - 2  # features; the newborn have nothing
        self.own = [all_capital, *b, all_capital, *k]
        r = 1 / self.price_guess
        g = (p.discount_factor * r) ** (1 / p.risk_aversion)
        ahead = np.arange(N)
        self.propensity = np.array([1 / ((g / r) ** ahead[: N - h]).sum() for h in range(N - 1)])
        self.human_wealth = np.array([(self.labour[h + 1 :] / r ** ahead[1 : N - h]).sum() for h in range(N - 1)])

    def kept(self, state: State) -> tf.Tensor:
        """m k, the capital that costs nothing to keep, [batch, N]."""
        return state.capital * (self.prices(state)[0] if self.p.adjustment == "proceeds" else 1)

    def policy(self, output, state: State) -> Policy:
        """Today's market under the W and V of the network, which it gives relative to a life at constant prices."""
        cash, kept, w = self.cash(state), self.kept(state), self.prices(state)[1]
        lasting = self.propensity * (cash[:, :-1] + w * self.human_wealth)
        W = lasting * self.price_guess ** (-1 / self.p.risk_aversion) * _bent(1 + output.liquid, _LEAST)
        cost = 1 + 2 * self.psi * _REVERSION * (self.guess[1:].astype(self.dtype) - kept[:, :-1])
        V = _bent(cost, _LEAST) / self.price_guess * _bent(1 + output.valued, _LEAST)
        price, chosen = self.cleared(cash[:, :-1], kept[:, :-1], W, V)
        oldest = _bent(cash[:, -1:] - self.psi * kept[:, -1:] ** 2, self.p.floor)
        consumption = tf.concat([chosen.consumption, oldest], axis=1)
        multipliers = self.multipliers(chosen, price, kept[:, :-1], V)
        return Policy(
            chosen.savings, chosen.spent / price, consumption, price[:, 0], price[:, 0], *multipliers, W, V
        )  # fmt: skip

    complete = Economy.complete  # the price is found already

    def multipliers(
        self, chosen: Chosen, price: tf.Tensor, kept: tf.Tensor, V: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """What both conditions lack, of capital and of the bond, as shares of consumption, each [batch, N-1]."""
        less = power(chosen.consumption / chosen.unbound, self.p.risk_aversion)  # u'(W p^(1/gamma)) / u'(c)
        none = tf.zeros_like(less)
        pledged = tf.where(chosen.bound, (1 - less) * price / self.p.collateral, none)  # mu / u'(c)
        q = 1 + 2 * self.psi * (chosen.savings - kept)
        lacks = _bent(1 - tf.nn.relu(q - less * price * V - pledged), _WORTH)  # 1 - lambda / u'(c)
        of_capital = tf.where(chosen.savings > 0, none, power(lacks, -1 / self.p.risk_aversion) - 1)
        of_bond = tf.where(chosen.bound, tf.nn.relu(chosen.unbound / chosen.consumption - 1), none)
        return of_capital, of_bond

    # --- today's market -----------------------------------------------------------------------------------------------

    def cleared(self, cash: tf.Tensor, kept: tf.Tensor, W: tf.Tensor, V: tf.Tensor) -> tuple[tf.Tensor, Chosen]:
        """The price [batch, 1] at which bonds add up to zero, and what households choose there; all else [batch, N-1].

        The spending on bonds falls in ln p, with kinks: Newton's steps stay between prices known to be too low and too
        high. The last step alone has a gradient, which then is the implicit function's.
        """
        known = [tf.stop_gradient(x) for x in (cash, kept, W, V)]
        log_price = tf.fill([tf.shape(cash)[0], 1], tf.constant(np.log(self.price_guess), cash.dtype))

        def better(log_price, low, high, pledged, _):
            chosen, pledged = self.chosen(tf.exp(log_price), pledged, *known)
            step = _newton(chosen)
            low, high = tf.where(step < 0, log_price, low), tf.where(step < 0, high, log_price)
            tried, is_far = log_price - step, tf.abs(step) > _FOUND
            outside = ((tried <= low) | (tried >= high)) & is_far
            return tf.where(outside, (low + high) / 2, tried), low, high, pledged, tf.reduce_any(is_far)

        first = (log_price, log_price - _RANGE, log_price + _RANGE, tf.nn.relu(known[1]), tf.constant(True))
        log_price, *_, start, _ = tf.while_loop(lambda *now: now[-1], better, first, maximum_iterations=_STEPS)
        log_price, start = tf.stop_gradient(log_price), tf.stop_gradient(start)
        for _ in range(2):
            _, start = self.chosen(tf.exp(log_price), start, *known)
        chosen, _ = self.chosen(tf.exp(log_price), start, cash, kept, W, V)
        price = tf.exp(log_price - _newton(chosen))
        return price, self.chosen(price, start, cash, kept, W, V)[0]

    def chosen(self, price, start, cash, kept, W, V) -> tuple[Chosen, tf.Tensor]:
        """Decisions at a price [batch, 1]; start: a where collateral binds, as found so far; and it one step better."""
        psi, kappa, gamma = self.psi, self.p.collateral, self.p.risk_aversion
        unbound = W * power(price, 1 / gamma)
        wanted = kept + (price * V - 1) / (2 * psi)
        free = tf.nn.relu(wanted)
        spent = cash - free - psi * (free - kept) ** 2 - unbound
        slope = -unbound / gamma - tf.where(wanted > 0, (price * V) ** 2 / (2 * psi), tf.zeros_like(V))
        # Where collateral binds: y = q - p/kappa = G c^gamma with c = cash - (1 - p/kappa) a - psi (a - kept)^2.
        down, start = 1 - price / kappa, tf.stop_gradient(start)

        def left(a):
            return _bent(cash - down * a - psi * (a - kept) ** 2, self.p.floor)

        c, y = left(start), down + 2 * psi * (start - kept)
        G = power(W, -gamma) * tf.nn.relu(V - 1 / kappa)
        by_c = G * gamma * power(c, gamma - 1)
        steep = tf.maximum(2 * psi + by_c * y, psi)
        pledged = tf.nn.relu(start - (y - G * power(c, gamma)) / tf.stop_gradient(steep))
        pledged = tf.minimum(pledged, cash / tf.maximum(down, 0.02))
        moved = tf.where(pledged > 0, price / kappa * (1 + by_c * pledged) / steep, tf.zeros_like(pledged))
        bound = kappa * spent / price + free < 0
        chosen = Chosen(
            savings=tf.where(bound, pledged, free),
            consumption=tf.where(bound, left(pledged), unbound),
            unbound=unbound,
            bound=bound,
            spent=tf.where(bound, -price / kappa * pledged, spent),
            slope=tf.where(bound, -price / kappa * (pledged + moved), slope),
        )
        return chosen, pledged

    # --- conditions ---------------------------------------------------------------------------------------------------

    def residuals(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        """How far both expectations are from what the network says, in shares of it."""

        def both(s, following):
            R, paid, u = self.returns(s, following)
            return tf.concat([R * u, paid * u], axis=1)

        capital, bond = tf.split(E(both), 2, axis=1)
        W = power(self.p.discount_factor * bond, -1 / self.p.risk_aversion)
        return {"liquid": W / policy.liquid - 1, "valued": capital / bond / policy.valued - 1}

    def correction(self, output, state: State, policy: Policy, E):
        """W and V are proportional to 1 + output: both change by the share that their expectation says."""
        return output._replace(
            **{name: (1 + getattr(output, name)) * x for name, x in self.residuals(state, policy, E).items()}
        )

    def errors(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        """The errors of the printed equations, as of `CapitalAndBond`, and the share of cash in the wrong asset.

        The excess-return error is that share where capital moves freely. Where it costs, a share s of cash x on hand
        that moves from the bond to capital raises today's q by 2 psi s x/q besides: the error is

            E[ u'(c') X ] / (gamma p E[ u'(c') X^2 ] + 2 psi x/q^2 u'(c)/beta)
        """
        errors = super().residuals(state, policy, E)
        q, price = 1 + self.moved(state, policy.savings)[0][:, :-1], policy.price[:, None]

        def squared(s, following):
            R, paid, u = self.returns(s, following)
            return u * (R / q - paid / price) ** 2

        spread = self.p.discount_factor * E(squared) / self.u_prime(policy.consumption[:, :-1])
        spread *= self.p.risk_aversion * price
        cost = 2 * self.psi * self.cash(state)[:, :-1] / q**2
        errors["portfolio"] = errors["excess"] * spread / (spread + cost)
        del errors["price"]  # which is found, not foreseen
        return errors


def _newton(chosen: Chosen) -> tf.Tensor:
    """The step in ln p that takes all spending on bonds to zero to first order, [batch, 1]."""
    total = tf.reduce_sum(chosen.spent, 1, keepdims=True)
    slope = tf.stop_gradient(tf.reduce_sum(chosen.slope, 1, keepdims=True))
    return tf.clip_by_value(total / slope, -_STEP, _STEP)
