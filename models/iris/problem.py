"""Fisher's irises: the species from four lengths, on several random splits side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, final

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split

from deqn.mlp.backpropagation import HandWrittenMLP
from deqn.mlp.checks import one_hot
from deqn.mlp.descent import Momentum
from deqn.mlp.ensemble import Ensemble
from deqn.mlp.metrics import classification, confusion_matrix, confusion_rows
from deqn.mlp.normalization import normalization_of
from deqn.project.errors import UserError
from deqn.training.problem import Losses, Problem, Results
from deqn.training.settings import TrainingSettings

from .parameters import IrisParameters

SPECIES = ("setosa", "versicolor", "virginica")


class Part(NamedTuple):
    """A part of one split: x [n, 4], normalised by the training data; labels [n], 0 to 2."""

    x: np.ndarray
    labels: np.ndarray


Split = Mapping[str, Part]  # training, validation, test


@final
class Iris(Problem):
    """The loss is the cross-entropy of one network for each split; every update and rank sees all training data."""

    updates_per_call = 1000

    def __init__(self, parameters: IrisParameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1) -> None:
        self.p, self.dtype, self.seed = parameters, settings.precision, settings.seed
        self.splits = [split(parameters, [settings.seed, number]) for number in range(parameters.splits)]
        try:
            self.ensemble = Ensemble(
                parameters.splits, 4, 3, parameters.hidden, parameters.activation, settings.seed, settings.precision
            )
        except ValueError as error:
            raise UserError(f"parameters.{error}") from error
        self.networks = {"networks": self.ensemble}

    def describe(self) -> Mapping[str, str]:
        sizes = " + ".join(f"{len(part.x)} {name}" for name, part in self.splits[0].items())
        widths = "-".join(map(str, [4, *self.p.hidden, 3]))
        return {"data": f"{sizes} flowers, {self.p.splits} splits", "networks": f"{widths} {self.p.activation}"}

    def losses(self, batch: Any, carry: Any, key: tf.Tensor) -> Losses:
        """Returns mean cross-entropy on each split's training data, summed over splits."""
        return Losses({"networks": tf.reduce_sum(self._cross_entropy("training"))}, carry)

    def validate(self) -> Mapping[str, float]:
        """Returns the mean cross-entropy on validation data over splits, whose networks stop at the same update."""
        return {"cross_entropy": float(tf.reduce_mean(self._cross_entropy("validation")))}

    def results(self) -> Results:
        """Reports test accuracy of both networks by split, and the confusions of all splits."""
        logits = np.asarray(self.ensemble(self._stacked("test")))  # [splits, n, 3]
        rows, confusions = [], {name: np.zeros([3, 3], int) for name in ("trained", "by_hand")}
        for number, parts in enumerate(self.splits):
            actual = parts["test"].labels
            guesses = {"trained": logits[number].argmax(axis=1), "by_hand": self._by_hand(number)}
            rows.append({"split": number})
            for name, guess in guesses.items():
                rows[-1][f"accuracy_{name}"] = classification(actual, guess, 3)["accuracy"]
                confusions[name] += confusion_matrix(actual, guess, 3)
        median = {name: float(np.median([row[f"accuracy_{name}"] for row in rows])) for name in confusions}
        rows.append({"split": "median", **{f"accuracy_{name}": value for name, value in median.items()}})
        return Results(
            f"test accuracy, median of {self.p.splits} splits: {median['trained']:.3f}, "
            f"by hand {median['by_hand']:.3f}",
            {"accuracy": rows}
            | {f"confusion_{name}": confusion_rows(matrix, SPECIES) for name, matrix in confusions.items()},
            confusions,
        )

    def _by_hand(self, number: int) -> np.ndarray:
        """Labels of a split's test data by a hand-written network, stopped by the validation data."""
        parts, p = self.splits[number], self.p
        training, validation, test = (parts[name] for name in ("training", "validation", "test"))
        network = HandWrittenMLP([4, p.by_hand_hidden, 3], "softmax", np.random.default_rng([self.seed, number, 1]))
        network.fit(
            training.x, one_hot(training.labels, 3), Momentum(p.learning_rate, p.momentum), p.by_hand_passes,
            validation=(validation.x, one_hot(validation.labels, 3)),
        )  # fmt: skip
        return network(test.x).argmax(axis=1)

    def _stacked(self, name: str) -> tf.Tensor:
        return tf.constant(np.stack([parts[name].x for parts in self.splits]), self.dtype)  # [splits, n, 4]

    def _cross_entropy(self, name: str) -> tf.Tensor:
        labels = np.stack([parts[name].labels for parts in self.splits])
        logits = self.ensemble(self._stacked(name))
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits), axis=1)  # [splits]


def split(p: IrisParameters, seed: list[int]) -> Split:
    """Splits the flowers in three parts, each with equal shares of the species."""
    x, labels = load_iris(return_X_y=True)
    state = int(np.random.default_rng(seed).integers(2**31))
    share, validation, test = p.split
    rows, rest = train_test_split(np.arange(len(x)), train_size=share, stratify=labels, random_state=state)
    halves = train_test_split(
        rest, train_size=validation / (validation + test), stratify=labels[rest], random_state=state
    )
    normalized = normalization_of(x[rows], p.normalization)
    parts = zip(("training", "validation", "test"), (rows, *halves), strict=True)
    return {name: Part(normalized(x[chosen]), labels[chosen]) for name, chosen in parts}
