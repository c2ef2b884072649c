"""The forward algorithm of an HMM as the cell of a recurrent network."""

from __future__ import annotations

from typing import Any, final

import keras
import tensorflow as tf

from deqn.sequence.hmm import HMM


@final
class HMMCell(keras.layers.Layer):
    r"""A recurrent network that is the forward algorithm (Choe, Shin and Spencer 2017, proposition 6, with phi = id).

        h_t = f_{x_t}(h_{t-1}) / 1' f_{x_t}(h_{t-1}),   f_x(a) = D_x A' a,   D_x = diag(B[:, x])

    Its hidden state is the filter P(H_t | x_1..x_t) itself. Before the first observation the state is *predicted*, not
    filtered: it is pi, and A does not apply (the paper applies its V once too often there); so the state carried is
    the prediction A' h_t, and the output h_t.

    Inputs one-hot [batch, K]; output [batch, m]; state [batch, m]. In keras.layers.RNN. No weights to train.
    """

    def __init__(self, hmm: HMM, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.initial = tf.constant(hmm.initial, self.compute_dtype)
        self.transition = tf.constant(hmm.transition, self.compute_dtype)
        self.emission = tf.constant(hmm.emission, self.compute_dtype)
        self.state_size = self.output_size = hmm.states

    def get_initial_state(self, batch_size: int | None = None) -> tf.Tensor:
        return tf.tile(self.initial[None, :], [batch_size, 1])

    def call(self, inputs: tf.Tensor, states: list[tf.Tensor], training: bool = False) -> tuple[tf.Tensor, list]:
        """Takes one observation; a padded one (all zeros) is to be masked, for it has no symbol."""
        (predicted,) = states
        joint = predicted * tf.matmul(inputs, self.emission, transpose_b=True)
        filtered = joint / tf.reduce_sum(joint, axis=1, keepdims=True)
        return filtered, [tf.matmul(filtered, self.transition)]
