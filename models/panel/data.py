"""Panels whose best forecast is known, and panels of a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from deqn.project.errors import UserError
from deqn.project.tables import check_order, read_table

from .parameters import Parameters

_BURN_IN = 100

Forecast = tuple[np.ndarray, np.ndarray]  # mean and standard deviation, [series, origins, horizon, targets] each


class Panel(NamedTuple):
    """values: [series, rows, targets]. static: [series, s]. ahead: [series, rows, a]. names: of the series.

    best: the mean and standard deviation of what comes after each origin, given all before; None if that is not known.
    """

    values: np.ndarray
    static: np.ndarray
    ahead: np.ndarray
    names: list[str]
    best: Callable[[np.ndarray, int], Forecast] | None = None


def make_panel(p: Parameters, generator: np.random.Generator) -> Panel:
    """Makes or reads the panel. Raises UserError for a file that can't be used."""
    if p.file:
        return read_panel(p)
    return {"static": _static, "vector": _vector, "ahead": _ahead}[p.data](p, generator)


def _static(p: Parameters, generator: np.random.Generator) -> Panel:
    """z_t = (.3 + .6 v_1) z_{t-1} + 2 v_2 sin(2 pi t / period) + e_t, v_1 and v_2 uniform and seen."""
    v = generator.uniform(size=(p.count, 2))
    phi, rows = 0.3 + 0.6 * v[:, 0], p.rows + p.tests
    t = np.arange(-_BURN_IN, rows)
    season = 2 * v[:, 1:] * np.sin(2 * np.pi * t / p.period)  # [series, rows]
    return _moved(p, phi, season, v, np.zeros((p.count, rows, 0)), generator)


def _ahead(p: Parameters, generator: np.random.Generator) -> Panel:
    """y_t = .5 y_{t-1} + 1.5 x_t + e_t, x_t standard normal and known ahead."""
    x = generator.normal(size=(p.count, _BURN_IN + p.rows + p.tests))
    return _moved(p, np.full(p.count, 0.5), 1.5 * x, np.zeros((p.count, 0)), x[:, _BURN_IN:, None], generator)


def _moved(
    p: Parameters,
    phi: np.ndarray,
    known: np.ndarray,
    static: np.ndarray,
    ahead: np.ndarray,
    generator: np.random.Generator,
) -> Panel:
    """y_t = phi y_{t-1} + known_t + e_t of each series; `known` [series, burn-in and rows] is what a forecast knows."""
    y, e = np.zeros(known.shape), generator.normal(size=known.shape)
    for t in range(1, known.shape[1]):
        y[:, t] = phi * y[:, t - 1] + known[:, t] + e[:, t]
    y, known = y[:, _BURN_IN:], known[:, _BURN_IN:]

    def best(origins: np.ndarray, horizon: int) -> Forecast:
        mean, variance = y[:, origins - 1], np.zeros((len(y), 1))
        means, deviations = [], []
        for step in range(horizon):
            mean = phi[:, None] * mean + known[:, origins + step]
            variance = phi[:, None] ** 2 * variance + 1
            means.append(mean)
            deviations.append(np.broadcast_to(np.sqrt(variance), mean.shape))
        return np.stack(means, axis=2)[..., None], np.stack(deviations, axis=2)[..., None]

    return Panel(y[:, :, None], static, ahead, [str(number) for number in range(len(y))], best)


def _vector(p: Parameters, generator: np.random.Generator) -> Panel:
    """y_t = A y_{t-1} + e_t of one series of five targets, e_t standard normal; A is full, with spectral radius .9."""
    A = generator.normal(size=(5, 5))
    A *= 0.9 / np.abs(np.linalg.eigvals(A)).max()
    rows = p.rows + p.tests
    y = np.zeros((_BURN_IN + rows, 5))
    for t in range(1, len(y)):
        y[t] = A @ y[t - 1] + generator.normal(size=5)
    y = y[_BURN_IN:]

    def best(origins: np.ndarray, horizon: int) -> Forecast:
        mean, variance, means, deviations = y[origins - 1], np.zeros((5, 5)), [], []
        for _ in range(horizon):
            mean, variance = mean @ A.T, A @ variance @ A.T + np.eye(5)
            means.append(mean)
            deviations.append(np.broadcast_to(np.sqrt(np.diag(variance)), mean.shape))
        return np.stack(means, axis=1)[None], np.stack(deviations, axis=1)[None]

    return Panel(y[None], np.zeros((1, 0)), np.zeros((1, rows, 0)), ["vector"], best)


def read_panel(p: Parameters) -> Panel:
    """Reads a table in long form. Raises UserError: series with other dates, static columns that change."""
    texts = [p.series] if p.series else []
    columns = [*p.targets, *p.static, *p.ahead]
    frame = read_table(p.file, columns, texts=texts, date=p.date, date_format=p.date_format)
    if not p.series:
        frame = frame.assign(series="all")
    by = p.series or "series"
    check_order(p.file, frame, p.date, by)
    groups = {str(name): rows for name, rows in frame.groupby(by, sort=False)}
    first, dates = next((name, rows[p.date].to_numpy()) for name, rows in groups.items())
    for name, rows in groups.items():
        own = rows[p.date].to_numpy()
        if len(own) != len(dates) or (own != dates).any():
            raise UserError(
                f"parameters.file: {p.file}: {name!r} has {len(own)} dates, {first!r} has {len(dates)} or others; "
                "expected the same dates for all series"
            )
        for column in p.static:
            if rows[column].nunique() > 1:
                raise UserError(f"parameters.file: {p.file}: {column} of {name!r} changes, expected one value")
    stacked = {name: np.stack([rows[names].to_numpy() for rows in groups.values()]) for name, names in
               {"values": p.targets, "static": p.static, "ahead": p.ahead}.items()}  # fmt: skip
    return Panel(stacked["values"], stacked["static"][:, 0], stacked["ahead"], list(groups))
