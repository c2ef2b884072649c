r"""The same economy on grids, in NumPy and SciPy alone.

    c + p a' = a + eta Y(z),   a' >= 0,   mean of a' = supply
    v = [ (1-beta) c^(1-rho) + beta m^(1-rho) ]^(1/(1-rho)),   m = E[ v'^(1-gamma) ]^(1/(1-gamma))
    p c^-rho >= beta E[ (v'/m)^(rho-gamma) c'^-rho ],  with equality if a' > 0

Consumption and values are found by endogenous grid points (Carroll 2006). A bond pays 1 whatever its price was, so that
next period's consumption and value do not depend on p, and households meet any p today with the same expectations.

`stationary` (one z): the p at which the invariant histogram of wealth holds the supply.

`approximate` (Krusell and Smith 1998): households believe that p is b_0(z) + b_1(z) x, where x, the mean of exp(-a/.3)
of the first type, moves by x' = d_0(z) + d_1(z) x. With `moment=False` they believe that p depends on z alone. On a
drawn path each p clears the market (Young 2010 moves the histogram), and least squares gives new beliefs.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.sparse import coo_array, eye_array
from scipy.sparse.linalg import spsolve

_SCALE = 0.3  # of wealth in the moment that households look at


class Continuum(NamedTuple):
    """Constants per period. income: [Z] Y. chain: [Z, Z], rows = from. labour: [S] eta. types: [S, S], rows = from."""

    discount_factor: float
    risk_aversion: float
    inverse_substitution: float
    income: np.ndarray
    chain: np.ndarray
    labour: np.ndarray
    types: np.ndarray
    supply: float

    def aggregate(self, c, m):
        """The value of c today and of the certainty equivalent m."""
        beta, rho = self.discount_factor, self.inverse_substitution
        return ((1 - beta) * c ** (1 - rho) + beta * m ** (1 - rho)) ** (1 / (1 - rho))

    def ahead(self, weight, c, v):
        """m and u'^-1 of the Euler equation at p = 1, [S, I]. weight: [S, N] of N successors. c, v: [N, I] there."""
        gamma, rho = self.risk_aversion, self.inverse_substitution
        m = (weight @ v ** (1 - gamma)) ** (1 / (1 - gamma))
        marginal = weight @ (v ** (rho - gamma) * c**-rho) * m ** (gamma - rho)
        return m, (self.discount_factor * marginal) ** (-1 / rho)


def wealth_grid(points, richest, power):
    """From 0 to `richest`, denser at little wealth if power > 1."""
    return richest * np.linspace(0, 1, points) ** power


def lottery(savings, bins):
    """The bin below each savings, and the share of the household that goes to the one above (Young 2010)."""
    below = np.clip(np.searchsorted(bins, savings, side="right") - 1, 0, len(bins) - 2)
    return below, np.clip((savings - bins[below]) / (bins[below + 1] - bins[below]), 0, 1)


def quantiles(bins, mass, shares):
    """Wealth below which these shares of households are; within a bin's reach, half way to its neighbours, evenly."""
    middle = np.cumsum(mass) - mass / 2
    return np.interp(shares, middle / mass.sum(), bins)


def decided(economy, saved, m, wanted, price, wealth, income):
    """c, v and a' of one type at `wealth`. m, wanted: [I], as `ahead` gives them at `saved` [I]. income: its own."""
    cash = wealth + income
    c = price ** (1 / economy.inverse_substitution) * wanted
    needed = c + price * saved  # cash at which `saved` is chosen
    slope = (c[-1] - c[-2]) / (needed[-1] - needed[-2])
    found = np.where(cash > needed[-1], c[-1] + slope * (cash - needed[-1]), np.interp(cash, needed, c))
    c = np.where(cash < needed[0], cash, found)
    a = (cash - c) / price
    return c, economy.aggregate(c, np.interp(a, saved, m)), a


# --- no aggregate risk ---------------------------------------------------------------------------------------------


class Stationary(NamedTuple):
    """price: in equilibrium. m, wanted: [S, I] at `saved` [I]. bins: [J]. histogram: [S, J], sums to 1."""

    economy: Continuum
    price: float
    saved: np.ndarray
    m: np.ndarray
    wanted: np.ndarray
    bins: np.ndarray
    histogram: np.ndarray

    def decisions(self, wealth, z=0, x=0.0, price=None):
        """c, v and a' [3, S, M] of households of each type with this wealth [M] who meet this price."""
        price = self.price if price is None else price
        return _by_type(self.economy, self.saved, self.m, self.wanted, price, wealth, self.economy.income[0])

    def moment(self, histogram, bins):
        return 0.0

    def clearing(self, histogram, bins, z, x):
        """The price at which this histogram's households, who expect `price` for ever, want to hold the supply."""
        return _clearing(self, histogram, bins, z, x, self.price)


