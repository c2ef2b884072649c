"""A recurrent network forecasts the next rows of a series from a window on its past."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, final

import numpy as np
import pandas as pd
import tensorflow as tf

from deqn.mlp.minibatches import minibatches
from deqn.project.errors import UserError
from deqn.rnn.networks import Recurrent
from deqn.rnn.windows import Windows, scale
from deqn.training.problem import Carry, Losses, Problem, Results
from deqn.training.settings import TrainingSettings

from .parameters import ForecastParameters
from .series import made_law, make_series

_ROWS = 4096  # windows that are forecast at once, for memory


@final
class Forecast(Problem):
    """One network reads a window and forecasts all steps ahead at once; the loss is the mean absolute error.

    Rows are cut in three, in time: to train, to validate, to test. Mean and standard deviation are of the first alone.
    """

    def __init__(
        self, parameters: ForecastParameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1
    ) -> None:
        p = self.p = parameters
        self.seed, self.rank, self.dtype = settings.seed, rank, settings.precision
        self.series = make_series(p, np.random.default_rng([settings.seed, 0]))
        values, gaps = self.series.values, np.isnan(self.series.values)
        train = round(len(values) * p.train_share)
        self.cuts = (0, train, train + (len(values) - train) // 2, len(values))
        try:
            self.scale = scale(values[:train])
            shown, self.targets = self.scale.of(values), [0]
            if p.missing == "mask":  # the network sees zeros where values are missing, and where that is
                self.targets = [0, values.shape[1]]
                shown = np.column_stack([np.where(gaps, 0.0, shown), ~gaps])
            self.train, self.validation, self.test = (
                Windows(part.astype(self.dtype), p.history, p.horizon, p.step, stride, self.targets)
                for part, stride in zip(np.split(shown, self.cuts[1:3]), (p.stride, 1, 1), strict=True)
            )
        except ValueError as error:
            raise UserError(f"parameters: {error}") from error
        self.network = Recurrent(shown.shape[1], p.horizon, p.cell, p.units, settings.seed, settings.precision)
        self.networks = {"forecast": self.network}

    def describe(self) -> Mapping[str, str]:
        units = "+".join(map(str, self.p.units))
        return {
            "data": f"{len(self.series.values):,} rows of {self.series.words}, {len(self.train):,} windows to train on",
            "network": f"{self.p.cell} of {units} units, {self.network.count_params():,} weights",
        }

    def batches(self, episode: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields all windows in a new order."""
        for rows in minibatches(len(self.train), self.p.batch, [self.seed, 1, self.rank, episode]):
            yield self.train.take(rows)

    def losses(self, batch: tuple[tf.Tensor, tf.Tensor], carry: Carry, key: tf.Tensor) -> Losses:
        """Returns the mean absolute error of all steps ahead that are observed, in standard deviations."""
        inputs, outputs = batch
        errors = tf.abs(self.network.last(inputs) - outputs[:, :, 0])
        if self.p.missing == "mask":
            there = outputs[:, :, 1]
            return Losses(
                {"forecast": tf.math.divide_no_nan(tf.reduce_sum(errors * there), tf.reduce_sum(there))}, carry
            )
        return Losses({"forecast": tf.reduce_mean(errors)}, carry)

    def validate(self) -> Mapping[str, float]:
        """Returns the mean absolute error on the rows that follow those for training, in units of the series."""
        forecasts, truth = self.forecasts(self.validation)
        return {"mean_absolute_error": float(np.nanmean(np.abs(forecasts - truth)))}

    def forecasts(self, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
        """Returns the network's forecasts and the truth, NaN where missing, [windows, horizon] each, in its units."""
        pairs = [windows.take(slice(at, at + _ROWS)) for at in range(0, len(windows), _ROWS)]
        said = np.concatenate([np.asarray(self.network.last(inputs)) for inputs, _ in pairs])[:, :, None]
        outputs = np.concatenate([outputs for _, outputs in pairs]).astype(float)
        truth = outputs[:, :, :1] if len(self.targets) == 1 else np.where(outputs[:, :, 1:], outputs[:, :, :1], np.nan)
        return tuple(self.scale.back(x.astype(float), [0])[:, :, 0] for x in (said, truth))

    def results(self) -> Results:
        """Reports mean absolute errors on the test rows, by forecast and by step ahead."""
        said, truth = self.forecasts(self.test)
        forecasts = {"network": said, **self._other_forecasts()}
        errors = {name: np.nanmean(np.abs(each - truth), axis=0) for name, each in forecasts.items()}
        rows: list[dict[str, Any]] = [
            {"forecast": name, "mean_absolute_error": each.mean()}
            | {f"step_{step}": value for step, value in enumerate(each, start=1)}
            for name, each in errors.items()
        ]
        mean = {name: each.mean() for name, each in errors.items()}
        best = min((name for name in mean if name != "network"), key=lambda name: mean[name])
        return Results(
            f"mean absolute error {mean['network']:.3f}, {best} {mean[best]:.3f}",
            {"errors": rows},
            {"truth": truth, **{name.replace(" ", "_"): each for name, each in forecasts.items()}},
        )

    def _other_forecasts(self) -> dict[str, np.ndarray]:
        """Forecasts that need no training, at the test's origins [windows, horizon]; gaps keep the value before."""
        y, p = pd.Series(self.series.values[:, 0]).ffill().bfill().to_numpy(), self.p
        origins = self.cuts[2] + self.test.origins
        ahead = np.arange(p.horizon)
        seasons = (ahead // p.period + 1) * p.period  # back to the same place in the last season that is known
        others = {
            "persistence": np.repeat(y[origins - 1, None], p.horizon, axis=1),
            "seasonal naive": y[origins[:, None] + ahead - seasons],
        }
        if not p.file:
            others["conditional mean"] = made_law(p).conditional_mean(y, origins, p.horizon)
        return others
