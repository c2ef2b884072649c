"""Networks for l(X) = E[Y|X] and m(X) = E[T|X], cross-fitted: all of them one ensemble, trained side by side."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from deqn.mlp.ensemble import Ensemble
from deqn.mlp.normalization import normalization_of

from .data import Sample
from .parameters import Parameters

_ROWS = 500  # that are predicted at once, for memory


def folds_of(rows: int, folds: int, in_blocks: bool, generator: np.random.Generator) -> np.ndarray:
    """Returns the fold of each row, int [rows]; in_blocks: of rows that follow each other, for a series."""
    even = np.arange(rows) * folds // rows
    return even if in_blocks else generator.permutation(even)


class Nuisances:
    """For each repetition and target (Y, then each T) one network without each fold, and one that sees all rows.

    The members of the ensemble [repetitions, K + 1, 1 + p] in that order; the last of the K + 1 is the one that sees
    all. Inputs and targets are in standard deviations. A network never learns from its validation rows.
    samples: of equal size. folds: int [repetitions, n].
    """

    def __init__(self, samples: list[Sample], folds: np.ndarray, p: Parameters, seed: int, dtype: str) -> None:
        self.folds, self.batch, self.dtype = folds, p.batch, dtype
        self.K = int(folds.max()) + 1
        targets = np.stack([np.column_stack([s.outcome, s.treatments]) for s in samples])  # [R, n, 1 + p]
        self.centre, self.scale = targets.mean(axis=1, keepdims=True), targets.std(axis=1, keepdims=True)
        self.targets = targets
        repetitions, _, count = targets.shape
        x = np.stack([normalization_of(s.controls)(s.controls) for s in samples])
        self.x, self.y = tf.constant(x, dtype), tf.constant((targets - self.centre) / self.scale, dtype)
        self.shape = repetitions, self.K + 1, count
        self.ensemble = Ensemble(int(np.prod(self.shape)), x.shape[2], 1, p.hidden, p.activation, seed, dtype)
        generator = np.random.default_rng([seed, 5])
        seen = [
            [generator.permutation(np.flatnonzero(folds[r] != k)) for k in range(self.K + 1)]
            for r in range(repetitions)
        ]
        fewest = min(len(rows) for each in seen for rows in each)
        judging = max(round(p.validation_share * fewest), 1)
        kept = judging if p.stop_early else 0
        most = max(len(rows) for each in seen for rows in each) - kept
        train = np.array([[np.resize(rows[kept:], most) for rows in each] for each in seen])
        counts = np.array([[len(rows) - kept for rows in each] for each in seen])
        self.train = tf.constant(self._by_member(train), tf.int32)  # [members, most], of which the first `counts` count
        self.counts = tf.constant(self._by_member(counts), tf.int32)
        self.judging = tf.constant(self._by_member([[rows[:judging] for rows in each] for each in seen]), tf.int32)

    def _by_member(self, each: object) -> np.ndarray:
        """[repetitions, K + 1, ...] -> [members, ...], the same for all targets."""
        array = np.asarray(each)
        wide = np.broadcast_to(array[:, :, None], (*self.shape, *array.shape[2:]))
        return wide.reshape(-1, *array.shape[2:])

    def errors(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns squared errors in variances of the target; rows: int [members, batch] of the member's repetition."""
        repetitions, splits, count = self.shape
        per_repetition = tf.reshape(rows, [repetitions, -1])
        x = tf.reshape(tf.gather(self.x, per_repetition, axis=1, batch_dims=1), [*rows.shape, self.x.shape[2]])
        y = tf.gather(self.y, per_repetition, axis=1, batch_dims=1)
        y = tf.reshape(y, [repetitions, splits, count, -1, count])
        own = tf.reshape(tf.einsum("rsjbj->rsjb", y), rows.shape)
        return (self.ensemble(x)[:, :, 0] - own) ** 2

    def loss(self, key: tf.Tensor) -> tf.Tensor:
        """Returns the mean squared error of each network on rows drawn by the key, summed over networks."""
        uniform = tf.random.stateless_uniform([len(self.counts), self.batch], key, dtype=tf.float32)
        last = self.counts[:, None] - 1
        drawn = tf.minimum(tf.cast(uniform * tf.cast(self.counts[:, None], tf.float32), tf.int32), last)
        return tf.reduce_sum(tf.reduce_mean(self.errors(tf.gather(self.train, drawn, batch_dims=1)), axis=1))

    def validation_error(self) -> float:
        """Returns the mean squared error on the rows held back, in variances of the target, mean over networks."""
        return float(tf.reduce_mean(self.errors(self.judging)))

    def residuals(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns what is left of Y and T [repetitions, n, 1 + p]: cross-fitted, and by networks that saw all rows."""
        predicted = self.predicted()
        of_fold = np.take_along_axis(predicted, self.folds[:, None, :, None], axis=1)[:, 0]
        return self.targets - of_fold, self.targets - predicted[:, -1]

    def predicted(self) -> np.ndarray:
        """Returns what each network says of every row, [repetitions, K + 1, n, 1 + p]."""
        repetitions, splits, count = self.shape
        parts = []
        for at in range(0, self.x.shape[1], _ROWS):
            x = tf.repeat(self.x[:, at : at + _ROWS], splits * count, axis=0)
            shown = np.asarray(self.ensemble(x)[:, :, 0], float).reshape(repetitions, splits, count, -1)
            parts.append(np.moveaxis(shown, 2, 3))
        return np.concatenate(parts, axis=2) * self.scale[:, None] + self.centre[:, None]
