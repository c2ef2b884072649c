"""One float64 evaluation of a decision rule along simulated paths: states, policies, errors, definitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium import simulation
from deqn.equilibrium.constraints import errors_of, flags_of, products_of
from deqn.equilibrium.decision_rule import DecisionRule
from deqn.equilibrium.economy import Economy
from deqn.equilibrium.exogenous import shock_of
from deqn.project.errors import UserError

_CHUNK = 1024  # states evaluated at a time: bounds the memory of the expectation
_DECISIONS = 1 << 16  # and as many decisions: of an economy of many agents these are fewer states


class Evaluation(NamedTuple):
    """Arrays over T states, rows of one track consecutive in time; all float64 but the shock.

    state, policy: the economy's NamedTuples of arrays [T, ...]. successors: the policies that its report calls
    `foreseen` at every value of next period's shock, [T, S, ...], empty for a continuous shock. errors: by condition,
    [T, ages] or [T]. definitions: prices, aggregates, by-age variables. flags: where a floor, guard or
    constraint was active. track: int [T].
    inside: whether the economy's `is_inside` holds, bool [T]. visited: whether the state lies in the
    ranges where the rule was trained, bool [T], true where these are not known.
    """

    state: Any
    policy: Any
    successors: Mapping[str, np.ndarray]
    errors: Mapping[str, np.ndarray]
    definitions: Mapping[str, np.ndarray]
    flags: Mapping[str, np.ndarray]
    track: np.ndarray
    inside: np.ndarray
    visited: np.ndarray


def evaluate(
    rule: DecisionRule, periods: int, burn_in: int, seed: int, tracks: int = 1, start: Any = None, shocks: Any = None
) -> Evaluation:
    """Simulates `tracks` paths of `periods` under the true process, drops `burn_in` of each, evaluates the rest.

    start: states of arrays [tracks, ...] from which they begin, instead of the first initial states. shocks: what
    happens, as `simulation.given_shocks` takes it, instead of draws.
    """
    if not 0 <= burn_in < periods:
        raise UserError(f"burn-in: got {burn_in} of {periods} periods, expected fewer than the periods")
    tracks = tracks if start is None else len(start[0])
    state = simulated_states(rule, periods - burn_in, burn_in, seed, tracks, start, shocks)
    values = at_states(rule, state)
    inside, visited = inside_and_visited(rule, state)
    return Evaluation(*values, np.repeat(np.arange(tracks), periods - burn_in), inside, visited)


def check_finite(evaluation: Evaluation) -> None:
    """Raises UserError, with the first period, if a state, a policy or an error is NaN or infinite."""
    named = {
        "state": evaluation.state._asdict(), "policy": evaluation.policy._asdict(), "condition": evaluation.errors
    }  # fmt: skip
    found = [
        (int(np.argmax(bad)), kind, name, int(bad.sum()))
        for kind, values in named.items()
        for name, array in values.items()
        if np.issubdtype(array.dtype, np.floating)
        and (bad := ~np.isfinite(array).reshape(len(array), -1).all(axis=1)).any()
    ]
    if not found:
        return
    # What breaks first is the cause; of one period the state comes before the policy, the policy before the error.
    period, kind, name, count = min(found, key=lambda each: each[0])
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    track = evaluation.track[period]
    within = period - int(np.argmax(evaluation.track == track))
    where = f"period {within + 1} after the burn-in" + (f" of track {track + 1}" if np.ptp(evaluation.track) else "")
    raise UserError(
        f"evaluation: the {kind} {name} is not finite in {count} of {len(evaluation.track)} periods{more}, first in "
        f"{where}; nothing was written; look for a power or log of what is below 0, or train longer"
    )


def simulated_states(
    rule: DecisionRule, periods: int, burn_in: int, seed: int, tracks: int, start: Any = None, shocks: Any = None
) -> Any:
    """The states [tracks * periods, ...] visited after `burn_in`; start and shocks as of `evaluate`."""
    economy = rule.economy
    given = economy.initial_states(tracks, np.random.default_rng(0)) if start is None else start
    start = economy.tensors(given)
    key = tf.constant([seed, 1], tf.int32)
    if shocks is not None:
        happening = simulation.given_shocks(economy, shocks, start, burn_in + periods)
        followed = tf.function(lambda now, shocks: simulation.along(economy, rule, now, shocks), autograph=False)
        path = tf.nest.map_structure(lambda x: x[burn_in:], followed(start, happening))
        return tf.nest.map_structure(lambda x: np.swapaxes(x.numpy(), 0, 1).reshape(-1, *x.shape[2:]), path)

    @tf.function(jit_compile=economy.xla, autograph=False)
    def run(start: Any, key: tf.Tensor) -> Any:
        path, _ = simulation.simulate(economy, economy.shocks, rule, start, periods, key, burn_in)
        return path

    path = run(start, key)
    return tf.nest.map_structure(lambda x: np.swapaxes(x.numpy(), 0, 1).reshape(-1, *x.shape[2:]), path)


def under_unvisited(rule: DecisionRule, state: Any, count: int = 2048) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The errors where a shock follows that the path never visited: these shocks, from 0, by row, and the errors there.

    state: of the path. At most `count` of its states, evenly spread, are followed by every shock that it lacks.
    """
    economy = rule.economy
    lacking = np.setdiff1d(np.arange(economy.shocks.discrete or 0), getattr(state, "shock", []))
    if not lacking.size:
        return lacking, {}
    every = np.linspace(0, len(state[0]) - 1, min(count, len(state[0]))).astype(int)
    chosen = economy.tensors(tf.nest.map_structure(lambda x: x[every], state))
    policy = rule(chosen)
    shocks, weights = economy.shocks.successors(chosen)
    middle = weights.shape[0] // 2 // economy.shocks.discrete * economy.shocks.discrete
    following = [economy.transition(chosen, policy, shock_of(shocks, middle + z, len(every))) for z in lacking]
    stacked = tf.nest.map_structure(lambda *parts: np.concatenate(parts), *following)
    return np.repeat(lacking, len(every)), at_states(rule, stacked)[3]


