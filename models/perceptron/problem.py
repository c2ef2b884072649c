"""OR and XOR: a perceptron, a multi-layer perceptron by hand, and the same one trained by the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np
import tensorflow as tf

from deqn.mlp.backpropagation import HandWrittenMLP
from deqn.mlp.descent import Momentum
from deqn.mlp.ensemble import Ensemble
from deqn.mlp.perceptron import Perceptron
from deqn.training.problem import Losses, Problem, Results
from deqn.training.settings import TrainingSettings

from .parameters import LogicParameters

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
TARGETS = {"or": np.array([0, 1, 1, 1.0])[:, None], "xor": np.array([0, 1, 1, 0.0])[:, None]}


@final
class Logic(Problem):
    """The loss is half the sum of squared errors over the four rows, one network for each repetition.

    The four rows are all the data there is: every rank has the same.
    """

    updates_per_call = 1000  # all rows in every update

    def __init__(self, parameters: LogicParameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1) -> None:
        self.p, self.seed, self.dtype = parameters, settings.seed, settings.precision
        self.targets = TARGETS[parameters.function]
        self.ensemble = Ensemble(parameters.repetitions, 2, 1, [parameters.hidden], "sigmoid", 0, settings.precision)
        for number in range(parameters.repetitions):
            self.ensemble.assign_layers(number, self.by_hand(number).layers())
        self.networks = {"networks": self.ensemble}
        self.x = tf.constant(np.broadcast_to(X, [parameters.repetitions, 4, 2]), self.dtype)

    def describe(self) -> Mapping[str, str]:
        return {
            "data": f"the four rows of {self.p.function.upper()}",
            "networks": f"{self.p.repetitions} of {self.p.hidden} hidden neurons, sigmoid",
        }

    def by_hand(self, number: int) -> HandWrittenMLP:
        """Makes the hand-written network of a repetition, before it has learned."""
        return HandWrittenMLP([2, self.p.hidden, 1], "logistic", np.random.default_rng([self.seed, number]))

    def losses(self, batch: Any, carry: Any, key: tf.Tensor) -> Losses:
        """Returns sum (y - t)^2 / 2 over rows and networks: each network's gradient is its own."""
        errors = tf.sigmoid(self.ensemble(self.x)) - tf.constant(self.targets, self.dtype)  # [repetitions, 4, 1]
        return Losses({"networks": tf.reduce_sum(errors**2) / 2}, carry)

    def results(self) -> Results:
        """Reports how many of the four rows each of them gets right, from each repetition's initial weights."""
        trained = (np.asarray(tf.sigmoid(self.ensemble(self.x))) > 0.5) == self.targets  # [repetitions, 4, 1]
        rows = []
        for number in range(self.p.repetitions):
            perceptron = Perceptron(2, 1, np.random.default_rng([self.seed, number]))
            learned = perceptron.learn(X, self.targets, self.p.learning_rate, self.p.iterations)
            network = self.by_hand(number)
            network.fit(X, self.targets, Momentum(self.p.learning_rate, self.p.momentum), self.p.iterations)
            by_hand = (network(X) > 0.5) == self.targets
            rows.append(
                {
                    "repetition": number,
                    "perceptron": learned.correct,
                    "perceptron_says": learned.reason,
                    "by_hand": int(by_hand.sum()),
                    "trained": int(trained[number].sum()),
                }
            )
        learners = ("perceptron", "by_hand", "trained")
        right = [sum(row[name] == 4 for row in rows) for name in learners]
        words = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in zip(learners, right, strict=True))
        return Results(
            f"{self.p.function.upper()} learned from {self.p.repetitions} initial weights: {words}",
            {"correct": rows},
            {"answers": np.asarray(tf.sigmoid(self.ensemble(self.x)))},
        )
