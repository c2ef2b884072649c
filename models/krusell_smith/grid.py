r"""Aiyagari's and Krusell and Smith's economies on grids, in NumPy and SciPy alone.

    c + a' = R a + w y(z,s),   a' >= 0,   c^-gamma >= beta E[ R' c'^-gamma ],  with equality if a' > 0
    R = 1 - delta + alpha z (K/L)^(alpha-1),   w = (1-alpha) z (K/L)^alpha

`stationary` (no aggregate risk, Aiyagari 1994): endogenous grid points (Carroll 2006) for a given R, the invariant
histogram of wealth, and bisection on R until households hold the capital that firms hire.

`krusell_smith` (Krusell and Smith 1998): households believe ln K' = b_0(z) + b_1(z) ln K; endogenous grid points on
(a, K); a histogram moved along a drawn path of z (Young 2010) gives K; least squares gives new beliefs.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.sparse import coo_array, eye_array
from scipy.sparse.linalg import spsolve


class ManyHouseholds(NamedTuple):
    """Constants per period. productivity, labour: [Z]. chain: [Z, Z], rows = from. income: [Z, S], in wages.

    types: [Z, Z, S, S], the chance that s becomes s' when z becomes z'.
    """

    discount_factor: float
    risk_aversion: float
    capital_share: float
    depreciation: float
    productivity: np.ndarray
    labour: np.ndarray
    chain: np.ndarray
    income: np.ndarray
    types: np.ndarray

    def prices(self, capital, z):
        """Gross return R and wage w."""
        ratio = capital / self.labour[z]
        alpha = self.capital_share
        marginal = alpha * self.productivity[z] * ratio ** (alpha - 1)
        return 1 - self.depreciation + marginal, (1 - alpha) * self.productivity[z] * ratio**alpha


def with_unemployment(beta, gamma, alpha, delta, productivity, chain, hours, unemployment, stays, benefit):
    """The economy of den Haan, Judd and Juillard (2010): s = 0 unemployed, s = 1 employed.

    stays: [Z, Z], the chance that an unemployed stays so when z becomes z'; who loses work follows from the rates of
    unemployment, which z alone decides. Benefits, in wages of a whole worker, are paid by a tax on labour.
    """
    u, stays = np.asarray(unemployment), np.asarray(stays)
    loses = (u[None] - u[:, None] * stays) / (1 - u[:, None])
    types = np.stack([np.stack([stays, 1 - stays], -1), np.stack([loses, 1 - loses], -1)], -2)
    tax = benefit * u / (hours * (1 - u))
    income = np.stack([np.full(len(u), benefit), (1 - tax) * hours], axis=1)
    return ManyHouseholds(
        beta, gamma, alpha, delta, np.asarray(productivity), hours * (1 - u), np.asarray(chain), income, types
    )


def with_labour(beta, gamma, alpha, delta, types, persistence, sd):
    """Aiyagari's (1994) economy: ln labour on the chain of Rouwenhorst (1995), sd its standard deviation; mean 1."""
    stay = (1 + persistence) / 2
    chain = np.array([[stay, 1 - stay], [1 - stay, stay]])
    for size in range(3, types + 1):
        larger = np.zeros((size, size))
        for share, (i, j) in ((stay, (0, 0)), (1 - stay, (0, 1)), (1 - stay, (1, 0)), (stay, (1, 1))):
            larger[i : size - 1 + i, j : size - 1 + j] += share * chain
        larger[1:-1] /= 2
        chain = larger
    labour = np.exp(sd * np.sqrt(types - 1) * np.linspace(-1, 1, types))
    labour /= np.linalg.matrix_power(chain, 1 << 12)[0] @ labour
    return ManyHouseholds(
        beta, gamma, alpha, delta, np.ones(1), np.ones(1), np.ones((1, 1)), labour[None], chain[None, None]
    )


def wealth_grid(points, richest, power):
    """From 0 to `richest`, denser at little wealth if power > 1."""
    return richest * np.linspace(0, 1, points) ** power


