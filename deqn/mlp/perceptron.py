"""The perceptron (Rosenblatt 1958), as Marsland (2014), section 3.3, writes it."""

from __future__ import annotations

from typing import Any, NamedTuple, final

import numpy as np
from scipy.optimize import linprog

from deqn.mlp.checks import above_zero, matrix

BIAS = -1.0  # the value of the input that is always on: its weight is the threshold


class Learned(NamedTuple):
    """The end of learning.

    converged: whether every answer is right. iterations: passes over the data that changed the weights. correct: rows
    whose answers are all right. reason: one line, which for data that no perceptron can learn says so.
    """

    converged: bool
    iterations: int
    correct: int
    reason: str


@final
class Perceptron:
    """Neurons that fire or don't; each is a line through the space of inputs.

        y = 1{ x W > 0 }              (3.4), 0 where x W = 0; the last input is the bias, -1
        W <- W - eta x' (y - t)       (3.5), all rows at once

    Recall costs O(mn) for m inputs and n neurons, learning O(T mn) for T passes.

    weights: [inputs + 1, neurons], the last row that of the bias; drawn small from `generator`.
    """

    def __init__(self, inputs: int, neurons: int, generator: np.random.Generator) -> None:
        self.weights = generator.uniform(-0.05, 0.05, size=(inputs + 1, neurons))

    def recall(self, x: Any) -> np.ndarray:
        """Returns the answers 0 and 1, [n, neurons], to x [n, inputs]. Raises ValueError for other columns."""
        return self._fires(with_bias(matrix(x, "x", columns=len(self.weights) - 1)))

    def learn(self, x: Any, targets: Any, learning_rate: float = 0.25, iterations: int = 1000) -> Learned:
        """Makes passes over x [n, inputs] until the answers equal targets [n, neurons], but at most `iterations`.

        Raises ValueError: shapes that don't fit, NaN, targets other than 0 and 1, a learning rate not above 0.
        """
        x = with_bias(matrix(x, "x", columns=len(self.weights) - 1))
        targets = matrix(targets, "targets", rows=len(x), columns=self.weights.shape[1])
        if not np.isin(targets, (0, 1)).all():
            raise ValueError(f"targets: got values {np.unique(targets)[:5].tolist()}, expected 0 and 1")
        above_zero(learning_rate, "learning_rate")
        for iteration in range(iterations + 1):
            wrong = self._fires(x) - targets
            correct = int((wrong == 0).all(axis=1).sum())
            if correct == len(x):
                return Learned(True, iteration, correct, f"learned after {iteration} iterations")
            if iteration < iterations:
                self.weights -= learning_rate * x.T @ wrong
        why = "separable, but not converged: more iterations" if is_separable(x[:, :-1], targets) else "not separable"
        return Learned(False, iterations, correct, f"{why} ({correct} of {len(x)} right after {iterations} iterations)")

    def _fires(self, x: np.ndarray) -> np.ndarray:
        return (x @ self.weights > 0).astype(float)


def with_bias(x: np.ndarray) -> np.ndarray:
    """Appends the bias input: [n, m] -> [n, m + 1]."""
    return np.hstack([x, np.full((len(x), 1), BIAS)])


def is_separable(x: Any, targets: Any) -> bool:
    """Tells whether a line separates ones and zeros in each column of targets [n, neurons].

    A linear programme decides: is there a w with s_i x_i w >= 1 for all i, where s = 1 for a one and -1 for a zero?
    """
    x = with_bias(matrix(x, "x"))
    targets = matrix(targets, "targets", rows=len(x))
    signs = 2 * targets - 1
    found = [
        linprog(np.zeros(x.shape[1]), A_ub=-sign[:, None] * x, b_ub=-np.ones(len(x)), bounds=(None, None))
        for sign in signs.T
    ]
    return all(each.status == 0 for each in found)
