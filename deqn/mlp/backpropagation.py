r"""A multi-layer perceptron from first principles: NumPy, float64, gradients by hand (Marsland 2014, chapter 4).

It is the check on the networks that the engine trains, and shows what they do. Forwards, layer by layer, the bias input
-1 appended to what enters each:

    h = x V        a = g(beta h)         (4.4, 4.5)     g any of deqn.mlp.activations; the lecture's is the sigmoid
    o = a W        y = output(o)         (4.6, 4.7)

Backwards from delta_o = dE/do, with the bias's weights left out of the sum:

    output    y                       E                               delta_o
    linear    o                       sum (y - t)^2 / 2n              (y - t)/n
    logistic  1/(1 + exp(-beta o))    sum (y - t)^2 / 2               beta (y - t) y (1 - y)         (4.8)
    softmax   exp(o)/sum exp(o)       - sum t ln y / n                (y - t)/n

    delta_h = beta g'(beta h) (delta_o W')                                                           (4.9)
    dE/dW = a' delta_o,    dE/dV = x' delta_h                                                        (4.10, 4.11)
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple, final

import numpy as np
from scipy.special import expit

from deqn.mlp.activations import activation, log_sum_exp, softmax
from deqn.mlp.checks import above_zero, matrix, one_of
from deqn.mlp.descent import Descent, batches
from deqn.mlp.perceptron import with_bias

OUTPUTS = ("linear", "logistic", "softmax")


class Fit(NamedTuple):
    """The course of learning.

    losses: E on the training data before each pass over it. validation: E on the other data after each pass, empty
    without. passes: made. best: the pass after which the weights now held were reached.
    """

    losses: list[float]
    validation: list[float]
    passes: int
    best: int


@final
class HandWrittenMLP:
    """A network of layers of neurons with given widths, from inputs to outputs.

    widths: [inputs, hidden, ..., outputs]. output: linear, logistic or softmax. activation: of the hidden layers.
    slope: beta. generator: draws the weights, uniform on +-1/sqrt(inputs of the layer).
    weights: all of them, a vector, of which `layers` gives views [inputs + 1, outputs], the bias's in the last row.
    Raises ValueError: fewer than two widths, unknown names, softmax with one output, a slope not above 0.
    """

    def __init__(
        self,
        widths: Sequence[int],
        output: str,
        generator: np.random.Generator,
        activation_name: str = "sigmoid",
        slope: float = 1.0,
    ) -> None:
        if len(widths) < 2 or any(width < 1 for width in widths):
            raise ValueError(f"widths: got {list(widths)}, expected [inputs, ..., outputs], each 1 or more")
        self.output = one_of(output, OUTPUTS, "output")
        if output == "softmax" and widths[-1] < 2:
            raise ValueError(f"widths: got {widths[-1]} output with softmax, expected 2 or more (or logistic)")
        self.widths, self.g, self.slope = tuple(widths), activation(activation_name), above_zero(slope, "slope")
        self.shapes = [(n + 1, m) for n, m in itertools.pairwise(widths)]
        drawn = [generator.uniform(-1, 1, size=shape) / np.sqrt(shape[0] - 1) for shape in self.shapes]
        self.weights = np.concatenate([each.ravel() for each in drawn])

    def layers(self, weights: np.ndarray | None = None) -> list[np.ndarray]:
        """Returns views of a vector of weights, by default its own, one [inputs + 1, outputs] for each layer."""
        ends = np.cumsum([rows * columns for rows, columns in self.shapes])
        pieces = np.split(self.weights if weights is None else weights, ends[:-1])
        return [piece.reshape(shape) for piece, shape in zip(pieces, self.shapes, strict=True)]

    def __call__(self, x: Any) -> np.ndarray:
        """Returns y [n, outputs] of x [n, inputs]. Raises ValueError for other columns or numbers not finite."""
        return self._answer(self._forwards(self._inputs(x), self.weights)[-1][1])

    def loss(self, x: Any, targets: Any, weights: np.ndarray | None = None) -> float:
        """Returns E at x [n, inputs], targets [n, outputs], by default at the network's own weights."""
        x, targets = self._data(x, targets)
        return self._loss(self._forwards(x, self.weights if weights is None else weights)[-1][1], targets)

    def gradient(self, x: Any, targets: Any, weights: np.ndarray | None = None) -> np.ndarray:
        """Returns dE/dweights, a vector, by back-propagation."""
        x, targets = self._data(x, targets)
        return self._gradient(x, targets, self.weights if weights is None else weights)

    def fit(
        self,
        x: Any,
        targets: Any,
        rule: Descent,
        passes: int,
        batch: int | None = None,
        generator: np.random.Generator | None = None,
        validation: tuple[Any, Any] | None = None,
        patience: int | None = None,
    ) -> Fit:
        """Learns from x [n, inputs], targets [n, outputs] by a rule of descent.

        batch: rows an update: None for all, 1 for stochastic updates, in an order that `generator` draws each pass.
        validation: other data (x, targets), on which the best weights are chosen; patience: passes without better ones
        after which learning stops. Raises ValueError: shapes that don't fit, NaN, patience without validation.
        """
        x, targets = self._data(x, targets)
        if patience is not None and (validation is None or patience < 1):
            raise ValueError(f"patience: got {patience}, expected 1 or more, together with validation data")
        other = self._data(*validation, name="validation ") if validation else None
        generator = generator or np.random.default_rng(0)
        memory, update, losses, validated = rule.start(self.weights), 0, list[float](), list[float]()
        best, best_weights = 0, self.weights
        for number in range(1, passes + 1):
            losses.append(self.loss(x, targets))
            for rows in batches(len(x), batch, generator):
                gradient = functools.partial(self._gradient, x[rows], targets[rows])
                self.weights, memory = rule.step(self.weights, gradient, memory, update)
                update += 1
            if other is None:
                continue
            validated.append(self.loss(*other))
            if validated[-1] <= min(validated):
                best, best_weights = number, self.weights
            elif patience is not None and number - best >= patience:
                break
        if other is not None:
            self.weights = best_weights
        return Fit(losses, validated, len(losses), best if other is not None else len(losses))

    def _inputs(self, x: Any, name: str = "") -> np.ndarray:
        return matrix(x, f"{name}x", columns=self.widths[0])

    def _data(self, x: Any, targets: Any, name: str = "") -> tuple[np.ndarray, np.ndarray]:
        x = self._inputs(x, name)
        return x, matrix(targets, f"{name}targets", rows=len(x), columns=self.widths[-1])

    def _forwards(self, x: np.ndarray, weights: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each layer what enters it, bias included [n, inputs + 1], and what it sums to [n, outputs]."""
        passed: list[tuple[np.ndarray, np.ndarray]] = []
        for V in self.layers(weights):
            entering = with_bias(self.g.value(self.slope * passed[-1][1]) if passed else x)
            passed.append((entering, entering @ V))
        return passed

    def _answer(self, o: np.ndarray) -> np.ndarray:
        if self.output == "softmax":
            return softmax(o)
        return expit(self.slope * o) if self.output == "logistic" else o

    def _loss(self, o: np.ndarray, targets: np.ndarray) -> float:
        if self.output == "softmax":
            return float((targets * (log_sum_exp(o) - o)).sum() / len(o))
        squares = ((self._answer(o) - targets) ** 2).sum() / 2
        return float(squares if self.output == "logistic" else squares / len(o))

    def _gradient(self, x: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
        passed, layers = self._forwards(x, weights), self.layers(weights)
        y = self._answer(passed[-1][1])
        delta = self.slope * (y - targets) * y * (1 - y) if self.output == "logistic" else (y - targets) / len(x)
        parts = [passed[-1][0].T @ delta]
        for (entering, h), W in zip(passed[-2::-1], layers[:0:-1], strict=True):
            delta = self.slope * self.g.derivative(self.slope * h) * (delta @ W[:-1].T)
            parts.append(entering.T @ delta)
        return np.concatenate([part.ravel() for part in reversed(parts)])