def lottery(savings, bins):
    """The bin below each savings, and the share of the household that goes to the one above (Young 2010)."""
    below = np.clip(np.searchsorted(bins, savings, side="right") - 1, 0, len(bins) - 2)
    return below, np.clip((savings - bins[below]) / (bins[below + 1] - bins[below]), 0, 1)


# --- no aggregate risk ---------------------------------------------------------------------------------------------


class Stationary(NamedTuple):
    """gross_return, wage, capital: in equilibrium. cash, consumed: [S, I] points of each type's consumption function.

    bins: [J]. histogram: [S, J], sums to 1.
    """

    economy: ManyHouseholds
    gross_return: float
    wage: float
    capital: float
    cash: np.ndarray
    consumed: np.ndarray
    bins: np.ndarray
    histogram: np.ndarray

    def consumption(self, wealth):
        """[S, M] of households of each type with this wealth [M]."""
        return _consumption(self, wealth)

    def quantiles(self, shares):
        return quantiles(self.bins, self.histogram.sum(axis=0), shares)


def quantiles(bins, mass, shares):
    """Wealth below which these shares of households are; within a bin's reach, half way to its neighbours, evenly."""
    middle = np.cumsum(mass) - mass / 2
    return np.interp(shares, middle / mass.sum(), bins)


def stationary(economy, nodes=3000, bins=4000, richest=200.0, power=2.0, tolerance=1e-10):
    """The stationary equilibrium of an economy with one z; brentq on R until supply and demand of capital agree."""
    saved, places = wealth_grid(nodes, richest, 3.0), wealth_grid(bins, richest, power)
    consumed = None

    def at(gross_return):
        nonlocal consumed
        rental = gross_return - 1 + economy.depreciation
        alpha, scale = economy.capital_share, economy.productivity[0]
        demand = economy.labour[0] * (rental / (alpha * scale)) ** (1 / (alpha - 1))
        wage = (1 - alpha) * scale * (demand / economy.labour[0]) ** alpha
        cash, c, consumed = _endogenous(economy, gross_return, wage, saved, consumed)
        whole = Stationary(economy, gross_return, wage, demand, cash, c, places, np.empty(0))
        return whole._replace(histogram=_invariant(whole))

    def excess(gross_return):
        found = at(gross_return)
        return (found.histogram @ places).sum() / found.capital - 1

    patient = 1 / economy.discount_factor
    return at(brentq(excess, patient - 0.02, patient - 1e-5, xtol=tolerance))


def _endogenous(economy, R, w, saved, guess, tolerance=1e-11, most=20_000):
    """Points of cash and consumption of each type [S, I], and its consumption [S, I] at wealth `saved`."""
    cash = R * saved + w * economy.income[0][:, None]
    c = 0.3 * cash**0.7 if guess is None else guess
    for _ in range(most):
        value = economy.discount_factor * R * (economy.types[0, 0] @ c**-economy.risk_aversion)
        wanted = value ** (-1 / economy.risk_aversion)
        new = _at(cash, wanted + saved, wanted)
        change, c = np.abs(new / c - 1).max(), new
        if change < tolerance:
            return wanted + saved, wanted, c
    raise ValueError(f"consumption still moves by {change:.1e} after {most} iterations")


def _consumption(solution, wealth):
    cash = solution.gross_return * wealth + solution.wage * solution.economy.income[0][:, None]
    return _at(cash, solution.cash, solution.consumed)


def _invariant(solution):
    """The histogram [S, J] that the policy moves into itself."""
    bins, types = solution.bins, solution.economy.types[0, 0]
    S, J = len(types), len(bins)
    cash = solution.gross_return * bins + solution.wage * solution.economy.income[0][:, None]
    below, above = lottery(cash - _consumption(solution, bins), bins)
    origin = np.arange(S * J).reshape(S, J)
    rows, columns, values = [], [], []
    for target in range(S):
        chance = types[:, target][:, None]
        rows += [target * J + below, target * J + below + 1]
        columns += [origin, origin]
        values += [chance * (1 - above), chance * above]
    moved = coo_array(
        (np.ravel(values), (np.ravel(rows), np.ravel(columns))), shape=(S * J, S * J)
    ).tocsc()  # fmt: skip
    # One equation is the sum of the others: replaced by the mass of the first bin being 1, then all are scaled.
    system = (eye_array(S * J, format="csc") - moved)[1:, 1:]
    rest = spsolve(system.tocsc(), moved[1:, [0]].toarray()[:, 0])
    mass = np.concatenate([[1.0], rest]).reshape(S, J)
    return mass / mass.sum()


