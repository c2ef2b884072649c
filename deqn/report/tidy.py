"""Simulated paths as tidy data: named axes, data frames long and wide, and files for R, Stata and MATLAB with units."""

from __future__ import annotations

import io
import itertools
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deqn.project.errors import UserError
from deqn.project.run import RunFolder
from deqn.project.writing import write_arrays, write_atomically
from deqn.report import files
from deqn.report.axes import Axes, Label, text

if TYPE_CHECKING:
    import pandas as pd

FORMATS = (".parquet", ".dta", ".mat", ".csv", ".npz")
SHAPES = ("long", "wide")
_STATA_NAME, _STATA_LABEL = 32, 80  # letters at most


class Labelled(NamedTuple):
    """An array with names for its axes. values: [period, ...]. dims: the axes' names. coords: the labels along each."""

    values: np.ndarray
    dims: tuple[str, ...]
    coords: dict[str, Sequence[Label]]
    unit: str

    def sel(self, **labels: Label) -> Labelled:
        """The part at these labels, such as age=40; axes that are chosen are gone. Raises UserError."""
        values, dims, coords = self.values, list(self.dims), dict(self.coords)
        for axis, label in labels.items():
            if axis not in dims:
                raise UserError(f"sel: no axis {axis!r}; expected one of {', '.join(dims)}")
            known = list(coords.pop(axis))
            if label not in known:
                raise UserError(f"sel: no {axis} {label!r}; expected one of {', '.join(map(text, known[:99]))}")
            values = np.take(values, known.index(label), axis=dims.index(axis))
            dims.remove(axis)
        return Labelled(values, tuple(dims), coords, self.unit)


class Simulation(dict[str, np.ndarray]):
    """Arrays by letter, [periods of all tracks, ...], as in simulation.npz, and what they are.

    described: what description.json says of the economy: letters, units, axes, aggregates.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], described: Mapping[str, Any]) -> None:
        super().__init__(arrays)
        self._fields = {letter: name for name, letter in described.get("letters", {}).items()}
        self._units, self._words = described.get("units", {}), described.get("aggregates", {})
        self._axes = Axes.read(described)

    def unit(self, letter: str) -> str:
        """Of the numbers of an array; empty where the economy does not say it."""
        return str(self._units.get(self._fields.get(letter, letter), ""))

    def name(self, letter: str) -> str:
        """An array's name in words."""
        return str(self._fields.get(letter) or self._words.get(letter) or letter).replace("_", " ")

    def array(self, letter: str) -> Labelled:
        """An array with names for its axes: period first, then those of the economy, such as age.

        A decision of the next period, such as a_next, has `next_shock` before them. Numbers that belong to no axis of
        the economy are counted from 0 along `entry_of_LETTER`. Raises UserError for an array that is not there.
        """
        if letter not in self:
            raise UserError(f"no array {letter!r} among {', '.join(self)}")
        values, base = self[letter], letter.removesuffix("_next")
        along: dict[str, Sequence[Label]] = {"period": range(len(values))}
        shape = values.shape[1:]
        if base != letter and base in self and shape:
            along["next_shock"], shape = range(shape[0]), shape[1:]
        own = self._axes.of(self._fields.get(base, base), shape)
        if not own:
            marks = [f"entry_of_{letter}"] if len(shape) == 1 else [f"entry_{n}_of_{letter}" for n in range(len(shape))]
            own = {mark: range(size) for mark, size in zip(marks, shape, strict=True)}
        along |= own
        return Labelled(values, tuple(along), along, self.unit(base))

    def to_dataframe(self, shape: str = "long", variables: Sequence[str] = ()) -> pd.DataFrame:
        """A data frame; `attrs["units"]` and `attrs["names"]` say of each column what it is.

        long: a row for each period and each place along the axes (age 21, 22, ...), a column for each variable; what is
        one number a period is repeated, what has no number at a place is missing. wide: a row for each period, a column
        for each variable and place (k_21, k_22, ...). Both begin with track and period, from 0.
        variables: letters; by default all but next period's decisions.
        Raises UserError for an unknown letter or shape, and for long data of variables without a common axis.
        """
        if shape not in SHAPES:
            raise UserError(f"shape {shape!r}: expected long or wide")
        letters = list(variables) or [name for name in self if not (name.endswith("_next") and name[:-5] in self)]
        arrays = {letter: self.array(letter) for letter in letters if letter != "track"}
        return _long(self, arrays) if shape == "long" else _wide(self, arrays)

    def periods(self) -> dict[str, np.ndarray]:
        """Track and period within it, [T] each, from 0."""
        count = len(next(iter(self.values())))
        track = self["track"].astype(np.int64) if "track" in self else np.zeros(count, np.int64)
        first = np.flatnonzero(np.diff(track, prepend=track[0] - 1))
        return {"track": track, "period": np.arange(count) - np.repeat(first, np.diff([*first, count]))}

    def export(self, path: str | Path, shape: str = "long", variables: Sequence[str] = ()) -> Path:
        """Writes a file of the kind that its name ends in: .parquet, .dta (Stata), .mat (MATLAB), .csv or .npz.

        Units stand in the fields' metadata (Parquet), in the labels of variables (Stata), or in `units` (MATLAB, which
        like .npz gets the arrays themselves, with `axes` and `dims`). Raises UserError for another ending, CannotWrite.
        """
        path = Path(path)
        if path.suffix not in FORMATS:
            raise UserError(f"{path}: ends in {path.suffix or 'nothing'!r}, expected one of {', '.join(FORMATS)}")
        if path.suffix == ".npz":
            write_arrays(path, {letter: self[letter] for letter in variables or self})
        elif path.suffix == ".mat":
            write_atomically(path, self._matlab(list(variables) or list(self)))
        else:
            frame = self.to_dataframe(shape, variables)
            write_atomically(path, {".parquet": _parquet, ".dta": _stata, ".csv": _csv}[path.suffix](frame))
        return path

    def _matlab(self, letters: Sequence[str]) -> bytes:
        from scipy.io import savemat

        arrays = {letter: self.array(letter) for letter in letters}
        labels = _all_labels(arrays)
        out = io.BytesIO()
        savemat(out, {
            **{letter: each.values for letter, each in arrays.items()},
            "axes": {axis: np.array(along, object if isinstance(along[0], str) else float)
                     for axis, along in labels.items()} or 0.0,
            "dims": {letter: ", ".join(each.dims) for letter, each in arrays.items()},
            "units": {letter: each.unit for letter, each in arrays.items()},
            "names": {letter: self.name(letter) for letter in arrays},
        }, oned_as="column", long_field_names=True)  # fmt: skip
        return out.getvalue()


