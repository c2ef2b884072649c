"""Where a training stands, as named NumPy arrays: the only file that knows the names inside a checkpoint.

    networks/NETWORK/000    weights of the networks, equal on all ranks
    optimizers/LOSS/000     variables of the optimisers, equal on all ranks
    carry/0                 tensors that live between updates, of rank 0
    host/NAME               the problem's host state, of rank 0
    rank3/...               carry and host state of rank 3
    good/...                all of these where a roll-back would lead, if that is another update
    best/networks/...       the weights with the smallest validation error so far

last.npz and the numbered checkpoints hold all of this, best.npz and the weights kept at stages networks/... alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from deqn.project.errors import UserError
from deqn.training import checkpoint
from deqn.training.problem import Carry, Problem
from deqn.workers.workers import Workers

Arrays = dict[str, np.ndarray]


class Position(NamedTuple):
    """Everything that the next update depends on.

    shared: values of networks and optimisers, equal on all ranks. own: carry and host state of this rank.
    counts: update, episode, phase and skipped updates.
    """

    shared: Arrays
    own: Arrays
    counts: Mapping[str, int]

    def carry(self, like: Carry) -> Carry:
        """The carry, in the structure of `like`. Raises UserError if number or shapes of its tensors differ."""
        tensors = tf.nest.flatten(like)
        given = [list(self.own[f"carry/{number}"].shape) for number in range(len(_within("carry/", self.own)))]
        expected = [list(tensor.shape) for tensor in tensors]
        if given != expected:
            raise UserError(
                f"the checkpoint carries tensors of shapes {given}, expected {expected}: it is of another problem or "
                "another number of tracks"
            )
        restored = [tf.constant(self.own[f"carry/{number}"], tensor.dtype) for number, tensor in enumerate(tensors)]
        return tf.nest.pack_sequence_as(like, restored)

    def host_state(self) -> Arrays:
        """The problem's host state on this rank."""
        return _within("host/", self.own)

    def with_carry(self, carry: Carry) -> Position:
        """The same position, with another carry."""
        return self._replace(own={**_carry_arrays(carry), **_under("host/", self.host_state())})


def network_groups(problem: Problem) -> dict[str, Sequence[Any]]:
    """The weights of the problem's networks, for `read` and `assign`."""
    return {f"networks/{name}": list(network.weights) for name, network in problem.networks.items()}


def variable_groups(problem: Problem, optimizers: Mapping[str, keras.optimizers.Optimizer]) -> dict[str, Sequence[Any]]:
    """The weights of the networks and the variables of the optimisers, for `read` and `assign`."""
    of_optimizers = {f"optimizers/{name}": list(each.variables) for name, each in optimizers.items()}
    return network_groups(problem) | of_optimizers


def own_arrays(problem: Problem, carry: Carry) -> Arrays:
    """What belongs to this rank alone: its carry and the problem's host state."""
    return _carry_arrays(carry) | {f"host/{name}": np.asarray(x) for name, x in problem.host_state().items()}


def read(groups: Mapping[str, Sequence[Any]]) -> Arrays:
    """Each variable's value under "group/number", copied."""
    return {
        f"{group}/{number:03d}": np.array(variable)
        for group, variables in groups.items()
        for number, variable in enumerate(variables)
    }


def assign(groups: Mapping[str, Sequence[Any]], arrays: Mapping[str, np.ndarray]) -> None:
    """Sets the variables from what `read` gave; nothing is changed unless every name and shape fits.

    Raises UserError: the arrays are of another economy or network.
    """
    pairs = []
    for group, variables in groups.items():
        given = len(_within(f"{group}/", arrays))
        if given != len(variables):
            raise UserError(
                f"the checkpoint holds {given} arrays of {group}, expected {len(variables)}: it is of another economy, "
                "network or optimiser"
            )
        for number, variable in enumerate(variables):
            value = arrays[f"{group}/{number:03d}"]
            if tuple(value.shape) != tuple(variable.shape):
                raise UserError(
                    f"the checkpoint's {group}/{number:03d} has shape {list(value.shape)}, expected "
                    f"{list(variable.shape)}: it is of another economy or network"
                )
            pairs.append((variable, value))
    for variable, value in pairs:
        variable.assign(value)


