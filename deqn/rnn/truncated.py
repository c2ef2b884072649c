"""Truncated back-propagation through time: long sequences in short pieces, with states handed from piece to piece.

Each update differentiates through one chunk of, say, 20 steps. The states with which a chunk begins are the engine's
carry: numbers that the update before has left, through which no gradient flows (Williams & Peng 1990).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from deqn.rnn.networks import States


class Chunk(NamedTuple):
    """A batch for the engine: a piece of each sequence.

    inputs, targets: [batch, length, ...]. valid: bool [batch, length], False at padding, which only a last chunk has.
    begins: bool [batch], whether the sequence begins here, so that its state is zero whatever was carried.
    """

    inputs: np.ndarray
    targets: np.ndarray
    valid: np.ndarray
    begins: np.ndarray


def chunks(inputs: np.ndarray, targets: np.ndarray, length: int, lengths: np.ndarray | None = None) -> Iterator[Chunk]:
    """Cuts sequences into pieces of `length` steps, in order; the last is padded, so that all have one shape.

    inputs, targets: [batch, time, ...]. lengths: valid steps of each sequence [batch]; all of them by default. What
    stands beyond them, be it NaN, becomes zero: masked, a NaN would still be one in the gradient.
    Raises ValueError if the two disagree, or `length` is below 1.
    """
    if inputs.shape[:2] != targets.shape[:2]:
        raise ValueError(f"targets: got shape {targets.shape}, expected {inputs.shape[:2]} to begin with, as inputs")
    if length < 1:
        raise ValueError(f"length: got {length}, expected 1 step or more")
    batch, time = inputs.shape[:2]
    lengths = np.full(batch, time) if lengths is None else np.asarray(lengths)
    if lengths.shape != (batch,) or lengths.min() < 1 or lengths.max() > time:
        raise ValueError(f"lengths: got {lengths.tolist()}, expected {batch} numbers from 1 to {time}")
    valid = np.arange(time) < lengths[:, None]
    inputs, targets = (_where(valid, each) for each in (inputs, targets))
    for begin in range(0, time, length):
        steps = np.arange(begin, begin + length)
        yield Chunk(
            _piece(inputs, begin, length),
            _piece(targets, begin, length),
            steps < lengths[:, None],
            np.full(batch, begin == 0),
        )


def _where(valid: np.ndarray, sequences: np.ndarray) -> np.ndarray:
    is_valid = valid.reshape(*valid.shape, *[1] * (sequences.ndim - 2))
    return np.where(is_valid, sequences, np.zeros([], sequences.dtype))


def _piece(sequences: np.ndarray, begin: int, length: int) -> np.ndarray:
    piece = sequences[:, begin : begin + length]
    missing = length - piece.shape[1]
    return np.pad(piece, [(0, 0), (0, missing)] + [(0, 0)] * (piece.ndim - 2))


def begun(states: States, begins: tf.Tensor) -> States:
    """Returns the carried states, with zeros where a sequence begins; begins: bool [batch]."""
    return tf.nest.map_structure(lambda state: tf.where(begins[:, None], tf.zeros_like(state), state), states)


def mean_of_valid(values: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    """Returns the mean of values [batch, time] over the steps that are no padding; zero if there is none."""
    share = tf.cast(valid, values.dtype)
    return tf.reduce_sum(values * share) / tf.maximum(tf.reduce_sum(share), 1)
