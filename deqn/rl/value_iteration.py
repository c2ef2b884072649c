r"""Dynamic programming on a grid (Bellman 1957; Stokey, Lucas & Prescott 1989, ch. 4).

    (T V)(k, z) = max over k' of  u(k, z, k') + beta sum_z' Pi[z, z'] V(k', z')

T is a contraction of modulus beta in the largest difference, so V <- T V converges from anywhere.

As training: with the loss 1/2 sum (V - T V)^2, T V held fixed, the gradient is V - T V, and one step of SGD with
learning rate 1 is V <- V - (V - T V) = T V.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from deqn.training.problem import Batch, Losses, Problem


class Program(NamedTuple):
    """A dynamic program of finite choice.

    rewards: [S, N, M], in shock z at grid point k of choosing number m; -inf where that is impossible.
    following: int [N, M], the grid point k' that a choice leads to, or None: choice m leads to point m.
    transition: [S, S], rows = from. discount: beta.
    """

    rewards: np.ndarray
    transition: np.ndarray
    discount: float
    following: np.ndarray | None = None


class ValueIteration(Problem):
    """The engine trains V on a grid as a variable. Final subclasses call `set_program`, and say their `results`."""

    def set_program(self, program: Program, dtype: str = "float64") -> None:
        """Sets the program; V begins at zero. Raises ValueError where no choice is possible."""
        if not np.isfinite(program.rewards.max(axis=2)).all():
            z, k = np.argwhere(~np.isfinite(program.rewards.max(axis=2)))[0]
            raise ValueError(f"rewards: no choice is possible in shock {z} at grid point {k}, expected one or more")
        self.program, self.dtype = program, dtype
        self.table = Table(program.rewards.shape[:2], dtype)
        self.networks = {"value": self.table}
        self._rewards = tf.constant(program.rewards, dtype)
        self._residual = tf.function(
            lambda: tf.reduce_max(tf.abs(self.bellman(self.table.value) - self.table.value)), jit_compile=True
        )

    def continuation(self, value: tf.Tensor) -> tf.Tensor:
        """Returns beta E[V(k', z') | z] of each choice: [S, 1 or N, M]."""
        expected = self.program.discount * tf.matmul(tf.constant(self.program.transition, self.dtype), value)  # [S, N]
        if self.program.following is None:
            return expected[:, None, :]
        return tf.gather(expected, self.program.following, axis=1)

    def bellman(self, value: tf.Tensor) -> tf.Tensor:
        """Returns T V, [S, N]."""
        return tf.reduce_max(self._rewards + self.continuation(value), axis=2)

    def choices(self) -> np.ndarray:
        """Returns the best choice at each point, [S, N]."""
        value = tf.convert_to_tensor(self.table.value)
        return tf.argmax(self._rewards + self.continuation(value), axis=2).numpy()

    # --- what the engine calls -------------------------------------------------------------------------------------

    def start(self, key: tf.Tensor) -> tf.Tensor:
        """Begins without a last largest difference."""
        return tf.constant(np.inf, self.dtype)

    def losses(self, batch: Batch, carry: tf.Tensor, key: tf.Tensor) -> Losses:
        """Returns the loss above; the record `contraction` is this update's largest difference over the last one's."""
        value = tf.convert_to_tensor(self.table.value)
        difference = value - tf.stop_gradient(self.bellman(value))
        largest = tf.reduce_max(tf.abs(difference))
        return Losses({"value": 0.5 * tf.reduce_sum(difference**2)}, largest, record={"contraction": largest / carry})

    def validate(self) -> Mapping[str, float]:
        """Returns the largest difference of V and T V; V is within it / (1 - beta) of the fixed point."""
        return {"bellman_max": float(self._residual())}

    def describe(self) -> Mapping[str, str]:
        shocks, points, choices = self.program.rewards.shape
        return {"grid": f"{points:,} points, {shocks} shocks, {choices:,} choices, {self.dtype}"}


class Table(keras.Model):
    """V itself, [S, N], as a network without inputs."""

    def __init__(self, shape: tuple[int, ...], dtype: str) -> None:
        super().__init__(dtype=dtype)
        self.value = self.add_weight(shape=shape, name="value", initializer="zeros")
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self.value + 0 * inputs
