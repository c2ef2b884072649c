"""Handwritten digits: scikit-learn's of 8 x 8 pixels, or MNIST's where its files are at hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from deqn.mlp.backpropagation import HandWrittenMLP
from deqn.mlp.checks import one_hot
from deqn.mlp.descent import Momentum
from deqn.mlp.metrics import classification, confusion_matrix, confusion_rows
from deqn.mlp.networks import MLP
from deqn.project.errors import UserError
from deqn.training.problem import Losses, Problem, Results
from deqn.training.settings import TrainingSettings

from .idx import read_pair
from .parameters import DigitsParameters

MNIST = {"training": "train", "test": "t10k"}  # the beginning of the files' names


class Images(NamedTuple):
    """Images and their labels. x: [n, pixels] between 0 and 1. labels: [n], 0 to 9."""

    x: np.ndarray
    labels: np.ndarray


@final
class Digits(Problem):
    """The loss is cross-entropy on minibatches that every update, and every rank, draws anew."""

    updates_per_call = 100

    def __init__(self, parameters: DigitsParameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1) -> None:
        if parameters.batch_normalization and ranks > 1:
            raise UserError(
                f"parameters.batch_normalization: true on {ranks} ranks, expected one: its moving averages would differ"
            )
        self.p, self.dtype, self.seed = parameters, settings.precision, settings.seed
        try:
            self.training, self.validation, self.test = images(parameters, settings.seed)
            self.network = MLP(
                self.training.x.shape[1], 10, 1, parameters.hidden, parameters.activation, settings.seed,
                settings.precision, standardized=False, initialization=parameters.initialization,
                dropout=parameters.dropout, batch_normalization=parameters.batch_normalization,
            )  # fmt: skip
        except ValueError as error:
            raise UserError(f"parameters: {error}") from error
        self.networks = {"network": self.network}
        self.x, self.labels = tf.constant(self.training.x, self.dtype), tf.constant(self.training.labels)

    def describe(self) -> Mapping[str, str]:
        sizes = f"{len(self.training.x)} training + {len(self.validation.x)} validation + {len(self.test.x)} test"
        widths = "-".join(map(str, [self.training.x.shape[1], *self.p.hidden, 10]))
        return {"data": f"{sizes} images", "network": f"{widths} {self.p.activation}, dropout {self.p.dropout:g}"}

    def losses(self, batch: Any, carry: Any, key: tf.Tensor) -> Losses:
        """Returns mean cross-entropy on a minibatch, with dropout."""
        chosen, dropping = tf.unstack(tf.random.experimental.stateless_split(key, 2))
        rows = tf.random.stateless_uniform([self.p.minibatch], chosen, 0, len(self.training.x), tf.int32)
        logits = self.network(tf.gather(self.x, rows), key=dropping)[:, 0, :]  # [minibatch, 10]
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather(self.labels, rows), logits)
        return Losses({"network": tf.reduce_mean(loss)}, carry)

    def validate(self) -> Mapping[str, float]:
        """Returns cross-entropy and share of mistakes on the validation images."""
        logits = self._logits(self.validation.x)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(self.validation.labels, logits)
        mistakes = (logits.argmax(axis=1) != self.validation.labels).mean()
        return {"cross_entropy": float(tf.reduce_mean(loss)), "mistakes": float(mistakes)}

    def results(self) -> Results:
        """Reports the accuracy on the test images of both networks, and which digits they confuse."""
        guesses = {"trained": self._logits(self.test.x).argmax(axis=1)}
        if self.p.by_hand_passes:
            guesses["by_hand"] = self._by_hand()
        rows = [{"network": name, **classification(self.test.labels, guess, 10)} for name, guess in guesses.items()]
        confusions = {name: confusion_matrix(self.test.labels, guess, 10) for name, guess in guesses.items()}
        tables = {
            f"confusion_{name}": confusion_rows(matrix, list("0123456789")) for name, matrix in confusions.items()
        }
        words = ", ".join(f"{row['network'].replace('_', ' ')} {row['accuracy']:.3f}" for row in rows)
        return Results(f"test accuracy: {words}", {"accuracy": rows} | tables, confusions)

    def _logits(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.network(tf.constant(x, self.dtype)))[:, 0, :]

    def _by_hand(self) -> np.ndarray:
        """Labels of the test images by one hidden layer of sigmoids, stopped by the validation images."""
        p, pixels = self.p, self.training.x.shape[1]
        network = HandWrittenMLP([pixels, p.by_hand_hidden, 10], "softmax", np.random.default_rng([self.seed, 1]))
        network.fit(
            self.training.x, one_hot(self.training.labels, 10), Momentum(p.learning_rate, p.momentum),
            p.by_hand_passes, validation=(self.validation.x, one_hot(self.validation.labels, 10)),
        )  # fmt: skip
        return network(self.test.x).argmax(axis=1)


def images(p: DigitsParameters, seed: int) -> tuple[Images, Images, Images]:
    """Returns training, validation and test images. Raises ValueError if MNIST's files are missing or damaged."""
    state = int(np.random.default_rng([seed, 0]).integers(2**31))
    if p.folder is None:
        x, labels = load_digits(return_X_y=True)
        whole, test = _divided(Images(x / 16, labels), p.test_share, state)
    else:
        whole, test = (mnist(Path(p.folder), name) for name in MNIST.values())
    return *_divided(whole, p.validation_share, state), test


def mnist(folder: Path, name: str) -> Images:
    """Reads one of MNIST's two sets, from NAME-images-idx3-ubyte and NAME-labels-idx1-ubyte, with or without .gz."""
    paths = [folder / f"{name}-{kind}" for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")]
    x, labels = read_pair(*(path if path.exists() else path.with_name(f"{path.name}.gz") for path in paths))
    return Images(x.reshape(len(x), -1) / 255, labels.astype(np.int64))


def _divided(whole: Images, share: float, state: int) -> tuple[Images, Images]:
    """The rest and a share of the images, with all digits equally frequent in both."""
    rows = np.arange(len(whole.x))
    parts = train_test_split(rows, test_size=share, stratify=whole.labels, random_state=state)
    remaining, taken = (Images(whole.x[part], whole.labels[part]) for part in parts)
    return remaining, taken