def of_run(run: RunFolder) -> Simulation:
    """The path that a run's evaluation has simulated. Raises UserError if the run does not hold it."""
    path = run.simulation
    files.check_one_evaluation(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            return Simulation({name: file[name] for name in file.files}, files.description(run.path))
    except FileNotFoundError:
        raise UserError(f"{path}: not found; {files.EVALUATE}") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: cannot be read ({error}); {files.EVALUATE}") from None


def _long(simulation: Simulation, arrays: Mapping[str, Labelled]) -> pd.DataFrame:
    import pandas as pd

    labels = _all_labels(arrays)
    if not any(set(each.dims[1:]) == set(labels) for each in arrays.values()):
        raise UserError(
            f"long: no variable has all of {', '.join(labels)}; name those of one axis, or ask for the shape wide"
        )
    when = simulation.periods()
    sizes = [len(when["period"]), *map(len, labels.values())]

    def spread(values: np.ndarray, dims: Sequence[str]) -> np.ndarray:
        """Values along these of all axes, as a column."""
        places = [slice(None), *(slice(None) if axis in dims else None for axis in labels)]
        return np.broadcast_to(values[tuple(places)], sizes).ravel()

    columns: dict[str, Any] = {name: spread(values, ()) for name, values in when.items()}
    for number, (axis, along) in enumerate(labels.items()):
        shape = [1] * number + [len(along)] + [1] * (len(labels) - number - 1)
        column = np.broadcast_to(np.arange(len(along)).reshape(1, *shape), sizes).ravel()
        named = isinstance(along[0], str)
        names = [str(label) for label in along]
        columns[axis] = pd.Categorical.from_codes(column, pd.Index(names)) if named else np.asarray(along)[column]
    for letter, each in arrays.items():
        columns[letter] = spread(_complete(each, labels), each.dims)
    frame = pd.DataFrame(columns)
    frame.attrs["units"] = {letter: each.unit for letter, each in arrays.items()}
    frame.attrs["names"] = {letter: simulation.name(letter) for letter in arrays}
    return frame


def _all_labels(arrays: Mapping[str, Labelled]) -> dict[str, list[Label]]:
    """The labels along each axis that some array has."""
    labels: dict[str, list[Label]] = {}
    for each in arrays.values():
        for axis in each.dims[1:]:
            labels[axis] = sorted({*labels.get(axis, []), *each.coords[axis]}, key=_order(each.coords[axis]))
    return labels


def _order(along: Sequence[Label]) -> Any:
    """Numbers by size, names as they stand."""
    return (lambda label: list(along).index(label)) if isinstance(along[0], str) else None


def _complete(each: Labelled, labels: Mapping[str, Sequence[Label]]) -> np.ndarray:
    """An array with every label of its axes, in their order; missing numbers are NaN."""
    values, dims = each.values, [axis for axis in labels if axis in each.dims]
    values = np.transpose(values, [0, *(each.dims.index(axis) for axis in dims)])
    for place, axis in enumerate(dims, start=1):
        known = list(each.coords[axis])
        if known != list(labels[axis]):
            where = [known.index(label) if label in known else -1 for label in labels[axis]]
            missing = np.reshape([n < 0 for n in where], [-1] + [1] * (values.ndim - place - 1))
            values = np.where(missing, np.nan, np.take(values, where, axis=place))
    return values


def _wide(simulation: Simulation, arrays: Mapping[str, Labelled]) -> pd.DataFrame:
    import pandas as pd

    columns: dict[str, np.ndarray] = dict(simulation.periods())
    units, names = {}, {}
    for letter, each in arrays.items():
        flat = each.values.reshape(len(each.values), -1).T
        for place, values in zip(itertools.product(*(each.coords[axis] for axis in each.dims[1:])), flat, strict=True):
            column = "_".join([letter, *map(text, place)])
            columns[column], units[column] = values, each.unit
            at = ", ".join(f"{axis.replace('_', ' ')} {text(x)}" for axis, x in zip(each.dims[1:], place, strict=True))
            names[column] = f"{simulation.name(letter)}{', ' if at else ''}{at}"
    frame = pd.DataFrame(columns)
    frame.attrs["units"], frame.attrs["names"] = units, names
    return frame


def _csv(frame: pd.DataFrame) -> bytes:
    return str(frame.to_csv(index=False, lineterminator="\n")).encode()


def _parquet(frame: pd.DataFrame) -> bytes:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UserError("Parquet files need pyarrow: pip install 'deqn[data]', or choose .csv or .dta") from None

    table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    fields = [
        field.with_metadata({"unit": frame.attrs["units"].get(field.name, ""),
                             "name": frame.attrs["names"].get(field.name, field.name)})
        for field in table.schema
    ]  # fmt: skip
    out = io.BytesIO()
    parquet.write_table(table.cast(pyarrow.schema(fields, table.schema.metadata)), out)
    return out.getvalue()


def _stata(frame: pd.DataFrame) -> bytes:
    """Version 118 (Stata 14 and later). Names get underscores where Stata allows no other sign."""
    import pandas as pd

    units, names = frame.attrs["units"], frame.attrs["names"]
    known = {str(column): re.sub(r"\W", "_", str(column))[:_STATA_NAME] for column in frame}
    if len(set(known.values())) < len(known):
        raise UserError("Stata: names of columns agree in their first 32 letters; name fewer variables")
    labels = {
        known[column]: f"{names.get(column, column)}{f' [{units[column]}]' if units.get(column) else ''}"[:_STATA_LABEL]
        for column in known
    }
    plain = {known[c]: frame[c].astype("int8") if frame[c].dtype == bool else frame[c] for c in known}
    out = io.BytesIO()
    pd.DataFrame(plain).to_stata(out, write_index=False, version=118, variable_labels=labels)
    return out.getvalue()
