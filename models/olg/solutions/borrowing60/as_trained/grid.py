r"""Overlapping generations with a borrowing limit, by time iteration on a tensor grid of the wealth distribution.

For cohorts h = 1..N-1, with cash^h = r k^h + l^h w, k'^{h+1} = a^h = cash^h - c^h, k^1 = 0, c^N = cash^N:

    c^h = min( T^h, cash^h - a_low ),     T^h = u'^{-1}( beta E_z[ r' u'(c'^{h+1}) ] ),     u'(c) = c^-gamma,
    r = alpha eta (L/K)^(1-alpha) + 1 - delta,     w = (1-alpha) eta (K/L)^alpha.

What is interpolated (cubic splines) is ln T, which has no kink where a cohort's own limit starts to bind; the kink of c
is then exact. Coordinates: the logarithm of all holdings above the limit and, for h = 2..N-1, cohort h's share of what
cohorts h..N hold above it; so the box stays clear of K = 0, and a cohort that was constrained lies on a face of it.
Every node solves ln T(a(x)) = x for all cohorts at once by Newton steps, one per time iteration, against the last
iteration's splines.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.interpolate import NdBSpline, make_interp_spline

TFP = (0.85, 1.15, 0.85, 1.15)
DEPRECIATION = (0.5, 0.5, 0.9, 0.9)
SMALLEST = 1e-8  # keeps logarithms and powers finite at nodes no path comes near
TRANSITION = np.kron([[0.98, 0.02], [0.25, 0.75]], np.full((2, 2), 0.5))


@dataclass(frozen=True)
class Economy:
    """labour: [N] endowment by age; rates per period; shocks as in the 60-cohort benchmark unless given."""

    labour: tuple[float, ...]
    discount_factor: float = 0.95
    risk_aversion: float = 2.0
    capital_share: float = 0.3
    borrowing_limit: float = 0.0
    tfp: tuple[float, ...] = TFP
    depreciation: tuple[float, ...] = DEPRECIATION
    transition: np.ndarray = field(default_factory=lambda: TRANSITION)

    @property
    def cohorts(self):
        return len(self.labour)

    def prices(self, total, shock):
        """Gross return and wage, each [M], at aggregate capital [M] and shock [M] (from 0)."""
        tfp, depreciation = np.asarray(self.tfp)[shock], np.asarray(self.depreciation)[shock]
        ratio = np.maximum(total, SMALLEST) / sum(self.labour)
        alpha = self.capital_share
        return alpha * tfp * ratio ** (alpha - 1) + 1 - depreciation, (1 - alpha) * tfp * ratio**alpha

    def cash(self, capital, shock):
        """r k + l w, [M, N]."""
        gross_return, wage = self.prices(capital.sum(1), shock)
        return gross_return[:, None] * capital + wage[:, None] * np.asarray(self.labour)


def coordinates(capital, limit):
    """[M, N-1] from holdings [M, N]: ln(e^2 + ... + e^N), then e^h / (e^h + ... + e^N), with e^h = k^h - a_low."""
    excess = capital[:, 1:] - limit
    left = np.maximum(np.cumsum(excess[:, ::-1], axis=1)[:, ::-1], SMALLEST)  # [M, N-1]: of cohorts h..N
    return np.column_stack([np.log(left[:, 0]), excess[:, :-1] / left[:, :-1]])


def holdings(points, limit):
    """Inverse of `coordinates`."""
    left, capital = np.exp(points[:, 0]), np.zeros((len(points), points.shape[1] + 1))
    for h in range(1, points.shape[1]):
        capital[:, h] = points[:, h] * left + limit
        left = left - points[:, h] * left
    capital[:, -1] = left + limit
    return capital


def chain_paths(transition, periods, tracks, seed):
    """Indices [periods, tracks] of independent paths of the chain, all from state 0."""
    cumulative = np.cumsum(transition, axis=1)
    cumulative[:, -1] = 1.0  # so that no rounding lets a draw pass the last state
    draws = np.random.default_rng(seed).random((periods - 1, tracks))
    path = np.zeros((periods, tracks), int)
    for t in range(periods - 1):
        path[t + 1] = (draws[t][:, None] > cumulative[path[t]]).sum(axis=1)
    return path


class Splines:
    """ln T of cohorts 1..N-1 for every shock, on a box of coordinates."""

    def __init__(self, axes, values, limit, degree):
        """axes: N-1 ascending arrays. values: [S, *nodes, N-1]. limit: a_low."""
        self.limit = limit
        self.low, self.high = (np.array([axis[end] for axis in axes]) for end in (0, -1))
        knots = tuple(make_interp_spline(axis, axis, k=degree).t for axis in axes)
        for d, axis in enumerate(axes, start=1):
            rows = make_interp_spline(axis, np.moveaxis(values, d, 0), k=degree).c
            values = np.moveaxis(rows, 0, d)
        self._of = [NdBSpline(knots, np.ascontiguousarray(c), degree) for c in values]

    def __call__(self, capital, shock):
        """[M, N-1] at holdings [M, N], all under one shock; outside the box, at the nearest point in it."""
        return self._of[shock](np.clip(coordinates(capital, self.limit), self.low, self.high))


@dataclass(frozen=True)
class Solution:
    """Policies at any states; arrays count shocks from 0."""

    economy: Economy
    log_target: Splines
    iterations: int
    change: float  # largest move of ln T at a node in the last iteration

    def consumption(self, capital, shock):
        """[M, N] units of the good, from holdings capital [M, N] (first column 0) and shock [M]."""
        economy = self.economy
        cash = economy.cash(capital, shock)
        free = np.empty((len(capital), economy.cohorts - 1))
        for z in np.unique(shock):
            free[shock == z] = np.exp(self.log_target(capital[shock == z], z))
        cash[:, :-1] = np.minimum(free, cash[:, :-1] - economy.borrowing_limit)
        return cash

    def savings(self, capital, shock):
        """[M, N-1], a^h >= a_low."""
        return (self.economy.cash(capital, shock) - self.consumption(capital, shock))[:, :-1]

    def simulate(self, periods, seed, tracks=1, burn_in=100):
        """Holdings [periods * tracks, N] and shocks of paths under the true chain, one path after another."""
        shock = chain_paths(self.economy.transition, burn_in + periods, tracks, seed)
        capital = np.zeros((burn_in + periods, tracks, self.economy.cohorts))
        # Not from equal holdings: so far outside the box the clipped policy saves ever more and never comes back.
        middle = (self.log_target.low + self.log_target.high)[None] / 2
        capital[0] = holdings(middle, self.economy.borrowing_limit)
        for t in range(len(shock) - 1):
            capital[t + 1, :, 1:] = self.savings(capital[t], shock[t])
        capital, shock = capital[burn_in:].swapaxes(0, 1), shock[burn_in:].T
        return capital.reshape(-1, self.economy.cohorts), shock.reshape(-1)

    def euler_error(self, capital, shock):
        """min(T / c - 1, (a - a_low) / c), [M, N-1], zero where the optimality system holds."""
        c, saved = self.consumption(capital, shock)[:, :-1], self.savings(capital, shock)
        target = np.empty_like(c)
        for z in np.unique(shock):
            target[shock == z] = np.exp(implied(self.economy, self.log_target, saved[shock == z], z))
        return np.minimum(target / c - 1, (saved - self.economy.borrowing_limit) / c)


def implied(economy, log_target, saved, shock):
    """ln T [M, N-1]: the consumption that savings [M, N-1] make optimal, when tomorrow's policy is `log_target`."""
    capital, value = np.column_stack([np.zeros(len(saved)), saved]), 0.0
    for following, probability in enumerate(economy.transition[shock]):
        gross_return, wage = economy.prices(saved.sum(1), following)
        c = gross_return[:, None] * saved + wage[:, None] * np.asarray(economy.labour[1:])  # all the oldest has
        free = np.exp(log_target(capital, following))[:, 1:]
        c[:, :-1] = np.minimum(free, c[:, :-1] - economy.borrowing_limit)
        marginal = np.maximum(c, SMALLEST) ** -economy.risk_aversion
        value = value + probability * gross_return[:, None] * marginal
    return -np.log(economy.discount_factor * value) / economy.risk_aversion