def _by_type(economy, saved, m, wanted, price, wealth, income):
    """c, v and a' [3, S, M]. m, wanted: [S, I] at `saved`. income: Y."""
    types = zip(m, wanted, economy.labour, strict=True)
    each = [decided(economy, saved, m_s, wanted_s, price, wealth, eta * income) for m_s, wanted_s, eta in types]
    return np.stack(each, axis=1)


def _clearing(solution, histogram, bins, z, x, near):
    def excess(p):
        held = np.minimum(solution.decisions(bins, z, x, p)[2], bins[-1])
        return (histogram * held).sum() - solution.economy.supply

    return brentq(excess, near - 0.1, near + 0.1, xtol=1e-11)


def stationary(economy, nodes=2000, bins=100, richest=20.0, power=1.0, tolerance=1e-12):
    """The stationary equilibrium of an economy with one z: brentq on p until households hold the supply."""
    saved, places = wealth_grid(nodes, richest, 3.0), wealth_grid(bins, richest, power)
    guess = None

    def at(price):
        nonlocal guess
        m, wanted, guess = _at_rest(economy, price, saved, guess)
        whole = Stationary(economy, price, saved, m, wanted, places, np.empty(0))
        return whole._replace(histogram=_invariant(whole))

    def excess(price):
        return (at(price).histogram @ places).sum() / economy.supply - 1

    beta = economy.discount_factor
    return at(brentq(excess, beta + 1e-4, 1.1, xtol=tolerance))


def _at_rest(economy, price, saved, guess, tolerance=1e-11, most=20_000):
    """m and u'^-1 of the Euler equation [S, I] at `saved`; and c, v there, to begin with next time."""
    income = economy.labour * economy.income[0]
    c, v = guess or (0.1 * saved + income[:, None], 0.1 * saved + income[:, None])
    for _ in range(most):
        m, wanted = economy.ahead(economy.types, c, v)
        c_new, v_new, _ = _by_type(economy, saved, m, wanted, price, saved, economy.income[0])
        change = max(np.abs(c_new / c - 1).max(), np.abs(v_new / v - 1).max())
        c, v = c_new, v_new
        if change < tolerance:
            return m, wanted, (c, v)
    raise ValueError(f"decisions still move by {change:.1e} after {most} iterations")


def _invariant(solution):
    """The histogram [S, J] that the policy moves into itself."""
    bins, types = solution.bins, solution.economy.types
    S, J = len(types), len(bins)
    below, above = lottery(solution.decisions(bins)[2], bins)
    origin = np.arange(S * J).reshape(S, J)
    rows, columns, values = [], [], []
    for target in range(S):
        chance = types[:, target][:, None]
        rows += [target * J + below, target * J + below + 1]
        columns += [origin, origin]
        values += [chance * (1 - above), chance * above]
    moved = coo_array((np.ravel(values), (np.ravel(rows), np.ravel(columns))), shape=(S * J, S * J)).tocsc()
    # One equation is the sum of the others: replaced by the mass of the first bin being 1, then all are scaled.
    system = (eye_array(S * J, format="csc") - moved)[1:, 1:]
    rest = spsolve(system.tocsc(), moved[1:, [0]].toarray()[:, 0])
    mass = np.concatenate([[1.0], rest]).reshape(S, J)
    return mass / mass.sum()


# --- aggregate risk ------------------------------------------------------------------------------------------------


class Approximate(NamedTuple):
    """price: [Z, 2], p = price[z, 0] + price[z, 1] x. law: [Z, 2], of x. points: [G] of x. m, wanted: [Z, G, S, I]."""

    economy: Continuum
    price: np.ndarray
    law: np.ndarray
    points: np.ndarray
    saved: np.ndarray
    m: np.ndarray
    wanted: np.ndarray
    iterations: int

    def decisions(self, wealth, z, x, price):
        """c, v and a' [3, S, M] of households of each type with this wealth [M] who meet this price."""
        m, wanted = (_between(y[z], self.points, x) for y in (self.m, self.wanted))
        return _by_type(self.economy, self.saved, m, wanted, price, wealth, self.economy.income[z])

    def moment(self, histogram, bins):
        return histogram[0] @ np.exp(-bins / _SCALE) / histogram[0].sum()

    def clearing(self, histogram, bins, z, x):
        """The price at which this histogram's households, who have these beliefs, want to hold the supply."""
        return _clearing(self, histogram, bins, z, x, self.price[z] @ (1, x))


