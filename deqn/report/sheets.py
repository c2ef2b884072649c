"""A table once, for every reader: as HTML in a page, as LaTeX with booktabs, and as CSV, of the same cells."""

from __future__ import annotations

import csv
import functools
import io
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup
from rich.table import Table

from deqn.project.errors import CannotWrite
from deqn.project.writing import write_atomically

_LONG = 34  # letters of a cell, beyond which its column breaks its lines, and is wide
_SHORT = 20  # up to which it never does
_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:e-?\d+)?")
_SPECIAL = {sign: f"\\{sign}" for sign in "&%_#${}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$",
    "|": "$|$", "⟂": r"$\perp$",
}  # fmt: skip


class Sheet(NamedTuple):
    """name: the stem of its files. columns: their headings. rows: cells as they are printed. right: numbers' columns.

    note: what to know when reading it.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: Sequence[bool]
    note: str = ""

    @property
    def long(self) -> list[bool]:
        """The columns whose lines are broken."""
        return [any(len(row[place]) > _LONG for row in self.rows) for place in range(len(self.columns))]

    @property
    def short(self) -> list[bool]:
        """The columns whose cells stand on one line."""
        return [all(len(row[place]) <= _SHORT for row in self.rows) for place in range(len(self.columns))]


class Section(NamedTuple):
    """A part of a chapter: text as HTML, tables, figures."""

    title: str
    key: str
    html: Sequence[Markup] = ()
    sheets: Sequence[Sheet] = ()
    pictures: Sequence[tuple[str, str]] = ()  # caption and data URI


def of_table(name: str, title: str, table: Table, note: str = "") -> Sheet:
    """The sheet of a table that was made for a terminal."""
    columns = [str(column.header) for column in table.columns]
    rows = list(zip(*([str(cell) for cell in column.cells] for column in table.columns), strict=True))
    return Sheet(name, title, columns, rows, [column.justify == "right" for column in table.columns], note)


def of_rows(
    name: str, title: str, rows: Iterable[Mapping[str, Any]], note: str = "", left: Collection[str] = ()
) -> Sheet:
    """The sheet of rows with the same keys; columns of numbers stand on the right but for those named `left`, and
    empty ones are left out.
    """
    every = [{key: str(value) for key, value in row.items()} for row in rows]
    columns = [key for key in (every[0] if every else ()) if any(row[key] for row in every)]
    every = [{key: row[key] for key in columns} for row in every]
    right = [c not in left and all(_NUMBER.match(row[c]) or not row[c] for row in every) for c in columns]
    return Sheet(name, title, columns, [list(row.values()) for row in every], right, note)


def write(sheets: Iterable[Sheet], folder: Path) -> list[str]:
    """Writes NAME.tex and NAME.csv of each sheet into the folder; the names. Raises CannotWrite."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"{folder}: cannot make this folder ({error.strerror}); choose another --out") from error
    names = []
    for sheet in sheets:
        write_atomically(folder / f"{sheet.name}.tex", latex(sheet))
        write_atomically(folder / f"{sheet.name}.csv", as_csv(sheet))
        names.append(sheet.name)
    return names


def as_csv(sheet: Sheet) -> str:
    """Headings and cells."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([sheet.columns, *sheet.rows])
    return text.getvalue()


def latex(sheet: Sheet) -> str:
    """A table environment for booktabs."""
    wide = sum(sheet.long)
    letters = [
        "r" if right else f"p{{{0.7 / wide:.2g}\\textwidth}}" if long else "l"
        for right, long in zip(sheet.right, sheet.long, strict=True)
    ]
    return templates().get_template("table.tex").render(sheet=sheet, letters="".join(letters))


@functools.cache
def templates() -> jinja2.Environment:
    """The templates beside this file; HTML is escaped by itself, LaTeX by the filters `escaped` and `cell`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=jinja2.select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"escaped": escaped, "cell": cell}
    return environment


def escaped(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(_SPECIAL.get(sign, sign) for sign in text)


def cell(text: str) -> str:
    """A cell in LaTeX, its numbers as mathematics: -.5 has a minus, 1.3e-05 a power of ten."""
    return " ".join(_word(word) for word in text.split(" "))


def _word(word: str) -> str:
    match = re.fullmatch(rf"(\(?)({_NUMBER.pattern})(\)?)", word)
    if match is None:
        return escaped(word)
    digits, _, power = match[2].partition("e")
    return f"${match[1]}{digits}" + (f" \\times 10^{{{int(power)}}}" if power else "") + f"{match[3]}$"
