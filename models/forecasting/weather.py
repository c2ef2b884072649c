"""Reader of weather records as the Max Planck Institute for Biogeochemistry in Jena publishes them.

A CSV file with a first column `Date Time`, such as 01.01.2009 00:10:00, and one column for each instrument, such as
`T (degC)`; missing wind speeds stand as -9999. The records of 2009 to 2016, 420,551 rows ten minutes apart, with
which the course works, are at storage.googleapis.com/tensorflow/tf-keras-datasets/jena_climate_2009_2016.csv.zip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

TIME = "Date Time"
FORMAT = "%d.%m.%Y %H:%M:%S"
MISSING = -9999.0
_CURE = "mend the file, or read it with repair=True"


class Weather(NamedTuple):
    """The records at times that increase: values [rows, columns]. repaired: what was mended, and how often."""

    time: np.ndarray
    values: np.ndarray
    columns: tuple[str, ...]
    repaired: Mapping[str, int]


def read_weather(path: str | Path, columns: Sequence[str] | None = None, repair: bool = False) -> Weather:
    """Reads the named columns, in that order; all by default.

    repair: sorts rows by time, keeps the first of those with the same time, and puts the value before it in place of a
    missing one (-9999 or empty); a column's first value can't be mended. Without it each of these is a ValueError
    that names the line, as is a column that is not there, a time that can't be read or a value that is no number.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"path: {path} is no file, expected a CSV file of weather records")
    try:
        table = pd.read_csv(path, dtype=str)
    except (ValueError, pd.errors.ParserError) as error:  # UnicodeDecodeError and EmptyDataError are ValueErrors
        raise ValueError(f"path: {path} can't be read as CSV: {error}") from error
    names = [name for name in table.columns if name != TIME] if columns is None else list(columns)
    for name in (TIME, *names):
        if name not in table.columns:
            raise ValueError(f"columns: {path} has no {name!r}, only {', '.join(table.columns)}")
    if table.empty:
        raise ValueError(f"path: {path} holds no row, expected weather records")
    time = _times(path, table[TIME])
    values = np.column_stack([_numbers(path, table[name]) for name in names])
    lines = np.arange(2, len(table) + 2)
    if not repair:
        _refuse(path, time, values, names, lines)
    order = np.argsort(time, kind="stable")
    unsorted = int((np.diff(time) < np.timedelta64(0)).sum())
    time, values = time[order], values[order]
    first = np.concatenate([[True], np.diff(time) > np.timedelta64(0)])
    time, values = time[first], values[first]
    missing = int(np.isnan(values).sum())
    values = pd.DataFrame(values).ffill().to_numpy()
    for name, begins in zip(names, np.isnan(values[0]), strict=True):
        if begins:
            raise ValueError(f"columns: {name!r} of {path} begins with a missing value, before which there is none")
    return Weather(
        time,
        values,
        tuple(names),
        {"rows out of order": unsorted, "rows of a time that was there": int((~first).sum()), "missing": missing},
    )


def _times(path: Path, column: pd.Series) -> np.ndarray:
    time = pd.to_datetime(column, format=FORMAT, errors="coerce")
    if time.isna().any():
        row = int(np.argmax(time.isna()))
        raise ValueError(f"{path}, line {row + 2}: time {column[row]!r}, expected such as 31.12.2009 23:50:00")
    return time.to_numpy()


def _numbers(path: Path, column: pd.Series) -> np.ndarray:
    """Floats, NaN where the file says that there is none."""
    numbers = pd.to_numeric(column, errors="coerce")
    bad = numbers.isna() & column.notna()
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"{path}, line {row + 2}: {column.name} is {column[row]!r}, expected a number")
    return numbers.replace(MISSING, np.nan).to_numpy(float)


def _refuse(path: Path, time: np.ndarray, values: np.ndarray, names: Sequence[str], lines: np.ndarray) -> None:
    late = np.flatnonzero(np.diff(time) <= np.timedelta64(0))
    if len(late):
        row = late[0] + 1
        now, before = (time[at].astype("datetime64[s]") for at in (row, row - 1))
        raise ValueError(f"{path}, line {lines[row]}: time {now} follows {before}, expected a later one; {_CURE}")
    missing = np.argwhere(np.isnan(values))
    if len(missing):
        row, column = missing[0]
        raise ValueError(
            f"{path}, line {lines[row]}: {names[column]} is missing ({MISSING:g} or empty), expected a measurement; "
            f"{_CURE}"
        )