# --- aggregate risk ------------------------------------------------------------------------------------------------


class KrusellSmith(NamedTuple):
    """law: [Z, 2], ln K' = law[z, 0] + law[z, 1] ln K. capitals: [G]. saved: [I]. savings: [Z, S, G, I] at `saved`.

    r2: [Z], of the law on the last simulated path. iterations: of the law.
    """

    economy: ManyHouseholds
    law: np.ndarray
    capitals: np.ndarray
    saved: np.ndarray
    savings: np.ndarray
    r2: np.ndarray
    iterations: int

    def savings_at(self, wealth, capital, z):
        """[S, M] of households of each type with this wealth [M], all in an economy with this capital."""
        below = np.clip(np.searchsorted(self.capitals, capital) - 1, 0, len(self.capitals) - 2)
        share = (capital - self.capitals[below]) / (self.capitals[below + 1] - self.capitals[below])
        between = (1 - share) * self.savings[z, :, below] + share * self.savings[z, :, below + 1]
        return np.stack([np.interp(wealth, self.saved, each) for each in between])


def krusell_smith(economy, start, shocks, nodes=400, capitals=None, bins=1500, richest=200.0, tolerance=1e-7, most=200):
    """start: the histogram [S, bins] at which paths begin, on `wealth_grid(bins, richest, 1.5)`. shocks: [T]."""
    saved = wealth_grid(nodes, richest, 3.0)
    capitals = np.linspace(33.0, 46.0, 27) if capitals is None else capitals
    Z = len(economy.productivity)
    rental = 1 / economy.discount_factor - 1 + economy.depreciation
    alpha, scale = economy.capital_share, economy.productivity.mean()
    typical = (alpha * scale / rental) ** (1 / (1 - alpha)) * economy.labour.mean()  # as without risk
    law = np.stack([0.04 * np.log(typical) + np.linspace(-0.005, 0.005, Z), np.full(Z, 0.96)], axis=1)
    consumed = None
    for iteration in range(1, most + 1):
        savings, consumed = _with_beliefs(economy, law, capitals, saved, consumed)
        solution = KrusellSmith(economy, law, capitals, saved, savings, np.empty(0), iteration)
        K = np.log(follow(solution, start, shocks, bins, richest)[0])
        new, r2 = regression(K[500:], shocks[500:], Z)
        change = np.abs(new - law).max()
        if change < tolerance:
            return solution._replace(r2=r2)
        law = law + 0.26 * (new - law)  # a law that is too steep makes the next one too flat
    raise ValueError(f"the law of motion still moves by {change:.1e} after {most} iterations")


def regression(log_capital, shocks, count):
    """ln K' on ln K by z: coefficients [count, 2] and R squared [count]."""
    law, r2 = np.empty((count, 2)), np.empty(count)
    for z in range(count):
        here = np.flatnonzero(shocks[:-1] == z)
        x, y = np.stack([np.ones(len(here)), log_capital[here]], 1), log_capital[here + 1]
        law[z], left = np.linalg.lstsq(x, y)[:2]
        r2[z] = 1 - left[0] / ((y - y.mean()) ** 2).sum()
    return law, r2


