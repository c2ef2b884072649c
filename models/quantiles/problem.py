"""Quantile forecasts several periods ahead of a series whose volatility depends on its past."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, final

import numpy as np
import tensorflow as tf
from scipy.stats import norm

from deqn.mlp.minibatches import check_size, minibatches
from deqn.project.errors import UserError
from deqn.project.tables import read_series
from deqn.rnn.networks import Recurrent
from deqn.sequence import quantiles
from deqn.training.problem import Batch, Carry, Losses, Problem, Results
from deqn.training.settings import TrainingSettings

from .parameters import Parameters

_BURN_IN = 200


@final
class Quantiles(Problem):
    """The outputs of a GRU are ascending quantiles of the next `horizon` periods."""

    def __init__(self, parameters: Parameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1) -> None:
        p, self.dtype, self.seed, self.rank = parameters, settings.precision, settings.seed, rank
        self.p = p
        # Each part is a path of its own, so that no window reaches from one into another.
        self.parts = _read(p) if p.file else [
            series(p, rows, np.random.default_rng([settings.seed, number]))
            for number, rows in enumerate((p.rows, p.tests // 2, p.tests))
        ]  # fmt: skip
        self.train, self.validation, self.test = (_windows(part, p) for part in self.parts)
        # Networks learn numbers of about one; a file's returns may be hundredths.
        self.unit = float(self.parts[0].std()) if p.file else 1.0
        self.train = tuple(part[rank::ranks].astype(self.dtype) for part in self.train)
        check_size(p.batch, len(self.train[0]), "origins of a rank")
        outputs = p.horizon * len(p.quantiles)
        self.network = Recurrent(1, outputs, "gru", [p.units], settings.seed, self.dtype)
        self.networks = {"network": self.network}

    def describe(self) -> Mapping[str, str]:
        p = self.p
        return {
            "data": f"{len(self.parts[0])} periods of {p.file or 'a made series'}, forecasts of {p.horizon} from "
            f"{p.history}, quantiles {', '.join(f'{q:g}' for q in p.quantiles)}",
            "network": f"GRU, {p.units} units, {self.network.count_params()} weights",
        }

    def batches(self, episode: int) -> Iterator[Batch]:
        """Yields all origins in a new order."""
        past, future = self.train
        for rows in minibatches(len(past), self.p.batch, [self.seed, 9, self.rank, episode]):
            yield past[rows], future[rows]

    def forecast(self, past: Any) -> tf.Tensor:
        """Returns quantiles [batch, horizon, quantiles] from past values [batch, history]."""
        raw = self.network(tf.convert_to_tensor(past)[:, :, None] / self.unit)[:, -1]
        return self.unit * quantiles.without_crossings(tf.reshape(raw, [-1, self.p.horizon, len(self.p.quantiles)]))

    def predict(self, inputs: Any, network: str | None = None) -> np.ndarray:
        """Returns quantiles [n, horizon, quantiles] of what follows past values [n, history]."""
        return self.forecast(np.asarray(inputs, self.dtype)).numpy()

    def losses(self, batch: Batch, carry: Carry, key: tf.Tensor) -> Losses:
        """Returns the quantile loss over all periods ahead."""
        past, future = batch
        loss = quantiles.mean_quantile_loss(future, self.forecast(past), self.p.quantiles) / self.unit
        return Losses({"network": loss}, carry)

    def validate(self) -> Mapping[str, float]:
        """Returns the quantile loss on a path of its own."""
        past, future = (part.astype(self.dtype) for part in self.validation)
        return {"quantile_loss": float(quantiles.mean_quantile_loss(future, self.forecast(past), self.p.quantiles))}

    def results(self) -> Results:
        """Reports coverage and risk by period ahead, beside those of the true quantiles and of constants."""
        p, (past, future) = self.p, self.test
        shown = self.forecast(past.astype(self.dtype)).numpy().astype(np.float64)
        constants = np.quantile(self.train[1].astype(np.float64), p.quantiles, axis=0).T  # [horizon, quantiles]
        constant = np.broadcast_to(constants, shown.shape)
        rows = []
        for ahead in range(p.horizon):
            forecasts = {"network": shown[:, ahead], "constant": constant[:, ahead]}
            if ahead == 0 and not p.file:
                forecasts["truth"] = one_step(p, past[:, -1])
            for name, forecast in forecasts.items():
                risks = quantiles.risk(future[:, ahead], forecast, p.quantiles)
                covered = quantiles.coverage(future[:, ahead], forecast)
                rows += [
                    {"ahead": ahead + 1, "forecast": name, "quantile": q, "coverage": c, "risk": r}
                    for q, c, r in zip(p.quantiles, covered, risks, strict=True)
                ]
        worst = max(abs(row["coverage"] - row["quantile"]) for row in rows if row["forecast"] == "network")
        return Results(
            f"coverage within {100 * worst:.1f} points, {quantiles.crossings(shown):.0%} crossing",
            {"quantiles": rows},
            {"future": future, "forecasts": shown} | ({} if p.file else {"truth": one_step(p, past[:, -1])}),
        )


def series(p: Parameters, rows: int, generator: np.random.Generator) -> np.ndarray:
    """Draws a path of the process, [rows]."""
    x = np.zeros(rows + _BURN_IN)
    for t, eps in enumerate(generator.normal(size=rows + _BURN_IN - 1), 1):
        x[t] = p.persistence * x[t - 1] + (p.calm + p.nervous * abs(x[t - 1])) * eps
    return x[_BURN_IN:]


def one_step(p: Parameters, last: np.ndarray) -> np.ndarray:
    """Returns the true quantiles of the next period, [n, quantiles]."""
    sigma = p.calm + p.nervous * np.abs(last)
    return p.persistence * last[:, None] + sigma[:, None] * norm.ppf(p.quantiles)


def _read(p: Parameters) -> list[np.ndarray]:
    """The series of the file in its three parts. Raises UserError for what can't be used."""
    records = read_series(p.file, [p.column] if p.column else None, date=p.date, date_format=p.date_format)
    parts = np.split(records.values[:, 0], [round(share * len(records.values)) for share in (0.6, 0.75)])
    if min(map(len, parts)) < p.history + p.horizon:
        raise UserError(
            f"parameters.file: {p.file} has {len(records.values)} rows, of which {len(parts[1])} validate; expected "
            f"there at least history + horizon = {p.history + p.horizon}"
        )
    if parts[0].std() == 0:
        raise UserError(f"parameters.file: {p.file}: the series never changes where it is trained on")
    return parts


def _windows(x: np.ndarray, p: Parameters) -> tuple[np.ndarray, np.ndarray]:
    """Past [n, history] and future [n, horizon] of every origin of a path."""
    both = np.lib.stride_tricks.sliding_window_view(x, p.history + p.horizon)
    return both[:, : p.history], both[:, p.history :]
