r"""Overlapping generations with illiquid capital and a collateralised bond (AGS19, section 7; AGS22).

AGS19 is the working paper of Azinovic, Gaegauf & Scheidegger (2019), AGS22 the published one, International Economic
Review 63(4). Cohorts h = 1..N earn l^h w, hold capital k^h and bonds b^h, and buy capital a^h and bonds d^h.

    c^h + a^h + p d^h + psi (a^h - m k^h)^2 + xi (d^h)^2 = r k^h + min(kappa r, 1) b^h + l^h w =: x^h
    q^h u'(c^h) = beta E[ R'^{h+1} u'(c'^{h+1}) ] + lambda^h + mu^h
    q^h = 1 + 2 psi (a^h - m k^h),   R^h = r + 2 psi m (a^h - m k^h)
    (p + 2 xi d^h) u'(c^h) = beta E[ min(kappa r', 1) u'(c'^{h+1}) ] + kappa mu^h
    0 <= lambda^h ⟂ a^h >= 0,   0 <= mu^h ⟂ v^h := kappa d^h + a^h >= 0,   sum_h d^h = 0              h = 1..N-1

`adjustment: holdings` is psi = zeta, m = 1 (AGS19, eqs. 44 to 56), `proceeds` is psi = zeta/2, m = r (AGS22). The cost
xi of trading bonds is zero in both; it lets bonds come in step by step, `phases[].parameters: {trading_cost: ...}`.

The network gives two numbers for each cohort and the price. One number is a where it is positive, and where it is
negative the constraint binds and its size is the multiplier: complementarity holds whatever the network says. The
bonds clear because the collateral v adds up to all capital saved: the other number less a common threshold is v, and
where it is negative the multiplier. Consumption is what the budget leaves. This period's price follows from the bond's
condition of those who are not bound (`complete`); the network's price is next period's, inside expectations.
Multipliers are in shares of consumption: without the constraint, at the same next period, the household would consume
1 + m times as much.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium import Economy, MarkovChain, Report, power

from .parameters import Parameters
from .steady_state import first_guess

_PRICES = 4  # iterations for the price: each leaves of an error about what bonds are of consumption
_APART = 2.0  # the price found is at most so many times the one foreseen, or far from equilibrium it may run away
_STEPS = 8  # of the search for the threshold; sixty cohorts need three or four
_LEAST = 0.01  # what both assets are worth, over what they cost; far from equilibrium capital may be a burden


class State(NamedTuple):
    capital: tf.Tensor  # [batch, N] k by age at the start of the period, the first zero
    bonds: tf.Tensor  # [batch, N] b by age, claims to goods, the first zero
    shock: tf.Tensor  # [batch] index z of depreciation and TFP, from 0


class Policy(NamedTuple):
    savings: tf.Tensor  # [batch, N-1] a
    bonds_bought: tf.Tensor  # [batch, N-1] d
    consumption: tf.Tensor  # [batch, N] c
    price: tf.Tensor  # [batch] p
    foreseen_price: tf.Tensor  # [batch] p as the network gives it, which is next period's p inside E
    capital_multiplier: tf.Tensor  # [batch, N-1] m_a with lambda = u'(c) - u'((1 + m_a) c)
    bond_multiplier: tf.Tensor  # [batch, N-1] m_v with kappa mu = (p + 2 xi d) (u'(c) - u'((1 + m_v) c))


class CapitalAndBond(Economy):
    """The economy above for any number of cohorts."""

    Parameters, State, Policy = Parameters, State, Policy
    report = Report(
        letters={
            "capital": "k", "bonds": "b", "shock": "z", "savings": "a", "bonds_bought": "d", "consumption": "c",
            "price": "p", "capital_multiplier": "m_a", "bond_multiplier": "m_v",
        },
        units={
            "capital": "units of the good",
            "bonds": "units of the good",
            "savings": "units of the good",
            "bonds_bought": "units of the good, next period",
            "consumption": "units of the good per period",
            "capital_multiplier": "share of consumption",
            "bond_multiplier": "share of consumption",
            "cash": "units of the good",
            "bond_share": "share of savings",
            "premium": "per period",
        },
        axis_labels={"age": "age [years]"},
        foreseen=["savings", "bonds_bought", "consumption"],
        output="Y",
        aggregates={"Y": "output", "C": "consumption", "K": "capital", "p": "price of the bond"},
        condition_names={
            "euler": "Euler error, capital",
            "euler_bond": "Euler error, bond",
            "excess": "excess-return error",
            "price": "price foreseen against price found",
        },
        relative_to={
            "savings": "cash", "bonds_bought": "cash", "capital_multiplier": "one", "bond_multiplier": "one"
        },
    )  # fmt: skip

    def __init__(self, parameters: Parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        p, N = parameters, parameters.cohorts
        self.shocks = MarkovChain(p.transition)
        self.axes = {"age": p.ages()}
        self.labour = p.labour_endowments()  # [N]
        self.labour_supply = float(self.labour.sum())
        self.psi = p.adjustment_cost * (1 if p.adjustment == "holdings" else 0.5)
        self.guess, self.saved, gross_return = first_guess(p, self.shocks.stationary)
        self.price_guess = min(p.collateral * gross_return, 1) / gross_return
        pairs = {"collateral": (N - 1,)} if N > 2 else {}  # of two cohorts the young have nobody to trade with
        self.outputs = {"capital": (N - 1,), **pairs, "price": 1}
        last = 2 * (N - 1)  # features: capital and bonds of cohorts 2..N, all capital
        by_cohort = [last, *range(N - 2)], [last, *range(N - 1, 2 * N - 3)]
        self.own = [*by_cohort[0], *(by_cohort[1] if N > 2 else []), last]

    # --- prices and payoffs -------------------------------------------------------------------------------------------

    def prices(self, state: State) -> tuple[tf.Tensor, tf.Tensor]:
        """Gross return r and wage w, each [batch, 1]."""
        K, L, alpha = tf.reduce_sum(state.capital, 1), self.labour_supply, self.p.capital_share
        K = tf.maximum(K, self.p.floor)
        eta, delta = self.by_shock(self.p.tfp, state.shock), self.by_shock(self.p.depreciation, state.shock)
        Y = eta * power(K, alpha) * L ** (1 - alpha)
        return (alpha * Y / K + 1 - delta)[:, None], ((1 - alpha) * Y / L)[:, None]

    def payoff(self, r: tf.Tensor) -> tf.Tensor:
        """What a bond pays: min(kappa r, 1), as the borrower gives up the capital behind it when that is less."""
        return tf.minimum(self.p.collateral * r, 1)

    def cash(self, state: State) -> tf.Tensor:
        """Returns and wages, x, [batch, N]: not negative, because capital stands behind every debt."""
        r, w = self.prices(state)
        return r * state.capital + self.payoff(r) * state.bonds + w * self.labour

    def moved(self, state: State, savings: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """2 psi (a - m k) of all cohorts, [batch, N], the oldest with a = 0, and m."""
        r, _ = self.prices(state)
        m = r if self.p.adjustment == "proceeds" else tf.ones_like(r)
        return 2 * self.psi * (tf.pad(savings, [[0, 0], [0, 1]]) - m * state.capital), m

    def u_prime(self, c: tf.Tensor) -> tf.Tensor:
        return power(c, -self.p.risk_aversion)

    # --- what the network decides -------------------------------------------------------------------------------------

    def features(self, state: State) -> tf.Tensor:
        """Capital and bonds by cohort, and all capital: the shock chooses the network's head."""
        K = tf.reduce_sum(state.capital, 1, keepdims=True)
        return tf.concat([state.capital[:, 1:], state.bonds[:, 1:], K], axis=1)

    def policy(self, output, state: State) -> Policy:
        p, cash = self.p, self.cash(state)
        means = tf.maximum(cash[:, :-1], p.floor)
        wanted = self.saved.astype(self.dtype) + output.capital  # a over cash, where not negative
        savings = means * tf.nn.relu(wanted)
        if p.cohorts == 2:
            collateral, below = savings, tf.zeros_like(savings)
        else:
            collateral, below = self.shared_out(
                tf.nn.relu(wanted) + output.collateral, means, tf.reduce_sum(savings, 1)
            )
        bonds = (collateral - savings) / p.collateral
        price = self.price_guess * tf.exp(output.price)
        c = self.consumption(state, savings, bonds, price)
        return Policy(savings, bonds, c, price, price, tf.nn.relu(-wanted), below)

    def consumption(self, state: State, savings: tf.Tensor, bonds: tf.Tensor, price: tf.Tensor) -> tf.Tensor:
        """What the budget leaves, [batch, N]; below the floor it is bent, so that it stays positive."""
        spent = savings + price[:, None] * bonds + self.p.trading_cost * bonds**2
        left = self.cash(state) - tf.pad(spent, [[0, 0], [0, 1]])
        if self.psi:
            left -= self.moved(state, savings)[0] ** 2 / (4 * self.psi)  # psi (a - m k)^2
        return _bent(left, self.p.floor)

    def complete(self, state: State, policy: Policy, E) -> Policy:
        """With the price at which those who hold collateral want bonds: v_h > 0 says that household h is not bound.

            p = sum_h v_h V_h / sum_h v_h,   V_h = beta E[ min(kappa r', 1) u'(c') ] / u'(c_h) - 2 xi d_h

        Consumption is what the budget leaves at this price, so that the equation is solved for p by iteration.
        """
        bonds = policy.bonds_bought
        wanted = self.p.discount_factor * E(lambda s, q: tf.math.multiply(*self.returns(s, q)[1:]))
        weight = tf.nn.relu(self.p.collateral * bonds + policy.savings)
        weight /= tf.maximum(tf.reduce_sum(weight, 1, keepdims=True), np.finfo(self.dtype).tiny)
        price, c = policy.price, policy.consumption
        for _ in range(_PRICES):
            worth = wanted / self.u_prime(c[:, :-1]) - 2 * self.p.trading_cost * bonds
            price = tf.reduce_sum(weight * worth, 1)
            price = tf.clip_by_value(price, policy.foreseen_price / _APART, policy.foreseen_price * _APART)
            c = self.consumption(state, policy.savings, bonds, price)
        return policy._replace(price=price, consumption=c)

    def shared_out(self, wanted: tf.Tensor, means: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """means max(y - t, 0) and max(t - y, 0) with the threshold t at which the first add up to the total.

        wanted: y [batch, N-1], shares of means. total: [batch], above 0. Newton's steps from below never pass t: with
        every step fewer cohorts are above the threshold, until it is theirs.
        """
        tiny = np.finfo(self.dtype).tiny  # where nobody saves, nobody is above the threshold

        def threshold(held: tf.Tensor) -> tf.Tensor:
            spare = tf.reduce_sum(held * means * wanted, 1) - total
            return (spare / tf.maximum(tf.reduce_sum(held * means, 1), tiny))[:, None]

        held = tf.ones_like(wanted)
        for _ in range(min(_STEPS, self.p.cohorts - 2)):
            held = tf.cast(wanted > threshold(held), self.dtype)
        t = threshold(tf.stop_gradient(held))
        above = means * tf.nn.relu(wanted - t)
        whole = tf.maximum(tf.reduce_sum(above, 1), tiny)
        return above * (total / whole)[:, None], tf.nn.relu(t - wanted)

    def transition(self, state: State, policy: Policy, shock: tf.Tensor) -> State:
        born = [[0, 0], [1, 0]]
        return State(tf.pad(policy.savings, born), tf.pad(policy.bonds_bought, born), shock)

    # --- conditions ---------------------------------------------------------------------------------------------------

    def returns(self, state: State, policy: Policy) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Of cohorts 2..N [batch, N-1]: the return on capital, the payoff of the bond, u'(c)."""
        r, _ = self.prices(state)
        moved, m = self.moved(state, policy.savings)
        on_capital = (r + m * moved)[:, 1:]
        return on_capital, self.payoff(r) * tf.ones_like(on_capital), self.u_prime(policy.consumption[:, 1:])

    def residuals(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        """Euler errors of both assets in shares of consumption, and the share of wealth that is in the wrong asset.

            E[ u'(c') X ] / (gamma p E[ u'(c') X^2 ]),   X = R_k/q - R_b/p

        with each asset's own multiplier. A share s of wealth moved from the bond to capital raises c' by the share
        s X p, as wealth earns about 1/p.
        """
        gamma, kappa, beta = self.p.risk_aversion, self.p.collateral, self.p.discount_factor
        c = policy.consumption[:, :-1]
        cost = 1 + self.moved(state, policy.savings)[0][:, :-1]  # q, of a unit of capital today
        price = policy.price[:, None] + 2 * self.p.trading_cost * policy.bonds_bought  # of a bond

        def discounted(f):
            """beta E[ f u'(c') ] / u'(c), with f of both assets' returns."""
            expected = E(lambda s, q: (lambda R, paid, u: f(R, paid) * u)(*self.returns(s, q)))
            return beta * expected / self.u_prime(c)

        by_capital, by_bond = discounted(lambda R, paid: R), discounted(lambda R, paid: paid)
        bound = 1 - self.u_prime(1 + policy.bond_multiplier)  # kappa mu / (p u'(c))
        held = 1 - self.u_prime(1 + policy.capital_multiplier) + bound * price / kappa  # (lambda + mu) / u'(c)
        capital, bond = (by_capital + held) / cost, by_bond / price + bound  # both 1
        euler = {"euler": capital, "euler_bond": bond}
        errors = {name: power(_bent(value, _LEAST), -1 / gamma) - 1 for name, value in euler.items()}
        if self.p.cohorts > 2:
            spread = discounted(lambda R, paid: (R / cost - paid / price) ** 2)
            errors["excess"] = (capital - bond) / tf.stop_gradient(gamma * policy.price[:, None] * spread)
        errors["price"] = policy.foreseen_price / policy.price - 1
        return errors

    def constraints(self, state: State, policy: Policy) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
        cash, v = self.cash(state)[:, :-1], self.p.collateral * policy.bonds_bought + policy.savings
        slack_bond = {"kkt_bond": (policy.bond_multiplier, tf.nn.relu(v) / cash)} if self.p.cohorts > 2 else {}
        return {"kkt": (policy.capital_multiplier, policy.savings / cash), **slack_bond}

    # --- what is reported ---------------------------------------------------------------------------------------------

    def definitions(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        r, w = self.prices(state)
        K, C = tf.reduce_sum(state.capital, 1), tf.reduce_sum(policy.consumption, 1)
        Y = w[:, 0] * self.labour_supply / (1 - self.p.capital_share)
        value = policy.price[:, None] * policy.bonds_bought
        saved = policy.savings + value
        expected = (
            E(lambda s, q: self.prices(s)[0]) - E(lambda s, q: self.payoff(self.prices(s)[0])) / policy.price[:, None]
        )
        cash = self.cash(state)[:, :-1]
        return {
            "K": K, "C": C, "Y": Y, "r": r[:, 0], "w": w[:, 0], "p": policy.price, "K_over_Y": K / Y,
            "credit": tf.reduce_sum(tf.nn.relu(policy.bonds_bought), 1),
            "clearing": tf.reduce_sum(policy.bonds_bought, 1) / Y,
            "premium": expected[:, 0],
            "cash": cash,
            "bond_share": value / tf.maximum(saved, self.p.floor),
            "one": tf.ones_like(cash),
        }  # fmt: skip

    def initial_states(self, count: int, generator: np.random.Generator) -> State:
        """The guess of capital, scaled by a common and a cohort's own factor, without bonds; the first is the guess."""
        N = self.p.cohorts
        common = np.exp(0.2 * generator.standard_normal((count, 1)))
        own = np.exp(0.1 * generator.standard_normal((count, N)))
        capital = self.guess * common * own
        # A unit of debt stands on kappa units of capital; the others lend what the first of these borrow.
        bonds = 0.1 / self.p.collateral * capital * np.clip(generator.standard_normal((count, N)), -2, 2)
        bonds[:, 1:] -= bonds.sum(1, keepdims=True) * capital[:, 1:] / capital.sum(1, keepdims=True)
        shock = generator.choice(len(self.p.tfp), size=count, p=self.shocks.stationary)
        capital[0], bonds[0], shock[0] = self.guess, 0.0, 0
        return State(capital, bonds, shock.astype(np.int32))

    def is_inside(self, state: State) -> tf.Tensor:
        """Aggregate capital between a quarter of the guess's and four times it."""
        ratio = tf.reduce_sum(state.capital, 1) / self.guess.sum()
        return (ratio > 0.25) & (ratio < 4)

    def flags(self, state: State, policy: Policy) -> dict[str, tf.Tensor]:
        return {
            "consumption_bent": policy.consumption <= self.p.floor,
            "capital_floor": tf.reduce_sum(state.capital, 1) <= self.p.floor,
            "price_clipped": tf.abs(tf.math.log(policy.foreseen_price / policy.price)) > 0.99 * np.log(_APART),
        }

    def describe_shocks(self) -> list[str]:
        return [
            f"shock {z + 1}: TFP {eta:g}, depreciation {delta:g}"
            for z, (eta, delta) in enumerate(zip(self.p.tfp, self.p.depreciation, strict=True))
        ]


def _bent(x: tf.Tensor, least: float) -> tf.Tensor:
    """The number itself where it is above `least`; below, one that falls towards zero with the same slope at first."""
    low = tf.minimum(x / least, 1)
    return tf.where(low < 1, least / (2 - low), x)
