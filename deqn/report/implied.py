"""The implied policy error as a table and in words: how far decisions are from what the conditions ask for."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.table import Table

from deqn.report import files
from deqn.report.tables import digits

_STATISTICS = ("mean", "p99.9", "max")
_WAYS = {"one_step": "next period as it is", "followed": "followed"}
_UNITS = {"own level": "itself", "own mean size": "its mean size"}


def implied_table(folder: Path) -> Table:
    """Rows: policies; columns: mean, p99.9 and max of the implied change, one step and followed, in % of its unit.

    Raises UserError if implied.csv is missing or damaged.
    """
    numbers = [f"{way}_{name}" for way in _WAYS for name in _STATISTICS]
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("decision")
    table.add_column("in % of")
    for words in _WAYS.values():
        for number, statistic in enumerate(_STATISTICS):
            table.add_column(f"{words}: {statistic}" if not number else statistic, justify="right")
    for row in files.rows(folder / "implied.csv", ("policy", "unit"), numbers):
        unit = _UNITS.get(row["unit"], row["unit"].replace("_", " "))
        values = (digits(100 * row[name]) for name in numbers)
        table.add_row(row["policy"].replace("_", " "), unit, *values)
    return table


def implied_words(folder: Path) -> list[str]:
    """What stands above and below the table, in sentences; the last ones say why it is not to be trusted, if so."""
    about = files.description(folder).get("implied_error", {})
    states, modulus = about.get("states", 0), about.get("modulus", float("nan"))
    lines = [
        f"implied policy error at {states:,} of these states: by how much a decision differs from what the conditions "
        "ask for",
        "Followed: next period's decisions, and those of all periods after it, are corrected too. An error of next "
        f"period's decisions moves today's by {modulus:.3f} times as much where errors die out most slowly.",
    ]
    return lines + [f"Doubtful: {doubt}." for doubt in about.get("doubts", [])]
