r"""The variational recurrent network, and the parts that it shares with the hyper network.

With h_t from x_<t and z_<t (the indices of Maddison et al. 2017, whose code it is wired like; Chung et al. 2015 call it
h_{t-1}):

    h_t = cell([phi_x(x_{t-1}), phi_z(z_{t-1})], h_{t-1}),   x_0 = 0,   phi_z(z_0) = 0
    p(z_t | h_t)      = N(mu_p, sigma_p),          (mu_p, raw) = prior(h_t)
    q(z_t | x_t, h_t) = N(mu_p + mu, sigma_q),     (mu, raw) = posterior([h_t, phi_x(x_t)])
    p(x_t | z_t, h_t) : emission([phi_z(z_t), h_t])

sigma = softplus(raw + bias). Every part is a perceptron with ReLUs whose hidden layers are as wide as z; the cell is an
LSTM, or a GRU, whose weights are three quarters of an LSTM's.
"""

from __future__ import annotations

import abc
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, final

import keras
import numpy as np
import tensorflow as tf

from deqn.sequence.gaussian import bernoulli_log_density, mean_and_sigma, normal_divergence, normal_log_density
from deqn.sequence.latent import LatentSequence, Step

# FIVO's default. Without it softplus starts near ln 2 all the same; it keeps sigma from shrinking in the first updates.
_RAW_SIGMA_BIAS = 0.25
_SIGMA_MIN_LATENT = 1e-4
_RELU_BIAS = 0.1
_LARGEST_MEAN = 0.9999  # of a binary component in the training data, before its log odds are taken


class Data(NamedTuple):
    """Facts about the data that a network needs before training.

    size: features d. emission: of x_t given z_t. center, scale: [d] of the training set; the network sees
    (x - center) / scale, and a Gaussian emission is in these units, too. sigma_min: least standard deviation of a
    Gaussian emission in these units; binary data take no scale, and their emission starts at the log odds of `center`.
    """

    size: int
    emission: Literal["gaussian", "bernoulli"] = "gaussian"
    center: Sequence[float] | float = 0.0
    scale: Sequence[float] | float = 1.0
    sigma_min: float = 1e-3

    @property
    def outputs(self) -> int:
        """Returns how many numbers describe the distribution of x_t."""
        return 2 * self.size if self.emission == "gaussian" else self.size


class _Kind(NamedTuple):
    """A kind of recurrent cell: Keras's layer, options of it, and what it carries."""

    layer: Any
    options: dict[str, Any]
    memory: tuple[str, ...]


_CELLS = {
    "lstm": _Kind(keras.layers.LSTMCell, {}, ("h", "c")),
    "gru": _Kind(keras.layers.GRUCell, {"reset_after": False}, ("h",)),
}


