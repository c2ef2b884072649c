"""Networks for everyone: a multi-layer perceptron, and the same beside a linear and quadratic skip.

Both keep the statistics that standardise their inputs as weights, so that a saved network is whole, and both give one
output vector ("head") for each value of a discrete shock: [batch, heads, outputs].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deqn.mlp.checks import one_of, share

# Inputs with a tiny spread (the wealth of the youngest) would reach tens of standard deviations and upset Muon.
_SMALLEST_RELATIVE_SPREAD = 0.1
# So many standard deviations of a component are shown to the hidden layers, and to the wide part with its products: a
# calibration that the statistics were not made for would else be answered by thousands.
_LARGEST_WHITENED, _LARGEST_WIDE = 5.0, 10.0
# Directions in which the sample hardly varies are where a small change of policy moves the economy many of their
# standard deviations: they are whitened as if they had this share of the largest component's standard deviation.
_SMALLEST_SPREAD_SHARE = 1e-4
# Below this share of the largest a direction does not vary at all, but for rounding (measured: 2e-8; the smallest that
# do vary have 1e-6). Nothing can be learned of it, so the network does not see it: whitened, the wealth of .005 of a
# cohort that always had none was 350 standard deviations, and the Euler errors there 16 %.
_ROUNDING_SHARE = 1e-7

# So far apart do places and slopes of the kinks begin: their sum is zero then, and these numbers only tell them apart.
_FIRST_KINKS = 0.01

_INITIALIZERS: dict[str, Any] = {
    "glorot": keras.initializers.GlorotUniform,
    "he": keras.initializers.HeNormal,
    "normal": keras.initializers.RandomNormal,  # standard deviation .05
}


def _constant(layer: keras.layers.Layer, name: str, value: np.ndarray) -> keras.Variable:
    return layer.add_weight(
        shape=value.shape, name=name, trainable=False, initializer=keras.initializers.Constant(value)
    )


@keras.saving.register_keras_serializable("deqn")
class Standardize(keras.layers.Layer):
    """The layer (x - mean) / scale, whose statistics are weights that `adapt` sets from a sample."""

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Begins with mean 0 and scale 1."""
        self.mean = _constant(self, "mean", np.zeros(input_shape[-1]))
        self.scale = _constant(self, "scale", np.ones(input_shape[-1]))

    def adapt(self, sample: np.ndarray) -> None:
        """Takes the statistics of a sample [n, inputs]; no scale is below a tenth of the mean spread."""
        spread = sample.std(axis=0)
        self.mean.assign(sample.mean(axis=0))
        floor = _SMALLEST_RELATIVE_SPREAD * spread.mean()
        self.scale.assign(np.maximum(spread, floor if floor > 0 else 1.0))

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return (inputs - self.mean) / self.scale


