"""Recurrent networks of Keras layers: stacked, in one direction or both, with masks and states that can be carried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import keras
import tensorflow as tf

from deqn.rnn.cells import cell_named

States = tuple[tuple[tf.Tensor, ...], ...]  # of each layer, each [batch, units]; h comes first

_LAYERS = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}


@final
class Recurrent(keras.Model):
    """Stacked recurrent layers and a linear readout: [batch, time, inputs] -> [batch, time, outputs].

        h^(1)_t = cell(x_t, h^(1)_{t-1}),   h^(l)_t = cell(h^(l-1)_t, h^(l)_{t-1}),   y_t = h^(L)_t V + c

    cell: rnn, lstm or gru, as `deqn.rnn.cells` writes them. units: of each layer. bidirectional: a second layer reads
    backwards and both h are joined, so that y_t knows what follows t; such a network can't decide, forecast or sample.
    seed: of the initial weights (Glorot for W and V, orthogonal for U, forget gates at 1).
    Raises ValueError for another cell, or units that are not positive.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        cell: str,
        units: Sequence[int],
        seed: int,
        dtype: str = "float32",
        bidirectional: bool = False,
    ) -> None:
        super().__init__(dtype=dtype)
        self.supports_masking = True
        self.states_of_layer = cell_named(cell).states
        if not units or min(units) < 1:
            raise ValueError(f"units: got {list(units)}, expected one or more positive numbers, one for each layer")
        self.units, self.bidirectional = tuple(units), bidirectional
        self.layers_recurrent = [
            _layer(cell, width, 1000 * seed + 10 * number, dtype, bidirectional) for number, width in enumerate(units)
        ]
        initializer = keras.initializers.GlorotUniform(seed=1000 * seed + 10 * len(units))
        self.readout = keras.layers.Dense(outputs, kernel_initializer=initializer, dtype=dtype, name="readout")
        self(tf.zeros([1, 1, inputs], dtype))

    def call(self, inputs: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Returns [batch, time, outputs]; mask: bool [batch, time], False at padding.

        Outputs at padding mean nothing; those elsewhere don't depend on it.
        """
        return self.readout(self._run(inputs, mask, None)[0])

    def last(self, inputs: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the output after the last valid step, [batch, outputs]; of both directions' ends, if two."""
        states = self._run(inputs, mask, None)[1][-1]
        return self.readout(tf.concat(states[:: self.states_of_layer], axis=-1))

    def zero_states(self, batch: int) -> States:
        """Returns the states before the first step."""
        zeros = [tf.zeros([batch, width], self.compute_dtype) for width in self.units]
        return tuple((zero,) * self.states_of_layer for zero in zeros)

    def advance(self, inputs: tf.Tensor, states: States, mask: tf.Tensor | None = None) -> tuple[tf.Tensor, States]:
        """Goes on from `states`; returns outputs [batch, time, outputs] and the states after the last valid step.

        The form for decisions and samples, a period at a time, and for truncated back-propagation, a chunk at a time.
        Raises ValueError if the network reads backwards, for then what follows would decide about today.
        """
        if self.bidirectional:
            raise ValueError(
                "bidirectional: got a network that reads its inputs backwards too, expected one that knows only the "
                "past: a policy, a forecast or a sample can't use what comes later; make it with bidirectional=False"
            )
        hidden, states = self._run(inputs, mask, states)
        return self.readout(hidden), states

    def _run(self, inputs: tf.Tensor, mask: tf.Tensor | None, states: States | None) -> tuple[tf.Tensor, States]:
        x, ends = inputs, []
        for number, layer in enumerate(self.layers_recurrent):
            begin = None if states is None else list(states[number])
            x, *end = layer(x, mask=mask, initial_state=begin)
            ends.append(tuple(end))
        return x, tuple(ends)


def _layer(cell: str, units: int, seed: int, dtype: str, bidirectional: bool) -> keras.layers.Layer:
    def one(seed: int, **more: Any) -> keras.layers.Layer:
        return _LAYERS[cell](
            units,
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed),
            recurrent_initializer=keras.initializers.Orthogonal(seed=seed + 1),
            return_sequences=True,
            return_state=True,
            dtype=dtype,
            **({"reset_after": False} if cell == "gru" else {}),
            **more,
        )

    if not bidirectional:
        return one(seed)
    return keras.layers.Bidirectional(one(seed), backward_layer=one(seed + 2, go_backwards=True), dtype=dtype)
