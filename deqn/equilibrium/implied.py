r"""How far decisions are from what the conditions ask for: residuals translated into the decisions they are about.

At a state s with outputs o = N(s) and conditions r(o, o'; s) (`linearized.py`) the Newton step, next period's rule given, is

    step(s) = -J^+ r,    J = dr/do, with the slope of the rule at the successors.

It is what this period's decisions are wrong by if next period's are right. These are wrong too: to first order the
error of the rule is the fixed point

    delta(s) = step(s) + (T delta)(s),    (T delta)(s) = -J^+ sum_j dr/do'_j delta(s'_j),

which is Newton's step for the whole rule. Followed for n periods it is step + T step + ... + T^n step; where errors die
out slowly (values, prices, capital that hardly reverts) the sum is many times the step. It is found without iterating: T is
one derivative of the conditions along delta(s'_j), delta is carried from the states to their successors by a regression
on smooth functions of what the network sees, by shock, and the linear equation (1 - T) delta = step is solved at the
states by GMRES. Only the delta of the successors is smoothed; the step at the state itself keeps its kinks.

Reported is d policy / do delta, in the decision's own unit (`_levels`). All is linear in the decisions themselves, however
the economy makes them of o.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from threadpoolctl import threadpool_limits

from deqn.equilibrium.decision_rule import OutputRule
from deqn.equilibrium.linearized import Conditions, pseudo_inverse
from deqn.equilibrium.smooth import Coordinates, Regression, choose

STATES, FEWEST_STATES = 2048, 512
_DIRECTIONS = 65536  # derivatives of the conditions taken in all: bounds the states of an economy of many decisions
_SUCCESSORS = 16384  # to which errors are carried: bounds the states of an economy of many quadrature nodes
_RARE = 300  # states of each shock that the regression has at least, if half of the sample allows
_POINTS = 500  # and at most
_KRYLOV, _SOLVED = 120, 1e-5
_FINITE_SUM = 0.9995  # largest modulus whose sum is taken for finite
_CURVED = 0.5  # share of the step that the corrected rule may leave, beyond what the regression does not see


class ImpliedError(NamedTuple):
    """Implied changes of every policy at M sampled states.

    state: the economy's State of arrays [M, ...]. unit: what each policy is measured in, by field.
    one_step, followed: changes by field, [M, ...], in that unit: 0.01 is a hundredth of the decision.
    levels: what one unit is, by field, [M, ...]. modulus: by how much a period back in time shrinks the errors that
    die out most slowly. missed: how large, as a share of the followed change, a period's errors are that
    could not be followed. left: share of the step that is left when the rule is corrected. doubts: why the followed change is not to
    be trusted, in words; empty if nothing speaks against it.
    """

    state: Any
    unit: Mapping[str, str]
    one_step: Mapping[str, np.ndarray]
    followed: Mapping[str, np.ndarray]
    levels: Mapping[str, np.ndarray]
    modulus: float
    missed: float
    left: float
    doubts: tuple[str, ...]


def implied_error(rule: OutputRule, state: Any) -> ImpliedError:
    """The implied error at a sub-sample, evenly spaced, of states of NumPy arrays [T, ...] that a rule visits.

    2,048 states; fewer, but at least 512, for an economy of more than 32 decisions (65,536 over their number) or more
    than 8 successors a state (16,384 over their number).
    """
    economy = rule.economy
    one = economy.tensors(tf.nest.map_structure(lambda x: x[:1], state))
    successors = economy.shocks.successors(one)[0].shape[0]
    affordable = min(STATES, _DIRECTIONS // economy.outputs, _SUCCESSORS // successors)
    sample = _thinned(state, max(FEWEST_STATES, affordable))
    with threadpool_limits(1, "blas"):  # small matrices: a second thread doubles the CPU time
        return _at(Conditions(rule), sample)


def _at(conditions: Conditions, sample: Any) -> ImpliedError:
    count = len(sample[0])
    state = _with_states_of_rare_shocks(conditions, sample)
    equations = _Equations(conditions, state)
    step, scale = equations.step, equations.scale
    delta, modulus, unsolved = solve(lambda y: equations.later(y * scale) / scale, step / scale)
    delta = delta * scale
    smooth = equations.smoothed(delta)
    left = equations.step_of_the_corrected_rule(smooth) - (delta - smooth)
    sizes = {name: _size(each / scale) for name, each in (("step", step), ("left", left))}
    left_share = sizes["left"] / max(sizes["step"], 1e-300)
    output = equations.output[:count]
    unit, levels = _levels(conditions, sample, output)
    one_step, followed = (
        _changes(conditions, sample, output, change[:count], levels) for change in (step, delta)
    )
    return ImpliedError(
        sample,
        unit,
        one_step,
        followed,
        levels,
        modulus,
        _size(equations.missed(delta) / scale) / max(_size(delta / scale), 1e-300),
        left_share,
        tuple(_doubts(modulus, unsolved, left_share, equations.singular[:count].mean())),
    )


class _Equations:
    """The linear equations of delta at M states.

    output, step: [M, outputs]. scale: [outputs], root mean squares of the step, in which GMRES measures.
    """

    def __init__(self, conditions: Conditions, state: Any) -> None:
        self.conditions, self.state = conditions, state
        self.output = conditions.outputs(state)
        following = conditions.inputs_of_successors(state, self.output)  # [M, J, inputs]
        residual, slope = conditions.jacobian(state, self.output, following.shape[1])
        self.inverse, self.singular = pseudo_inverse(slope)  # [M, outputs, conditions]
        self.step = self._solved(residual)
        size = np.sqrt((self.step**2).mean(axis=0))
        self.scale = np.maximum(size, 1e-6 * max(size.max(), 1e-300))
        self.count = following.shape[1]
        self._fit(conditions.inputs(state), following)

    def _fit(self, inputs: np.ndarray, following: np.ndarray) -> None:
        """How values at the states are carried to the states themselves, and to the successors under each shock."""
        shocks = self.conditions.economy.shocks.discrete
        shock = self.state.shock if shocks else np.zeros(len(inputs), int)
        coordinates = Coordinates(inputs)
        points, ahead = coordinates(inputs), coordinates(following)  # [M, components], [M, J, components]
        self.groups = [np.flatnonzero(shock == z) for z in range(shocks or 1)]
        self.known = [_thinned(group, _POINTS) for group in self.groups]
        scaled = self.step / self.scale
        filled = [known for known in self.known if len(known)]
        smoothness = choose([points[known] for known in filled], [scaled[known] for known in filled])
        self.regressions = [Regression(points[known], smoothness) for known in self.known]
        self.to_states, self.to_successors = [], []
        for z, (regression, group) in enumerate(zip(self.regressions, self.groups, strict=True)):
            self.to_states.append(regression.to(points[group]))
            self.to_successors.append(regression.to(ahead[:, z] if shocks else ahead))

    def smoothed(self, delta: np.ndarray) -> np.ndarray:
        """The smooth part of delta [M, outputs]."""
        smooth = np.zeros_like(delta)
        for group, known, matrix in zip(self.groups, self.known, self.to_states, strict=True):
            smooth[group] = matrix @ delta[known]
        return smooth

    def at_successors(self, delta: np.ndarray) -> np.ndarray:
        """The smooth part of delta at the successors, [M, J, outputs]."""
        each = [matrix @ delta[known] for known, matrix in zip(self.known, self.to_successors, strict=True)]
        return np.stack(each, axis=1) if self.conditions.economy.shocks.discrete else each[0]

    def unforeseen(self, delta: np.ndarray) -> np.ndarray:
        """delta less what the other states say of it, [M, outputs]; at the states of the regressions, zero elsewhere."""
        rest = np.zeros_like(delta)
        for regression, known in zip(self.regressions, self.known, strict=True):
            rest[known] = regression.left_out(delta[known])
        return rest

    def missed(self, delta: np.ndarray) -> np.ndarray:
        """T of errors of the size and kind that the regression cannot foresee, as if they were unrelated, [M, outputs]."""
        rest, generator = self.unforeseen(delta), np.random.default_rng(0)
        shape = self.output.shape[0], self.count
        drawn = np.zeros((*shape, self.output.shape[1]))
        for j in range(self.count):
            known = self.known[j if self.conditions.economy.shocks.discrete else 0]
            if len(known):
                drawn[:, j] = rest[generator.choice(known, len(drawn))]
        return self._through(drawn)

    def later(self, delta: np.ndarray) -> np.ndarray:
        """T delta at the states, [M, outputs]."""
        return self._through(self.at_successors(delta))

    def step_of_the_corrected_rule(self, smooth: np.ndarray) -> np.ndarray:
        """The step that is left when o + smooth decides, today and at the successors."""
        later = self.at_successors(smooth)
        residual, _ = self.conditions.along(self.state, self.output, smooth, later, at=1.0)
        return self._solved(residual)

    def _through(self, later: np.ndarray) -> np.ndarray:
        """What changes of the successors' outputs, [M, J, outputs], ask of today's, [M, outputs]."""
        _, change = self.conditions.along(self.state, self.output, np.zeros_like(self.output), later)
        return self._solved(change)

    def _solved(self, residual: np.ndarray) -> np.ndarray:
        return -np.einsum("moc,mc->mo", self.inverse, residual)


def solve(
    T: Callable[[np.ndarray], np.ndarray], step: np.ndarray, most: int = _KRYLOV, tolerance: float = _SOLVED
) -> tuple[np.ndarray, float, float]:
    """(1 - T) y = step by GMRES (Saad & Schultz 1986), from the Arnoldi basis that also tells the modulus of T.

    T: linear, of arrays shaped as step. Returns y; the largest modulus of T's Ritz values; the norm of what is left of
    the equation over that of step.
    """
    norm = np.linalg.norm(step)
    if norm == 0:
        return np.zeros_like(step), 0.0, 0.0
    basis, H = [step / norm], np.zeros((most + 1, most))
    right = np.zeros(most + 1)
    right[0] = norm
    for n in range(most):
        w = basis[n] - T(basis[n])
        for _ in range(2):  # twice is enough
            for i, vector in enumerate(basis):
                overlap = np.vdot(vector, w)
                H[i, n] += overlap
                w = w - overlap * vector
        H[n + 1, n] = np.linalg.norm(w)
        part = H[: n + 2, : n + 1]
        weights = np.linalg.lstsq(part, right[: n + 2], rcond=None)[0]
        left = float(np.linalg.norm(part @ weights - right[: n + 2]) / norm)
        if left < tolerance or H[n + 1, n] < 1e-14:
            break
        basis.append(w / H[n + 1, n])
    modulus = np.abs(np.linalg.eigvals(np.eye(n + 1) - H[: n + 1, : n + 1])).max()
    return sum(weight * vector for weight, vector in zip(weights, basis, strict=False)), float(modulus), left


def _with_states_of_rare_shocks(conditions: Conditions, sample: Any) -> Any:
    """The sample and, for shocks that few of its states have, successors of its states under these shocks."""
    shocks = conditions.economy.shocks.discrete
    if not shocks:
        return sample
    count = len(sample[0])
    wanted = min(_RARE, count // (2 * shocks))
    parts = [sample]
    for shock in range(shocks):
        missing = wanted - np.count_nonzero(sample.shock == shock)
        if missing > 0:
            some = _thinned(sample, missing)
            parts.append(conditions.successors(some, conditions.outputs(some), shock))
    return tf.nest.map_structure(lambda *each: np.concatenate(each), *parts)


def _levels(conditions: Conditions, state: Any, output: np.ndarray) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """The unit of each policy in words, and its size at each state.

    What the economy says in `relative_to`; else the policy's own level, where it is positive at every state; else the
    mean of its absolute values over all states and ages.
    """
    economy = conditions.economy
    policies, defined = conditions.policies(state, output)
    known = {**defined, **policies}
    units, levels = {}, {}
    for name, values in policies.items():
        if name in economy.relative_to:
            other = economy.relative_to[name]
            size = known[other].reshape(len(values), *known[other].shape[1:], *[1] * (values.ndim - known[other].ndim))
            units[name], levels[name] = other, np.broadcast_to(np.abs(size), values.shape)
        elif values.min() > 0:
            units[name], levels[name] = "own level", values
        else:
            units[name] = "own mean size"
            levels[name] = np.full(values.shape, max(np.abs(values).mean(), 1e-300))
    return units, levels


def _changes(
    conditions: Conditions, state: Any, output: np.ndarray, change: np.ndarray, levels: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """How every policy moves when o moves by `change`, to first order, by field, relative to its level."""
    moved = conditions.policies_along(state, output, change)
    return {name: values / levels[name] for name, values in moved.items()}


def _thinned(arrays: Any, most: int) -> Any:
    """At most so many rows of an array, or of each array of a NamedTuple, evenly spaced."""
    total = len(tf.nest.flatten(arrays)[0])
    chosen = np.linspace(0, total - 1, min(total, most)).round().astype(int)
    return tf.nest.map_structure(lambda x: x[chosen], arrays)


def _size(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean()))


def _doubts(modulus: float, unsolved: float, left: float, singular: float) -> list[str]:
    doubts = []
    if unsolved > 1e-2:
        doubts.append(f"the equation of the followed error is not solved: {unsolved:.0%} of it is left")
    if modulus > _FINITE_SUM:
        doubts.append(f"errors do not die out: what is wrong next period is wrong {modulus:.4f} times as much today")
    if not left < _CURVED:
        doubts.append(f"the conditions are far from linear: {left:.0%} of the step is left when the rule is corrected")
    if singular > 0:
        doubts.append(f"at {singular:.1%} of the states some decision is not determined by the conditions")
    return doubts
