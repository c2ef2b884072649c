"""One update as a compiled function: losses, gradients, optimisers, what follows, and the tally of an episode."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from deqn.training.problem import Batch, Carry, Losses, Problem
from deqn.training.workers import Workers


class Tally(NamedTuple):
    """What a call of several updates reports.

    sums: of each loss and record over the updates. largest_loss: the largest sum of losses. skipped: updates not
    applied because loss or gradient was not finite. first_bad: the update whose loss was not finite, with which the
    call ended, or -1.
    """

    sums: Mapping[str, tf.Tensor]
    largest_loss: tf.Tensor
    skipped: tf.Tensor
    first_bad: tf.Tensor


Advance = Callable[[Batch, Carry, tf.Tensor, tf.Tensor], tuple[Carry, Tally]]


def update_key(seed: int, rank: int, update: tf.Tensor) -> tf.Tensor:
    """The stateless key, int32 [2], of one update on one worker; another one inside XLA than outside of it."""
    key = tf.random.experimental.stateless_fold_in(tf.constant([seed, 0], tf.int32), rank)
    return tf.random.experimental.stateless_fold_in(key, tf.cast(update, tf.int32))


def make_advance(
    problem: Problem, optimizers: Mapping[str, keras.optimizers.Optimizer], seed: int, workers: Workers, example: Any
) -> Advance:
    """The function (batch, carry, first update, number of updates) -> (carry, tally) for one phase.

    optimizers: built, one for each loss.
    example: a (batch, carry) of the shapes to come, from which the names of losses and records are read.
    """
    names = _names(problem, example)
    dtype = names.pop("")

    def look(batch: Batch, carry: Carry, update: tf.Tensor) -> tuple[Losses, dict[str, list]]:
        with tf.GradientTape(persistent=len(problem.trainable) > 1) as tape:
            losses = problem.losses(batch, carry, update_key(seed, workers.rank, update))
        return losses._replace(detail={}), _gradients(tape, losses.minimize, problem)

    def change(total: tf.Tensor, gradients: list[list[tf.Tensor]]) -> tf.Tensor:
        """Applies the averaged gradients if all is finite; 1 if not."""
        norm = tf.linalg.global_norm(tf.nest.flatten(gradients))
        finite = tf.logical_and(tf.math.is_finite(total), tf.math.is_finite(norm))

        def apply() -> tf.Tensor:
            for (name, variables), group in zip(problem.trainable.items(), gradients, strict=True):
                optimizers[name].apply(group, list(variables))
            problem.after_update()
            return tf.constant(0)

        return tf.cond(finite, apply, lambda: tf.constant(1))

    xla = problem.compiler == "xla"
    if workers.size > 1:
        # XLA can't compile an exchange between processes: it compiles what stands before and what follows.
        look, change = (tf.function(piece, jit_compile=xla, autograph=False) for piece in (look, change))

    def one(batch: Batch, carry: Carry, update: tf.Tensor, tally: Tally) -> tuple[Carry, Tally]:
        losses, gradients = look(batch, carry, update)
        total = tf.add_n([tf.cast(loss, dtype) for loss in losses.minimize.values()])
        # The loss is averaged, too: all workers must decide alike whether an update counts.
        total, *averaged = workers.average([total, *_flatten(gradients)])
        skipped = change(total, _unflatten(averaged, gradients))
        loss_finite = tf.math.is_finite(total)
        carry = tf.nest.map_structure(lambda new, old: tf.where(loss_finite, new, old), losses.carry, carry)
        values = {"loss": total, **losses.minimize, **losses.record}
        return carry, Tally(
            {name: tally.sums[name] + tf.cast(values[name], dtype) for name in names},
            tf.maximum(tally.largest_loss, total),
            tally.skipped + skipped,
            tf.where(loss_finite, tally.first_bad, update),
        )

    def advance(batch: Batch, carry: Carry, update: tf.Tensor, count: tf.Tensor) -> tuple[Carry, Tally]:
        zero, lowest = tf.zeros([], dtype), tf.constant(-np.inf, dtype)
        tally = Tally(dict.fromkeys(names, zero), lowest, tf.constant(0), tf.constant(-1))
        # A loss that is not finite ends the call: weights and carry are then still those that made it.
        _, carry, tally = tf.while_loop(
            lambda i, _, tally: tf.logical_and(i < count, tally.first_bad < 0),
            lambda i, carry, tally: (i + 1, *one(batch, carry, update + i, tally)),
            (tf.constant(0), carry, tally),
        )
        return carry, tally

    # Without AutoGraph the update is traced in half the time, and errors show the problem's own lines.
    return tf.function(advance, jit_compile=xla and workers.size == 1, autograph=False)


def diagnose(problem: Problem, batch: Batch, carry: Carry, seed: int, rank: int, update: int) -> str | None:
    """The first condition and age group whose error is not finite, or None if the problem's `detail` does not say."""

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
                age = int(np.argmax(bad.reshape(-1, bad.shape[-1]).any(axis=0)))
                where = f", first at age group {age + 1} of {bad.shape[-1]}"
            return f"condition {condition!r} is not finite{where} ({bad.mean():.1%} of its entries)"
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


def _gradients(tape: tf.GradientTape, minimize: Mapping[str, tf.Tensor], problem: Problem) -> dict[str, list]:
    gradients = {}
    for name, variables in problem.trainable.items():
        gradients[name] = tape.gradient(minimize[name], list(variables))
        unused = [v.path for v, g in zip(variables, gradients[name], strict=True) if g is None]
        if unused:
            raise ValueError(
                f"loss {name!r} does not depend on {', '.join(unused)}: leave these out of trainable, or use them"
            )
    return gradients


def _flatten(gradients: Mapping[str, list]) -> list[tf.Tensor]:
    return [tf.convert_to_tensor(g) for group in gradients.values() for g in group]


def _unflatten(flat: list[tf.Tensor], like: Mapping[str, list]) -> list[list[tf.Tensor]]:
    values = iter(flat)
    return [[next(values) for _ in group] for group in like.values()]
