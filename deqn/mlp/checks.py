"""Checks of arguments and data. A ValueError names the argument, what was given and what is expected."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from deqn.project.errors import nearest


def matrix(values: Any, name: str, rows: int | None = None, columns: int | None = None) -> np.ndarray:
    """Returns `values` as float64 [n, m]; a vector counts as one column.

    Raises ValueError if rows differ in length, an entry is no finite number, or there are not `rows` and `columns`.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}: got {_shown(values)}, expected numbers [n, m], every row of one length") from error
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{name}: got shape {list(array.shape)}, expected [n, m] with one row and column or more")
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(f"{name}: got {array[row, column]} in row {row}, column {column}, expected finite numbers")
    if rows not in (None, len(array)) or columns not in (None, array.shape[1]):
        wanted = [rows if rows is not None else "n", columns if columns is not None else "m"]
        raise ValueError(f"{name}: got shape {list(array.shape)}, expected [{wanted[0]}, {wanted[1]}]")
    return array


def labels(values: Any, classes: int, name: str = "labels") -> np.ndarray:
    """Returns `values` as int [n]. Raises ValueError if one is not a whole number in [0, classes)."""
    array = np.asarray(values)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.number) or (array != np.floor(array)).any():
        raise ValueError(f"{name}: got {_shown(values)}, expected a list of whole numbers from 0 to {classes - 1}")
    outside = (array < 0) | (array >= classes)
    if outside.any():
        row = int(np.argmax(outside))
        raise ValueError(f"{name}: got {array[row]} in row {row}, expected whole numbers from 0 to {classes - 1}")
    return array.astype(np.int64)


def one_hot(values: Any, classes: int, name: str = "labels") -> np.ndarray:
    """Returns labels [n] as [n, classes], one where the label is. Raises ValueError as `labels` does."""
    return np.eye(classes)[labels(values, classes, name)]


def above_zero(value: float, name: str) -> float:
    """Returns `value` itself. Raises ValueError unless it is above 0 and finite."""
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name}: got {value}, expected a number above 0")
    return value


def share(value: float, name: str) -> float:
    """Returns `value` itself. Raises ValueError unless 0 <= value < 1."""
    if not 0 <= value < 1:
        raise ValueError(f"{name}: got {value}, expected a number of at least 0 and below 1")
    return value


def one_of(value: str, known: Iterable[str], name: str) -> str:
    """Returns `value` itself. Raises ValueError, listing what is known, unless it is one of them."""
    names = list(known)
    if value not in names:
        raise ValueError(f"{name}: got {value!r}, expected one of {', '.join(names)};{nearest(str(value), names)}")
    return value


def _shown(values: Any) -> str:
    text = repr(values)
    return text if len(text) <= 60 else text[:57] + "..."
