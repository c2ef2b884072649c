r"""Activation functions and their derivatives, in NumPy; none overflows, however large its argument.

linear     x                     1
sigmoid    s = 1/(1 + exp(-x))   s (1 - s)
tanh       t = tanh(x)           1 - t^2
relu       max(x, 0)             1{x > 0}
swish      x s                   s + x s (1 - s)       (Ramachandran, Zoph & Le 2017; also called silu)
softplus   ln(1 + exp(x))        s                     keeps an output above 0
softmax    exp(x_i)/sum_j exp(x_j), rows [batch, classes]; its derivative is a matrix, `softmax_jacobian`
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from deqn.mlp.checks import one_of


class Activation(NamedTuple):
    """A function and its derivative; each takes an array of any shape, entry by entry."""

    value: Callable[[np.ndarray], np.ndarray]
    derivative: Callable[[np.ndarray], np.ndarray]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return expit(x)


def sigmoid_derivative(x: np.ndarray) -> np.ndarray:
    """Returns s(x) s(-x), a form in which nothing cancels."""
    return expit(x) * expit(-x)


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0.0, x)


def swish(x: np.ndarray) -> np.ndarray:
    """Returns x sigmoid(x), whose minimum is -.2785 at x = -1.2785."""
    return x * expit(x)


def log_sum_exp(x: np.ndarray) -> np.ndarray:
    """Returns ln sum_j exp(x_j), [..., classes] -> [..., 1]; the largest entry is taken out first."""
    largest = x.max(axis=-1, keepdims=True)
    return largest + np.log(np.exp(x - largest).sum(axis=-1, keepdims=True))


def softmax(x: np.ndarray) -> np.ndarray:
    """Returns shares that sum to one, [..., classes]; adding a number to all of x does not change them."""
    return np.exp(x - log_sum_exp(x))


def softmax_jacobian(x: np.ndarray) -> np.ndarray:
    """Returns d y_i / d x_j = y_i (1{i = j} - y_j), [..., classes] -> [..., classes, classes]."""
    y = softmax(x)
    return y[..., :, None] * (np.eye(x.shape[-1]) - y[..., None, :])


ACTIVATIONS: dict[str, Activation] = {
    "linear": Activation(lambda x: np.asarray(x, float), lambda x: np.ones_like(x, float)),
    "sigmoid": Activation(sigmoid, sigmoid_derivative),
    "tanh": Activation(np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "relu": Activation(lambda x: np.maximum(x, 0.0), lambda x: (np.asarray(x) > 0).astype(float)),
    "swish": Activation(swish, lambda x: expit(x) + x * sigmoid_derivative(x)),
    "softplus": Activation(softplus, sigmoid),
}


def activation(name: str) -> Activation:
    """Returns the activation of that name. Raises ValueError, listing the names, if there is none."""
    return ACTIVATIONS[one_of(name, ACTIVATIONS, "activation")]
