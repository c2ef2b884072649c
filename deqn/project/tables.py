"""Tables of a user's own, CSV or Parquet: the columns that are asked for, and every mistake in them on one line.

A CSV file has a line of names and a row on each further line, with commas or, where the names hold none, semicolons
between the columns (numbers may then have a decimal comma). Dates are ISO (2009-12-31, 2009-12-31 23:50:00, 2009-12),
with dots (31.12.2009 23:50:00), quarters (2009Q4), months (2009M12) or years; other forms need a format of `strptime`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from deqn.project.errors import UserError, nearest

# The form of a date is that of the first one; the pattern says when a form is meant.
_FORMS = {
    r"\d{4}-?Q[1-4]$": "quarter",
    r"\d{4}M\d{1,2}$": "%YM%m",
    r"\d{1,2}\.\d{1,2}\.\d{4}$": "%d.%m.%Y",
    r"\d{1,2}\.\d{1,2}\.\d{4} \d{1,2}:\d{2}$": "%d.%m.%Y %H:%M",
    r"\d{1,2}\.\d{1,2}\.\d{4} \d{1,2}:\d{2}:\d{2}$": "%d.%m.%Y %H:%M:%S",
}


class Records(NamedTuple):
    """A series at dates that increase: values [rows, columns], NaN where a gap may be. repaired: what was mended."""

    time: np.ndarray
    values: np.ndarray
    repaired: Mapping[str, int]


def read_table(
    path: str | Path,
    numbers: Sequence[str] | None,
    *,
    texts: Sequence[str] = (),
    date: str = "",
    date_format: str = "",
    gaps: bool = False,
    missing: Sequence[float] = (),
    cure: str = "",
) -> pd.DataFrame:
    """Returns the named columns: numbers as floats, texts as they stand, the date as datetime64; the index counts rows.

    numbers: names; None means all columns that are neither texts nor the date. date: a column's name; "" for none.
    gaps: whether numbers may be missing (empty, or one of `missing`), which then are NaN. cure: what else can be done.
    Raises UserError naming the file and the line, or the column: a file that can't be read, a column that is not there,
    what is no number or date, a number or text that is missing where none may be.
    """
    path = Path(path)
    frame, comma = _frame(path)
    if numbers is None:
        numbers = [name for name in frame.columns if name not in (*texts, date)]
    for name in (*([date] if date else []), *texts, *numbers):
        if name not in frame.columns:
            raise _mistake(path, f"no column {name!r};{nearest(name, [str(each) for each in frame.columns])}")
    if frame.empty:
        raise _mistake(path, "no row, expected one or more below the names of the columns")
    columns: dict[str, pd.Series] = {}
    if date:
        columns[date] = _dates(path, frame[date], date_format)
    for name in texts:
        _check_each(path, frame[name], frame[name].isna(), "is missing, expected a text")
        columns[name] = frame[name].astype(str)
    for name in numbers:
        columns[name] = _numbers(path, frame[name], gaps, missing, comma, cure)
    return pd.DataFrame(columns)


def read_series(
    path: str | Path,
    columns: Sequence[str] | None = None,
    *,
    date: str = "",
    date_format: str = "",
    gaps: bool = False,
    repair: bool = False,
    missing: Sequence[float] = (),
    cure: str = "",
) -> Records:
    """Reads a series in columns whose dates increase from row to row; arguments as of `read_table`.

    date: the column of dates; "" for the first column. repair: sorts rows by date, keeps the first of those with the
    same date and puts the value before it in place of a missing one; a column's first value can't be mended. Without
    it each of these is a UserError that names the line; with gaps values may be missing, and stay so.
    """
    path = Path(path)
    date = date or str(_frame(path)[0].columns[0])
    frame = read_table(
        path, columns, date=date, date_format=date_format, gaps=gaps or repair, missing=missing, cure=cure
    )
    time, values = frame[date].to_numpy(), frame.drop(columns=date).to_numpy(float)
    unsorted = int((np.diff(time) < np.timedelta64(0)).sum())
    if not repair:
        check_order(path, frame, date, cure=cure)
    order = np.argsort(time, kind="stable")
    time, values = time[order], values[order]
    first = np.concatenate([[True], np.diff(time) > np.timedelta64(0)])
    time, values = time[first], values[first]
    found = 0 if gaps else int(np.isnan(values).sum())
    if not gaps:
        values = pd.DataFrame(values).ffill().to_numpy()
        for name, begins in zip(frame.drop(columns=date), np.isnan(values[0]), strict=True):
            if begins:
                raise _mistake(path, f"{name!r} begins with a missing value, before which there is none")
    mended = {"rows out of order": unsorted, "rows of a time that was there": int((~first).sum()), "missing": found}
    return Records(time, values, mended)


def check_order(path: str | Path, frame: pd.DataFrame, date: str, by: str = "", cure: str = "") -> None:
    """Raises UserError, with the line, unless dates increase from row to row; by: within each value of that column."""
    before = frame.groupby(by)[date].shift() if by else frame[date].shift()
    late = np.flatnonzero((frame[date] <= before).to_numpy())
    if len(late):
        row = int(late[0])
        whose = f" of {frame[by].iloc[row]!r}" if by else ""
        words = f"{date} {frame[date].iloc[row]} follows {before.iloc[row]}{whose}, expected a later one"
        raise _mistake(path, f"{words}; sort the rows{cure}", row)


def _frame(path: Path) -> tuple[pd.DataFrame, bool]:
    """The file's columns as they stand, texts of a CSV file; whether numbers may have a decimal comma."""
    if not path.is_file():
        raise _mistake(path, "no such file, expected a CSV or Parquet file")
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            frame = pd.read_parquet(path)
            return (frame if isinstance(frame.index, pd.RangeIndex) else frame.reset_index()), False
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline()
        semicolons = ";" in header and "," not in header
        return pd.read_csv(path, dtype=str, sep=";" if semicolons else ",", encoding="utf-8-sig"), semicolons
    except ImportError:
        raise _mistake(path, "Parquet files need pyarrow; install it with: pip install 'deqn[data]'") from None
    except (ValueError, OSError, pd.errors.ParserError) as error:  # UnicodeDecodeError and EmptyDataError are the first
        raise _mistake(path, f"can't be read as a table: {error}") from error


