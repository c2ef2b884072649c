"""Two optimisers of Keras 3.15 that do not do with TensorFlow what their documentation says; used in their place."""

from __future__ import annotations

import math
from typing import final

import keras
import tensorflow as tf


@final
class ScheduleFreeAdamW(keras.optimizers.ScheduleFreeAdamW):
    """Schedule-Free AdamW with equal weights (Defazio et al. 2024, algorithm 1).

    The gradient is taken at y = (1 - beta_1) z + beta_1 x, which the variables hold; z are Adam's steps without
    momentum, x their average, which is meant for use (`optimizers.use_averages`). Keras forms x from the z that has
    already moved (in TensorFlow its `momentum_old` is the variable, no copy), so that there y is the plain average of
    z: see test_a_schedule_free_optimiser_is_read_at_its_average_and_trains_on_from_where_it_was.
    """

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        """One step of one variable."""
        index, dtype = self._get_variable_index(variable), variable.dtype
        z, velocity, beta_1, beta_2 = self._momentums[index], self._velocities[index], self.beta_1, self.beta_2
        step = tf.cast(self.iterations + 1, dtype)
        rate = tf.cast(learning_rate, dtype) * tf.minimum(step / max(self.warmup_steps, 1), 1.0)
        x = (variable - (1.0 - beta_1) * z) / beta_1
        velocity.assign(beta_2 * velocity + (1.0 - beta_2) * gradient**2)
        root = tf.sqrt(velocity / (1.0 - tf.cast(beta_2, dtype) ** step))
        z.assign(z - rate * gradient / (root + self.epsilon))
        x = (1.0 - 1.0 / step) * x + z / step
        variable.assign((1.0 - beta_1) * z + beta_1 * x)

    def average(self, variable: keras.Variable) -> tf.Tensor:
        """The average x, in the place of a variable."""
        z = self._momentums[self._get_variable_index(variable)]
        return (variable - (1.0 - self.beta_1) * z) / self.beta_1


@final
class Muon(keras.optimizers.Muon):
    """Muon for variables of any floating type: Keras's scale of a step is float32 and fails beside float64."""

    def lr_adjust(self, x: tf.Tensor) -> tf.Tensor:
        """x times the square root of its longer side, times rms_rate (Liu et al. 2025, arXiv:2502.16982)."""
        if self.rms_rate is None:
            return x
        return x * tf.cast(math.sqrt(max(x.shape)), x.dtype) * self.rms_rate
