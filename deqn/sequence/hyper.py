r"""The variational hyper recurrent network: latent variables that change the weights of recurrence and emission.

Two networks, theta and omega, say at every period by how much the rows of the primary network's matrices are scaled
and what is added ("Variational Hyper RNN for Sequence Modeling", eqs. 1-5 and the unnumbered gates of section 3):

    i, f, g, o = sigma, sigma, tanh, sigma of   d_i ∘ (W y) + d_h ∘ (U h_{t-1}) + b
    y = [phi_x(x_{t-1}), phi_z(z_{t-1})]
    c_t = f ∘ c_{t-1} + i ∘ g,    h_t = o ∘ tanh(c_t)
    (d_i, d_h, b) = head(LSTM_theta([phi_z(z_{t-1}), h_{t-1}]))
    each layer of the emission:  act( d ∘ (W y + bias) + b ),   (d, b) = omega([phi_z(z_t), h_t])

As a GRU, with three gates in place of four,

    z, r, g = sigma, sigma, tanh of   d_i ∘ (W y) + d_h ∘ (U h_{t-1}) + b,   in g with r ∘ h_{t-1} in place of h_{t-1}
    h_t = z ∘ h_{t-1} + (1 - z) ∘ g

The paper writes theta(z_t, h_{t-1}) for the step after z_t; here the recurrence runs before z_t is drawn, so theta sees
z_{t-1}: the same network with h counted from one period later. The paper leaves biases out; W and U have none of their
own here, b takes their place. That every d starts near 1 and every b near 0 (heads a tenth of Glorot's size) is ours.
"""

from __future__ import annotations

from typing import Any, Literal, final

import tensorflow as tf

from deqn.sequence.variational import Perceptron, VariationalRNN, glorot

_HEAD_SCALE = 0.1
_FORGET_BIAS = 1.0  # as that with which an LSTM starts
HyperInputs = Literal["both", "latent", "hidden"]


@final
class VHRNN(VariationalRNN):
    """The variational hyper recurrent network has the arguments of VariationalRNN, and two more.

    omega_width: hidden units of omega; 64 in the paper on real data, 12 gives the count of its Table 1.
    hyper_inputs: what theta and omega see (the paper's Table 3).
    """

    def __init__(
        self, *arguments: Any, omega_width: int = 12, hyper_inputs: HyperInputs = "both", **options: Any
    ) -> None:
        if hyper_inputs not in ("both", "latent", "hidden"):
            raise ValueError(f"hyper_inputs: got {hyper_inputs!r}, expected 'both', 'latent' or 'hidden'")
        if omega_width < 1:
            raise ValueError(f"omega_width: got {omega_width}, expected 1 or more")
        super().__init__(*arguments, **options)
        self.hyper_inputs = hyper_inputs
        latent, hidden, dtype = self.latent, self.hidden, self.dtype_policy
        gates = {"lstm": 4, "gru": 3}[self.kind] * hidden
        inputs = {"both": latent + hidden, "latent": latent, "hidden": hidden}[hyper_inputs]
        self.W = self.add_weight(shape=(2 * latent, gates), initializer=glorot(next(self.seeds)), name="W")
        self.U = self.add_weight(shape=(hidden, gates), initializer=glorot(next(self.seeds)), name="U")
        self.theta = self.recurrent_cell(inputs, "theta")
        self.head = Perceptron(hidden, [3 * gates], self.seeds, _HEAD_SCALE, name="head", dtype=dtype)
        self.rows = [layer.units for layer in self.emission.dense]
        widths = [omega_width, 2 * sum(self.rows)]
        self.omega = Perceptron(inputs, widths, self.seeds, _HEAD_SCALE, name="omega", dtype=dtype)

    def start(self, rows: int) -> dict[str, tf.Tensor]:
        return self.zeros(rows, [*self.memory, *(f"hyper_{name}" for name in self.memory)])

    def hyper_input(self, latent: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
        """Returns [rows, latent + hidden], or the part that `hyper_inputs` names."""
        parts = {"both": [latent, h], "latent": [latent], "hidden": [h]}
        return tf.concat(parts[self.hyper_inputs], axis=1)

    def recur(self, state: Any, previous: tf.Tensor) -> tuple[tf.Tensor, Any]:
        """Runs theta, then the primary cell with scaled rows."""
        inputs = self.hyper_input(state["latent"], state["h"])
        names = [f"hyper_{name}" for name in self.memory]
        hyper, after = self.theta(inputs, [state[name] for name in names])
        d_i, d_h, b = tf.split(self.head(hyper), 3, axis=1)
        of_inputs = (1 + d_i) * tf.matmul(tf.concat([previous, state["latent"]], axis=1), self.W)
        run = self._lstm if self.kind == "lstm" else self._gru
        now = run(state, of_inputs, 1 + d_h, b)
        return now["h"], now | dict(zip(names, after, strict=True))

    def _lstm(self, state: Any, of_inputs: tf.Tensor, d_h: tf.Tensor, b: tf.Tensor) -> dict[str, tf.Tensor]:
        """Gates are in the order i, f, g, o."""
        i, f, g, o = tf.split(of_inputs + d_h * tf.matmul(state["h"], self.U) + b, 4, axis=1)
        c = tf.sigmoid(f + _FORGET_BIAS) * state["c"] + tf.sigmoid(i) * tf.tanh(g)
        return {"h": tf.sigmoid(o) * tf.tanh(c), "c": c}

    def _gru(self, state: Any, of_inputs: tf.Tensor, d_h: tf.Tensor, b: tf.Tensor) -> dict[str, tf.Tensor]:
        """Gates are in the order z, r, g."""
        h, k = state["h"], 2 * self.hidden
        raw = (of_inputs + b)[:, :k] + d_h[:, :k] * tf.matmul(h, self.U[:, :k])
        z, r = tf.split(tf.sigmoid(raw), 2, axis=1)
        g = tf.tanh((of_inputs + b)[:, k:] + d_h[:, k:] * tf.matmul(r * h, self.U[:, k:]))
        return {"h": z * h + (1 - z) * g}

    def emit(self, latent: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
        """Runs the emission's perceptron; omega scales and shifts the rows of each layer."""
        changes = tf.split(self.omega(self.hyper_input(latent, h)), [n for n in self.rows for _ in range(2)], axis=1)
        y = tf.concat([latent, h], axis=1)
        for layer, d, b in zip(self.emission.dense, changes[::2], changes[1::2], strict=True):
            y = layer.activation((1 + d) * (tf.matmul(y, layer.kernel) + layer.bias) + b)
        return y
