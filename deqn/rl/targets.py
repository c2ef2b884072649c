"""Targets of temporal differences, and the networks that they are taken from."""

from __future__ import annotations

import keras
import tensorflow as tf


def td_target(reward: tf.Tensor, terminated: tf.Tensor, next_value: tf.Tensor, discount: float) -> tf.Tensor:
    """Returns the target for the value of each transition, [batch]; no gradient flows into it.

        y = r + gamma (1 - terminated) v(s')

    terminated: 1 where the world ended; a truncated transition has 0, for there v(s') is still to come.
    """
    return tf.stop_gradient(reward + discount * (1.0 - terminated) * next_value)


def move_towards(target: keras.Model, live: keras.Model, share: float) -> None:
    """Moves every weight: target <- (1 - share) target + share live."""
    for slow, fast in zip(target.weights, live.weights, strict=True):
        slow.assign(slow + share * (fast - slow))


def copy(target: keras.Model, live: keras.Model) -> None:
    """Copies every weight of the live network to the target."""
    for slow, fast in zip(target.weights, live.weights, strict=True):
        slow.assign(fast)
