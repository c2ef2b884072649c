"""Checks of what happens from period to period: Den Haan and Marcet's test, ergodicity, errors on a box."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from deqn.equilibrium.accuracy import summary
from deqn.equilibrium.constraints import names_of, products_of
from deqn.equilibrium.evaluation import at_states, map_chunks
from deqn.equilibrium.evidence.check import Check, at_most, not_applicable, not_rejected
from deqn.equilibrium.evidence.statistics import equal_means, orthogonality
from deqn.equilibrium.evidence.subject import Subject
from deqn.equilibrium.expectation import Expectation

_STEP = 1e-4  # of the derivative towards what happens
_DIRECTIONS = 3  # in which the states vary most
_BATCHES, _FEWEST = 6, 300  # of a track, and periods of a track
_BOX_STATES, _MARGIN = 2048, 0.1
_GUARDED = 0.2  # share of the box beyond which too little of it is left
_OFTEN = 0.001  # share of the states at a bound, from which it is taken for a limit that nothing crosses
_KEPT = 1e-8  # of the states' variance, below which a direction is rounding


class _Happening(Expectation):
    """E(f) moved by a share towards f of what happens next."""

    share, next_state, next_chosen = 0.0, None, None

    def __call__(self, f: Callable[[Any, Any], tf.Tensor]) -> tf.Tensor:
        expected = super().__call__(f)
        return expected + self.share * (f(self.next_state, self.next_chosen) - expected)


def den_haan_marcet(subject: Subject) -> Iterator[Check]:
    r"""Whether the conditions' innovations are orthogonal to what is known (Den Haan & Marcet 1994).

    A residual r(E f) is zero with the expectation, not with what happens. To first order in f' - E f

        u' = r(E f) + dr/d(E f) (f' - E f)

    has the mean r(E f) given today, whatever the form of r; E u' = 0 also needs that nature draws the shocks as E
    weighs them. A condition that what happens moves by less than the mean error that passes is left out: there the test
    would reject any rule that is not exact. Instruments: a constant, the three directions in which the network's inputs
    vary most, and each value of a discrete shock but one.
    """
    name, rule, path = "Den Haan-Marcet", subject.rule, subject.path
    economy = rule.economy
    if economy.perceived is not None:
        yield not_applicable(name, "agents expect other shocks than nature draws")
        return
    first = np.flatnonzero(path.track[1:] == path.track[:-1])  # whose successor is the next row
    now, following = (tf.nest.map_structure(lambda x, at=at: x[at], path.state) for at in (first, first + 1))
    least = subject.settings.mean
    innovations, names = _innovations(rule, now, following, least)
    if not names:
        yield not_applicable(name, f"what happens moves no condition by more than {100 * least:g} %")
        return
    instruments = _instruments(subject, now)
    tested = orthogonality(np.concatenate(innovations, axis=1), instruments)
    if tested is None:
        yield not_applicable(name, "nothing is uncertain")
        return
    sizes = [each.shape[1] for each in innovations]
    condition = names[int(np.searchsorted(np.cumsum(sizes), tested.entry, side="right"))]
    note = (
        f"{sum(sizes)} series, {len(first)} periods, {instruments.shape[1]} instruments; smallest p-value times "
        f"{sum(sizes)}: {condition.replace('_', ' ')}, chi-squared({tested.degrees}) = {tested.statistic:.1f}"
    )
    yield not_rejected(name, tested.p_value, subject.settings.p_value, note, statistic=tested.statistic,
                       degrees=tested.degrees, condition=condition)  # fmt: skip


def _innovations(rule: Any, now: Any, following: Any, least: float) -> tuple[list[np.ndarray], list[str]]:
    """u' [T, n] of each condition that what happens next moves, by its least standard deviation, and their names."""
    economy, count = rule.economy, len(now)

    def moved(fields: list[tf.Tensor]) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
        state, after = type(now)(*fields[:count]), type(now)(*fields[count:])
        policy, happened = rule(state), rule(after)

        def residuals(share: float) -> dict[str, tf.Tensor]:
            E = _Happening(economy, state, policy, rule.of_successors)
            E.share, E.next_state, E.next_chosen = share, after, happened
            return dict(economy.residuals(state, economy.complete(state, policy, E), E))

        above, below, centre = residuals(_STEP), residuals(-_STEP), residuals(0.0)
        return {name: (r, (above[name] - below[name]) / (2 * _STEP)) for name, r in centre.items()}

    found = map_chunks(tf.function(moved, jit_compile=economy.xla, autograph=False), [*now, *following])
    moving = {}
    for name, parts in found.items():
        r, slope = (each.reshape(len(each), -1) for each in parts)
        moves = ~(slope.std(axis=0) < least)  # what is no number stays, and fails
        if moves.any():
            moving[name] = (r + slope)[:, moves]
    return list(moving.values()), list(moving)