def _between(values, points, x):
    """values [G, ...] at a number x, linear between the points and as at the ends beyond them."""
    if len(points) == 1:
        return values[0]
    below = np.clip(np.searchsorted(points, x) - 1, 0, len(points) - 2)
    share = np.clip((x - points[below]) / (points[below + 1] - points[below]), 0, 1)
    return (1 - share) * values[below] + share * values[below + 1]


def approximate(
    economy, start, shocks, bins, moment=True, points=None, nodes=200, burn_in=200, tolerance=1e-6, most=100
):
    """The solution, and its path along these shocks.

    start: the histogram [S, J] on `bins` at which the path begins. shocks: [T]. points: of x, [G].
    """
    saved, Z = wealth_grid(nodes, bins[-1], 3.0), len(economy.income)
    points = np.linspace(0.15, 0.45, 7) if points is None else points
    points = points if moment else points[:1]
    price = np.stack([np.full(Z, 0.97), np.zeros(Z)], axis=1)
    law = np.stack([np.full(Z, points.mean()), np.zeros(Z)], axis=1)
    guess = None
    for iteration in range(1, most + 1):
        m, wanted, guess = _with_beliefs(economy, price, law, points, saved, guess)
        solution = Approximate(economy, price, law, points, saved, m, wanted, iteration)
        path = follow(solution, start, shocks, bins)
        p, x = path["price"][burn_in:], path["moment"][burn_in:]
        z = shocks[burn_in:]
        if moment:
            new_price, new_law = (regression(*pair, z, Z) for pair in ((x, p), (x[:-1], x[1:])))
        else:
            new_price, new_law = np.stack([[p[z == k].mean(), 0.0] for k in range(Z)]), law
        gap = np.abs(new_price + new_law - price - law).max()
        if gap < tolerance:
            return solution, path
        price, law = price + 0.35 * (new_price - price), law + 0.7 * (new_law - law)  # dear bonds later are cheap today
    raise ValueError(f"beliefs still move by {gap:.1e} after {most} iterations")


def regression(x, y, z, count):
    """y on x by z: coefficients [count, 2]."""
    return np.stack([np.polyfit(x[z[: len(x)] == k], y[z[: len(x)] == k], 1)[::-1] for k in range(count)])


def follow(solution, histogram, shocks, bins):
    """Along these shocks [T]: price, believed price and moment [T], and the histogram [T, S, J]."""
    e, T = solution.economy, len(shocks)
    price, believed, moment = np.empty(T), np.empty(T), np.empty(T)
    histograms = np.empty((T, *histogram.shape))
    for t, z in enumerate(shocks):
        histograms[t] = histogram
        x = moment[t] = solution.moment(histogram, bins)
        believed[t] = solution.price[z] @ (1, x)
        price[t] = solution.clearing(histogram, bins, z, x)
        below, above = lottery(solution.decisions(bins, z, x, price[t])[2], bins)
        moved = np.stack(
            [
                np.bincount(b, m * (1 - up), len(bins)) + np.bincount(b + 1, m * up, len(bins))
                for b, up, m in zip(below, above, histogram, strict=True)
            ]
        )
        histogram = e.types.T @ moved
    return {"price": price, "believed": believed, "moment": moment, "histogram": histograms}


def _with_beliefs(economy, price, law, points, saved, guess, tolerance=1e-9, most=5000):
    """m and u'^-1 of the Euler equation [Z, G, S, I] at `saved` of households with these beliefs; c and v there."""
    Z, G, S = len(economy.income), len(points), len(economy.labour)
    income = economy.income[:, None] * economy.labour  # [Z, S]
    if guess is None:
        c = np.broadcast_to(0.1 * saved + income[:, None, :, None], (Z, G, S, len(saved)))
        guess = c, c
    c, v = guess
    weight = np.einsum("zy,st->zsyt", economy.chain, economy.types).reshape(Z, S, Z * S)
    for _ in range(most):
        m, wanted = np.empty(c.shape), np.empty(c.shape)
        c_new, v_new = np.empty(c.shape), np.empty(c.shape)
        for z, g in np.ndindex(Z, G):
            x = law[z] @ (1, points[g])
            then = [
                np.stack([_between(y[k], points, x) for k in range(Z)]).reshape(Z * S, -1) for y in (c, v)
            ]  # [Z' S', I]
            m[z, g], wanted[z, g] = economy.ahead(weight[z], *then)
            p = price[z] @ (1, points[g])
            c_new[z, g], v_new[z, g], _ = _by_type(economy, saved, m[z, g], wanted[z, g], p, saved, economy.income[z])
        change = max(np.abs(c_new / c - 1).max(), np.abs(v_new / v - 1).max())
        c, v = c_new, v_new
        if change < tolerance:
            return m, wanted, (c, v)
    raise ValueError(f"decisions still move by {change:.1e} after {most} iterations")