@keras.saving.register_keras_serializable("deqn")
class Whiten(keras.layers.Layer):
    """The principal components of the inputs, largest first, each with variance one (the smallest with less).

    A direction in which the sample does not vary is a component that is zero everywhere.
    """

    def __init__(self, components: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.components = components

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Begins with the first inputs themselves."""
        self.mean = _constant(self, "mean", np.zeros(input_shape[-1]))
        self.rotation = _constant(self, "rotation", np.eye(input_shape[-1], self.components))

    def adapt(self, sample: np.ndarray) -> None:
        """Takes the principal components of a sample [n, inputs]."""
        mean = sample.mean(axis=0)
        variance, directions = np.linalg.eigh(np.cov(sample - mean, rowvar=False).reshape(2 * (sample.shape[1],)))
        variance, directions = variance[::-1], directions[:, ::-1]
        # The sign of an eigenvector is arbitrary: fixed here, so that two machines whiten alike.
        directions = directions * np.sign(directions[np.abs(directions).argmax(axis=0), range(len(variance))])
        floor = _SMALLEST_SPREAD_SHARE**2 * max(variance[0], 1e-30)
        rotation = directions / np.sqrt(np.maximum(variance, 0.0) + floor)
        rotation[:, variance <= _ROUNDING_SHARE**2 * variance[0]] = 0.0
        self.mean.assign(mean)
        self.rotation.assign(rotation[:, : self.components])

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.matmul(inputs - self.mean, self.rotation)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "components": self.components}


class MLP(keras.Model):
    """A multi-layer perceptron of inputs standardised or as they are: [batch, inputs] -> [batch, heads, outputs].

    hidden: widths. activation: any Keras activation, swish among them, or one for each hidden layer. seed: of the
    initial weights.
    standardized: whether `adapt` sets the statistics of the inputs, or leaves them at mean 0 and scale 1.
    initialization: of the hidden layers: glorot (Glorot & Bengio 2010), he (He et al. 2015, for relu) or normal.
    dropout: share of a hidden layer's units that an update leaves out (Srivastava et al. 2014).
    batch_normalization: of what a hidden layer gives (Ioffe & Szegedy 2015). Off by default: with it a state's answer
    depends on the other states of its batch, so it has no place in an equilibrium, a likelihood or a critic; its moving
    averages, which follow one rank's batches, also need training on one rank.
    Raises ValueError: unknown activation or initialization, dropout outside [0, 1).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        heads: int,
        hidden: Sequence[int],
        activation: str | Sequence[str],
        seed: int,
        dtype: str,
        standardized: bool = True,
        initialization: str = "glorot",
        dropout: float = 0.0,
        batch_normalization: bool = False,
    ) -> None:
        super().__init__(dtype=dtype)
        self.shape_out = (heads, outputs)
        self.standardized = standardized
        self.dropout = share(dropout, "dropout")
        self.standardize = Standardize(dtype=dtype)
        self.layers_hidden = dense_layers(hidden, activation, seed, dtype, initialization)
        self.normalizations = [
            keras.layers.BatchNormalization(dtype=dtype, name=f"normalization_{number}")
            for number in range(len(hidden) if batch_normalization else 0)
        ]
        self.head = keras.layers.Dense(
            heads * outputs,
            kernel_initializer=keras.initializers.GlorotUniform(seed=1000 * seed + len(hidden)),
            dtype=dtype,
            name="head",
        )
        self(tf.zeros([1, inputs], dtype))

    def adapt(self, sample: np.ndarray) -> None:
        """Standardises from a sample [n, inputs] of what the network will see, if it is to standardise at all."""
        if self.standardized:
            self.standardize.adapt(sample)

    def spread_bends(self, sample: np.ndarray) -> None:
        """The first layer bends evenly over what a sample [n, inputs] has of the first input, to both sides in turn.

        Keras begins with constants of zero: all units then bend at the mean, and training has to move them apart.
        """
        first = self.layers_hidden[0]
        own = self.standardize(sample.astype(self.dtype)).numpy()[:, 0]
        side = np.where(np.arange(first.units) % 2, -1.0, 1.0)
        kernel = first.kernel.numpy()
        kernel[0] = side
        first.kernel.assign(kernel)
        first.bias.assign(-side * np.linspace(own.min(), own.max(), first.units))

    def call(self, inputs: tf.Tensor, key: tf.Tensor | None = None) -> tf.Tensor:
        """[batch, inputs] -> [batch, heads, outputs].

        key: of an update, int32 [2]; units are then dropped and the batch's own statistics used, as training does.
        Without it the network answers the same every time.
        """
        x = self.standardize(inputs)
        for number, layer in enumerate(self.layers_hidden):
            x = layer(x)
            if self.normalizations:
                x = self.normalizations[number](x, training=key is not None)
            if self.dropout and key is not None:
                x = dropped(x, self.dropout, tf.random.experimental.stateless_fold_in(key, number))
        return tf.reshape(self.head(x), [-1, *self.shape_out])

    def by_head(self, inputs: tf.Tensor) -> list[tf.Tensor]:
        """[batch, inputs] -> for each head [batch, outputs]."""
        return tf.unstack(self(inputs), axis=1)