def _instruments(subject: Subject, state: Any) -> np.ndarray:
    """[T, m]: one, the leading directions of the network's inputs, and the discrete shock."""
    columns = [np.ones((len(state[0]), 1)), _leading(_inputs(subject, state))]
    for shock in range(1, subject.rule.economy.shocks.discrete or 0):
        columns.append((state.shock == shock)[:, None].astype(float))
    return np.concatenate(columns, axis=1)


def _inputs(subject: Subject, state: Any) -> np.ndarray:
    return np.asarray(map_chunks(subject.rule.economy.seen, state))


def _leading(inputs: np.ndarray) -> np.ndarray:
    """The standardised inputs along the directions in which they vary most, of variance one each: [T, <= 3]."""
    spread = inputs.std(axis=0)
    varying = spread > 1e-9 * np.maximum(np.abs(inputs.mean(axis=0)), 1e-300)
    standard = (inputs - inputs.mean(axis=0))[:, varying] / spread[varying]
    if not standard.shape[1]:
        return np.zeros((len(inputs), 0))
    values, vectors = np.linalg.eigh(standard.T @ standard / len(standard))
    kept = values > 1e-6 * values[-1]
    return (standard @ vectors[:, kept] / np.sqrt(values[kept]))[:, ::-1][:, :_DIRECTIONS]


def ergodicity(subject: Subject) -> Iterator[Check]:
    """Whether tracks from different initial states have the same means and variances after the burn-in."""
    name = "ergodicity: one distribution from every start"
    periods = len(subject.path.track) // max(subject.starts, 1)
    if subject.starts < 2:
        yield not_applicable(name, "the tracks are of several economies, whose parameters are states")
        return
    if periods < _FEWEST:
        yield not_applicable(name, f"{periods} periods of each start, expected {_FEWEST} or more: raise "
                             "evaluation.periods")  # fmt: skip
        return
    leading = _leading(_inputs(subject, subject.path.state))
    if not leading.shape[1]:
        yield not_applicable(name, "nothing moves")
        return
    series = np.concatenate([leading, leading**2], axis=1).reshape(subject.starts, periods, -1)
    tested = equal_means(series, _BATCHES)
    note = (
        f"means and squares along {leading.shape[1]} directions, {subject.starts} starts of {periods} periods; largest "
        f"F({subject.starts - 1}, {tested.degrees}) = {tested.statistic:.2f}"
    )
    yield not_rejected(name, tested.p_value, subject.settings.p_value, note, statistic=tested.statistic)


