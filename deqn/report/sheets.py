"""A table once, for every reader: as HTML in a page, as CSV, and (in latex.py) as LaTeX, of the same cells."""

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

_LONG = 34  # letters of a cell, beyond which its column breaks its lines, and is wide
_SHORT = 20  # up to which it never does
NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:e-?\d+)?")


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
    right = [c not in left and all(_is_number(row[c]) or not row[c] for row in every) for c in columns]
    return Sheet(name, title, columns, [list(row.values()) for row in every], right, note)


def _is_number(text: str) -> bool:
    """Also one with its standard error; no list of numbers, whose lines have to be broken."""
    return NUMBER.match(text) is not None and len(text) <= _SHORT


def as_csv(sheet: Sheet) -> str:
    """Headings and cells."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([sheet.columns, *sheet.rows])
    return text.getvalue()


@functools.cache
def templates() -> jinja2.Environment:
    """The templates beside this file; HTML is escaped by itself."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=jinja2.select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