class WideAndDeep(keras.Model):
    """A linear and quadratic function of the inputs plus a small multi-layer perceptron (Cheng et al. 2016).

        y = s (wide(p) + A(x) + B(x) own + |C(x) + D(x) own| - |F(x) + G(x) own|)

    p: the inputs' principal components, with the products of the first `quadratics` of them; x: the same components
    (clipped at five standard deviations) and the standardised inputs, through the hidden layers; A, B start at zero;
    own: the standardised input that belongs to each output (a cohort's own wealth), if `own` names one.
    C, D, F, G: of a linear layer with `kinks` neurons after the hidden ones, if that is given; both kinks start alike.
    Where a borrowing limit begins to bind, a rule has a kink in own wealth, whose place depends on all of the state.

    own: for each output the index of its input, or None. Raises ValueError for kinks without own.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        heads: int,
        hidden: Sequence[int],
        activation: str | Sequence[str],
        seed: int,
        dtype: str,
        components: int,
        quadratics: int,
        output_scale: float,
        own: Sequence[int] | None = None,
        kinks: int | None = None,
    ) -> None:
        super().__init__(dtype=dtype)
        if kinks and own is None:
            raise ValueError("kinks: each output's own input is needed, got own = None")
        self.shape_out = (heads, outputs)
        self.output_scale = output_scale
        self.own = None if own is None else np.asarray(own)
        # Pairs in the order (0,0), (0,1), (1,1), (0,2), ...: the first q (q+1)/2 belong to the first q components.
        self.pairs = np.array([(i, j) for j in range(min(quadratics, components)) for i in range(j + 1)]).reshape(-1, 2)
        self.standardize = Standardize(dtype=dtype)
        self.whiten = Whiten(components, dtype=dtype)
        self.wide = keras.layers.Dense(heads * outputs, kernel_initializer="zeros", dtype=dtype, name="wide")
        self.layers_hidden = dense_layers(hidden, activation, seed, dtype)
        columns = heads * outputs * (1 if own is None else 2)
        self.head = keras.layers.Dense(columns, kernel_initializer="zeros", dtype=dtype, name="head")
        self.narrow = None
        if kinks:
            narrow = keras.initializers.GlorotUniform(seed=1000 * seed + len(hidden))
            self.narrow = keras.layers.Dense(kinks, kernel_initializer=narrow, dtype=dtype, name="narrow")
            small = keras.initializers.RandomNormal(stddev=_FIRST_KINKS, seed=1000 * seed + len(hidden) + 1)
            begin: dict[str, Any] = {"kernel_initializer": small, "bias_initializer": small, "dtype": dtype}
            self.convex = keras.layers.Dense(columns, **begin, name="convex")
            self.concave = keras.layers.Dense(columns, **begin, name="concave")
        self(tf.zeros([1, inputs], dtype))

    def adapt(self, sample: np.ndarray) -> None:
        """Standardises and whitens from a sample [n, inputs] of what the network will see."""
        self.standardize.adapt(sample)
        self.whiten.adapt(sample)

    def restart_perceptron(self) -> None:
        """All but the wide part is as when the network was made: it gives zero and can learn something else."""
        kinks = [] if self.narrow is None else [self.narrow, self.convex, self.concave]
        for layer in (*self.layers_hidden, self.head, *kinks):
            for weight, first in ((layer.kernel, layer.kernel_initializer), (layer.bias, layer.bias_initializer)):
                weight.assign(first(weight.shape, weight.dtype))

    def components(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the whitened inputs, [batch, components], at most ten standard deviations each."""
        return tf.clip_by_value(self.whiten(inputs), -_LARGEST_WIDE, _LARGEST_WIDE)

    def wide_features(self, components: tf.Tensor) -> tf.Tensor:
        """Returns the components and the products of the first few, [batch, components + pairs]."""
        if not len(self.pairs):
            return components
        first, second = (tf.gather(components, self.pairs[:, i], axis=1) for i in (0, 1))
        same = (self.pairs[:, 0] == self.pairs[:, 1]).astype(components.dtype.as_numpy_dtype)
        return tf.concat([components, first * second - same], axis=1)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.stack(self.by_head(inputs), axis=1)

    def by_head(self, inputs: tf.Tensor) -> list[tf.Tensor]:
        """Gives what each head says, a list of [batch, outputs]."""
        standardized = self.standardize(inputs)
        components = self.components(inputs)
        clipped = tf.clip_by_value(components, -_LARGEST_WHITENED, _LARGEST_WHITENED)
        x = tf.concat([clipped, standardized], axis=1)
        for layer in self.layers_hidden:
            x = layer(x)
        heads = self.shape_out[0]
        wide = dense_in_parts(self.wide, self.wide_features(components), heads)
        if self.own is None:
            deep = dense_in_parts(self.head, x, heads)
        else:
            own = tf.gather(standardized, self.own, axis=1)  # [batch, outputs]
            deep = self._linear_in_own(self.head, x, own)
            if self.narrow is not None:
                x = self.narrow(x)
                kinks = zip(*(self._linear_in_own(each, x, own) for each in (self.convex, self.concave)), strict=True)
                deep = [d + tf.abs(convex) - tf.abs(concave) for d, (convex, concave) in zip(deep, kinks, strict=True)]
        return [self.output_scale * (w + d) for w, d in zip(wide, deep, strict=True)]

    def _linear_in_own(self, layer: keras.layers.Dense, x: tf.Tensor, own: tf.Tensor) -> list[tf.Tensor]:
        """A + B own of each head, where the layer gives A and B of the first head, of the second, ..."""
        parts = dense_in_parts(layer, x, 2 * self.shape_out[0])
        return [a + b * own for a, b in zip(parts[::2], parts[1::2], strict=True)]


