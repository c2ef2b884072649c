"""Bounds that a network's output can leave again."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf


def bounded(x: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """Cuts x off at bounds; where it lies beyond one, the gradient that leads back passes.

    `tf.clip_by_value` and `tf.maximum` have a gradient of zero there, so that an output which has once left its bounds
    never learns anything more. Here only the gradient is dropped whose descent would lead still further out.
    """

    @tf.custom_gradient
    def cut(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            leads_out = ((x < low) & (upstream > 0)) | ((x > high) & (upstream < 0))  # descent goes against it
            return tf.where(leads_out, tf.zeros_like(upstream), upstream)

        return tf.clip_by_value(x, low, high), gradient

    return cut(x)
