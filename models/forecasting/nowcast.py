"""A hidden factor from observations with gaps: a recurrent network with a mask beside the filter that knows the law."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, final

import numpy as np
import tensorflow as tf

from deqn.mlp.minibatches import check_size, minibatches
from deqn.project.errors import UserError
from deqn.project.tables import Records, read_series
from deqn.rnn.networks import Recurrent
from deqn.sequence.kalman import LinearGaussian
from deqn.training.problem import Batch, Carry, Losses, Problem, Results
from deqn.training.settings import TrainingSettings

from .nowcast_parameters import NowcastParameters


class Paths(NamedTuple):
    """factor: f [n, T]. observed: y [n, T, k], NaN where missing. complete: y without gaps."""

    factor: np.ndarray
    observed: np.ndarray
    complete: np.ndarray


@final
class Nowcast(Problem):
    """A GRU that sees [y m, m], m = 1 where y is observed, learns f_t by squared errors."""

    def __init__(
        self, parameters: NowcastParameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1
    ) -> None:
        p, self.seed, self.rank, self.dtype = parameters, settings.seed, rank, settings.precision
        self.p, self.law = p, law(p)
        parts = [
            sample(p, self.law, count, np.random.default_rng([settings.seed, number]))
            for number, count in enumerate((p.paths, p.tests // 2, p.tests))
        ]
        self.train = Paths(*(each[rank::ranks] for each in parts[0]))
        self.validation, self.test = parts[1:]
        check_size(p.batch, len(self.train.factor), f"paths of rank {rank}")
        self.own = _read(p) if p.file else None
        self.network = Recurrent(2 * len(p.loadings), 1, "gru", [p.units], settings.seed, self.dtype)
        self.networks = {"nowcast": self.network}

    def describe(self) -> Mapping[str, str]:
        p = self.p
        late = f", and the last {p.late} periods of the last series" if p.late else ""
        return {
            "data": f"{p.paths:,} paths of {p.periods}, {len(p.loadings)} series, {p.missing_share:.0%} missing{late}",
            "network": f"GRU of {p.units} units, {self.network.count_params():,} weights",
        }

    def batches(self, episode: int) -> Iterator[Batch]:
        """Yields all paths in a new order."""
        for rows in minibatches(len(self.train.factor), self.p.batch, [self.seed, 9, self.rank, episode]):
            yield masked(self.train.observed[rows], self.dtype), self.train.factor[rows].astype(self.dtype)

    def losses(self, batch: Batch, carry: Carry, key: tf.Tensor) -> Losses:
        """Returns the mean squared error over paths and periods."""
        seen, factor = batch
        return Losses({"nowcast": tf.reduce_mean((self.network(seen)[:, :, 0] - factor) ** 2)}, carry)

    def validate(self) -> Mapping[str, float]:
        """Returns the root of the mean squared error on paths of its own."""
        return {"rmse": rmse(self.said(self.validation), self.validation.factor)}

    def said(self, paths: Paths) -> np.ndarray:
        """Returns what the network says of the factor, [n, T]."""
        return np.asarray(self.network(masked(paths.observed, self.dtype))[:, :, 0], float)

    def results(self) -> Results:
        """Reports errors over all periods and in the last, beside the exact filter and what is done without one."""
        test = self.test
        ways = {
            "network": self.said(test),
            "masked filter": filtered(self.law, test.observed),
            "forward fill, filter": filtered(self.law, forward_filled(test.observed)),
            "zeros, filter": filtered(self.law, np.nan_to_num(test.observed)),
            "complete data, filter": filtered(self.law, test.complete),
        }
        rows = [
            {"estimate": name, "rmse": rmse(each, test.factor), "last_period": rmse(each[:, -1], test.factor[:, -1])}
            for name, each in ways.items()
        ]
        ratio = float(rows[0]["rmse"]) / float(rows[1]["rmse"])  # type: ignore[arg-type]
        tables = {"nowcast": rows, **({"own": self.of_file(self.own)} if self.own else {})}
        headline = f"RMSE {rows[0]['rmse']:.3f}, {ratio:.3f} of the masked filter's"
        return Results(headline, tables, printed=["nowcast"])

    def of_file(self, records: Records) -> list[dict[str, Any]]:
        """Returns what network and filter say at each date of the file, and how much was observed."""
        y = records.values[None]
        said = np.asarray(self.network(masked(y, self.dtype))[0, :, 0], float)
        each = zip(records.time, said, filtered(self.law, y)[0], (~np.isnan(y[0])).sum(axis=1), strict=True)
        return [
            {"date": str(date)[:19], "network": network, "masked filter": exact, "observed": int(count)}
            for date, network, exact, count in each
        ]


def _read(p: NowcastParameters) -> Records:
    """The observations of the file, NaN where missing. Raises UserError for what can't be used."""
    records = read_series(p.file, p.columns or None, date=p.date, date_format=p.date_format, gaps=True)
    if records.values.shape[1] != len(p.loadings):
        raise UserError(
            f"parameters.file: {p.file} has {records.values.shape[1]} columns, expected {len(p.loadings)} as "
            "parameters.loadings has; name them by parameters.columns"
        )
    return records


def law(p: NowcastParameters) -> LinearGaussian:
    """Returns the state space; the factor begins with its stationary distribution."""
    stationary = 1 / (1 - p.persistence**2)
    loadings = np.array(p.loadings)[:, None]
    return LinearGaussian([0.0], [[stationary]], [[p.persistence]], [[1.0]], loadings, np.diag(np.square(p.noise)))  # type: ignore[arg-type]


def sample(p: NowcastParameters, space: LinearGaussian, count: int, generator: np.random.Generator) -> Paths:
    """Draws paths, and which of their observations are missing."""
    hidden, y = space.sample(count, p.periods, generator)
    is_missing = generator.uniform(size=y.shape) < p.missing_share
    if p.late:
        is_missing[:, -p.late :, -1] = True
    return Paths(hidden[:, :, 0], np.where(is_missing, np.nan, y), y)


def masked(y: np.ndarray, dtype: str) -> np.ndarray:
    """Returns [y m, m], [..., 2 k], of y [..., k] with NaN where it is missing."""
    return np.concatenate([np.nan_to_num(y), ~np.isnan(y)], axis=-1).astype(dtype)


def filtered(space: LinearGaussian, y: np.ndarray) -> np.ndarray:
    """Returns E[f_t | y_1..y_t], [n, T]."""
    return np.stack([step.mean[:, 0] for step in space.forward(y)], axis=1)


def forward_filled(y: np.ndarray) -> np.ndarray:
    """Puts the last value that was observed in place of a missing one, and the mean 0 before the first."""
    at = np.maximum.accumulate(np.where(np.isnan(y), -1, np.arange(y.shape[1])[None, :, None]), axis=1)
    filled = np.take_along_axis(y, np.maximum(at, 0), axis=1)
    return np.where(at < 0, 0.0, filled)


def rmse(said: np.ndarray, truth: np.ndarray) -> float:
    """Returns the root of the mean squared error."""
    return float(np.sqrt(np.mean((said - truth) ** 2)))
