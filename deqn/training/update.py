"""One update as a compiled function: losses, gradients, optimisers, what follows, and the tally of an episode."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from deqn.training.problem import Batch, Carry, Problem
from deqn.workers.workers import Workers


class Tally(NamedTuple):
    """What a call of several updates reports.

    sums: of each loss and record over the updates, by name; one vector until the call ends. largest_loss: the largest
    sum of losses. skipped: updates not applied because loss or gradient was not finite. first_bad: the update whose
    loss was not finite, with which the call ended, or -1.
    """

    sums: Any
    largest_loss: tf.Tensor
    skipped: tf.Tensor
    first_bad: tf.Tensor


class Evaluation(NamedTuple):
    """What one update looks at before it changes anything.

    total: the sum of the losses. gradients: in the order of `trainable`. values: of losses and records, as one vector.
    carry: that of the next update.
    """

    total: tf.Tensor
    gradients: list[tf.Tensor]
    values: tf.Tensor
    carry: Carry


class Message(NamedTuple):
    """An Evaluation with the sum of losses and the gradients in one vector, as ranks exchange it."""

    vector: tf.Tensor
    values: tf.Tensor
    carry: Carry


Evaluate = Callable[[Batch, Carry, tf.Tensor], Evaluation]
Apply = Callable[[Evaluation, tf.Tensor, Tally], Tally]
Advance = Callable[[Batch, Carry, tf.Tensor, tf.Tensor], tuple[Carry, Tally]]


def update_key(seed: int, rank: int, update: tf.Tensor) -> tf.Tensor:
    """The stateless key, int32 [2], of one update on one worker; inside XLA it is another one than outside."""
    key = tf.random.experimental.stateless_fold_in(tf.constant([seed, 0], tf.int32), rank)
    return tf.random.experimental.stateless_fold_in(key, tf.cast(update, tf.int32))


def make_advance(
    problem: Problem,
    optimizers: Mapping[str, keras.optimizers.Optimizer],
    seed: int,
    workers: Workers,
    example: Any,
    local_updates: int = 1,
) -> Advance:
    """The function (batch, carry, first update, number of updates) -> (carry, tally) for one phase.

    optimizers: built, one for each loss.
    example: a (batch, carry) of the shapes to come, from which the names of losses and records are read.
    local_updates: between two exchanges of several ranks. After one they average gradients; after more, weights.
    """
    names = _names(problem, example)
    dtype = names.pop("")
    no_updates = Tally(tf.zeros([len(names)], dtype), tf.constant(-np.inf, dtype), tf.constant(0), tf.constant(-1))

    def evaluate(batch: Batch, carry: Carry, update: tf.Tensor) -> Evaluation:
        with tf.GradientTape(persistent=len(problem.trainable) > 1) as tape:
            losses = problem.losses(batch, carry, update_key(seed, workers.rank, update))
        total = tf.add_n([tf.cast(loss, dtype) for loss in losses.minimize.values()])
        values = {"loss": total, **losses.minimize, **losses.record}
        stacked = tf.stack([tf.cast(values[name], dtype) for name in names])
        return Evaluation(total, _gradients(tape, losses.minimize, problem), stacked, losses.carry)

    def apply(evaluation: Evaluation, update: tf.Tensor, tally: Tally) -> Tally:
        """Changes the variables if loss and gradients are finite; returns the tally with this update in it."""
        loss_finite = tf.math.is_finite(evaluation.total)
        finite = tf.logical_and(loss_finite, tf.math.is_finite(tf.linalg.global_norm(evaluation.gradients)))

        def change_variables() -> tf.Tensor:
            left = iter(evaluation.gradients)
            for name, group in problem.trainable.items():
                optimizers[name].apply([next(left) for _ in group], list(group))
            problem.after_update()
            return tf.constant(0)

        return Tally(
            tally.sums + evaluation.values,
            tf.maximum(tally.largest_loss, evaluation.total),
            tally.skipped + tf.cond(finite, change_variables, lambda: tf.constant(1)),
            tf.where(loss_finite, tally.first_bad, update),
        )

    several = workers.size > 1
    make_updates = _on_one_rank(evaluate, apply, no_updates)
    if several and local_updates == 1:
        make_updates = _on_several_ranks(evaluate, apply, no_updates, problem, workers)
    elif several:
        make_updates = _averaging_weights(make_updates, no_updates, problem, optimizers, workers, local_updates)

    def advance(batch: Batch, carry: Carry, update: tf.Tensor, count: tf.Tensor) -> tuple[Carry, Tally]:
        carry, tally = make_updates(batch, carry, update, count)
        return carry, tally._replace(sums=dict(zip(names, tf.unstack(tally.sums), strict=True)))

    # Without AutoGraph the update is traced in half the time, and errors show the problem's own lines.
    return tf.function(advance, jit_compile=problem.compiler == "xla" and not several, autograph=False)


def _on_one_rank(evaluate: Evaluate, apply: Apply, no_updates: Tally) -> Advance:
    """Makes updates one after the other."""

    def make_updates(batch: Batch, carry: Carry, update: tf.Tensor, count: tf.Tensor) -> tuple[Carry, Tally]:
        def one(i: tf.Tensor, carry: Carry, tally: Tally) -> tuple[tf.Tensor, Carry, Tally]:
            evaluation = evaluate(batch, carry, update + i)
            tally = apply(evaluation, update + i, tally)
            return i + 1, _unless_bad(tally, evaluation.carry, carry), tally

        # A loss that is not finite ends the call: weights and carry are then still those that made it.
        _, carry, tally = tf.while_loop(_goes_on(count), one, (tf.constant(0), carry, no_updates))
        return carry, tally

    return make_updates


def _on_several_ranks(
    evaluate: Evaluate, apply: Apply, no_updates: Tally, problem: Problem, workers: Workers
) -> Advance:
    """Makes updates with one exchange between ranks in each.

    XLA can't compile an exchange between processes, but it can compile what stands between two exchanges: the end of
    an update and the evaluation of the next. Each call of a compiled function costs half a millisecond, so these two
    are one function.
    """
    like = [variable for group in problem.trainable.values() for variable in group]
    total = tf.TensorSpec([], no_updates.sums.dtype)

    def compiled(piece: Callable) -> Callable:
        return tf.function(piece, jit_compile=problem.compiler == "xla", autograph=False)

    def begin(batch: Batch, carry: Carry, update: tf.Tensor) -> Message:
        evaluation = evaluate(batch, carry, update)
        # The loss is averaged, too: all ranks must decide alike whether an update counts.
        vector = _pack([evaluation.total, *evaluation.gradients])
        return Message(vector, evaluation.values, evaluation.carry)

    def end(mean: tf.Tensor, values: tf.Tensor, update: tf.Tensor, tally: Tally) -> Tally:
        loss, *gradients = _unpack(mean, [total, *like])
        return apply(Evaluation(loss, gradients, values, ()), update, tally)

    @compiled
    def between(
        mean: tf.Tensor, values: tf.Tensor, update: tf.Tensor, tally: Tally, batch: Batch, carry: Carry
    ) -> tuple[Tally, Message]:
        tally = end(mean, values, update, tally)
        return tally, begin(batch, carry, update + 1)

    first, last = compiled(begin), compiled(end)

    def make_updates(batch: Batch, carry: Carry, update: tf.Tensor, count: tf.Tensor) -> tuple[Carry, Tally]:
        def one(i: tf.Tensor, carry: Carry, tally: Tally, before: Carry, sent: Message) -> Any:
            mean = workers.average(sent.vector)
            tally, following = between(mean, sent.values, update + i, tally, batch, sent.carry)
            return i + 1, sent.carry, tally, carry, following

        i, carry, tally, before, sent = tf.while_loop(
            _goes_on(count - 1), one, (tf.constant(0), carry, no_updates, carry, first(batch, carry, update))
        )

        def ended() -> tuple[Carry, Tally]:
            after = last(workers.average(sent.vector), sent.values, update + i, tally)
            return _unless_bad(after, sent.carry, carry), after

        return tf.cond(tally.first_bad < 0, ended, lambda: (before, tally))

    return make_updates


def _averaging_weights(
    alone: Advance,
    no_updates: Tally,
    problem: Problem,
    optimizers: Mapping[str, keras.optimizers.Optimizer],
    workers: Workers,
    local_updates: int,
) -> Advance:
    """Makes `local_updates` updates on each rank alone, then averages what ranks have (local SGD: Stich 2019, ICLR).

    Averaged are all networks, and what the optimisers remember of gradients (Yu, Jin & Yang 2019, ICML), so that after
    an exchange all ranks are the same, and a checkpoint of one is one of all.
    """
    networks = [each for network in problem.networks.values() for each in network.weights]
    kept = [each for optimizer in optimizers.values() for each in optimizer.variables]
    shared = [each for each in [*networks, *kept] if tf.as_dtype(each.dtype).is_floating]
    compiled = tf.function(alone, jit_compile=problem.compiler == "xla", autograph=False)

    def make_updates(batch: Batch, carry: Carry, update: tf.Tensor, count: tf.Tensor) -> tuple[Carry, Tally]:
        def one(i: tf.Tensor, carry: Carry, tally: Tally) -> tuple[tf.Tensor, Carry, Tally]:
            number = tf.minimum(local_updates, count - i)
            carry, now = compiled(batch, carry, update + i, number)
            # Whether a loss was no number on any rank: all ranks must end the call alike.
            bad = tf.cast(now.first_bad >= 0, no_updates.sums.dtype)
            values = [tf.convert_to_tensor(each) for each in shared]
            some, *means = _unpack(workers.average(_pack([bad, *values])), [bad, *values])
            for variable, mean in zip(shared, means, strict=True):
                variable.assign(mean)
            first_bad = tf.where(some > 0, tf.maximum(now.first_bad, update + i), -1)
            largest, skipped = tf.maximum(tally.largest_loss, now.largest_loss), tally.skipped + now.skipped
            return i + number, carry, Tally(tally.sums + now.sums, largest, skipped, first_bad)

        _, carry, tally = tf.while_loop(_goes_on(count), one, (tf.constant(0), carry, no_updates))
        return carry, tally

    return make_updates


def _goes_on(count: tf.Tensor) -> Callable:
    return lambda i, carry, tally, *_: tf.logical_and(i < count, tally.first_bad < 0)


def _unless_bad(tally: Tally, after: Carry, before: Carry) -> Carry:
    return tf.nest.map_structure(lambda new, old: tf.where(tally.first_bad < 0, new, old), after, before)


def _pack(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    """All tensors in one vector, of the widest of their types: one exchange costs less than one for each."""
    widest = tf.as_dtype(functools.reduce(np.promote_types, [tensor.dtype.as_numpy_dtype for tensor in tensors]))
    return tf.concat([tf.cast(tf.reshape(tensor, [-1]), widest) for tensor in tensors], axis=0)


def _unpack(vector: tf.Tensor, like: Sequence[Any]) -> list[tf.Tensor]:
    """The tensors of a packed vector, with the shapes and types of others."""
    parts = tf.split(vector, [math.prod(each.shape) for each in like])
    return [tf.cast(tf.reshape(part, each.shape), each.dtype) for part, each in zip(parts, like, strict=True)]


def diagnose(problem: Problem, batch: Batch, carry: Carry, seed: int, rank: int, update: int) -> str | None:
    """The first condition with an error that is not finite, and at which of its entries; None without `detail`."""

    # Compiled as the update is: from the same key XLA draws other random numbers than TensorFlow outside of it.
    @tf.function(jit_compile=problem.compiler == "xla", autograph=False)
    def detail(batch: Batch, carry: Carry, update: tf.Tensor) -> Mapping[str, tf.Tensor]:
        return problem.losses(batch, carry, update_key(seed, rank, update)).detail

    shown = detail(batch, carry, tf.constant(update))
    for condition, errors in shown.items():
        bad = ~np.isfinite(errors.numpy())
        if bad.any():
            where = ""
            if bad.ndim > 1:
                first = np.argwhere(bad.any(axis=0))[0] + 1
                where = f", first at entry {', '.join(map(str, first))} of {' x '.join(map(str, bad.shape[1:]))}"
            return f"condition {condition!r} is not finite{where} ({bad.mean():.1%} of its values)"
    return None


def _names(problem: Problem, example: Any) -> dict[str, Any]:
    """The names of all scalars that `losses` reports, and under "" their type; checks the shape of the answer."""
    batch, carry = example
    key = tf.constant([0, 0], tf.int32)
    shown = tf.function(problem.losses, autograph=False).get_concrete_function(batch, carry, key).structured_outputs
    if set(shown.minimize) != set(problem.trainable):
        raise ValueError(
            f"{type(problem).__name__}.losses minimises {sorted(shown.minimize)}, expected one loss for each entry of "
            f"trainable: {sorted(problem.trainable)}"
        )
    tf.nest.assert_same_structure(shown.carry, carry)
    for after, before in zip(tf.nest.flatten(shown.carry), tf.nest.flatten(carry), strict=True):
        if after.shape != before.shape or after.dtype != before.dtype:
            raise ValueError(
                f"{type(problem).__name__}.losses: a carry of {before.dtype.name} {before.shape} came back as "
                f"{after.dtype.name} {after.shape}, expected the same shape and type"
            )
    scalars = {"loss": None, **dict.fromkeys(shown.minimize), **dict.fromkeys(shown.record)}
    return {**scalars, "": next(iter(shown.minimize.values())).dtype}


def _gradients(tape: tf.GradientTape, minimize: Mapping[str, tf.Tensor], problem: Problem) -> list[tf.Tensor]:
    """The gradients of all losses, in the order of `trainable`."""
    gradients = []
    for name, variables in problem.trainable.items():
        found = tape.gradient(minimize[name], list(variables))
        unused = [v.path for v, g in zip(variables, found, strict=True) if g is None]
        if unused:
            raise ValueError(
                f"loss {name!r} does not depend on {', '.join(unused)}: leave these out of trainable, or use them"
            )
        gradients += [tf.convert_to_tensor(gradient) for gradient in found]
    return gradients