def follow(solution, histogram, shocks, bins=1500, richest=200.0):
    """Aggregate capital [T] along these shocks, from a histogram [S, bins] of wealth; and the last histogram."""
    places, types = wealth_grid(bins, richest, 1.5), solution.economy.types
    # Savings at every bin and capital of the grid, once.
    table = np.stack(
        [[[np.interp(places, solution.saved, row) for row in each] for each in by_type] for by_type in solution.savings]
    )  # [Z, S, G, J]
    capital = np.empty(len(shocks))
    for t, z in enumerate(shocks):
        K = capital[t] = (histogram @ places).sum()
        if t + 1 == len(shocks):
            break
        g = np.clip(np.searchsorted(solution.capitals, K) - 1, 0, len(solution.capitals) - 2)
        share = (K - solution.capitals[g]) / (solution.capitals[g + 1] - solution.capitals[g])
        saved = (1 - share) * table[z, :, g] + share * table[z, :, g + 1]  # [S, J]
        histogram = types[z, shocks[t + 1]].T @ moved(histogram, saved, places)
    return capital, histogram


def moved(histogram, savings, places):
    """Every type's mass [S, J] on the bins after savings, types unchanged."""
    below, above = lottery(savings, places)
    J = len(places)
    return np.stack(
        [
            np.bincount(b, m * (1 - up), J) + np.bincount(b + 1, m * up, J)
            for b, up, m in zip(below, above, histogram, strict=True)
        ]
    )


def _with_beliefs(economy, law, capitals, saved, guess, tolerance=1e-8, most=5000):
    """Savings [Z, S, G, I] at wealth `saved` of households that believe the law, by endogenous grid points."""
    beta, gamma, Z = economy.discount_factor, economy.risk_aversion, len(economy.income)
    R, w = economy.prices(capitals, np.arange(Z)[:, None])  # [Z, G]
    cash = R[:, None, :, None] * saved + (w[:, None] * economy.income[:, :, None])[..., None]  # [Z, S, G, I]
    ahead_K = np.exp(law[:, :1] + law[:, 1:] * np.log(capitals))  # [Z, G]
    below = np.clip(np.searchsorted(capitals, ahead_K) - 1, 0, len(capitals) - 2)
    share = (ahead_K - capitals[below]) / (capitals[below + 1] - capitals[below])  # [Z, G]
    share = np.clip(share, 0, 1)  # beyond the grid consumption is as at its end
    R_ahead = economy.prices(ahead_K[:, None], np.arange(Z)[None, :, None])[0]  # [Z, Z', G]
    weight = economy.chain[:, :, None, None] * economy.types  # [Z, Z', S, S']
    c = 0.3 * cash**0.7 if guess is None else guess  # consumption at wealth `saved`
    for _ in range(most):
        wanted = np.empty_like(c)
        for z in range(Z):
            value = np.zeros(c.shape[1:])  # [S, G, I], at savings `saved`
            for z_ahead in range(Z):
                at_K = (1 - share[z])[:, None] * c[z_ahead][:, below[z]] + share[z][:, None] * c[z_ahead][
                    :, below[z] + 1
                ]
                marginal = R_ahead[z, z_ahead][:, None] * at_K**-gamma  # [S', G, I]
                value += np.einsum("st,tgi->sgi", weight[z, z_ahead], marginal)
            wanted[z] = (beta * value) ** (-1 / gamma)
        needed = wanted + saved  # cash at which `saved` is chosen
        new = _at(cash, needed, wanted)
        change = np.abs(new / c - 1).max()
        c = new
        if change < tolerance:
            return cash - c, c
    raise ValueError(f"consumption still moves by {change:.1e} after {most} iterations")


def _at(cash, points, values):
    """Linear interpolation of every row, all consumed below the first point, as the last quarter beyond the last."""
    new = np.empty_like(cash)
    for row in np.ndindex(cash.shape[:-1]):
        x, c = points[row], values[row]
        wide = len(x) // 4  # the last segment alone would let errors grow from one iteration to the next
        slope = (c[-1] - c[-wide]) / (x[-1] - x[-wide])
        found = np.where(cash[row] > x[-1], c[-1] + slope * (cash[row] - x[-1]), np.interp(cash[row], x, c))
        new[row] = np.where(cash[row] < x[0], cash[row], found)
    return new
