"""A recurrent network predicts the next symbol of an HMM it never sees: Choe, Shin and Spencer (2017), section 3.

    p(x_{t+1} | x_1..x_t) = sum_ij P(H_t = i | x_1..x_t) A_ij B[j, x_{t+1}]

is exact for one who knows the model, and no other distribution has a smaller expected cross-entropy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, final

import numpy as np
import tensorflow as tf

from deqn.mlp.minibatches import check_size, minibatches
from deqn.rnn.language import LanguageNetwork, cross_entropy
from deqn.sequence.hmm import HMM
from deqn.training.problem import Batch, Carry, Losses, Problem, Results
from deqn.training.settings import TrainingSettings

from .parameters import NextSymbolParameters


@final
class NextSymbol(Problem):
    """One language network is trained on paths of symbols; beside it stand the exact distribution and counts."""

    def __init__(
        self, parameters: NextSymbolParameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1
    ) -> None:
        p = self.p = parameters
        self.seed, self.rank = settings.seed, rank
        generator = np.random.default_rng([settings.seed, 0])
        self.hmm = persistent_hmm(p, generator)
        self.all_paths, self.validation, self.test = (
            self.hmm.sample(count, p.periods, generator)[1].astype(np.int32) for count in (p.paths, p.tests, p.tests)
        )
        self.train = self.all_paths[rank::ranks]
        check_size(p.batch, len(self.train), f"paths of rank {rank}")
        self.network = LanguageNetwork(p.symbols, p.embedding, p.cell, [p.hidden], settings.seed, settings.precision)
        self.networks = {"network": self.network}

    def describe(self) -> Mapping[str, str]:
        p = self.p
        return {
            "data": f"{p.paths:,} paths of {p.periods} symbols of {p.symbols}, {p.states} hidden states",
            "network": f"{p.cell} of {p.hidden} units, {self.network.count_params():,} weights",
        }

    def batches(self, episode: int) -> Iterator[Batch]:
        """Yields all paths in a new order."""
        for rows in minibatches(len(self.train), self.p.batch, [self.seed, 1, self.rank, episode]):
            yield self.train[rows]

    def losses(self, batch: Batch, carry: Carry, key: tf.Tensor) -> Losses:
        """Returns the cross-entropy of x_2..x_T."""
        return Losses({"network": cross_entropy(self.network(batch[:, :-1]), batch[:, 1:])}, carry)

    def validate(self) -> Mapping[str, float]:
        """Returns the cross-entropy on paths of their own."""
        x = tf.constant(self.validation)
        return {"cross_entropy": float(cross_entropy(self.network(x[:, :-1]), x[:, 1:]))}

    def predict(self, inputs: np.ndarray, network: str | None = None) -> np.ndarray:
        """Returns the distribution of the symbol that follows each, [n, T, K], of paths of symbols int [n, T]."""
        return tf.nn.softmax(tf.cast(self.network(tf.constant(inputs)), tf.float64)).numpy()

    def results(self) -> Results:
        """Reports cross-entropies on the test paths, and mean distances from the exact distribution."""
        seen, following = self.test[:, :-1], self.test[:, 1:]
        exact = self.hmm.filter(seen).predictions
        distributions = {"exact": exact, "network": self.predict(seen)} | self._counted(seen)
        entropies = {
            name: -np.log(np.take_along_axis(p, following[:, :, None], axis=2)[:, :, 0])
            for name, p in distributions.items()
        }
        rows: list[dict[str, Any]] = [
            {
                "distribution": name,
                "cross_entropy": float(entropies[name].mean()),
                "above_exact": float((entropies[name] - entropies["exact"]).mean()),
                "difference": float(np.abs(p - exact).mean()),
            }
            for name, p in distributions.items()
        ]
        arrays = {f"entropy_{name}": each.mean(axis=0) for name, each in entropies.items()}
        above = ", ".join(f"{row['distribution']} {row['above_exact']:.4f}" for row in rows[1:])
        headline = f"cross-entropy {rows[0]['cross_entropy']:.3f} at best; above it: {above}"
        return Results(headline, {"next_symbol": rows}, arrays)

    def _counted(self, seen: np.ndarray) -> dict[str, np.ndarray]:
        """Distributions counted in the training paths, each count begun at one; a trigram's first is a bigram's."""
        x, K = self.all_paths, self.p.symbols
        one = 1.0 + np.bincount(x.ravel(), minlength=K)
        two = 1.0 + np.bincount((K * x[:, :-1] + x[:, 1:]).ravel(), minlength=K**2).reshape(K, K)
        triples = (K * (K * x[:, :-2] + x[:, 1:-1]) + x[:, 2:]).ravel()
        three = 1.0 + np.bincount(triples, minlength=K**3).reshape(K, K, K)
        one, two, three = (each / each.sum(axis=-1, keepdims=True) for each in (one, two, three))
        trigram = np.concatenate([two[seen[:, :1]], three[seen[:, :-1], seen[:, 1:]]], axis=1)
        return {"trigram": trigram, "bigram": two[seen], "unigram": np.broadcast_to(one, (*seen.shape, K))}


def persistent_hmm(p: NextSymbolParameters, generator: np.random.Generator) -> HMM:
    """Draws a model whose states tend to stay; the first state is uniform."""
    rows = p.move + (p.stay - p.move) * np.eye(p.states)
    return HMM(
        np.full(p.states, 1 / p.states),
        np.stack([generator.dirichlet(row) for row in rows]),
        generator.dirichlet(np.full(p.symbols, p.emission), size=p.states),
    )