def at_states(rule: DecisionRule, state: Any) -> tuple[Any, Any, dict, dict, dict, dict]:
    """Everything an Evaluation holds besides tracks, at given states [T, ...] of NumPy arrays."""
    economy = rule.economy

    def everything(state: Any) -> tuple[Any, ...]:
        policy, E = rule.completed(state)
        following = {}
        if economy.shocks.discrete:
            for name in economy.report.foreseen:
                following[name] = tf.stack([getattr(each, name) for each in E.policies], axis=1)
        errors = errors_of(economy, state, policy, E)
        return (
            policy,
            following,
            errors,
            dict(economy.definitions(state, policy, E)),
            flags_of(economy, state, policy),
        )

    decisions = economy.width if economy.taken.agents else 1
    most = max(1, min(_CHUNK, 1 << (_DECISIONS // decisions).bit_length() >> 1))
    pieces = map_chunks(tf.function(everything, jit_compile=economy.xla, autograph=False), state, most)
    return (state, *pieces)


def inside_and_visited(rule: DecisionRule, state: Any) -> tuple[np.ndarray, np.ndarray]:
    """Whether `is_inside` holds, and whether the rule was trained there, at states of NumPy arrays: bool [T] each."""
    economy = rule.economy

    def both(state: Any) -> tuple[tf.Tensor, tf.Tensor]:
        inside = economy.is_inside(state)
        return inside, tf.ones_like(inside) if rule.visited is None else rule.visited.holds(economy.seen(state))

    return map_chunks(both, state)


def largest_error(economy: Economy, errors: Mapping[str, np.ndarray]) -> np.ndarray:
    """The largest absolute error at each state, [T]: of the relative conditions, if there are any, else of all."""
    relative = {name: values for name, values in errors.items() if name not in products_of(economy)} or errors
    return np.max([np.abs(values).reshape(len(values), -1).max(axis=1) for values in relative.values()], axis=0)


def map_chunks(f: Callable[[Any], Any], state: Any, most: int = _CHUNK) -> Any:
    """A compiled f at all states of NumPy arrays, a chunk at a time; NumPy arrays in the structure f returns.

    Chunks have few sizes (1, 2, 4, ... `most`), because f is compiled for each.
    """
    total = len(state[0])
    size = min(most, 1 << (total - 1).bit_length())
    pieces = []
    for begin in range(0, total, size):
        # The last chunk is filled with copies of its last state, so that no second shape is compiled.
        index = np.minimum(np.arange(begin, begin + size), total - 1)
        piece = f(tf.nest.map_structure(lambda x, index=index: tf.constant(x[index]), state))
        keep = min(size, total - begin)
        pieces.append(tf.nest.map_structure(lambda x, keep=keep: x.numpy()[:keep], piece))
    return tf.nest.map_structure(lambda *parts: np.concatenate(parts), *pieces)
