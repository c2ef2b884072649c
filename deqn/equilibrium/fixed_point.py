r"""The error of a decision rule as the fixed point delta = step + T delta, to first order (`implied.py` derives it).

    step(s) = -J^+ r(s),   (T delta)(s) = -J^+ sum_j dr/do'_j delta(s'_j)

T is known at some states, from the derivatives of the conditions there; delta is carried from these states to their
successors by regression, by shock; and the linear equation is solved at the states by GMRES.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from deqn.equilibrium.linearized import Conditions, pseudo_inverse
from deqn.equilibrium.smooth import Coordinates, Regression, choose

_POINTS = 500  # states of the sample that the regression has under a shock, at most; it has all of the support
_TRIED = 250  # states of a shock on which its smoothness is chosen
_KRYLOV, _SOLVED = 120, 0.003
_POWERS = 24  # of T, from which the modulus of its slowest errors is taken before the step is followed


class Equations:
    """The linear equations of delta at M states, of which the first `count` are a sample and the others its support.

    output, step: [M, outputs]. scale: [outputs], root mean squares of the step, in which GMRES measures.
    """

    def __init__(self, conditions: Conditions, state: Any, count: int) -> None:
        self.conditions, self.state = conditions, state
        self.output, inputs, following = conditions.seen(state)
        self.sample, self.count = count, following.shape[1]
        slopes = conditions.slopes(state, self.output)
        self.broken = ~np.all([np.isfinite(x).reshape(len(x), -1).all(axis=1) for x in slopes], axis=0)
        for each in slopes:
            each[self.broken] = 0.0
        self.inverse, self.singular = pseudo_inverse(slopes.today)  # [M, outputs, conditions]
        any_change = np.random.default_rng(3).standard_normal(self.output.shape)
        noticed = np.einsum("moc,mcp,mp->mo", self.inverse, slopes.today, any_change, optimize=True)
        self.free = np.where(self.singular[:, None], any_change - noticed, 0.0)  # a change that no condition notices
        self.step = self._solved(slopes.residual)
        ahead = slopes.tomorrow.reshape(*slopes.residual.shape, -1)
        self.answer = -np.matmul(self.inverse, ahead)  # [M, outputs, J * outputs]: today's to all of tomorrow's
        size = np.sqrt((self.step**2).mean(axis=0))
        self.scale = np.maximum(size, 1e-6 * max(size.max(), 1e-300))
        self._fit(inputs, following)

    def _fit(self, inputs: np.ndarray, following: np.ndarray) -> None:
        """How values at the states are carried to the states themselves, and to the successors under each shock."""
        shocks = self.conditions.economy.shocks.discrete
        shock = self.state.shock if shocks else np.zeros(len(inputs), int)
        coordinates = Coordinates(inputs)
        points, ahead = coordinates(inputs), coordinates(following)  # [M, components], [M, J, components]
        self.groups = [np.flatnonzero(shock == z) for z in range(shocks or 1)]
        self.known = [
            np.concatenate([thinned(group[group < self.sample], _POINTS), group[group >= self.sample]])
            for group in self.groups
        ]
        scaled = self.step / self.scale
        tried = [thinned(known, _TRIED) for known in self.known]
        smoothness = choose([points[each] for each in tried], [scaled[each] for each in tried])
        self.regressions = [Regression(points[known], smoothness) for known in self.known]
        self.to_states, self.to_successors = [], []
        for z, (regression, group) in enumerate(zip(self.regressions, self.groups, strict=True)):
            self.to_states.append(regression.to(points[group]))
            self.to_successors.append(regression.to(ahead[:, z::shocks] if shocks else ahead))

    def smoothed(self, delta: np.ndarray) -> np.ndarray:
        """The smooth part of delta [M, outputs]."""
        smooth = np.zeros_like(delta)
        for group, known, matrix in zip(self.groups, self.known, self.to_states, strict=True):
            smooth[group] = matrix @ delta[known]
        return smooth

    def at_successors(self, delta: np.ndarray) -> np.ndarray:
        """The smooth part of delta at the successors, [M, J, outputs]."""
        each = [matrix @ delta[known] for known, matrix in zip(self.known, self.to_successors, strict=True)]
        return np.stack(each, axis=2).reshape(len(each[0]), self.count, -1)

    def unforeseen(self, delta: np.ndarray) -> np.ndarray:
        """delta less what the other states say of it, [M, outputs]; zero at states that the regressions leave out."""
        rest = np.zeros_like(delta)
        for regression, known in zip(self.regressions, self.known, strict=True):
            rest[known] = regression.left_out(delta[known])
        return rest

    def missed(self, delta: np.ndarray) -> np.ndarray:
        """T of errors as large as those that the regression cannot foresee, drawn at random, [M, outputs]."""
        rest, generator = self.unforeseen(delta), np.random.default_rng(0)
        shape = self.output.shape[0], self.count
        drawn = np.zeros((*shape, self.output.shape[1]))
        for j in range(self.count):
            known = self.known[j % len(self.known)]
            if len(known):
                drawn[:, j] = rest[generator.choice(known, len(drawn))]
        return self._through(drawn)

    def later(self, delta: np.ndarray) -> np.ndarray:
        """T delta at the states, [M, outputs]."""
        return self._through(self.at_successors(delta))

    def step_of_the_corrected_rule(self, smooth: np.ndarray) -> np.ndarray:
        """The step that is left when o + smooth decides, today and at the successors."""
        later = self.at_successors(smooth)
        return self._solved(self.conditions.residuals(self.state, self.output + smooth, later))

    def _through(self, later: np.ndarray) -> np.ndarray:
        """What changes of the successors' outputs, [M, J, outputs], ask of today's, [M, outputs]."""
        return np.matmul(self.answer, later.reshape(len(later), -1, 1))[..., 0]

    def _solved(self, residual: np.ndarray) -> np.ndarray:
        return -np.einsum("moc,mc->mo", self.inverse, residual)


def solve(
    T: Callable[[np.ndarray], np.ndarray], step: np.ndarray, most: int = _KRYLOV, tolerance: float = _SOLVED
) -> tuple[np.ndarray, float, float]:
    """(1 - T) y = step by GMRES (Saad & Schultz 1986), from the Arnoldi basis that also tells the modulus of T.

    T: linear, of arrays shaped as step. tolerance: on what is left of the equation over 1 - modulus, which is about the
    share of y that is missing. Returns y; the modulus of T, the largest of its Ritz values and of `growth`; the norm of
    what is left of the equation over that of step.
    """
    norm = np.linalg.norm(step)
    if norm == 0:
        return np.zeros_like(step), 0.0, 0.0
    # A step that hardly has a part which dies out slowly hides it from the Ritz values until this part is all that is
    # left: a hundredth of the step may be most of y.
    slowest = growth(T, np.ones_like(step))
    basis, H = [step / norm], np.zeros((most + 1, most))
    right = np.zeros(most + 1)
    right[0] = norm
    for n in range(most):
        w = basis[n] - T(basis[n])
        for _ in range(2):  # once loses orthogonality where the basis is nearly complete
            for i, vector in enumerate(basis):
                overlap = np.vdot(vector, w)
                H[i, n] += overlap
                w = w - overlap * vector
        H[n + 1, n] = np.linalg.norm(w)
        part = H[: n + 2, : n + 1]
        weights = np.linalg.lstsq(part, right[: n + 2], rcond=None)[0]
        left = float(np.linalg.norm(part @ weights - right[: n + 2]) / norm)
        modulus = max(slowest, float(np.abs(np.linalg.eigvals(np.eye(n + 1) - part[:-1])).max()))
        if left < tolerance * max(1 - modulus, 1e-6) or H[n + 1, n] < 1e-14:
            break
        basis.append(w / H[n + 1, n])
    return sum(weight * vector for weight, vector in zip(weights, basis, strict=False)), modulus, left


def growth(T: Callable[[np.ndarray], np.ndarray], start: np.ndarray, powers: int = _POWERS) -> float:
    """By how much T multiplies what is left of `start` each time, in the second half of so many times."""
    rates, y = [], start
    for _ in range(powers):
        y = T(y)
        rate = float(np.linalg.norm(y)) / math.sqrt(y.size)  # every y that T is given has a mean square of one
        if rate < 1e-12:
            return 0.0
        rates.append(rate)
        y = y / rate
    return float(np.exp(np.log(rates[powers // 2 :]).mean()))


def thinned(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the rows, evenly spaced."""
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), most)).round().astype(int)]
