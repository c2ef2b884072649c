"""Windows on a time series for forecasting: what is known at an origin, and what follows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np


@final
class Windows:
    """All windows on a series; they are cut out when they are needed, because together they may not fit in memory.

    Around the origin i, the first row that is not known,

        inputs:  rows i - history, i - history + step, ... below i
        outputs: rows i, ..., i + horizon - 1, of the target columns

    and origins lie `stride` rows apart, the first at row `history`. The course's univariate task is history 20,
    horizon 1; its multivariate one history 720, step 6, horizon 72.

    series: [rows, columns], or [rows] for one column. targets: columns that are forecast, all by default.
    Raises ValueError if the series is shorter than one window, holds something that is not finite, or an argument is
    out of range.
    """

    def __init__(
        self,
        series: np.ndarray,
        history: int,
        horizon: int = 1,
        step: int = 1,
        stride: int = 1,
        targets: Sequence[int] | None = None,
    ) -> None:
        self.series = _matrix(series)
        rows, columns = self.series.shape
        for name, value in {"history": history, "horizon": horizon, "step": step, "stride": stride}.items():
            if value < 1:
                raise ValueError(f"{name}: got {value}, expected 1 row or more")
        if step > history:
            raise ValueError(f"step: got {step}, expected at most the history of {history} rows")
        if rows < history + horizon:
            raise ValueError(
                f"series: got {rows} rows, expected at least history + horizon = {history} + {horizon} = "
                f"{history + horizon}"
            )
        self.targets = list(range(columns)) if targets is None else list(targets)
        if not self.targets or min(self.targets) < 0 or max(self.targets) >= columns:
            raise ValueError(f"targets: got {self.targets}, expected columns from 0 to {columns - 1}")
        self.origins = np.arange(history, rows - horizon + 1, stride)
        self._before = np.arange(-history, 0, step)
        self._after = np.arange(horizon)

    def __len__(self) -> int:
        return len(self.origins)

    def take(self, numbers: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        """Returns inputs [n, ceil(history / step), columns] and outputs [n, horizon, targets] of these windows."""
        at = self.origins[numbers, None]
        return self.series[at + self._before], self.series[at + self._after][:, :, self.targets]


class Scale(NamedTuple):
    """The mean and standard deviation of each column over the rows for training."""

    mean: np.ndarray
    sd: np.ndarray

    def of(self, values: np.ndarray) -> np.ndarray:
        """Returns values [..., columns] in standard deviations from the mean."""
        return (values - self.mean) / self.sd

    def back(self, values: np.ndarray, columns: Sequence[int]) -> np.ndarray:
        """Returns values [..., columns] of the listed columns in their own units again."""
        return values * self.sd[list(columns)] + self.mean[list(columns)]


def scale(train: np.ndarray) -> Scale:
    """Returns the scale of train [rows, columns], NaN where missing. Raises ValueError naming a constant column."""
    train = _matrix(train, gaps=True)
    sd = np.nanstd(train, axis=0)
    if not np.all(sd > 0):
        raise ValueError(f"train: column {int(np.argmin(sd))} never changes, expected a standard deviation above zero")
    return Scale(np.nanmean(train, axis=0), sd)


def split(series: np.ndarray, train_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Splits the rows in time, the first for training, so that no window of one part touches the other.

    Raises ValueError unless both have rows.
    """
    if not 0 < train_rows < len(series):
        raise ValueError(f"train_rows: got {train_rows}, expected 1 to {len(series) - 1} of {len(series)} rows")
    return series[:train_rows], series[train_rows:]


def _matrix(series: np.ndarray, gaps: bool = False) -> np.ndarray:
    series = np.asarray(series)
    if series.ndim == 1:
        series = series[:, None]
    if series.ndim != 2:
        raise ValueError(f"series: got shape {series.shape}, expected [rows, columns]")
    bad = np.argwhere(np.isinf(series) if gaps else ~np.isfinite(series))
    if len(bad):
        row, column = bad[0]
        raise ValueError(f"series: row {row}, column {column} is {series[row, column]}, expected a finite number")
    return series