def dense_in_parts(layer: keras.layers.Dense, x: tf.Tensor, count: int) -> list[tf.Tensor]:
    """What a dense layer without activation gives, as `count` tensors that hold equal shares of its columns.

    Each is a product of its own. So the gradients of the parts are never put side by side: XLA would compute all that
    comes after the layer anew for each entry of [batch, columns], which took longer than the products.
    """
    if not layer.built:
        layer.build(x.shape)
    kernels = tf.split(tf.convert_to_tensor(layer.kernel), count, axis=1)
    biases = tf.split(tf.convert_to_tensor(layer.bias), count)
    return [tf.matmul(x, kernel) + bias for kernel, bias in zip(kernels, biases, strict=True)]


def dropped(x: tf.Tensor, rate: float, key: tf.Tensor) -> tf.Tensor:
    """Sets each entry of x to 0 with probability `rate` and divides the others by 1 - rate, which keeps the mean.

    The same key, int32 [2], drops the same entries. Raises ValueError unless 0 <= rate < 1.
    """
    return tf.nn.experimental.stateless_dropout(x, share(rate, "rate"), seed=key)


def dense_layers(
    widths: Sequence[int], activation: str | Sequence[str], seed: int, dtype: str, initialization: str = "glorot"
) -> list[keras.layers.Dense]:
    """Makes hidden layers with kernels from consecutive seeds, Glorot-uniform by default.

    activation: of all layers, or one for each.
    Raises ValueError, listing the names, for an unknown activation or initialization, or for another number of them.
    """
    initializer = _INITIALIZERS[one_of(initialization, _INITIALIZERS, "initialization")]
    activations = [activation] * len(widths) if isinstance(activation, str) else list(activation)
    if len(activations) != len(widths):
        raise ValueError(f"activation: got {len(activations)}, expected one, or one for each of {len(widths)} layers")
    return [
        keras.layers.Dense(
            width,
            activation=keras_activation(name),
            kernel_initializer=initializer(seed=1000 * seed + number),
            dtype=dtype,
            name=f"hidden_{number}",
        )
        for number, (width, name) in enumerate(zip(widths, activations, strict=True))
    ]


def keras_activation(name: str) -> Any:
    """Returns Keras's activation of that name. Raises ValueError, listing the names, if there is none."""
    try:
        return keras.activations.get(name)
    except ValueError:
        known = [each for each in dir(keras.activations) if each.islower() and not each.startswith("_")]
        helpers = ("deserialize", "get", "serialize")
        return one_of(name, [each for each in known if each not in helpers], "activation")
