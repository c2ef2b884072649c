"""Samples with an effect that is known, and tables of one's own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from deqn.project.errors import UserError
from deqn.project.tables import check_order, read_table

from .parameters import DoubleMLParameters, EventsParameters

CONTROLS = 5
_RAIN = 0.02 + 0.12 * np.clip(np.sin(2 * np.pi * (np.arange(24) - 9) / 24), 0, None)  # by hour: in the afternoon
_HOLIDAY = np.array([0.16, 0.02, 0.02, 0.02, 0.10, 0.01, 0.01])  # by weekday, Monday first


class Sample(NamedTuple):
    """outcome: Y [n]. treatments: T [n, p]. controls: X [n, d]. means: E[Y|X], E[T|X] [n, 1 + p], if they are known."""

    outcome: np.ndarray
    treatments: np.ndarray
    controls: np.ndarray
    means: np.ndarray | None = None


def mean_treatment(x: np.ndarray) -> np.ndarray:
    """Returns m(x) = sin x_1 + x_2^2 / 2 - 1/2 of x [n, 5]."""
    return np.sin(x[:, 0]) + x[:, 1] ** 2 / 2 - 0.5


def mean_outcome(x: np.ndarray) -> np.ndarray:
    """Returns g(x) = exp(x_1 / 2) + |x_2| + x_3 / 2 of x [n, 5]."""
    return np.exp(x[:, 0] / 2) + np.abs(x[:, 1]) + x[:, 2] / 2


def made_sample(rows: int, effect: float, generator: np.random.Generator) -> Sample:
    """Draws Y = effect T + g(X) + eps, T = m(X) + nu."""
    x = generator.normal(size=(rows, CONTROLS))
    nu, eps = generator.normal(size=(2, rows))
    m, g = mean_treatment(x), mean_outcome(x)
    return Sample(effect * (m + nu) + g + eps, (m + nu)[:, None], x, np.column_stack([effect * m + g, m]))


def read_sample(p: DoubleMLParameters) -> Sample:
    """Reads the columns of the file. Raises UserError for what can't be used."""
    names = [p.outcome, *p.treatments]
    frame = read_table(p.file, [*names, *p.controls] if p.controls else None)
    for name in names:
        if name not in frame:
            raise UserError(f"parameters.file: {p.file}: no column {name!r}; it has {', '.join(frame)}")
    _check_columns(p.file, frame, p.folds)
    controls = frame.drop(columns=names)
    if controls.shape[1] == 0:
        raise UserError(f"parameters.file: {p.file} has no column beside {', '.join(names)}, expected controls")
    return Sample(frame[p.outcome].to_numpy(), frame[p.treatments].to_numpy(), controls.to_numpy())


class Hours(NamedTuple):
    """A series by the hour. demand: [n]. events: [n, p], 0 or 1. place: [n], hour of the week from Monday, 0 to 167.

    others: [n, d] further controls. means: of demand and events, [n, 1 + p], if they are known.
    """

    demand: np.ndarray
    events: np.ndarray
    place: np.ndarray
    others: np.ndarray
    means: np.ndarray | None = None

    def sample(self) -> Sample:
        """Controls are hour and weekday as zeros and ones, and the others."""
        clock = np.column_stack([np.eye(24)[self.place % 24], np.eye(7)[self.place // 24]])
        return Sample(self.demand, self.events, np.column_stack([clock, self.others]), self.means)


def season(place: np.ndarray) -> np.ndarray:
    """Returns the made demand s(hour, weekday) without events: high in afternoons, on Mondays and Fridays."""
    hour, weekday = place % 24, place // 24
    by_day = np.array([3.0, 1.0, 0.5, 1.0, 2.5, -1.0, -2.0])[weekday]
    return 20 + by_day + (4 + 0.4 * by_day) * np.sin(2 * np.pi * (hour - 9) / 24)


def made_hours(days: int, effects: tuple[float, float], generator: np.random.Generator) -> Hours:
    """Draws hours from a Monday on: rain by the hour, holidays by the day, and an error that lasts."""
    place = np.arange(24 * days) % 168
    rain = generator.uniform(size=24 * days) < _RAIN[place % 24]
    holiday = np.repeat(generator.uniform(size=days) < _HOLIDAY[np.arange(days) % 7], 24)
    u, e = np.zeros(24 * days), generator.normal(size=24 * days)
    u[0] = e[0] / np.sqrt(1 - 0.7**2)
    for t in range(1, len(u)):
        u[t] = 0.7 * u[t - 1] + e[t]
    events = np.column_stack([rain, holiday]).astype(float)
    shares = np.column_stack([_RAIN[place % 24], _HOLIDAY[place // 24]])
    s, theta = season(place), np.array(effects)
    means = np.column_stack([s + shares @ theta, shares])
    return Hours(s + events @ theta + u, events, place, np.zeros((len(u), 0)), means)


def read_hours(p: EventsParameters) -> Hours:
    """Reads hours of a file. Raises UserError for what can't be used."""
    frame = read_table(p.file, [p.outcome, *p.treatments, *p.controls], date=p.date, date_format=p.date_format)
    check_order(p.file, frame, p.date)
    _check_columns(p.file, frame, p.folds)
    steps = frame[p.date].diff().iloc[1:]
    if (steps != pd.Timedelta(hours=1)).any():
        row = int(np.argmax(steps != pd.Timedelta(hours=1))) + 1
        raise UserError(
            f"parameters.file: {p.file}, line {row + 2}: {frame[p.date].iloc[row]} comes {steps.iloc[row - 1]} after "
            "the row before, expected an hour"
        )
    events = frame[p.treatments].to_numpy()
    bad = np.argwhere(~np.isin(events, (0, 1)))
    if len(bad):
        row, column = bad[0]
        raise UserError(
            f"parameters.file: {p.file}, line {row + 2}: {p.treatments[column]} is {events[row, column]:g}, expected 0 "
            "or 1"
        )
    time = frame[p.date].dt
    place = (24 * time.dayofweek + time.hour).to_numpy()
    return Hours(frame[p.outcome].to_numpy(), events, place, frame[p.controls].to_numpy())


def _check_columns(file: str, frame: pd.DataFrame, folds: int) -> None:
    for name in frame:
        if frame[name].nunique() == 1:
            raise UserError(f"parameters.file: {file}: {name} is the same in all rows, expected it to vary")
    if len(frame) < 10 * folds:
        raise UserError(
            f"parameters.file: {file} has {len(frame)} rows, expected at least {10 * folds} for {folds} folds"
        )
