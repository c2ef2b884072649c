"""Whether the number of ones in a string of digits is even: a task that needs a memory.

    1000010101 -> YES,   100011 -> NO

Labels stand at every digit. Recurrent networks, which have to remember one bit, are trained side by side with a
multilayer perceptron that sees the last few digits and, whatever its weights, can't know what came before them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import final

import numpy as np
import tensorflow as tf

from deqn.mlp.minibatches import minibatches
from deqn.mlp.networks import MLP
from deqn.rnn.networks import Recurrent
from deqn.training.problem import Carry, Losses, Problem, Results
from deqn.training.settings import TrainingSettings

from . import by_hand
from .parameters import ParityParameters

WINDOW, BY_HAND = "window", "by hand"


@final
class Parity(Problem):
    """One network for each cell and one perceptron on a window are trained, each by a loss and optimiser of its own."""

    def __init__(self, parameters: ParityParameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1) -> None:
        self.p, self.seed, self.rank, self.dtype = parameters, settings.seed, rank, settings.precision
        self.digits = draw(parameters.strings, parameters.digits, np.random.default_rng([settings.seed, 0]))
        self.fresh = draw(parameters.test_strings, parameters.digits, np.random.default_rng([settings.seed, 1]))
        self.networks = {
            cell: Recurrent(1, 1, cell, [parameters.units], settings.seed + number, settings.precision)
            for number, cell in enumerate(dict.fromkeys(parameters.cells))
        }
        self.networks[WINDOW] = MLP(
            parameters.window, 1, 1, parameters.hidden, "tanh", settings.seed, settings.precision, standardized=False
        )

    def describe(self) -> Mapping[str, str]:
        weights = ", ".join(f"{name} {network.count_params()}" for name, network in self.networks.items())
        return {
            "data": f"{self.p.strings:,} strings of {self.p.digits} digits, {self.p.batch} an update",
            "networks": f"weights of each: {weights}",
        }

    def batches(self, episode: int) -> Iterator[np.ndarray]:
        """Yields all strings in a new order."""
        for rows in minibatches(len(self.digits), self.p.batch, [self.seed, 2, self.rank, episode]):
            yield self.digits[rows].astype(self.dtype)

    def losses(self, batch: tf.Tensor, carry: Carry, key: tf.Tensor) -> Losses:
        """Returns cross-entropy of YES and NO at every digit, of each network."""
        labels = tf.cast(tf.math.floormod(tf.cumsum(batch, axis=1), 2) < 0.5, batch.dtype)
        return Losses(
            {
                name: tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, self.logits(name, batch)))
                for name in self.networks
            },
            carry,
        )

    def logits(self, name: str, digits: tf.Tensor) -> tf.Tensor:
        """Returns the log odds of YES after each digit [strings, digits]."""
        network = self.networks[name]
        if name != WINDOW:
            return network(digits[:, :, None])[:, :, 0]
        strings, length = digits.shape
        padded = tf.pad(digits, [[0, 0], [self.p.window - 1, 0]])
        windows = tf.stack([padded[:, i : i + length] for i in range(self.p.window)], axis=2)
        return tf.reshape(network(tf.reshape(windows, [-1, self.p.window])), [strings, length])

    def predict(self, inputs: np.ndarray, network: str | None = None) -> np.ndarray:
        """Returns the probability of YES after each digit, [strings, digits] both; by default of the first cell."""
        odds = self.logits(network or next(iter(self.networks)), self._typed(inputs))
        return tf.sigmoid(odds).numpy()

    def validate(self) -> Mapping[str, float]:
        """Returns mean cross-entropy of the recurrent networks on fresh strings, and their share of wrong answers."""
        found = [np.asarray(self.logits(name, self._typed(self.fresh))) for name in self.networks if name != WINDOW]
        even = is_even(self.fresh)
        cross_entropy = [np.logaddexp(0, np.where(even, -logits, logits)).mean() for logits in found]
        wrong = [((logits > 0) != even)[:, -1].mean() for logits in found]
        return {"cross_entropy": float(np.mean(cross_entropy)), "wrong": float(np.mean(wrong))}

    def results(self) -> Results:
        """Reports right answers on fresh strings of each length: at the end, and at all digits."""
        rows, right = [], {}
        for length in self.p.test_digits:
            digits = draw(self.p.test_strings, length, np.random.default_rng([self.seed, 3, length]))
            even = is_even(digits)
            answers = {name: np.asarray(self.logits(name, self._typed(digits))) > 0 for name in self.networks}
            answers[BY_HAND] = by_hand.even(digits)
            right = {name: (answer == even).mean(axis=0) for name, answer in answers.items()}
            rows += [
                {"network": name, "digits": length, "answers_right": share[-1], "all_right": share.mean()}
                for name, share in right.items()
            ]
        first = next(iter(self.networks))
        shares = ", ".join(f"{r['answers_right']:.3f} at {r['digits']}" for r in rows if r["network"] == first)
        arrays = {f"right_{name.replace(' ', '_')}": share for name, share in right.items()}
        return Results(f"{first}: answers right {shares} digits", {"accuracy": rows}, arrays)

    def _typed(self, digits: np.ndarray) -> tf.Tensor:
        return tf.constant(digits, self.dtype)


def draw(strings: int, digits: int, generator: np.random.Generator) -> np.ndarray:
    """Draws random digits 0 and 1, int [strings, digits]."""
    return generator.integers(0, 2, (strings, digits))


def is_even(digits: np.ndarray) -> np.ndarray:
    """Returns whether the number of ones up to each digit is even, bool [strings, digits]."""
    return digits.cumsum(axis=1) % 2 == 0
