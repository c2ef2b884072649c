"""Forecasts of a panel by one network for all series, or one for each, in a backtest with a rolling origin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, final

import numpy as np
import tensorflow as tf

from deqn.mlp.ensemble import Ensemble
from deqn.mlp.minibatches import minibatches
from deqn.project.errors import UserError
from deqn.sequence.quantiles import mean_quantile_loss, quantile_loss, without_crossings
from deqn.training.problem import Batch, Carry, Losses, Problem, Results
from deqn.training.settings import TrainingSettings

from .baselines import autoregressions, normal_quantiles, seasonal_naive, vector_autoregressions
from .data import make_panel
from .parameters import Parameters


@final
class PanelForecast(Problem):
    """A network gives quantiles of every target of the next `horizon` rows from a window on the past of a series.

    Rows are cut in time: to train, to validate, to test. Of local networks each sees one series; they are one ensemble,
    of which the global network is the case of one series. `starts` networks of each kind are averaged.
    """

    def __init__(self, parameters: Parameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1) -> None:
        p = self.p = parameters
        self.seed, self.rank, self.dtype = settings.seed, rank, settings.precision
        self.panel = make_panel(p, np.random.default_rng([settings.seed, 0]))
        series, rows, targets = self.panel.values.shape
        self.tests_begin = round(rows * (1 - p.test_share)) if p.file else p.rows
        train = round(self.tests_begin * (1 - p.validation_share))
        first, last = p.history, rows - p.horizon
        self.origins = {
            "train": np.arange(first, train - p.horizon + 1),
            "validation": np.arange(train, self.tests_begin - p.horizon + 1),
            "test": np.arange(self.tests_begin, last + 1),
        }
        for name, origins in self.origins.items():
            if not len(origins):
                raise UserError(
                    f"parameters: of {rows} rows none is left to {name.replace('ation', 'ate')}; expected more rows, a "
                    "shorter horizon or season"
                )
        axis = (1,) if p.scale == "series" else (0, 1)
        seen = self.panel.values[:, :train]
        self.centre, self.spread = seen.mean(axis=axis, keepdims=True), seen.std(axis=axis, keepdims=True)
        if (self.spread == 0).any():
            raise UserError(
                "parameters.targets: a series never changes where it is trained on, expected that it varies"
            )
        self.inputs = {name: self._inputs(origins).astype(self.dtype) for name, origins in self.origins.items()}
        self.outputs = {name: self._outputs(origins).astype(self.dtype) for name, origins in self.origins.items()}
        self.groups = series if p.network == "local" else 1
        width = p.horizon * targets * len(p.quantiles)
        inputs = self.inputs["train"].shape[-1]
        self.network = Ensemble(self.groups * p.starts, inputs, width, p.hidden, "swish", settings.seed, self.dtype)
        self.networks = {"forecast": self.network}

    def _inputs(self, origins: np.ndarray) -> np.ndarray:
        """[series, origins, inputs]: the past, the season, static features and what is known ahead."""
        p, panel, series = self.p, self.panel, len(self.panel.values)
        scaled = (panel.values - self.centre) / self.spread
        past = scaled[:, origins[:, None] - np.arange(1, p.history + 1)].reshape(series, len(origins), -1)
        turns = 2 * np.pi * origins / p.period
        parts = [past, *(np.broadcast_to(f(turns)[None, :, None], (series, len(origins), 1)) for f in (np.sin, np.cos))]
        if panel.static.size and p.network == "global":
            v = _standardised(panel.static, panel.static)
            parts.append(np.broadcast_to(v[:, None], (series, len(origins), v.shape[1])))
        if panel.ahead.size and p.use_ahead:
            x = _standardised(panel.ahead, panel.ahead[:, : self.tests_begin].reshape(-1, panel.ahead.shape[2]))
            parts.append(x[:, origins[:, None] + np.arange(p.horizon)].reshape(series, len(origins), -1))
        return np.concatenate(parts, axis=2)

    def _outputs(self, origins: np.ndarray) -> np.ndarray:
        """[series, origins, horizon, targets], in units of the network."""
        scaled = (self.panel.values - self.centre) / self.spread
        return scaled[:, origins[:, None] + np.arange(self.p.horizon)]

    def describe(self) -> Mapping[str, str]:
        p, (series, rows, targets) = self.p, self.panel.values.shape
        made, origins = p.file or f"a made panel ({p.data})", len(self.origins["test"])
        return {
            "data": f"{series} series of {rows} rows and {targets} targets of {made}, {origins} origins to test",
            "network": f"{p.network}, {'-'.join(map(str, p.hidden))}, {self.network.count_params():,} weights",
        }

    def batches(self, episode: int) -> Iterator[Batch]:
        """Yields windows in a new order: of all series together, or of each for its own network."""
        seed = [self.seed, 1, self.rank, episode]
        x, y = (self._grouped(each["train"]) for each in (self.inputs, self.outputs))
        for rows in minibatches(x.shape[1], self.p.batch, seed):
            yield x[:, rows], y[:, rows]

    def _grouped(self, each: np.ndarray) -> np.ndarray:
        """[series, origins, ...] -> [groups, windows of a group, ...]; a group is what one network sees."""
        return each.reshape(self.groups, -1, *each.shape[2:])

    def of_each(self, inputs: Any) -> tf.Tensor:
        """Returns quantiles [groups, starts, windows, horizon, targets, quantiles] of inputs [groups, windows, ...]."""
        raw = self.network(tf.repeat(inputs, self.p.starts, axis=0))
        outputs = self.p.horizon, self.panel.values.shape[2], len(self.p.quantiles)
        return without_crossings(tf.reshape(raw, [self.groups, self.p.starts, raw.shape[1], *outputs]))

    def forecast(self, inputs: Any) -> tf.Tensor:
        """Returns the mean over starts, [groups, windows, horizon, targets, quantiles]."""
        return tf.reduce_mean(self.of_each(inputs), axis=1)

    def losses(self, batch: Batch, carry: Carry, key: tf.Tensor) -> Losses:
        """Returns the quantile loss, summed over networks."""
        x, y = batch
        loss = mean_quantile_loss(y[:, None], self.of_each(x), self.p.quantiles)
        return Losses({"forecast": self.groups * self.p.starts * loss}, carry)

    def validate(self) -> Mapping[str, float]:
        """Returns the quantile loss on the rows that follow those for training."""
        x, y = (self._grouped(each["validation"]) for each in (self.inputs, self.outputs))
        return {"quantile_loss": float(mean_quantile_loss(tf.constant(y), self.forecast(x), self.p.quantiles))}

    def results(self) -> Results:
        """Reports the backtest: errors of all forecasts over all origins of the tests, and by step ahead."""
        p, origins = self.p, self.origins["test"]
        truth = self.panel.values[:, origins[:, None] + np.arange(p.horizon)]
        scaled = self.forecast(self._grouped(self.inputs["test"])).numpy().astype(float).reshape(*truth.shape, -1)
        shown = scaled * self.spread[:, :, None, :, None] + self.centre[:, :, None, :, None]
        forecasts = {"network": shown, **self._others(origins)}
        unit = np.abs(
            self.panel.values[:, p.period : self.tests_begin] - self.panel.values[:, : self.tests_begin - p.period]
        )
        rows = [backtest_row(name, each, truth, unit.mean(axis=1), p.quantiles) for name, each in forecasts.items()]
        steps = [
            {"forecast": name}
            | {f"step_{step + 1}": float(np.abs(_median(each) - truth)[:, :, step].mean()) for step in range(p.horizon)}
            for name, each in forecasts.items()
        ]
        best = next((row for row in rows if row["forecast"] == "known law"), None)
        others = f", {rows[0]['mae'] / best['mae']:.3f} of the known law's" if best else ""
        coverage = [
            {"quantile": q, "coverage": float((truth <= shown[..., number]).mean())}
            for number, q in enumerate(p.quantiles)
        ]
        return Results(
            f"MAE {rows[0]['mae']:.3f}{others}, MASE {rows[0]['mase']:.3f}",
            {"backtest": rows, "steps": steps, "coverage": coverage},
            {"truth": truth, "forecasts": shown},
        )

    def _others(self, origins: np.ndarray) -> dict[str, np.ndarray]:
        """The quantiles of forecasts that need no network."""
        p, values, train = self.p, self.panel.values, self.tests_begin
        common = values, train, origins, p.horizon
        found = {
            "seasonal naive": seasonal_naive(*common, p.period, p.quantiles),
            "AR": autoregressions(*common, p.period, p.history, p.quantiles),
        }
        if values.shape[2] > 1:
            found["VAR"] = vector_autoregressions(*common, p.history, p.quantiles)
        if self.panel.best:
            found["known law"] = normal_quantiles(*self.panel.best(origins, p.horizon), p.quantiles)
        return found


def backtest_row(
    name: str, forecast: np.ndarray, truth: np.ndarray, unit: np.ndarray, quantiles: list[float]
) -> dict[str, Any]:
    """Returns the measures of one forecast [series, origins, horizon, targets, quantiles].

    mae: of the median. mase: in units of the seasonal naive forecast's error where it is trained on, `unit` [series,
    targets] (Hyndman and Koehler 2006). crps: twice the mean quantile loss, which is the continuous ranked probability
    score as the quantiles become dense. coverage: the share of values between the outer quantiles.
    """
    errors = np.abs(_median(forecast) - truth)
    inside = (truth >= forecast[..., 0]) & (truth <= forecast[..., -1])
    return {
        "forecast": name, "mae": float(errors.mean()), "mase": float((errors / unit[:, None, None]).mean()),
        "crps": float(2 * quantile_loss(truth, forecast, quantiles).mean()), "coverage": float(inside.mean()),
        "wanted": quantiles[-1] - quantiles[0],
    }  # fmt: skip


def _median(forecast: np.ndarray) -> np.ndarray:
    return forecast[..., forecast.shape[-1] // 2]


def _standardised(values: np.ndarray, sample: np.ndarray) -> np.ndarray:
    """Values [..., d] by mean and spread of the sample [n, d]; a column that never changes becomes zero."""
    spread = sample.std(axis=0)
    return (values - sample.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
