"""Forecasts of a panel whose nodes are joined by a graph, and which edges carry something."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, final

import numpy as np
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from deqn.graph.networks import ContextGated, Decoupled, EdgeImportance, Filter
from deqn.mlp.minibatches import minibatches
from deqn.project.errors import UserError
from deqn.training.problem import Batch, Carry, Losses, Problem, Results
from deqn.training.settings import TrainingSettings

from .baselines import Windows, forecasts, row
from .data import Panel, make_panel
from .parameters import Parameters

_ROWS = 1000  # windows that are forecast at once, for memory
_PERIODS = 12  # of an impulse response


@final
class GraphForecast(Problem):
    """A network gives every node's value `horizon` rows ahead from a window on all nodes; the loss is squared error.

    Rows are cut in time: to train, to validate, to test. Mean and standard deviation are of the first alone.
    """

    def __init__(self, parameters: Parameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1) -> None:
        p = self.p = parameters
        self.seed, self.rank, self.dtype = settings.seed, rank, settings.precision
        self.panel = make_panel(p, np.random.default_rng([settings.seed, 0]))
        axis = (0, 1) if p.scale == "panel" else 0
        seen = self.panel.values[: self.panel.cuts[0]]
        self.centre, self.spread = seen.mean(axis=axis, keepdims=True), seen.std(axis=axis, keepdims=True)
        if (self.spread == 0).any():
            raise UserError("parameters.file: a node never changes where it is trained on, expected that it varies")
        begins = (0, *self.panel.cuts, len(self.panel.values))
        self.parts = [self._windows(a, b) for a, b in itertools.pairwise(begins)]
        try:
            self.network = network(p, self.panel, settings.seed, self.dtype)
        except ValueError as error:  # of the graph
            raise UserError(f"parameters.edges: {error}") from error
        self.network(*self._inputs(self.parts[0], slice(0, 1)))
        self.networks = {"forecast": self.network}

    def _windows(self, begin: int, end: int) -> Windows:
        """The windows whose forecast row lies in [begin, end), in units of the data."""
        p = self.p
        rows = np.arange(max(begin, p.history + p.horizon - 1), end)
        if not len(rows):
            raise UserError(f"parameters.history: {p.history} rows leave no window in rows {begin} to {end}")
        past = rows[:, None] - p.horizon - np.arange(p.history)[::-1]
        return Windows(self.panel.values[past], self.panel.values[rows, :, 0], self.panel.hour[past])

    def _inputs(self, part: Windows, rows: Any) -> tuple[tf.Tensor, tf.Tensor]:
        x = (part.x[rows] - self.centre) / self.spread
        return tf.constant(x, self.dtype), tf.constant(part.hour[rows], tf.int32)

    def describe(self) -> Mapping[str, str]:
        p, (rows, nodes, _) = self.p, self.panel.values.shape
        edges = np.count_nonzero(self.panel.graphs[0])
        made = p.file or f"a made panel ({p.data})"
        return {
            "data": f"{rows} rows of {nodes} nodes of {made}, {edges} entries in the graph, "
            f"{', '.join(str(len(each.y)) for each in self.parts)} windows to train, to validate, to test",
            "network": f"{p.network}, {self.network.count_params():,} weights",
        }

    def batches(self, episode: int) -> Iterator[Batch]:
        part = self.parts[0]
        for rows in minibatches(len(part.y), self.p.batch, [self.seed, 1, self.rank, episode]):
            yield *self._inputs(part, rows), self._scaled(part.y[rows])

    def _scaled(self, y: np.ndarray) -> tf.Tensor:
        return tf.constant((y - self.centre[0, :, 0]) / self.spread[0, :, 0], self.dtype)

    def losses(self, batch: Batch, carry: Carry, key: tf.Tensor) -> Losses:
        x, hour, y = batch
        loss = error = tf.reduce_mean((self.network(x, hour) - y) ** 2)
        if self.p.penalty:
            loss += self.p.penalty * self.network.penalty()
        return Losses({"forecast": loss}, carry, {"squared_error": error})

    def forecast(self, part: Windows) -> np.ndarray:
        """Returns [windows, nodes] in units of the data."""
        each = [self.network(*self._inputs(part, slice(k, k + _ROWS))).numpy() for k in range(0, len(part.y), _ROWS)]
        return np.concatenate(each).astype(float) * self.spread[0, :, 0] + self.centre[0, :, 0]

    def validate(self) -> Mapping[str, float]:
        part = self.parts[1]
        return {"mse": float(((self.forecast(part) - part.y) ** 2).mean())}

    def results(self) -> Results:
        """Reports errors of all forecasts on the rows to test, and how well the edges that carry are found."""
        train, validation, test = self.parts
        found = {"network": self.forecast(test), **forecasts(train, validation, test)}
        found |= {name: each[-len(test.y) :] for name, each in self.panel.known.items()}
        rows = [row(name, each, test.y) for name, each in found.items()]
        tables: dict[str, Any] = {"forecasts": rows}
        arrays = {"truth": test.y, "forecast": found["network"]}
        headline = f"MSE {rows[0]['mse']:.4f}"
        if self.p.network == "edges":
            tables |= self._edges(arrays)
        elif self.p.dynamic and self.panel.carries is not None:
            auc = self._auc_by_hour(arrays)
            tables["edges"], headline = [{"auc": auc}], f"{headline}, AUC of edges {auc:.3f}"
        printed = [name for name in tables if name != "importance"]  # a line for each edge: in importance.csv
        return Results(headline, tables, arrays, printed=printed)

    def _auc_by_hour(self, arrays: dict[str, np.ndarray]) -> float:
        """The chance that an edge in use at the hour that is forecast has a larger weight than one that is not."""
        hours = np.arange(self.p.season)
        weights = self.network.graph(tf.constant(hours[:, None], tf.int32)).numpy()[:, 0]
        arrays["edge_weights"] = weights
        carries = self.panel.carries[(hours + self.p.horizon) % self.p.season]
        edges = np.broadcast_to(self.panel.graphs[0] > 0, carries.shape)
        return float(roc_auc_score(carries[edges], weights[edges]))

    def _edges(self, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
        """The importance of every edge, and impulse responses over the graph beside a VAR's with the same lags."""
        weight, a = self.network.importance().numpy().astype(float), self.panel.graphs[0] > 0
        arrays["importance"] = weight
        names = self.panel.names or tuple(str(node) for node in range(len(a)))
        order = sorted(np.argwhere(a), key=lambda edge: -abs(weight[tuple(edge)]))
        listed = [{"from": names[j], "to": names[i], "importance": weight[i, j]} for i, j in order]
        responses = {"network": self._responses(lambda x: self.network(x, tf.zeros(tf.shape(x)[:2], tf.int32)).numpy())}
        coefficients = self._var()
        responses["VAR"] = self._responses(lambda x: np.einsum("tij,btj->bi", coefficients, x[..., 0]))
        arrays |= {f"responses_{name}": each for name, each in responses.items()}
        tables: dict[str, Any] = {"importance": listed}
        if self.panel.carries is not None and self.panel.law is not None:
            for row_, (i, j) in zip(listed, order, strict=True):
                row_["carries"] = bool(self.panel.carries[i, j])
            truth = np.stack([np.linalg.matrix_power(self.panel.law, k).T for k in range(1, _PERIODS + 1)], axis=1)
            arrays["responses_truth"] = truth
            others = ~np.eye(len(a), dtype=bool)
            var = coefficients.sum(axis=0)
            tables["edges"] = [
                {
                    "network": name,
                    "auc": float(roc_auc_score(self.panel.carries[a], np.abs(matrix[a]))),
                    "error of responses": float(np.sqrt(np.mean((responses[name] - truth)[others[:, None].repeat(
                        _PERIODS, axis=1)] ** 2) / np.mean(truth[others[:, None].repeat(_PERIODS, axis=1)] ** 2))),
                }
                for name, matrix in (("network", weight), ("VAR", var))
            ]  # fmt: skip
        return tables

    def _var(self) -> np.ndarray:
        """Least squares on the rows to train, in the network's units: [time, nodes, nodes]."""
        x, _ = self._inputs(self.parts[0], slice(None))
        flat = x.numpy()[..., 0].reshape(len(x), -1).astype(float)
        flat = np.hstack([flat, np.ones((len(flat), 1))])
        found = np.linalg.lstsq(flat, self._scaled(self.parts[0].y).numpy().astype(float), rcond=None)[0][:-1]
        return np.moveaxis(found.reshape(self.p.history, x.shape[2], -1), 2, 1)

    def _responses(self, forecast: Any) -> np.ndarray:
        """Responses [shocked node, period, node] to one more in a node's last row, everything else at its mean."""
        nodes = self.panel.values.shape[1]

        def path(window: np.ndarray) -> np.ndarray:
            found = []
            for _ in range(_PERIODS):
                found.append(forecast(window.astype(self.dtype)))
                window = np.concatenate([window[:, 1:], found[-1][:, None, :, None]], axis=1)
            return np.stack(found, axis=1)

        base = np.zeros((nodes, self.p.history, nodes, 1))
        shocked = base.copy()
        shocked[np.arange(nodes), -1, np.arange(nodes), 0] = 1.0
        return path(shocked) - path(base)


def network(p: Parameters, panel: Panel, seed: int, dtype: str) -> Any:
    """Returns the network that the parameters name, on the graphs of the panel."""
    time, features = p.history, panel.values.shape[2]
    if p.network == "filter":
        return Filter(panel.graphs, p.order, p.hidden, seed, dtype)
    if p.network == "gated":
        return ContextGated(panel.graphs, p.order, time, features, p.cell, p.units, p.gate, seed, dtype)
    if p.network == "edges":
        return EdgeImportance(panel.graphs[0], time, seed, dtype)
    return Decoupled(
        panel.graphs[0], p.season, p.layers, p.hops, p.lags, p.units, p.width, p.gated, p.dynamic, seed, dtype
    )