def _numbers(path: Path, column: pd.Series, gaps: bool, missing: Sequence[float], comma: bool, cure: str) -> pd.Series:
    text = column.str.replace(",", ".", regex=False) if comma and not pd.api.types.is_numeric_dtype(column) else column
    numbers = pd.to_numeric(text, errors="coerce").astype(float)
    _check_each(path, column, numbers.isna() & column.notna(), "is {!r}, expected a number")
    _check_each(path, column, np.isinf(numbers), "is {!r}, expected a finite number")
    numbers = numbers.mask(numbers.isin(list(missing)))
    if not gaps:
        words = f" (empty or {', '.join(f'{value:g}' for value in missing)})" if len(missing) else ""
        _check_each(path, column, numbers.isna(), f"is missing{words}, expected a number{cure}")
    return numbers


def _dates(path: Path, column: pd.Series, form: str) -> pd.Series:
    _check_each(path, column, column.isna(), "is missing, expected a date")
    if pd.api.types.is_datetime64_any_dtype(column):
        return column.dt.tz_localize(None)
    text = column.astype(str).str.strip()
    form = form or next((form for pattern, form in _FORMS.items() if pd.Series([text.iloc[0]]).str.match(pattern)[0]),
                        "ISO8601")  # fmt: skip
    if form == "quarter":
        parts = text.str.extract(r"^(\d{4})-?Q([1-4])$")
        months = (pd.to_numeric(parts[1]) * 3 - 2).astype("Int64").astype(str)
        time = pd.to_datetime(parts[0] + "-" + months.str.zfill(2), format="%Y-%m", errors="coerce")
    else:
        time = pd.to_datetime(text, format=form, errors="coerce", utc=True).dt.tz_localize(None)
    expected = "a date such as 2009-12-31 or 2009-12-31 23:50:00; name another form by parameters.date_format"
    _check_each(path, column, time.isna(), f"is {{!r}}, expected {expected if form == 'ISO8601' else f'as {form}'}")
    return time


def _check_each(path: Path, column: pd.Series, bad: pd.Series | np.ndarray, words: str) -> None:
    """Raises UserError for the first row that is bad; {!r} in the words stands for what is there."""
    if np.any(bad):
        row = int(np.argmax(np.asarray(bad)))
        raise _mistake(path, f"{column.name} {words.format(column.iloc[row])}", row)


def _mistake(path: Path | str, words: str, row: int | None = None) -> UserError:
    """The row counts from 0, below the names."""
    place = f"{path}, line {row + 2}" if row is not None else f"{path}"
    return UserError(f"parameters.file: {place}: {words}")