def solve(economy, nodes, degree=3, tolerance=1e-9):
    """Time iteration, twice on few nodes to find the box that 200 paths of 300 periods visit, then on all of them.

    nodes: number of nodes of each coordinate, N-1 of them; (120, 80) serves three cohorts, (50, 26, 26) four.
    degree: of the splines. tolerance: on ln T at every node; ValueError if it isn't reached.
    """
    labour, few = sum(economy.labour), [max(8, count // 3) for count in nodes]
    owed = -len(nodes) * economy.borrowing_limit
    low = np.array([np.log(owed + 0.003 * labour)] + [0.0] * (len(nodes) - 1))
    high = np.array([np.log(owed + 0.6 * labour)] + [0.95] * (len(nodes) - 1))
    solution = None
    for counts, margin, precision in ((few, 0.3, 1e-4), (few, 0.15, 1e-4), (nodes, None, tolerance)):
        axes = [np.linspace(*ends) for ends in zip(low, high, counts, strict=True)]
        solution = _iterate(economy, axes, degree, precision, solution and solution.log_target)
        if margin:
            low, high = _visited_box(solution, margin)
    if solution.change > tolerance:  # the first two need not settle: no path comes near their corners
        raise ValueError(f"ln T still moves by {solution.change:.1e}, expected {tolerance:.0e}; change `nodes`")
    return solution


def _visited_box(solution, margin):
    """Ends of every coordinate on simulated paths, widened by `margin` times their distance."""
    capital, _ = solution.simulate(300, seed=12345, tracks=200)
    visited = coordinates(capital, solution.economy.borrowing_limit)
    low, high = visited.min(0), visited.max(0)
    room = np.maximum(margin * (high - low), 0.01)
    low, high = low - room, high + room
    low[1:] = np.maximum(low[1:], 0.0)  # the face where the constraint has bound
    return low, high


def _iterate(economy, axes, degree, tolerance, start=None, limit=60):
    """Newton steps on ln T(a(x)) = x at every node, one an iteration, until no node moves by `tolerance`."""
    shape = tuple(len(axis) for axis in axes)
    capital = holdings(np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes)), economy.borrowing_limit)
    shocks = range(len(economy.tfp))
    cash = [economy.cash(capital, np.full(len(capital), z))[:, :-1] for z in shocks]
    years_left = np.arange(economy.cohorts, 1, -1)
    x = [start(capital, z) if start else np.log(np.maximum(cash[z], SMALLEST) / years_left) for z in shocks]
    slope = [None for _ in shocks]
    for iteration in range(1, limit + 1):
        splines = Splines(axes, np.stack(x).reshape(-1, *shape, len(axes)), economy.borrowing_limit, degree)
        change = 0.0
        for z in shocks:
            saved = np.maximum(cash[z] - np.exp(x[z]), economy.borrowing_limit)
            value = implied(economy, splines, saved, z)
            if iteration % 10 in (1, 3, 5):  # the slope moves little; refreshed at first and now and then
                slope[z] = _slope(economy, splines, saved, z, value)
            saves = saved > economy.borrowing_limit
            matrix = np.eye(len(axes)) + slope[z] * np.where(saves, np.exp(x[z]), 0.0)[:, None, :]
            step = np.clip(np.linalg.solve(matrix, (value - x[z])[..., None])[..., 0], -0.3, 0.3)
            x[z] = x[z] + (step if iteration <= 20 else step / 2)  # a node may cycle about a kink
            change = max(change, np.abs(step).max())
        if change < tolerance:
            break
    splines = Splines(axes, np.stack(x).reshape(-1, *shape, len(axes)), economy.borrowing_limit, degree)
    return Solution(economy, splines, iteration, change)


def _slope(economy, splines, saved, shock, value, step=1e-6):
    """d ln T^i / d a^j, [M, N-1, N-1], by forward differences."""
    columns = []
    for j in range(saved.shape[1]):
        moved = saved.copy()
        moved[:, j] += step
        columns.append((implied(economy, splines, moved, shock) - value) / step)
    return np.stack(columns, -1)
