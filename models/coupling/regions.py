"""Which of two classes a graph of known regions belongs to, which regions tell, and where the order of graphs tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, final

import numpy as np
import tensorflow as tf
from sklearn.linear_model import LogisticRegression

from deqn.graph.pooling import BrainGNN, DynamicGraph, consistency_loss, pooling_loss
from deqn.mlp.minibatches import minibatches
from deqn.training.problem import Batch, Carry, Losses, Problem, Results
from deqn.training.settings import TrainingSettings

from .parameters import RegionsParameters


@final
class Regions(Problem):
    """Graphs [windows, regions, regions] of a stochastic block model; the network reads them and gives log-odds."""

    def __init__(
        self, parameters: RegionsParameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1
    ) -> None:
        p = self.p = parameters
        self.seed, self.rank, self.dtype = settings.seed, rank, settings.precision
        rng = np.random.default_rng([settings.seed, 0])
        home = rng.permutation(np.arange(p.regions) % p.communities)
        self.differs = rng.permutation(p.regions)[: p.different]
        away = home.copy()
        away[self.differs] = (home[self.differs] + 1) % p.communities
        late = np.arange(p.windows) >= p.windows / 2
        if p.data == "level":
            first, second = np.repeat([[home], [away]], p.windows, axis=1)
        else:
            first, second = (np.where(order[:, None], away, home) for order in (late, ~late))
        self.law = np.stack([np.where(c[:, :, None] == c[:, None], p.inside, p.outside) for c in (first, second)])
        self.parts = [self._panels(count, rng) for count in (p.panels, p.validation, p.tests)]
        atlas = np.eye(p.communities)[home]  # where regions are in the first class at first, each part's mean
        atlas /= atlas.sum(axis=0)
        make = {
            "pooled": lambda: BrainGNN(atlas, p.keep, p.units, p.communities, settings.seed, self.dtype),
            "dynamic": lambda: DynamicGraph(p.regions, p.units, p.communities, settings.seed, self.dtype),
        }
        self.network = make[p.network]()
        self.network(tf.zeros([1, *self.law.shape[1:]], self.dtype))
        self.networks = {"class": self.network}

    def _panels(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Graphs [count, windows, regions, regions], symmetric and of ones and zeros, and classes [count]."""
        label = np.arange(count) % 2
        drawn = np.triu(rng.uniform(size=(count, *self.law.shape[1:])) < self.law[label], 1)
        return (drawn + drawn.swapaxes(2, 3)).astype(self.dtype), label

    def describe(self) -> Mapping[str, str]:
        p = self.p
        return {
            "data": f"{p.panels} panels of {p.windows} graphs of {p.regions} regions to train, {p.validation} to "
            f"validate, {p.tests} to test; {p.different} regions tell the classes apart ({p.data})",
            "network": f"{p.network}, {self.network.count_params():,} weights",
        }

    def batches(self, episode: int) -> Iterator[Batch]:
        graphs, label = self.parts[0]
        for rows in minibatches(len(label), self.p.batch, [self.seed, 1, self.rank, episode]):
            yield tf.constant(graphs[rows]), tf.constant(label[rows], self.dtype)

    def losses(self, batch: Batch, carry: Carry, key: tf.Tensor) -> Losses:
        p, (graphs, label) = self.p, batch
        odds, score = self.network(graphs)
        entropy = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(label, odds))
        square = tf.add_n([tf.reduce_sum(each.value**2) for each in self.network.trainable_variables])
        loss = entropy + p.decay * square
        if p.network == "pooled":
            loss += p.pooling * pooling_loss(score, p.keep) + p.consistency * consistency_loss(score, label)
        return Losses({"class": loss}, carry, {"cross_entropy": entropy})

    def read(self, graphs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns log-odds [panels] and scores [panels, regions]."""
        each = [self.network(tf.constant(graphs[k : k + 200])) for k in range(0, len(graphs), 200)]
        odds, scores = (np.concatenate([part[number].numpy() for part in each]).astype(float) for number in range(2))
        return odds, scores

    def validate(self) -> Mapping[str, float]:
        graphs, label = self.parts[1]
        return {"cross_entropy": float(np.mean(np.logaddexp(0.0, -self.read(graphs)[0] * (2 * label - 1))))}

    def results(self) -> Results:
        """Reports accuracy beside the likelihood ratio of who knows both laws, and how often each region is kept."""
        p, (graphs, label) = self.p, self.parts[2]
        odds, scores = self.read(graphs)
        seen = graphs[:, -1:] if p.network == "pooled" else graphs
        law = self.law[:, -1:] if p.network == "pooled" else self.law
        upper = np.triu_indices(p.regions, 1)
        who = {
            "network": odds > 0,
            "likelihood ratio": _ratio(seen, law) > 0,
            "logistic regression on edges": self._on_edges(seen.mean(axis=1), upper),
        }
        rows: list[dict[str, Any]] = [
            {"who": name, "accuracy": float((each == label).mean())} for name, each in who.items()
        ]
        headline = f"accuracy {rows[0]['accuracy']:.3f}, likelihood ratio {rows[1]['accuracy']:.3f}"
        if p.network == "dynamic":
            return Results(headline, {"accuracy": rows}, {"odds": odds})
        kept = (scores >= np.sort(scores, axis=1)[:, -p.keep][:, None]).mean(axis=0)
        order = np.argsort(-kept)
        regions = [
            {"region": int(i), "kept": float(kept[i]), "mean score": float(scores[:, i].mean()),
             "differs": bool(i in self.differs)} for i in order
        ]  # fmt: skip
        among = sum(row["differs"] for row in regions[: p.keep])
        headline += f"; {among} of {p.different} regions among the {p.keep} kept"
        return Results(headline, {"accuracy": rows, "regions": regions}, {"scores": scores}, printed=["accuracy"])

    def _on_edges(self, mean: np.ndarray, upper: tuple[np.ndarray, ...]) -> np.ndarray:
        graphs, label = self.parts[0]
        train = graphs[:, -1] if self.p.network == "pooled" else graphs.mean(axis=1)
        return LogisticRegression(C=0.1, max_iter=2000).fit(train[:, *upper], label).predict(mean[:, *upper])


def _ratio(graphs: np.ndarray, law: np.ndarray) -> np.ndarray:
    """ln p(graphs | second class) - ln p(graphs | first) [panels]; every edge stands twice."""
    log = [np.where(graphs > 0, np.log(each), np.log1p(-each)).sum(axis=(1, 2, 3)) for each in law]
    diagonal = [np.log1p(-np.diagonal(each, axis1=1, axis2=2)).sum() for each in law]
    return (log[1] - diagonal[1] - log[0] + diagonal[0]) / 2
