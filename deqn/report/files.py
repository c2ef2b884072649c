"""Reading what a run has written: CSV rows with checked columns, and the economy's description.

Only the standard library, because `deqn list` must answer before pandas could be imported.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deqn.project.errors import UserError
from deqn.project.identity import checksum
from deqn.project.json_files import read_json

EVALUATE = "run `deqn evaluate` on this run"
TRAIN = "training writes it: restore it, or train the run again"


def rows(
    path: Path,
    text: Sequence[str] = (),
    numbers: Sequence[str] = (),
    optional: Sequence[str] = (),
    cure: str = EVALUATE,
) -> list[dict[str, Any]]:
    """Reads the rows of a CSV file, one dict a row, with the named columns only.

    text: columns kept as they are. numbers: columns read as floats; an empty field is NaN.
    optional: columns of floats that the file may lack; they are then absent from the rows.
    cure: what the user should do about a missing or damaged file, for the error.

    A last line without its end is left out: a run in progress may be writing it at this moment.
    Raises UserError if the file is missing, lacks a column or holds something that is no number, or is not of the
    evaluation that description.json describes.
    """
    check_one_evaluation(path)
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: not found; {cure}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); {cure}") from None
    reader = csv.DictReader(content[: content.rfind("\n") + 1].splitlines())
    header = reader.fieldnames or []
    missing = [column for column in (*text, *numbers) if column not in header]
    if missing:
        raise UserError(f"{path}: no column '{missing[0]}' among {', '.join(header) or 'none'}; {cure}")
    floats = [*numbers, *(column for column in optional if column in header)]
    return [
        {column: row[column] for column in text}
        | {column: _number(row[column], f"{path}, line {reader_line}, {column}", cure) for column in floats}
        for reader_line, row in enumerate(reader, start=2)
    ]


def header(path: Path, cure: str = EVALUATE) -> list[str]:
    """Reads the names of the columns of a CSV file. Raises UserError if there is no such file."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return next(csv.reader(file), [])
    except FileNotFoundError:
        raise UserError(f"{path}: not found; {cure}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error}); {cure}") from None


def _number(field: str | None, where: str, cure: str) -> float:
    try:
        return float(field) if field != "" else float("nan")  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise UserError(f"{where}: '{field}' is no number; {cure}") from None


def description(folder: Path) -> dict[str, Any]:
    """Reads what description.json says (figures, axis, shock_names, ...); {} where a run has not written it."""
    path = folder / "description.json"
    try:
        content = read_json(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); {EVALUATE}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds a {type(content).__name__}, expected a mapping; {EVALUATE}")
    return content


def check_one_evaluation(path: Path) -> None:
    """Raises UserError if a file beside (or below) a description.json is not the one that this evaluation wrote.

    Files that it does not list are of the training or the user's own.
    """
    for folder in (path.parent, path.parent.parent):
        written = description(folder).get("files", {})
        name = path.relative_to(folder).as_posix()
        if name in written:
            _check(path, written[name])
            return


def check_evaluation(folder: Path) -> None:
    """Raises UserError if one of the files of a folder's evaluation is missing or of another evaluation."""
    for name, wanted in description(folder).get("files", {}).items():
        _check(folder / name, wanted)


def _check(path: Path, wanted: str) -> None:
    try:
        found = checksum(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: not found, though description.json lists it; repeat `deqn evaluate`") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error}); {EVALUATE}") from None
    if found != wanted:
        raise UserError(
            f"{path}: is not of the evaluation that description.json beside it describes; repeat `deqn evaluate`"
        )


def shock_names(folder: Path, shocks: Sequence[str]) -> dict[str, str]:
    """Returns what the economy calls each of its shocks "1", "2", ...; by default "shock 1" and so on."""
    names = description(folder).get("shock_names") or []
    return {s: str(names[int(s) - 1]) if s.isdigit() and 0 < int(s) <= len(names) else f"shock {s}" for s in shocks}
