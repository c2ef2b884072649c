"""Series to forecast: a made one, whose best forecast is known, and one of a file."""

from __future__ import annotations

from typing import NamedTuple, final

import numpy as np

from deqn.project.errors import UserError
from deqn.project.tables import read_series

from .parameters import ForecastParameters

_JENAS_MISSING = -9999.0  # how its weather records say that a wind speed was not measured


class Series(NamedTuple):
    """A series in columns [rows, columns]: what is forecast, what else is known, the calendar. words: what it is."""

    values: np.ndarray
    words: str


@final
class SeasonalAR2:
    r"""A season and an autoregression of order two; the best forecast is known.

        y_t = level + amplitude sin(2 pi t / period) + u_t,    u_t = phi_1 u_{t-1} + phi_2 u_{t-2} + e_t

    Raises ValueError if u is not stationary.
    """

    def __init__(self, level: float, amplitude: float, period: int, phi: tuple[float, float], sd: float) -> None:
        largest = np.abs(np.roots([1.0, -phi[0], -phi[1]])).max()
        if largest >= 1:
            raise ValueError(f"phi: got {phi[0]}, {phi[1]} with a root of {largest:.3f}, expected roots below 1")
        self.level, self.amplitude, self.period, self.phi, self.sd = level, amplitude, period, phi, sd

    def season(self, t: np.ndarray) -> np.ndarray:
        """Returns y without chance."""
        return self.level + self.amplitude * np.sin(2 * np.pi * t / self.period)

    def sample(self, rows: int, generator: np.random.Generator) -> np.ndarray:
        """Draws y [rows], after a burn-in in which the beginning is forgotten."""
        burn_in = 200
        u = np.zeros(rows + burn_in)
        e = self.sd * generator.normal(size=rows + burn_in)
        for t in range(2, len(u)):
            u[t] = self.phi[0] * u[t - 1] + self.phi[1] * u[t - 2] + e[t]
        return self.season(np.arange(rows)) + u[burn_in:]

    def conditional_mean(self, y: np.ndarray, origins: np.ndarray, horizon: int) -> np.ndarray:
        """Returns E[y_i, ..., y_{i+horizon-1} | y_{i-1}, y_{i-2}, ...] at each origin i >= 2, [origins, horizon]."""
        u = y - self.season(np.arange(len(y)))
        last, before = u[origins - 1], u[origins - 2]
        steps = []
        for _ in range(horizon):
            last, before = self.phi[0] * last + self.phi[1] * before, last
            steps.append(last)
        ahead = np.asarray(origins)[:, None] + np.arange(horizon)
        return self.season(ahead) + np.stack(steps, axis=1)


def made_law(parameters: ForecastParameters) -> SeasonalAR2:
    """Returns the made series' law. Raises UserError if it is not stationary."""
    p = parameters
    try:
        return SeasonalAR2(p.level, p.amplitude, p.period, p.phi, p.sd)
    except ValueError as error:
        raise UserError(f"parameters.{error}") from error


def make_series(parameters: ForecastParameters, generator: np.random.Generator) -> Series:
    """Makes or reads the series, with sine and cosine of the season as its last columns.

    Of a file these are of the time of day and of the year; daily records always have the same time of day, and no
    columns of it.
    Raises UserError for a file that can't be used.
    """
    if not parameters.file:
        y = made_law(parameters).sample(parameters.rows, generator)
        clock = np.arange(parameters.rows) / parameters.period
        return Series(np.column_stack([y, _circle(clock)]), "a made seasonal AR(2)")
    p = parameters
    records = read_series(
        p.file, p.columns or None, date=p.date, date_format=p.date_format, repair=p.repair, gaps=p.missing == "mask",
        missing=[_JENAS_MISSING], cure="; or say parameters.repair=true, or for gaps parameters.missing=mask",
    )  # fmt: skip
    mended = ", ".join(f"{count} {what}" for what, count in records.repaired.items() if count)
    words = p.file + (f" (mended: {mended})" if mended else "")
    return Series(np.column_stack([records.values, *calendar(records.time)]), words)


def calendar(time: np.ndarray) -> list[np.ndarray]:
    """Returns the place in the day and in the year, [rows, 2] each; not in what rows are too far apart for."""
    days = (time - time[0].astype("datetime64[D]")) / np.timedelta64(1, "D")
    spacing = np.median(np.diff(days))
    return [_circle(days / length) for length in (1.0, 365.2425) if spacing < length / 2]


def _circle(turns: np.ndarray) -> np.ndarray:
    """[rows, 2]: the place on a circle after so many turns."""
    return np.column_stack([np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns)])