def pack(now: Position, last_good: Position, best_weights: Arrays, workers: Workers) -> tuple[Arrays, dict[str, Any]]:
    """The arrays and the meta of a checkpoint, equal on all ranks; every rank has to call it.

    last_good: where a roll-back would lead. best_weights: as `read` gives the networks; empty if there are none.
    """
    arrays, own = dict(now.shared), dict(now.own)
    meta: dict[str, Any] = {**now.counts, "ranks": workers.size}
    if last_good.counts["update"] != now.counts["update"]:  # else it is this very position
        arrays |= _under("good/", last_good.shared)
        own |= _under("good/", last_good.own)
        meta["good"] = last_good.counts
    for rank, theirs in enumerate(workers.gather(own)):
        arrays |= _under(f"rank{rank}/", theirs) if rank else theirs
    return arrays | _under("best/", best_weights), meta


def unpack(arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any], rank: int) -> tuple[Position, Position, Arrays]:
    """What was packed, for one rank; a rank that the checkpoint does not know gets what is rank 0's."""
    mine = {**arrays, **_within(f"rank{rank}/", arrays)}
    now = _position(mine, meta)
    last_good = _position(_within("good/", mine), meta["good"]) if "good" in meta else now
    for kept in (
        last_good.shared,
        _within("best/", arrays),
    ):  # where training stands may be worse: it can still go back
        if bad := _not_finite(kept):
            raise UserError(f"the checkpoint's {bad}; train the run anew")
    return now, last_good, _within("best/", arrays)


def _position(arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> Position:
    shared, own = (
        {name: value for name, value in arrays.items() if name.startswith(kinds)}
        for kinds in (("networks/", "optimizers/"), ("carry/", "host/"))
    )
    return Position(shared, own, {name: meta[name] for name in ("update", "episode", "phase", "skipped")})


def _carry_arrays(carry: Carry) -> Arrays:
    return {f"carry/{number}": np.asarray(tensor) for number, tensor in enumerate(tf.nest.flatten(carry))}


def _under(prefix: str, arrays: Mapping[str, np.ndarray]) -> Arrays:
    return {prefix + name: value for name, value in arrays.items()}


def _within(prefix: str, arrays: Mapping[str, np.ndarray]) -> Arrays:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def load_networks(problem: Problem, path: Path) -> None:
    """Gives the problem's networks the weights of a checkpoint.

    Raises UserError if they do not fit, or if one of them is not a finite number.
    """
    arrays, _ = checkpoint.load(path)
    if bad := _not_finite(arrays):
        raise UserError(f"{path}: {bad}; use another checkpoint, or train the run anew")
    try:
        assign(network_groups(problem), arrays)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def load_run(problem: Problem, folder: Path) -> None:
    """Gives the problem the best weights among a run's checkpoints, the last ones if it does not validate.

    It also restores the host state of the run's end. Raises UserError if there is no checkpoint, or it does not fit.
    """
    load_networks(problem, _weights(folder))
    last = folder / checkpoint.LAST
    if last.is_file() and (host_state := _host_state(last)):
        problem.restore(host_state)


def start_from(problem: Problem, folder: Path) -> None:
    """Gives an untrained problem the weights of another run, and of its host state what the problem wants."""
    load_networks(problem, _weights(folder))
    latest = checkpoint.latest(folder, warn=lambda _: None)
    problem.start_from(_host_state(latest) if latest else {})


def _not_finite(arrays: Mapping[str, np.ndarray]) -> str:
    """Which weights of the networks are NaN or infinite, in words; empty if none is."""
    for name, values in arrays.items():
        if name.startswith("networks/") and values.dtype.kind == "f" and not np.isfinite(values).all():
            return f"{name} holds {np.count_nonzero(~np.isfinite(values))} of {values.size} weights that are not finite"
    return ""


def _weights(folder: Path) -> Path:
    last, best = folder / checkpoint.LAST, folder / checkpoint.BEST
    return last if last.is_file() and not best.is_file() else best


def _host_state(path: Path) -> Arrays:
    return _within("host/", checkpoint.load(path)[0])
