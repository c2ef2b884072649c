"""Three cohorts with capital and a bond on a grid, by time iteration: NumPy and SciPy, nothing of deqn or economy.py.

The distribution of wealth is three numbers: all capital K, the share s of it that cohort 2 holds (cohort 3 holds the
rest), and cohort 2's share y of all collateral, kappa b^2 + k^2 = y K, as b^3 = -b^2. So both shares are in [0, 1],
and a limit binds at an end. Time iteration solves the conditions of cohorts 1 and 2 at every node for a^1, a^2, the
share y' of collateral that cohort 1 takes, and the price, next period's rule of cohort 2 being the last iteration's
spline. Cohort 3 consumes all it has.
"""

import copy
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import NdBSpline, make_interp_spline

SMALLEST = 1e-9


@dataclass(frozen=True)
class Economy:
    """Rates per period; `proceeds` says which adjustment cost, zeta (a - k)^2 or zeta/2 (a - r k)^2."""

    labour: tuple[float, float, float]
    tfp: tuple[float, ...]
    depreciation: tuple[float, ...]
    transition: np.ndarray
    discount_factor: float
    risk_aversion: float
    capital_share: float
    adjustment_cost: float
    collateral: float
    proceeds: bool = False

    def prices(self, K, z):
        """Gross return and wage at capital K [M] under shock z, an index or [M]."""
        eta, delta, L = np.asarray(self.tfp)[z], np.asarray(self.depreciation)[z], sum(self.labour)
        per_head = np.maximum(K, SMALLEST) / L
        alpha = self.capital_share
        return alpha * eta * per_head ** (alpha - 1) + 1 - delta, (1 - alpha) * eta * per_head**alpha

    def cost(self, a, k, r):
        """What it costs to hold a after k, its derivative by a, and what a unit of k saves of it, each [M]."""
        psi, m = (self.adjustment_cost / 2, r) if self.proceeds else (self.adjustment_cost, 1.0)
        away = a - m * k
        return psi * away**2, 2 * psi * away, 2 * psi * m * away

    def marginal(self, c):
        return np.maximum(c, SMALLEST) ** -self.risk_aversion


class Rule:
    """ln c and a of cohort 2 for every shock, splines on a box of (ln K, s, y); the box's nearest point outside."""

    def __init__(self, axes, values, degree):
        self.axes = axes
        self.low, self.high = (np.array([axis[end] for axis in axes]) for end in (0, -1))
        knots = tuple(make_interp_spline(axis, axis, k=degree).t for axis in axes)
        for d, axis in enumerate(axes, start=1):
            values = np.moveaxis(make_interp_spline(axis, np.moveaxis(values, d, 0), k=degree).c, 0, d)
        self._of = [NdBSpline(knots, np.ascontiguousarray(each), degree) for each in values]

    def __call__(self, points, z):
        return self._of[z](np.clip(points, self.low, self.high))


