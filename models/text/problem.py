"""A recurrent classifier of raw sentences: praise or blame. The ten steps are those of the course's table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, final

import keras
import numpy as np
import tensorflow as tf
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from deqn.mlp.minibatches import minibatches
from deqn.project.errors import UserError
from deqn.project.tables import read_table
from deqn.rnn.networks import Recurrent
from deqn.rnn.text import TextPipeline, read_glove, read_stopwords
from deqn.training.problem import Carry, Losses, Problem, Results
from deqn.training.settings import TrainingSettings

from .parameters import SentimentParameters
from .sentences import make_sentences

NEW = ("The soup was good.", "The soup was not good.", "Nobody says that the soup was awful.")


@final
class Classifier(keras.Model):
    """A network with one output after the last word: int [batch, time] -> log odds [batch]."""

    def __init__(self, matrix: np.ndarray, parameters: SentimentParameters, seed: int, dtype: str) -> None:
        super().__init__(dtype=dtype)
        self.supports_masking = True
        tokens, width = matrix.shape
        self.embedding = keras.layers.Embedding(tokens, width, dtype=dtype)
        self.recurrent = Recurrent(
            width, 1, parameters.cell, parameters.units, seed, dtype, bidirectional=parameters.bidirectional
        )
        self(tf.zeros([1, 1], tf.int32), mask=tf.ones([1, 1], tf.bool))
        self.embedding.set_weights([matrix])

    def call(self, tokens: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """Returns the log odds of praise; mask: bool [batch, time], False at padding."""
        return self.recurrent.last(self.embedding(tokens), mask)[:, 0]


@final
class Sentiment(Problem):
    """One network is trained by the binary cross-entropy of its log odds."""

    def __init__(
        self, parameters: SentimentParameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1
    ) -> None:
        p = self.p = parameters
        self.seed, self.rank = settings.seed, rank
        try:
            generator = np.random.default_rng([settings.seed, 0])
            self.texts, self.praises = _read(p, generator) if p.file else make_sentences(p.sentences, generator)
            part = max(round(p.test_share * len(self.texts)), 1)
            self.train, self.validation, self.test = np.split(np.arange(len(self.texts)), [-2 * part, -part])
            stopwords = read_stopwords(p.stopwords) if p.stopwords else ()
            self.pipeline = TextPipeline([self.texts[i] for i in self.train], p.size, p.length, stopwords)
            self.tokens, self.mask = self.pipeline(self.texts)
            matrix, self.missing = self._embeddings()
        except ValueError as error:
            raise UserError(f"parameters: {error}") from error
        self.network = Classifier(matrix, p, settings.seed, settings.precision)
        self.networks = {"sentiment": self.network}

    def describe(self) -> Mapping[str, str]:
        embeddings = f", {len(self.missing)} tokens not in {self.p.glove}" if self.p.glove else ""
        return {
            "data": f"{len(self.train)} sentences to train on, {len(self.pipeline.vocabulary)} tokens{embeddings}",
            "network": f"{self.p.cell}, {self.network.count_params():,} weights",
        }

    def batches(self, episode: int) -> Iterator[tuple[np.ndarray, ...]]:
        """Yields all sentences in a new order."""
        for rows in minibatches(self.train, self.p.batch, [self.seed, 1, self.rank, episode]):
            yield self.tokens[rows], self.mask[rows], self.praises[rows].astype(self.network.dtype)

    def losses(self, batch: tuple[tf.Tensor, ...], carry: Carry, key: tf.Tensor) -> Losses:
        tokens, mask, praises = batch
        odds = self.network(tokens, mask=mask)
        return Losses({"sentiment": tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(praises, odds))}, carry)

    def validate(self) -> Mapping[str, float]:
        """Returns cross-entropy and share of wrong answers on sentences that are neither trained nor tested on."""
        odds, praises = self._odds(self.validation), self.praises[self.validation]
        cross_entropy = np.logaddexp(0, np.where(praises, -odds, odds)).mean()
        return {"cross_entropy": float(cross_entropy), "wrong": float(((odds > 0) != praises).mean())}

    def results(self) -> Results:
        """Reports test accuracy beside that of a logistic regression on word counts, and answers to new texts."""
        odds, praises = self._odds(self.test), self.praises[self.test]
        accuracy = float(((odds > 0) == praises).mean())
        rows = [
            {"classifier": self.p.cell, "accuracy": accuracy},
            {"classifier": "counts of words", "accuracy": self._counts_of_words()},
        ]
        shown = [self.texts[row] for row in self.test[: len(NEW)]] if self.p.file else NEW
        tokens, mask = self.pipeline(shown)
        new = tf.sigmoid(self.network(tokens, mask=tf.constant(mask))).numpy()
        answers: list[dict[str, Any]] = [{"text": text, "praise": float(p)} for text, p in zip(shown, new, strict=True)]
        return Results(
            f"test accuracy {accuracy:.3f}",
            {"accuracy": rows, "new_texts": answers},
            {"odds": odds, "praises": praises},
        )

    def _embeddings(self) -> tuple[np.ndarray, tuple[str, ...]]:
        vocabulary, generator = self.pipeline.vocabulary, np.random.default_rng([self.seed, 2])
        if not self.p.glove:
            return generator.uniform(-0.5, 0.5, (len(vocabulary), self.p.embedding)), ()
        matrix, missing = read_glove(self.p.glove, vocabulary, generator)
        if matrix.shape[1] != self.p.embedding:
            raise ValueError(f"embedding: got {self.p.embedding}, expected {matrix.shape[1]} as {self.p.glove} has")
        return matrix, missing

    def _odds(self, rows: np.ndarray) -> np.ndarray:
        return self.network(self.tokens[rows], mask=tf.constant(self.mask[rows])).numpy().astype(float)

    def _counts_of_words(self) -> float:
        counts = CountVectorizer().fit([self.texts[i] for i in self.train])
        x = counts.transform(self.texts)
        fitted = LogisticRegression(max_iter=1000).fit(x[self.train], self.praises[self.train])
        return float(fitted.score(x[self.test], self.praises[self.test]))


def _read(p: SentimentParameters, generator: np.random.Generator) -> tuple[list[str], np.ndarray]:
    """The texts of the file in random order, and whether each has the label that counts as praise."""
    frame = read_table(p.file, [], texts=["text", "label"])
    labels = sorted(frame["label"].unique())
    praise = p.praise or labels[-1]
    if len(labels) != 2 or praise not in labels:
        raise UserError(
            f"parameters.file: {p.file} has the labels {', '.join(labels[:5])}, expected two"
            + (f", of which {praise!r} is one" if p.praise else "")
        )
    if len(frame) < 10:
        raise UserError(f"parameters.file: {p.file} has {len(frame)} texts, expected 10 or more")
    order = generator.permutation(len(frame))
    return list(frame["text"].iloc[order]), (frame["label"] == praise).to_numpy()[order]
