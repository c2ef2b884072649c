r"""How far decisions are from what the conditions ask for: residuals translated into the decisions they are about.

At a state s with outputs o = N(s) and conditions r(o, o'; s) (`linearized.py`) the Newton step, next period's rule
given, is

    step(s) = -J^+ r,    J = dr/do, with the slope of the rule at the successors.

It is what this period's decisions are wrong by if next period's are right. These are wrong too: to first order the
error of the rule is the fixed point

    delta(s) = step(s) + (T delta)(s),    (T delta)(s) = -J^+ sum_j dr/do'_j delta(s'_j),

which is Newton's step for the whole rule. Followed for n periods it is step + T step + ... + T^n step; where errors die
out slowly (values, prices, capital that hardly reverts) the sum is many times the step. `fixed_point.py` finds it
without iterating. Only the delta of the successors is smoothed: that of the state itself keeps its kinks.

Reported is d policy / do delta, in the decision's own unit (`_measured`). All is linear in the decisions themselves,
however the economy makes them of o.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from threadpoolctl import threadpool_limits

from deqn.equilibrium.decision_rule import OutputRule
from deqn.equilibrium.economy import Economy
from deqn.equilibrium.fixed_point import Equations, solve, thinned
from deqn.equilibrium.linearized import Conditions, Seen
from deqn.equilibrium.memory import AFTER
from deqn.equilibrium.smooth import Coordinates
from deqn.project.errors import UserError, nearest

STATES, FEWEST_STATES = 2048, 512
_DIRECTIONS = 32768  # derivatives of the conditions taken in all: bounds the states of an economy of many decisions
_EVALUATIONS = 1 << 22  # of a network, for one derivative of each condition at the fewest states: hours beyond
_SUCCESSORS = 16384  # to which errors are carried: bounds the states of an economy of many quadrature nodes
_FAR = 64  # successors far from all states that the regression has too,
_GENERATIONS = 3  # and as many of theirs, and of these: with one a tree's errors come out a third as large
_FAR_SHARE, _NEXT_SHARE = 0.02, 0.25  # of all successors, from which these are taken
_POINTS = 500  # states of the sample to which distances are measured
_RARE = 300  # states of each shock that the regression has at least, if half of the sample allows
_UNSOLVED = 0.1  # share of the followed error that may be missing for want of iterations
_MISSED = 0.5  # share of the followed error that what the regression does not see may add, at most
_FREE = 1e-6  # change of a policy, in its unit, by which a direction of the outputs counts as one that policies notice
HARD_TO_FOLLOW = "next period's errors are hard to tell from the state"
_FINITE_SUM = 0.9995  # largest modulus whose sum is taken for finite
_CURVED = 0.5  # share of the step that the corrected rule may leave, beyond what the regression does not see
_ROUNDING = 1e-13  # steps, in units of the policy, below which no more than rounding is left


class ImpliedError(NamedTuple):
    """Implied changes of every policy at M sampled states.

    state: the economy's State of arrays [M, ...]. policy: what is decided there, by field.
    unit: what each policy is measured in, by field. levels: what one unit is, by field, [M, ...].
    one_step, followed: changes by field, [M, ...], in that unit: 0.01 is a hundredth of the decision.
    modulus: what is left of an error one period further back in time, for the errors that die out most slowly.
    missed: how large, as a share of the followed change, a period's errors are that could not be followed.
    left: share of the step that is left, beyond what theory says, when the rule is corrected.
    doubts: why the followed change is not to be trusted, in words; empty if nothing speaks against it.
    """

    state: Any
    policy: Mapping[str, np.ndarray]
    unit: Mapping[str, str]
    one_step: Mapping[str, np.ndarray]
    followed: Mapping[str, np.ndarray]
    levels: Mapping[str, np.ndarray]
    modulus: float
    missed: float
    left: float
    doubts: tuple[str, ...]


def unaffordable(economy: Economy) -> str:
    """Why an economy has no implied error, "" if it has: one network decides for so many agents that it takes hours."""
    agents = math.prod(economy.taken.agents)
    asked = FEWEST_STATES * economy.width * agents
    if agents == 1 or asked <= _EVALUATIONS:
        return ""
    return (
        f"derivatives of {economy.width} decisions of {agents} agents at {FEWEST_STATES} states would ask the network "
        f"{asked:,} times, more than {_EVALUATIONS:,}"
    )


def implied_error(rule: OutputRule, state: Any) -> ImpliedError:
    """The implied error at a sub-sample, evenly spaced, of states of NumPy arrays [T, ...] that a rule visits.

    2,048 states; fewer, but at least 512, for an economy of more than 16 decisions (32,768 over their number) or more
    than 8 successors a state (16,384 over their number). `unaffordable` economies have none.
    """
    conditions = Conditions(rule)
    affordable = min(STATES, _DIRECTIONS // rule.economy.width, _SUCCESSORS // conditions.count)
    sample = _thinned(state, max(FEWEST_STATES, affordable))
    with threadpool_limits(1, "blas"):  # small matrices: a second thread doubles the CPU time
        return _at(conditions, sample)


def _at(conditions: Conditions, sample: Any) -> ImpliedError:
    count = len(sample[0])
    equations = Equations(conditions, _with_support(conditions, sample), count)
    step, scale = equations.step, equations.scale
    delta, modulus, unsolved = solve(lambda y: equations.later(y * scale) / scale, step / scale)
    delta = delta * scale
    smooth = equations.smoothed(delta)
    beyond = equations.step_of_the_corrected_rule(smooth) - (delta - smooth)
    missed = _share(equations.missed(delta) / scale, delta / scale)
    left = _share(beyond / scale, step / scale)
    broken = equations.broken[:count]
    output = equations.output[:count]
    policy, unit, levels = _measured(conditions, sample, output)
    one_step, followed = (_changes(conditions, sample, output, each[:count], levels) for each in (step, delta))
    for changes in (one_step, followed):
        for values in changes.values():
            values[broken] = np.nan
    # An output that neither a condition nor a policy notices, as of a constraint that does not bind, leaves none open.
    free = _changes(conditions, sample, output, equations.free[:count], levels).values()
    undetermined = np.any([np.abs(values).reshape(count, -1).max(axis=1) > _FREE for values in free], axis=0) & ~broken
    if all(np.nanmax(np.abs(each), initial=0.0) < _ROUNDING for each in one_step.values()):
        left = 0.0
    doubts = _doubts(modulus, unsolved, missed, left, undetermined.mean(), broken.mean())
    return ImpliedError(sample, policy, unit, one_step, followed, levels, modulus, missed, left, tuple(doubts))


COLUMNS = ["policy", "unit", "states", *(f"{which}_{name}" for which in ("one_step", "followed")
                                         for name in ("mean", "p99.9", "max"))]  # fmt: skip


def rows(implied: ImpliedError) -> list[dict[str, Any]]:
    """The rows of implied.csv: statistics of the absolute changes of each policy, all states and ages pooled."""
    table = []
    for name, unit in implied.unit.items():
        row: dict[str, Any] = {"policy": name, "unit": unit, "states": len(implied.state[0])}
        for which, changes in (("one_step", implied.one_step), ("followed", implied.followed)):
            sizes = np.abs(changes[name])
            row |= {
                f"{which}_mean": float(sizes.mean()),
                f"{which}_p99.9": float(np.percentile(sizes, 99.9)),
                f"{which}_max": float(sizes.max()),
            }
        table.append(row)
    return table


def arrays(implied: ImpliedError, letters: Mapping[str, str]) -> dict[str, np.ndarray]:
    """What implied.npz holds: states by letter, and of each policy the level and the changes in shares of it.

    For a policy of letter c: c, c_level, c_step and c_implied, so that c + c_level c_implied is the corrected decision
    to first order. A policy without a letter goes by its name.
    """
    named = {letters.get(name, name): values for name, values in implied.state._asdict().items()}
    for name in implied.unit:
        letter = letters.get(name, name)
        named |= {
            letter: implied.policy[name],
            f"{letter}_level": implied.levels[name],
            f"{letter}_step": implied.one_step[name],
            f"{letter}_implied": implied.followed[name],
        }
    return named


def _with_support(conditions: Conditions, sample: Any) -> Any:
    """The sample and some of its successors: under shocks that few of its states have, and far from all of them.

    Far successors, and theirs, are hardly ever visited. But what is wrong there is extrapolated otherwise, and where
    errors hardly die out even a bit of it adds up.
    """
    seen, count = conditions.seen(sample), len(sample[0])
    shocks = conditions.economy.shocks.discrete
    chosen = np.zeros((0, 2), int)
    for shock in range(shocks or 0):
        missing = min(_RARE, count // (2 * (shocks or 1))) - np.count_nonzero(sample.shock == shock)
        states = thinned(np.arange(count), max(missing, 0))
        middle = conditions.count // 2 // (shocks or 1) * (shocks or 1)
        chosen = np.concatenate([chosen, np.stack([states, np.full_like(states, middle + shock)], axis=1)])
    coordinates, ahead, share = Coordinates(seen.inputs), sample, _FAR_SHARE
    support, known = [sample], thinned(coordinates(seen.inputs), _POINTS)
    for _ in range(_GENERATIONS):
        far = _far(coordinates(seen.following), known, share)
        number, chosen = np.concatenate([chosen, far]), chosen[:0]
        ahead = _successors(conditions, ahead, seen, number)
        support.append(ahead)
        seen, share = conditions.seen(ahead), _NEXT_SHARE
        known = np.concatenate([known, coordinates(seen.inputs)])
    return tf.nest.map_structure(lambda *each: np.concatenate(each), *support)


def _far(ahead: np.ndarray, known: np.ndarray, share: float) -> np.ndarray:
    """[n, 2] states and numbers of successors: some of that share of all which is farthest from what is known.

    ahead: coordinates of successors, [M, J, components]. known: of states, [n, components].
    """
    flat = ahead.reshape(ahead.shape[0] * ahead.shape[1], ahead.shape[2])
    squared = (flat**2).sum(axis=1) + ((known**2).sum(axis=1)[:, None] - 2 * known @ flat.T).min(axis=0)
    farthest = np.argsort(-squared, kind="stable")[: max(1, int(share * len(flat)))]
    return np.stack(np.divmod(thinned(farthest, _FAR), ahead.shape[1]), axis=1)


def _successors(conditions: Conditions, state: Any, seen: Seen, chosen: np.ndarray) -> Any:
    """The successors that [n, 2] states and numbers name."""
    rows, number = chosen.T
    some = tf.nest.map_structure(lambda x: x[rows], state)
    return conditions.successors(some, seen.output[rows], number.astype(np.int32))


class Measured(NamedTuple):
    """By field: policies, their units in words, and what one unit is at each state."""

    policy: Mapping[str, np.ndarray]
    unit: Mapping[str, str]
    levels: Mapping[str, np.ndarray]


def measured(rule: OutputRule, state: Any) -> Measured:
    """What a rule decides at states of NumPy arrays, and in which units its errors are measured there."""
    conditions = Conditions(rule)
    return _measured(conditions, state, conditions.seen(state).output)


def _measured(conditions: Conditions, state: Any, output: np.ndarray) -> Measured:
    """By field, each policy at the states, its unit in words, and the size of this unit at each state.

    What the economy says in `relative_to`; else the policy's own level, where it is positive at every state; else the
    mean of its absolute values over all states and ages.
    """
    economy = conditions.economy
    policies, defined = conditions.policies(state, output)
    known = {**defined, **policies}
    units, levels = {}, {}
    policies.pop(AFTER, None)  # no condition is about what is remembered
    for name, values in policies.items():
        if name in economy.report.relative_to:
            other = economy.report.relative_to[name]
            if other not in known:
                raise UserError(
                    f"report.relative_to: {name} is said to be relative to {other!r};{nearest(other, known)}"
                )
            size = known[other].reshape(len(values), *known[other].shape[1:], *[1] * (values.ndim - known[other].ndim))
            units[name], levels[name] = other, np.broadcast_to(np.abs(size), values.shape)
        elif values.min() > 0:
            units[name], levels[name] = "own level", values
        else:
            units[name] = "own mean size"
            levels[name] = np.full(values.shape, max(np.abs(values).mean(), 1e-300))
    return Measured(policies, units, levels)


def _changes(
    conditions: Conditions, state: Any, output: np.ndarray, change: np.ndarray, levels: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """How every policy moves when o moves by `change`, to first order, by field, relative to its level."""
    moved = conditions.policies_along(state, output, change)
    return {name: moved[name] / level for name, level in levels.items()}


def _thinned(state: Any, most: int) -> Any:
    """At most so many of the states, evenly spaced."""
    return tf.nest.map_structure(lambda x: thinned(x, most), state)


def _share(values: np.ndarray, of: np.ndarray) -> float:
    """The root mean square of one array over that of another."""
    return float(np.sqrt((values**2).mean() / max((of**2).mean(), 1e-300)))


def _doubts(
    modulus: float, unsolved: float, missed: float, left: float, undetermined: float, broken: float
) -> list[str]:
    doubts = []
    if broken > 0:
        doubts.append(f"at {broken:.1%} of the states a condition or its derivative is no finite number")
    if undetermined > 0:
        doubts.append(
            f"at {undetermined:.1%} of the states the conditions do not determine some decision to first order"
        )
    if modulus < _FINITE_SUM and unsolved / (1 - modulus) > _UNSOLVED:
        doubts.append(f"the equation of the followed error is not solved: {unsolved:.1%} of the step is left")
    if modulus >= _FINITE_SUM:
        doubts.append(f"errors do not die out: what is wrong next period is wrong {modulus:.4f} times as much today")
    elif missed / (1 - modulus) > _MISSED:
        doubts.append(
            f"{HARD_TO_FOLLOW}; what could not be followed may add up to about "
            f"{missed / (1 - modulus):.0%} of the followed error"
        )
    if not left < _CURVED:
        doubts.append(
            "the errors are too large for a measure that takes the conditions for linear: if the rule is corrected by "
            f"them, {left:.2g} times the step is left; take them as orders of magnitude"
        )
    return doubts