class Today:
    """The conditions at states [M] under one shock, as functions of u = (a^1, a^2, y', p) [M, 4]."""

    def __init__(self, economy, rule, capital, bonds, z):
        """capital, bonds: [M, 2] of cohorts 2 and 3."""
        self.e, self.rule, self.z, self.k2 = economy, rule, z, capital[:, 0]
        self.r, w = economy.prices(capital.sum(1), z)
        paid = np.minimum(economy.collateral * self.r, 1)[:, None]
        self.cash = np.column_stack([0 * w, self.r[:, None] * capital + paid * bonds])
        self.cash += w[:, None] * np.asarray(economy.labour)
        self.oldest = self.cash[:, 2] - economy.cost(0.0, capital[:, 1], self.r)[0]

    def decided(self, u):
        """a [M, 2], d^1, c of cohorts 1 and 2 and what capital costs them, [M, 2] each."""
        a, (y, p) = u[:, :2], u[:, 2:].T
        d = (y * a.sum(1) - a[:, 0]) / self.e.collateral
        paid, cost, _ = self.e.cost(a, np.column_stack([0 * self.k2, self.k2]), self.r[:, None])
        c = self.cash[:, :2] - a - paid - (p * d)[:, None] * np.array([1, -1])
        return a, d, c, 1 + cost

    def __call__(self, u):
        """Zero where all conditions hold, [M, 4]."""
        e, (a, d, c, q) = self.e, self.decided(u)
        K = np.maximum(a.sum(1), SMALLEST)
        points = np.column_stack([np.log(K), a[:, 0] / K, u[:, 2]])
        capital, bond = np.zeros_like(a), np.zeros_like(a)
        for z, probability in enumerate(e.transition[self.z]):
            r, w = e.prices(K, z)
            paid = np.minimum(e.collateral * r, 1)
            log_c, a2 = self.rule(points, z).T
            c3 = r * a[:, 1] - paid * d + w * e.labour[2] - e.cost(0.0, a[:, 1], r)[0]
            u_next = probability * e.discount_factor * e.marginal(np.column_stack([np.exp(log_c), c3]))
            saved = np.column_stack([e.cost(a2, a[:, 0], r)[2], e.cost(0.0, a[:, 1], r)[2]])
            capital += u_next * (r[:, None] + saved)
            bond += u_next * paid[:, None]
        u_now = e.marginal(c)
        bond, capital = bond / u_now, capital / u_now
        price = bond.max(1)
        gain = q - capital - (price[:, None] - bond) / e.collateral  # lambda over u'(c)
        pull = bond[:, 1] - bond[:, 0]
        share = fischer_burmeister(u[:, 2], -fischer_burmeister(1 - u[:, 2], -pull))
        return np.column_stack([fischer_burmeister(a / self.cash[:, :2], gain), share, np.log(u[:, 3] / price)])

    def solve(self, u, steps, tolerance=1e-9):
        """Levenberg and Marquardt's method with forward differences; u [M, 4], and the conditions' size there [M]."""
        size = np.column_stack([self.cash[:, :2], np.ones((len(u), 2))])
        damping, f = np.full(len(u), 1e-6), self(u)
        for _ in range(steps):
            on = np.flatnonzero(np.abs(f).max(1) > tolerance)
            if not len(on):
                break
            some, at, now = self.some(on), u[on], f[on]
            columns = []
            for j in range(4):
                moved = at.copy()
                h = 1e-6 * size[on, j] * np.where((j == 2) & (at[:, 2] > 0.5), -1, 1)
                moved[:, j] += h
                columns.append((some(moved) - now) / (h / size[on, j])[:, None])
            J = np.stack(columns, -1)
            normal = np.swapaxes(J, 1, 2) @ J + damping[on, None, None] * np.eye(4)
            step = np.linalg.solve(normal, -np.swapaxes(J, 1, 2) @ now[..., None])[..., 0]
            trial = at + np.clip(step, -0.3, 0.3) * size[on]
            trial[:, :2] = np.clip(trial[:, :2], 0, 0.98 * size[on, :2])
            trial[:, 2:] = np.column_stack([np.clip(trial[:, 2], 0, 1), np.maximum(trial[:, 3], 1e-3)])
            found = some(trial)
            better = (found**2).sum(1) < (now**2).sum(1)
            u[on[better]], f[on[better]] = trial[better], found[better]
            damping[on] = np.clip(damping[on] * np.where(better, 0.1, 10), 1e-14, 1e3)
        return u, np.abs(f).max(1)

    def some(self, on):
        """The same at some of the states."""
        part = copy.copy(self)
        part.k2, part.r, part.cash, part.oldest = (x[on] for x in (self.k2, self.r, self.cash, self.oldest))
        return part


def fischer_burmeister(a, b):
    """Zero where a >= 0, b >= 0 and one of them is zero."""
    return a + b - np.hypot(a, b)


@dataclass(frozen=True)
class Solution:
    economy: Economy
    rule: Rule
    unknowns: list
    iterations: int
    change: float

    def policies(self, capital, bonds, shock):
        """savings and bonds_bought [M, 2], consumption [M, 3], price [M] and what is left of the conditions [M].

        capital, bonds: [M, 3] with first column 0. shock: [M] from 0. The conditions are solved anew at each state.
        """
        count = len(shock)
        savings, bought, consumption = np.empty((count, 2)), np.empty((count, 2)), np.empty((count, 3))
        price, left = np.empty(count), np.empty(count)
        for z in np.unique(shock):
            at = shock == z
            today = Today(self.economy, self.rule, capital[at, 1:], bonds[at, 1:], z)
            points = coordinates(capital[at, 1:], bonds[at, 1:], self.economy.collateral)
            start = self.unknowns[z](np.clip(points, self.rule.low, self.rule.high))
            start[:, 2] = np.clip(start[:, 2], 0, 1)
            start[:, :2] = np.clip(start[:, :2], 0, 0.98 * today.cash[:, :2])
            u, left[at] = today.solve(start, 30)
            a, d, c, _ = today.decided(u)
            savings[at], bought[at], price[at] = a, np.column_stack([d, -d]), u[:, 3]
            consumption[at] = np.column_stack([c, today.oldest])
        return savings, bought, consumption, price, left