class Perceptron(keras.layers.Layer):
    """Dense layers, ReLU on all but the last.

    ReLU layers start from He's uniform distribution with biases of .1. From Glorot's with biases of 0, as in FIVO's
    code, a layer of four units often starts with one that is never positive, and so learns nothing.
    """

    def __init__(
        self, inputs: int, widths: Sequence[int], seeds: Iterator[int], last_scale: float = 1.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.dense = []
        for number, width in enumerate(widths, 1):
            last = number == len(widths)
            layer = keras.layers.Dense(
                width,
                activation=None if last else "relu",
                kernel_initializer=(
                    glorot(next(seeds), last_scale) if last else keras.initializers.HeUniform(next(seeds))
                ),
                bias_initializer=keras.initializers.Constant(0.0 if last else _RELU_BIAS),
                dtype=self.dtype_policy,
            )
            layer.build((None, inputs))
            self.dense.append(layer)
            inputs = width
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        for layer in self.dense:
            x = layer(x)
        return x


def glorot(seed: int, scale: float = 1.0) -> keras.initializers.Initializer:
    """Returns Glorot's uniform distribution, times `scale`."""
    return keras.initializers.VarianceScaling(scale**2, mode="fan_avg", distribution="uniform", seed=seed)


class VariationalRNN(LatentSequence):
    """A recurrent network with latent variables; a subclass adds its recurrence and emission.

    latent, hidden: sizes of z and h. layers: hidden layers of each perceptron. seed: of the weights.
    build_unused_reverse: adds the cell over the reversed data that FIVO's code builds for a smoothing proposal and
    never uses with this one; the parameter counts of the paper on VHRNN include it. cell: lstm or gru, as
    `deqn.rnn.cells` writes them.
    """

    memory: tuple[str, ...]  # the names of the states that the cell carries: h and c, or h alone

    def __init__(
        self,
        data: Data,
        latent: int,
        hidden: int,
        layers: int,
        seed: int,
        build_unused_reverse: bool = True,
        dtype: str = "float32",
        cell: Literal["lstm", "gru"] = "lstm",
    ) -> None:
        super().__init__(dtype=dtype)
        if cell not in _CELLS:
            raise ValueError(f"cell: got {cell!r}, expected 'lstm' or 'gru'")
        self.kind, self.memory = cell, _CELLS[cell].memory
        sizes = {"data.size": data.size, "latent": latent, "hidden": hidden, "layers": layers}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name}: got {size}, expected 1 or more")
        self.data, self.latent, self.hidden = data, latent, hidden
        self.center = np.broadcast_to(np.asarray(data.center, dtype), data.size)
        self.scale = np.broadcast_to(np.asarray(data.scale, dtype), data.size)
        if data.emission == "bernoulli":
            mean = np.clip(self.center, 1 - _LARGEST_MEAN, _LARGEST_MEAN)
            self.log_odds = np.log(mean / (1 - mean))
        self.seeds = itertools.count(1000 * seed)
        widths = [latent] * layers
        self.phi_x = Perceptron(data.size, [*widths, latent], self.seeds, name="phi_x", dtype=dtype)
        self.phi_z = Perceptron(latent, [*widths, latent], self.seeds, name="phi_z", dtype=dtype)
        self.prior = Perceptron(hidden, [*widths, 2 * latent], self.seeds, name="prior", dtype=dtype)
        both = latent + hidden
        self.posterior = Perceptron(both, [*widths, 2 * latent], self.seeds, name="posterior", dtype=dtype)
        self.emission = Perceptron(both, [*widths, data.outputs], self.seeds, name="emission", dtype=dtype)
        self.reverse = self.recurrent_cell(latent, "reverse") if build_unused_reverse else None
        self.built = True

    @abc.abstractmethod
    def recur(self, state: Any, previous: tf.Tensor) -> tuple[tf.Tensor, Any]:
        """Returns h_t [rows, hidden] and the state to carry; state["latent"] is phi_z(z_{t-1})."""

    @abc.abstractmethod
    def emit(self, latent: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
        """Returns the numbers of the distribution of x_t, [rows, data.outputs]; latent is phi_z(z_t)."""

    def recurrent_cell(self, inputs: int, name: str) -> keras.layers.Layer:
        """Builds a cell of size `hidden`; forget gates of an LSTM start with bias 1."""
        cell = _CELLS[self.kind].layer(
            self.hidden,
            kernel_initializer=glorot(next(self.seeds)),
            recurrent_initializer=glorot(next(self.seeds)),
            name=name,
            dtype=self.dtype_policy,
            **_CELLS[self.kind].options,
        )
        cell.build((None, inputs))
        return cell

    def live_weights(self) -> list[keras.Variable]:
        """Returns the weights in use: all but those of the reverse LSTM."""
        unused = {id(v) for v in self.reverse.weights} if self.reverse else set()
        return [v for v in self.trainable_variables if id(v) not in unused]

    def parameters(self, live: bool = True) -> int:
        """Returns the number of weights, of those in use or of all."""
        return sum(int(np.prod(v.shape)) for v in (self.live_weights() if live else self.weights))

    def encode(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns phi_x of x_{t-1} and of x_t, and x_t."""
        inputs = (x - self.center) / self.scale
        encoded = self.phi_x(tf.pad(inputs, [[0, 0], [1, 0], [0, 0]]))  # [batch, time + 1, latent]
        return {"previous": encoded[:, :-1], "current": encoded[:, 1:], "x": x}

    def step(self, state: Any, seen: dict[str, tf.Tensor], noise: tf.Tensor) -> Step:
        """Makes one period: recurrence, prior, posterior, a draw of z_t, emission."""
        h, state = self.recur(state, seen["previous"])
        prior_mean, prior_sigma = mean_and_sigma(self.prior(h), _SIGMA_MIN_LATENT, _RAW_SIGMA_BIAS)
        raw = self.posterior(tf.concat([h, seen["current"]], axis=1))
        residual, sigma = mean_and_sigma(raw, _SIGMA_MIN_LATENT, _RAW_SIGMA_BIAS)
        mean = prior_mean + residual
        z = mean + sigma * noise
        latent = self.phi_z(z)
        outputs = self.emit(latent, h)
        log_p = normal_log_density(z, prior_mean, prior_sigma) + self.log_density(outputs, seen["x"])
        log_q = normal_log_density(z, mean, sigma)
        divergence = normal_divergence(mean, sigma, prior_mean, prior_sigma)
        return Step({**state, "latent": latent}, log_p - log_q, divergence, *self.moments(outputs))

    def generate(self, state: Any, before: tf.Tensor, noise: tf.Tensor, key: tf.Tensor) -> tuple[tf.Tensor, Any]:
        """Draws the next period from the network's own law: z_t from the prior, then x_t; returns x_t and the state.

        before: x_{t-1} [rows, size]. noise: standard normal [rows, latent]. key: int32 [2], of the draw of x_t.
        """
        h, state = self.recur(state, self.phi_x((before - self.center) / self.scale))
        mean, sigma = mean_and_sigma(self.prior(h), _SIGMA_MIN_LATENT, _RAW_SIGMA_BIAS)
        latent = self.phi_z(mean + sigma * noise)
        outputs = self.emit(latent, h)
        if self.data.emission == "bernoulli":
            uniform = tf.random.stateless_uniform(tf.shape(outputs), key, dtype=outputs.dtype)
            x = tf.cast(uniform < tf.sigmoid(outputs + self.log_odds), outputs.dtype)
        else:
            mean_x, sigma_x = mean_and_sigma(outputs, self.data.sigma_min, _RAW_SIGMA_BIAS)
            x = mean_x + sigma_x * tf.random.stateless_normal(tf.shape(mean_x), key, dtype=mean_x.dtype)
            x = self.center + self.scale * x
        return x, {**state, "latent": latent}

    def log_density(self, outputs: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns ln p(x_t | z_t, h_t) from the outputs of `emit`: [rows]."""
        if self.data.emission == "bernoulli":
            return bernoulli_log_density(x, outputs + self.log_odds)
        mean, sigma = mean_and_sigma(outputs, self.data.sigma_min, _RAW_SIGMA_BIAS)
        return normal_log_density(x, self.center + self.scale * mean, self.scale * sigma)

    def moments(self, outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns mean and ln variance of x_t given z_t and h_t, in the data's units, each [rows, features]."""
        if self.data.emission == "bernoulli":
            odds = outputs + self.log_odds
            return tf.sigmoid(odds), -tf.nn.softplus(odds) - tf.nn.softplus(-odds)
        mean, sigma = mean_and_sigma(outputs, self.data.sigma_min, _RAW_SIGMA_BIAS)
        return self.center + self.scale * mean, 2 * tf.math.log(self.scale * sigma)

    def zeros(self, rows: int, names: Sequence[str]) -> dict[str, tf.Tensor]:
        """Returns states of size `hidden` before the first period, and phi_z(z_0)."""
        states = {name: tf.zeros([rows, self.hidden], self.compute_dtype) for name in names}
        return {**states, "latent": tf.zeros([rows, self.latent], self.compute_dtype)}


@final
class VRNN(VariationalRNN):
    """The variational recurrent network (Chung et al. 2015) as wired by Maddison et al. (2017)."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.cell = self.recurrent_cell(2 * self.latent, "recurrence")

    def start(self, rows: int) -> dict[str, tf.Tensor]:
        return self.zeros(rows, self.memory)

    def recur(self, state: Any, previous: tf.Tensor) -> tuple[tf.Tensor, Any]:
        y = tf.concat([previous, state["latent"]], axis=1)
        h, after = self.cell(y, [state[name] for name in self.memory])
        return h, dict(zip(self.memory, after, strict=True))

    def emit(self, latent: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
        return self.emission(tf.concat([latent, h], axis=1))
