"""Which of two classes a panel on a graph belongs to, and which edges tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, final

import numpy as np
import tensorflow as tf
from sklearn.linear_model import LogisticRegressionCV

from deqn.graph.files import read_edges, read_panels, split
from deqn.graph.graphs import adjacency
from deqn.graph.networks import SpatioTemporal
from deqn.project.errors import UserError
from deqn.training.problem import Batch, Carry, Losses, Problem, Results
from deqn.training.settings import TrainingSettings

from .parameters import Parameters


@final
class Coupling(Problem):
    """ST-GCN learns the class from sub-sequences; at a test those of a panel vote by their mean log-odds."""

    compiler = "xla"

    def __init__(self, parameters: Parameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1) -> None:
        p = self.p = parameters
        self.seed, self.rank, self.dtype = settings.seed, rank, settings.precision
        rng = np.random.default_rng([settings.seed, 0])
        self.laws, self.differs, self.names = [], None, range(p.nodes)
        if p.file:
            x, label, self.names = read_panels(p.file)
            if x.shape[1] < p.window:
                raise UserError(f"parameters.window: {p.window}, expected at most the {x.shape[1]} rows of a panel")
            x = (x - x.mean(axis=(0, 1))) / np.maximum(x.std(axis=(0, 1)), 1e-12)
            self.a = read_edges(p.edges_file, self.names)
            self.parts = split(x, label, p.validation, p.tests, rng)
        else:
            self._make(rng)
        self.network = SpatioTemporal(self.a, p.units, p.kernel, settings.seed, self.dtype)
        self.network(tf.zeros([1, p.window, len(self.a), 1], self.dtype))
        self.networks = {"class": self.network}

    def _make(self, rng: np.random.Generator) -> None:
        """Draws the edges, those that tell the classes apart, and panels of both laws."""
        p = self.p
        pairs = np.argwhere(np.triu(np.ones((p.nodes, p.nodes)), 1))
        chosen = pairs[rng.permutation(len(pairs))[: p.edges]]
        self.a = adjacency(p.nodes, [(i, j, 1.0) for i, j in chosen])
        self.differs = adjacency(p.nodes, [(i, j, 1.0) for i, j in chosen[: p.different]]) > 0
        self.laws = [p.weak * self.a, np.where(self.differs, p.strong, p.weak * self.a)]
        self.parts = [self._panels(count, rng) for count in (p.panels, p.validation, p.tests)]

    def _panels(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Panels [count, rows, nodes], every second one of the second class, and their classes [count]."""
        label = np.arange(count) % 2
        law, burn_in = np.stack(self.laws)[label], 50
        x = np.zeros((self.p.rows + burn_in, count, self.p.nodes))
        for t in range(1, len(x)):
            x[t] = np.einsum("cij,cj->ci", law, x[t - 1]) + rng.normal(size=x[0].shape)
        return x[burn_in:].transpose(1, 0, 2), label

    def describe(self) -> Mapping[str, str]:
        (panels, rows, nodes), p = self.parts[0][0].shape, self.p
        made = f"{p.different} of {p.edges} edges tell the classes apart"
        return {
            "data": f"{panels} panels of {rows} rows and {nodes} nodes to train, {p.validation} to validate, "
            f"{p.tests} to test; {p.file or made}",
            "network": f"ST-GCN, {self.network.count_params():,} weights",
        }

    def batches(self, episode: int) -> Iterator[Batch]:
        x, label = self.parts[0]
        rng = np.random.default_rng([self.seed, 1, self.rank, episode])
        for _ in range(20):
            panel = rng.integers(len(x), size=self.p.batch)
            begin = rng.integers(x.shape[1] - self.p.window + 1, size=self.p.batch)
            rows = begin[:, None] + np.arange(self.p.window)
            yield tf.constant(x[panel[:, None], rows][..., None], self.dtype), tf.constant(label[panel], self.dtype)

    def losses(self, batch: Batch, carry: Carry, key: tf.Tensor) -> Losses:
        x, label = batch
        entropy = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(label, self.network(x)))
        loss = entropy + self.p.penalty * tf.reduce_sum(tf.abs(self.network.importance())) / self.a.sum()
        return Losses({"class": loss}, carry, {"cross_entropy": entropy})

    def votes(self, x: np.ndarray) -> np.ndarray:
        """Returns the mean log-odds over a panel's sub-sequences [panels], which do not overlap."""
        count = x.shape[1] // self.p.window
        cut = x[:, : count * self.p.window].reshape(-1, self.p.window, x.shape[2], 1)
        odds = [self.network(tf.constant(cut[k : k + 500], self.dtype)).numpy() for k in range(0, len(cut), 500)]
        return np.concatenate(odds).reshape(len(x), count).mean(axis=1)

    def validate(self) -> Mapping[str, float]:
        x, label = self.parts[1]
        odds = self.votes(x)
        return {"cross_entropy": float(np.mean(np.logaddexp(0.0, -odds * (2 * label - 1))))}

    def results(self) -> Results:
        """Reports accuracy beside the likelihood ratio of who knows both laws, and the importance of edges."""
        x, label = self.parts[2]
        found = {
            "ST-GCN, votes": self.votes(x) > 0,
            "ST-GCN, one sub-sequence": self._odds_of_first(x) > 0,
            "logistic regression on correlations": self._on_correlations(x),
        }
        if self.laws:
            found["likelihood ratio"] = self._likelihood_ratio(x) > 0
            found["likelihood ratio, one sub-sequence"] = self._likelihood_ratio(x[:, : self.p.window]) > 0
        rows = [{"who": name, "accuracy": float((each == label).mean())} for name, each in found.items()]
        weight = self.network.importance().numpy().astype(float)
        weight = np.triu(weight + weight.T)
        order = sorted(np.argwhere(weight > 0), key=lambda edge: -weight[tuple(edge)])
        edges: list[dict[str, Any]] = [
            {"from": self.names[i], "to": self.names[j], "importance": weight[i, j] / 2} for i, j in order
        ]
        headline = f"accuracy {rows[0]['accuracy']:.3f}"
        if self.differs is not None:
            for row, (i, j) in zip(edges, order, strict=True):
                row["differs"] = bool(self.differs[i, j])
            most = 2 * self.p.different
            among = sum(row["differs"] for row in edges[:most])
            headline += f", likelihood ratio {rows[3]['accuracy']:.3f}; {among} of {most // 2} among {most} edges"
        return Results(
            headline,
            {"accuracy": rows, "edges": edges},
            {"importance": weight},
            printed=["accuracy"],
        )

    def _odds_of_first(self, x: np.ndarray) -> np.ndarray:
        return self.network(tf.constant(x[:, : self.p.window, :, None], self.dtype)).numpy()

    def _likelihood_ratio(self, x: np.ndarray) -> np.ndarray:
        errors = [((x[:, 1:] - x[:, :-1] @ law.T) ** 2).sum(axis=(1, 2)) for law in self.laws]
        return (errors[0] - errors[1]) / 2

    def _on_correlations(self, x: np.ndarray) -> np.ndarray:
        """The classes that a logistic regression on all correlations finds, its penalty by cross-validation."""
        upper = np.triu_indices(len(self.a), 1)

        def of(panels: np.ndarray) -> np.ndarray:
            return np.stack([np.corrcoef(each.T)[upper] for each in panels])

        fitted = LogisticRegressionCV(Cs=8, max_iter=2000).fit(of(self.parts[0][0]), self.parts[0][1])
        return fitted.predict(of(x))