def coordinates(capital, bonds, collateral):
    """(ln K, s, y) [M, 3] of capital and bonds [M, 2] of cohorts 2 and 3."""
    K = capital.sum(1)
    return np.column_stack([np.log(K), capital[:, 0] / K, (collateral * bonds[:, 0] + capital[:, 0]) / K])


def holdings(points, collateral):
    """Inverse of `coordinates`."""
    K = np.exp(points[:, 0])
    k2 = points[:, 1] * K
    b2 = (points[:, 2] * K - k2) / collateral
    return np.column_stack([k2, K - k2]), np.column_stack([b2, -b2])


def solve(economy, low, high, nodes, degree=3, tolerance=1e-7, limit=200, say=None):
    """Time iteration until ln c and a of cohort 2 move by less than `tolerance` at every node.

    low, high: ends of (ln K, s, y). nodes: numbers of nodes.
    """
    axes = [np.linspace(*each) for each in zip(low, high, nodes, strict=True)]
    shape = tuple(nodes)
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    capital, bonds = holdings(points, economy.collateral)
    shocks = range(len(economy.tfp))
    todays = [Today(economy, None, capital, bonds, z) for z in shocks]
    unknown, values = [], []
    for today in todays:
        cash = np.maximum(today.cash, 1e-3)
        y = np.full(len(points), 0.5)
        a = np.column_stack([0.15 * cash[:, 0], 0.3 * cash[:, 1]])
        unknown.append(np.column_stack([a, y, 0.8 + 0 * y]))
        values.append(np.column_stack([np.log(0.6 * cash[:, 1]), 0.3 * cash[:, 1]]))
    for iteration in range(1, limit + 1):
        rule = Rule(axes, np.stack(values).reshape(-1, *shape, 2), degree)
        change, left = 0.0, 0.0
        for z, today in zip(shocks, todays, strict=True):
            today.rule = rule
            unknown[z], missed = today.solve(unknown[z], 8 if iteration < 5 else 3)
            _, _, c, _ = today.decided(unknown[z])
            new = np.column_stack([np.log(np.maximum(c[:, 1], SMALLEST)), unknown[z][:, 1]])
            change, left = max(change, np.abs(new - values[z]).max()), max(left, missed.max())
            values[z] = new
        if say:
            say(f"{iteration}: change {change:.2e}, conditions {left:.2e}")
        if change < tolerance:
            break
    starts = Rule(axes, np.stack(unknown).reshape(-1, *shape, 4), 1)._of
    return Solution(economy, rule, starts, iteration, change)


def solve_where_visited(economy, nodes=(12, 12, 12), say=None):
    """A coarse solution on a wide box, then one on the box that its paths visit, a sixth wider on each side."""
    L = sum(economy.labour)
    wide = [np.log(0.02 * L), 0.0, 0.0], [np.log(0.9 * L), 1.0, 1.0]
    coarse = solve(economy, *wide, (8, 8, 8), tolerance=1e-4, limit=30)
    capital, bonds, _ = simulate(coarse, periods=40, tracks=50, seed=1)
    visited = coordinates(capital[:, 1:], bonds[:, 1:], economy.collateral)
    low, high = visited.min(0), visited.max(0)
    room = (high - low) / 6
    low, high = low - room, high + room
    low[1:], high[1:] = np.maximum(low[1:], 0), np.minimum(high[1:], 1)
    return solve(economy, low, high, nodes, tolerance=1e-6, limit=60, say=say)


def simulate(solution, periods, tracks, seed, burn_in=30):
    """Capital and bonds [M, 3] and shocks [M] of paths under the true chain."""
    e, generator = solution.economy, np.random.default_rng(seed)
    middle = (solution.rule.low + solution.rule.high) / 2
    capital, bonds = (np.pad(x, [[0, 0], [1, 0]]) for x in holdings(np.repeat(middle[None], tracks, 0), e.collateral))
    shock, cumulative, kept = np.zeros(tracks, int), np.cumsum(e.transition, axis=1), []
    cumulative[:, -1] = 1.0
    for period in range(burn_in + periods):
        if period >= burn_in:
            kept.append((capital, bonds, shock))
        savings, bought, *_ = solution.policies(capital, bonds, shock)
        capital, bonds = (np.pad(x, [[0, 0], [1, 0]]) for x in (savings, bought))
        shock = (generator.random(tracks)[:, None] > cumulative[shock]).sum(1)
    return tuple(np.concatenate(each) for each in zip(*kept, strict=True))
