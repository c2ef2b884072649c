"""Which of two classes a graph of known regions belongs to, which regions tell, and where the order of graphs tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, final

import numpy as np
import pandas as pd
import tensorflow as tf
from sklearn.linear_model import LogisticRegression

from deqn.graph.files import read_panels, split
from deqn.graph.pooling import BrainGNN, DynamicGraph, consistency_loss, pooling_loss
from deqn.mlp.minibatches import minibatches
from deqn.project.errors import UserError
from deqn.project.tables import read_table
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
        self.law, self.differs, self.names = None, None, range(p.regions)
        make_parts = self._read if p.file else self._make
        part = make_parts(np.random.default_rng([settings.seed, 0]))
        regions = self.parts[0][0].shape[-1]
        atlas = np.eye(part.max() + 1)[part]
        atlas /= atlas.sum(axis=0)
        make = {
            "pooled": lambda: BrainGNN(atlas, p.keep, p.units, settings.seed, self.dtype),
            "dynamic": lambda: DynamicGraph(regions, p.units, p.communities, settings.seed, self.dtype),
        }
        self.network = make[p.network]()
        self.network(tf.zeros([1, *self.parts[0][0].shape[1:]], self.dtype))
        self.networks = {"class": self.network}
        self.every = False

    def _make(self, rng: np.random.Generator) -> np.ndarray:
        """Draws graphs of both laws; returns the part of each region: where it is in the first class at first."""
        p = self.p
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
        return home

    def _read(self, rng: np.random.Generator) -> np.ndarray:
        """Reads panels, whose correlations are the graphs; returns the part of each region, by the atlas."""
        p = self.p
        x, label, names = read_panels(p.file)
        self.names = names
        windows = 1 if p.network == "pooled" else p.windows
        if x.shape[1] < 3 * windows or p.keep > len(names):
            raise UserError(
                f"parameters.file: {p.file}: {x.shape[1]} rows a panel and {len(names)} regions, expected at least "
                f"{3 * windows} rows for {windows} graphs and {p.keep} regions (keep)"
            )
        cut = np.stack(np.array_split(x[:, : x.shape[1] // windows * windows], windows, axis=1), axis=1)
        cut = cut - cut.mean(axis=2, keepdims=True)
        cut /= np.maximum(np.linalg.norm(cut, axis=2, keepdims=True), 1e-12)
        joined = np.abs(cut.swapaxes(2, 3) @ cut) > p.threshold
        graphs = (joined & ~np.eye(len(names), dtype=bool)).astype(self.dtype)
        self.parts = split(graphs, label, p.validation, p.tests, rng)
        if p.network != "pooled":
            return np.zeros(len(names), int)
        table = read_table(p.atlas, [], texts=["region", "part"]).set_index("region")["part"]
        missing = [name for name in names if name not in table.index]
        if missing or table.index.duplicated().any():
            raise UserError(
                f"parameters.atlas: {p.atlas}: expected each region once, got none or two of {missing or '?'}"
            )
        return pd.factorize(table[names], sort=True)[0]

    def enter_phase(self, settings: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
        """{every: true}: all regions are read, and a weight on their scores tells which are worth to be kept."""
        rest = {name: value for name, value in settings.items() if (name, self.p.network) != ("every", "pooled")}
        super().enter_phase(rest, parameters)
        self.every = bool(settings.get("every", False))

    def _panels(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Graphs [count, windows, regions, regions], symmetric and of ones and zeros, and classes [count]."""
        label = np.arange(count) % 2
        drawn = np.triu(rng.uniform(size=(count, *self.law.shape[1:])) < self.law[label], 1)
        return (drawn + drawn.swapaxes(2, 3)).astype(self.dtype), label

    def describe(self) -> Mapping[str, str]:
        p = self.p
        panels, windows, regions, _ = self.parts[0][0].shape
        made = f"{p.different} regions tell the classes apart ({p.data})"
        return {
            "data": f"{panels} panels of {windows} graphs of {regions} regions to train, {p.validation} to "
            f"validate, {p.tests} to test; {p.file or made}",
            "network": f"{p.network}, {self.network.count_params():,} weights",
        }

    def batches(self, episode: int) -> Iterator[Batch]:
        graphs, label = self.parts[0]
        for rows in minibatches(len(label), self.p.batch, [self.seed, 1, self.rank, episode]):
            yield tf.constant(graphs[rows]), tf.constant(label[rows], self.dtype)

    def losses(self, batch: Batch, carry: Carry, key: tf.Tensor) -> Losses:
        p, (graphs, label) = self.p, batch
        odds, score = self.network(graphs, every=True) if self.every else self.network(graphs)
        entropy = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(label, odds))
        square = tf.add_n([tf.reduce_sum(each.value**2) for each in self.network.trainable_variables])
        loss = entropy + p.decay * square
        if p.network == "pooled":
            fewer = tf.reduce_mean(score) * p.sparsity if self.every else p.pooling * pooling_loss(score, p.keep)
            loss += fewer + p.consistency * consistency_loss(score, label)
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
        upper = np.triu_indices(graphs.shape[-1], 1)
        who = {"network": odds > 0, "logistic regression on edges": self._on_edges(seen.mean(axis=1), upper)}
        if self.law is not None:
            who["likelihood ratio"] = _ratio(seen, self.law[:, -seen.shape[1] :]) > 0
        rows: list[dict[str, Any]] = [
            {"who": name, "accuracy": float((each == label).mean())} for name, each in who.items()
        ]
        headline = ", ".join(f"{row['who']} {row['accuracy']:.3f}" for row in rows)
        if p.network == "dynamic":
            return Results(headline, {"accuracy": rows}, {"odds": odds})
        kept = (scores >= np.sort(scores, axis=1)[:, -p.keep][:, None]).mean(axis=0)
        order = np.argsort(-kept)
        regions: list[dict[str, Any]] = [
            {"region": self.names[i], "kept": float(kept[i]), "mean score": float(scores[:, i].mean())} for i in order
        ]
        if self.differs is not None:
            for row in regions:
                row["differs"] = row["region"] in self.differs
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