def box(subject: Subject) -> Iterator[Check]:
    """Mean errors on a box around the visited states, a tenth wider on every side, under every discrete shock.

    The box has the directions in which the visited states vary, so that what is linear in them (clearing, a newborn's
    nothing) holds on it too; what is positive everywhere is taken in logarithms, and
    limits at which entries are often found are not crossed. States where one of the economy's guards is active are
    left out: there may be nothing to consume there, whatever the rule says. Mean errors may be as large as the 99.9th
    percentile of those on the path.
    """
    economy = subject.rule.economy
    state = _box_states(economy, subject.path.state, subject.seed)
    names = {field: np.isfinite(x).reshape(len(x), -1).all(axis=1) for field, x in state._asdict().items()}
    inside = np.all([*names.values()], axis=0) & map_chunks(economy.is_inside, state)
    if inside.mean() < 0.05:
        yield not_applicable("errors on a box", f"{inside.mean():.1%} of its states are inside the economy's is_inside")
        return
    found = at_states(subject.rule, tf.nest.map_structure(lambda x: x[inside], state))
    guarded = _guarded(economy, found[5], int(inside.sum()))
    if guarded.mean() > _GUARDED:
        yield not_applicable("errors on a box", f"a guard is active at {guarded.mean():.1%} of its states")
        return
    for condition, values in found[3].items():
        words = economy.report.condition_names.get(condition, condition.replace("_", " "))
        statistics = summary(values[~guarded])
        product = condition in products_of(economy)
        note = f"{(~guarded).sum()} states, {inside.mean():.0%} of the box"
        note += f" but {guarded.mean():.1%} where a guard is active" if guarded.any() else ""
        note += f"; max {100 * statistics['max']:.3g}{'' if product else ' %'}"
        yield at_most(f"{words} on a box, mean", statistics["mean"], subject.settings.tail, note,
                      "x1e-2" if product else "%", max=statistics["max"])  # fmt: skip


def _guarded(economy: Any, flags: dict[str, np.ndarray], states: int) -> np.ndarray:
    """Whether any of the economy's guards is active at each state."""
    constraints = (*economy.report.constraints, *names_of(economy))
    guards = [flag.reshape(states, -1).any(axis=1) for name, flag in flags.items() if name not in constraints]
    return np.any([np.zeros(states, bool), *guards], axis=0)


def _limits(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bounds [n] of what is visited, [T, n], where it is often at its bound, as at a borrowing limit; else infinity."""
    low, high = values.min(axis=0), values.max(axis=0)
    often = max(3, _OFTEN * len(values))
    rounding = 1e-9 * np.maximum(high - low, np.maximum(np.abs(low), np.abs(high)))
    at_low, at_high = ((np.abs(values - bound) <= rounding).sum(axis=0) >= often for bound in (low, high))
    return np.where(at_low, low, -np.inf), np.where(at_high, high, np.inf)


def _box_states(economy: Any, visited: Any, seed: int) -> Any:
    """States drawn from the box, as the economy's State of NumPy arrays."""
    generator = np.random.default_rng(seed)
    real = {name: x for name, x in visited._asdict().items() if np.issubdtype(x.dtype, np.floating)}
    flat = np.concatenate([x.reshape(len(x), -1) for x in real.values()], axis=1)
    positive = (flat > 0).all(axis=0)
    values = np.where(positive, np.log(np.where(positive, flat, 1.0)), flat)
    mean, spread = values.mean(axis=0), values.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    _, sizes, directions = np.linalg.svd((values - mean) / spread, full_matrices=False)
    directions = directions[sizes**2 > _KEPT * (sizes**2).sum()]
    along = (values - mean) / spread @ directions.T
    low, high = along.min(axis=0), along.max(axis=0)
    margin = _MARGIN * (high - low)
    drawn = generator.uniform(low - margin, high + margin, (_BOX_STATES, len(directions)))
    values = np.clip(drawn @ directions * spread + mean, *_limits(values))
    values = np.where(positive, np.exp(np.where(positive, values, 0.0)), values)
    parts, begin = {}, 0
    for name, x in real.items():
        size = int(np.prod(x.shape[1:]))
        parts[name] = values[:, begin : begin + size].reshape(-1, *x.shape[1:])
        begin += size
    for name, x in visited._asdict().items():
        if name not in real:
            whole = name == "shock" and economy.shocks.discrete
            parts[name] = (
                generator.integers(0, economy.shocks.discrete, _BOX_STATES).astype(x.dtype)
                if whole
                else x[generator.integers(0, len(x), _BOX_STATES)]
            )
    return type(visited)(**parts)
