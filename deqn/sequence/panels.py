"""Sequences cut from tables: daily stock prices, and readings of gas sensors, standardised by their training part.

Both follow appendix B of "Variational Hyper RNN for Sequence Modeling". No figure of that paper is claimed for them.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

PRICES = ("open", "high", "low", "close", "volume")
COMPANIES = (345, 50, 50)
DAYS = 125
WINDOW, SHIFT, THIN = 3000, 1000, 30  # seconds of a sequence, between two of them, and between two of its readings
WINDOWS = (532, 68, 74)


class Panel(NamedTuple):
    """Sequences for training, validation and test [n, T, d], standardised by mean and scale [d] of the first."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    mean: np.ndarray
    scale: np.ndarray


def read_stocks(
    path: str | Path, generator: np.random.Generator, companies: tuple[int, int, int] = COMPANIES, days: int = DAYS
) -> Panel:
    """Reads log ratios of prices and volume between consecutive days: the file's first `days` to train on, its last to
    validate and test on, each with companies of its own, drawn at random.

    path: CSV with the columns date, symbol, open, high, low, close, volume.
    Raises ValueError: missing columns, a price or volume that is not positive (by its date), too few companies or days.
    """
    table = pd.read_csv(path)
    _require(table, ("date", "symbol", *PRICES), path)
    bad = ~(table[list(PRICES)] > 0).all(axis=1)
    if bad.any():
        row = table[bad].iloc[0]
        column = next(name for name in PRICES if not row[name] > 0)
        raise ValueError(
            f"{path}: {column} of {row['symbol']} on {row['date']} is {row[column]}, expected above 0 for a log ratio"
        )
    table = table.sort_values(["symbol", "date"])
    if table.duplicated(["symbol", "date"]).any():
        row = table[table.duplicated(["symbol", "date"])].iloc[0]
        raise ValueError(f"{path}: {row['symbol']} has {row['date']} twice, expected each date once")
    dates = np.sort(table["date"].unique())
    if len(dates) < 2 * (days + 1):
        raise ValueError(f"{path}: {len(dates)} days, expected {2 * (days + 1)} or more for two parts of {days} ratios")
    counts = table.groupby("symbol").size()
    complete = counts.index[counts == len(dates)]
    if len(complete) < sum(companies):
        raise ValueError(
            f"{path}: {len(complete)} companies have all {len(dates)} days, expected {sum(companies)} or more"
        )
    logs = np.log(table[table["symbol"].isin(complete)][list(PRICES)].to_numpy()).reshape(len(complete), len(dates), -1)
    ratios = np.diff(logs, axis=1)
    order = generator.permutation(len(complete))
    first, second = companies[0], companies[0] + companies[1]
    train, valid, test = order[:first], order[first:second], order[second : sum(companies)]
    return standardised(ratios[train, :days], ratios[valid, -days:], ratios[test, -days:])


def read_sensors(path: str | Path, generator: np.random.Generator, windows: tuple[int, int, int] = WINDOWS) -> Panel:
    """Cuts windows of 3000 readings, one a second, begun every 1000, and takes every 30th reading: 100 steps each.

    path: the HT Sensor data of Huerta et al. (2016), columns parted by blanks: id of the experiment, then eleven more,
    of which the first is time; all eleven are kept. Windows do not cross experiments and are split at random.
    Raises ValueError: missing column id, readings that are not numbers, too few windows.
    """
    table = pd.read_csv(path, sep=r"\s+")
    _require(table, ("id",), path)
    columns = [name for name in table if name != "id"]
    for name in columns:
        if not pd.api.types.is_numeric_dtype(table[name]) or not np.isfinite(table[name]).all():
            raise ValueError(f"{path}: column {name} holds readings that are no finite numbers")
    found = [
        rows[start : start + WINDOW : THIN]
        for _, group in table.groupby("id", sort=True)
        for rows in [group[columns].to_numpy(np.float64)]
        for start in range(0, len(rows) - WINDOW + 1, SHIFT)
    ]
    if len(found) < sum(windows):
        raise ValueError(f"{path}: {len(found)} windows of {WINDOW} readings, expected {sum(windows)} or more")
    sequences = np.stack(found)[generator.permutation(len(found))]
    first, second = windows[0], windows[0] + windows[1]
    return standardised(sequences[:first], sequences[first:second], sequences[second : sum(windows)])


def standardised(train: np.ndarray, valid: np.ndarray, test: np.ndarray) -> Panel:
    """Gives every feature mean 0 and standard deviation 1 over the training sequences [n, T, d].

    Raises ValueError naming a feature that does not vary.
    """
    mean, scale = train.mean(axis=(0, 1)), train.std(axis=(0, 1))
    if not (scale > 0).all():
        raise ValueError(f"train: feature {int(np.argmax(~(scale > 0)))} does not vary, expected a spread above 0")
    return Panel((train - mean) / scale, (valid - mean) / scale, (test - mean) / scale, mean, scale)


def _require(table: pd.DataFrame, columns: tuple[str, ...], path: str | Path) -> None:
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(f"{path}: no column {', '.join(missing)}; it has {', '.join(map(str, table))}")
