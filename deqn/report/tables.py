"""The tables journals print: errors by condition, where the errors sit, and the moments of the simulated economy.

Each function returns a rich Table for a terminal; `text` renders the same table as Markdown, which also reads well as
plain text in a SLURM log. Layout as in Azinovic, Gaegauf, Scheidegger (2019), Tables 3 and 4.
"""

import copy
import io
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from deqn.project.errors import UserError
from deqn.report import files

QUANTILES = ("p0.1", "p10", "p50", "p90", "p99.9")
STATISTICS = ("mean", "max", *QUANTILES)
# Both units are printed times 100. A product, such as that of a multiplier and its slack, is no share of anything.
SCALES = {"relative": "%", "product": "x1e-2"}
# The groups of errors.csv that say where errors sit, and their columns' titles.
WORDS = {"shock": "shock {}", "unvisited": "shock {}, never visited", "binding": "{}"}
_OF_IMPLIED = ("mean", "p99.9", "max")
_WAYS = {"one_step": "next period as it is", "followed": "followed"}
_UNITS = {"own level": "itself", "own mean size": "its mean size"}
MOMENTS = ("mean", "std", "autocorrelation", "correlation_with_output")


def error_rows(folder: Path, group: str = "all") -> list[dict[str, Any]]:
    """Reads the rows of one group of errors.csv in the file's order: condition, group, key, unit, floats n, mean, ...

    group: "all", "shock", "binding", or the economy's axis. Relative errors are fractions (0.001 = .1 %).
    Raises UserError if the file is missing or damaged, or names a unit other than "relative" and "product".
    """
    path = folder / "errors.csv"
    rows = files.rows(path, text=("condition", "group", "key", "unit"), numbers=("n", *STATISTICS))
    for row in rows:
        if row["unit"] not in SCALES:
            raise UserError(f"{path}: unit '{row['unit']}', expected one of {', '.join(SCALES)}; {files.EVALUATE}")
    return [row for row in rows if row["group"] == group]


def error_table(folder: Path) -> Table:
    """Returns a table with a row for each condition: mean, max and percentiles of the absolute error over all states.

    Relative errors are printed in %, products in 1e-2. Raises UserError as `error_rows`.
    """
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("error")
    table.add_column("unit")
    for statistic in STATISTICS:
        table.add_column(statistic, justify="right")
    described = files.description(folder)
    for row in error_rows(folder):
        values = (_cell(row, statistic) for statistic in STATISTICS)
        table.add_row(condition_name(row["condition"], described), SCALES[row["unit"]], *values)
    return table


def where_table(folder: Path) -> Table:
    """Returns a table of where errors are large: mean and max by shock, and with the constraint binding or free.

    A shock that the path never visited has its column too: its errors are of the states that follow the path's own
    under that shock. The last row is the share of observations in each column, in % of its group. Columns the file
    lacks are left out.
    Raises UserError as `error_rows`.
    """
    groups = {group: error_rows(folder, group) for group in WORDS}
    columns = {(group, row["key"]): WORDS[group].format(row["key"]) for group, rows in groups.items() for row in rows}
    cells = {(row["condition"], group, row["key"]): row for group, rows in groups.items() for row in rows}
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("error, mean / max")
    table.add_column("unit")
    for name in columns.values():
        table.add_column(name, justify="right")
    described = files.description(folder)
    units = {row["condition"]: SCALES[row["unit"]] for rows in groups.values() for row in rows}
    for condition, unit in units.items():
        found = [cells.get((condition, *column)) for column in columns]
        pairs = (f"{_cell(row, 'mean')} / {_cell(row, 'max')}" if row and row["n"] else "" for row in found)
        table.add_row(condition_name(condition, described), unit, *pairs)
    if columns:
        table.add_row("share of observations", "%", *_shares(groups, list(columns)))
    return table


def worst_row(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns of the rows over all states that of the largest mean, or of the first mean that is not a number."""
    return max(rows, key=lambda row: math.inf if math.isnan(row["mean"]) else row["mean"])


def _cell(row: Mapping[str, Any], statistic: str) -> str:
    """A statistic of a group of errors; empty if the group is."""
    return digits(100 * row[statistic]) if row["n"] else ""


def _shares(groups: dict[str, list[dict[str, Any]]], columns: list[tuple[str, str]]) -> list[str]:
    """Share of each column within its group, counted on the group's first condition."""
    shares = []
    for group, key in columns:
        if group == "unvisited":
            shares.append("0")
            continue
        first = groups[group][0]["condition"]
        counts = {row["key"]: row["n"] for row in groups[group] if row["condition"] == first}
        total = sum(counts.values())
        shares.append(f"{100 * counts[key] / total:.1f}" if total and key in counts else "")
    return shares


def moments_table(folder: Path) -> Table:
    """Returns a table with a row for each aggregate: its moments, and its mean in each shock, in the economy's units.

    Raises UserError if moments.csv is missing or damaged.
    """
    rows = files.rows(folder / "moments.csv", text=("variable", "statistic", "group", "key"), numbers=("value",))
    shocks = list(dict.fromkeys(row["key"] for row in rows if row["group"] == "shock" and row["statistic"] == "mean"))
    values = {(row["variable"], row["statistic"], row["group"], row["key"]): row["value"] for row in rows}
    columns = {(statistic, "all", ""): statistic.replace("_", " ") for statistic in MOMENTS}
    columns |= {("mean", "shock", shock): f"mean, shock {shock}" for shock in shocks}
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("variable")
    for name in columns.values():
        table.add_column(name, justify="right")
    for variable in dict.fromkeys(row["variable"] for row in rows if row["group"] in ("all", "shock")):
        found = (values.get((variable, *column)) for column in columns)
        table.add_row(variable.replace("_", " "), *("" if value is None else f"{value:.4g}" for value in found))
    return table


def implied_table(folder: Path) -> Table:
    """Rows: policies; columns: mean, p99.9 and max of the implied change, one step and followed, in % of its unit.

    Raises UserError if implied.csv is missing or damaged.
    """
    numbers = [f"{way}_{name}" for way in _WAYS for name in _OF_IMPLIED]
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("decision")
    table.add_column("in % of")
    for words in _WAYS.values():
        for number, statistic in enumerate(_OF_IMPLIED):
            table.add_column(f"{words}: {statistic}" if not number else statistic, justify="right")
    for row in files.rows(folder / "implied.csv", ("policy", "unit"), numbers):
        unit = _UNITS.get(row["unit"], row["unit"].replace("_", " "))
        values = (digits(100 * row[name]) for name in numbers)
        table.add_row(row["policy"].replace("_", " "), unit, *values)
    return table


def to_print(folder: Path) -> Iterator[tuple[str, Table]]:
    """Yields title and table of what a run has found: those that description.json lists under `printed`.

    Errors and moments of an economy have tables of their own. Raises UserError if a file is missing or damaged.
    """
    described = files.description(folder)
    economy = "economy" in described
    own = {"errors": error_table, "moments": moments_table, "implied": implied_table} if economy else {}
    states = described.get("implied_error", {}).get("states", 0)
    titles = {
        "implied": f"implied policy error at {states:,} of these states: by how much a decision differs from what the "
        "conditions ask for"
    }
    for name in described.get("printed", ()):
        table = own[name](folder) if name in own else _plain(folder / f"{name}.csv")
        yield titles.get(name, name.replace("_", " ")), table
        if own and name == "errors" and len((where := where_table(folder)).columns) > 2:
            yield "errors by shock, and where a constraint binds", where


def _plain(path: Path) -> Table:
    """Any CSV file as a table, its real numbers with four digits."""
    rows = files.rows(path, text=files.header(path))
    table = Table(box=box.SIMPLE_HEAD)
    for column in files.header(path):
        numeric = all(_is_number(row[column]) for row in rows)
        table.add_column(column.replace("_", " "), justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(f"{float(x):.4g}" if _is_number(x) and not x.isdigit() else x for x in row.values()))
    return table


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def text(table: Table) -> str:
    """Renders a table as Markdown, without colours and however wide, ending in a newline."""
    markdown = copy.copy(table)
    markdown.box = box.MARKDOWN
    out = io.StringIO()
    # No markup: what stands in brackets is a user's text, such as pip install 'deqn[atari]'.
    Console(file=out, width=400, color_system=None, force_terminal=False, markup=False).print(markdown)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines() if line.strip())


def condition_name(condition: str, described: Mapping[str, Any]) -> str:
    """Returns what an economy calls a condition of errors.csv, else its name there: "market clearing"."""
    return described.get("condition_names", {}).get(condition, condition.replace("_", " "))


def digits(value: float) -> str:
    """Writes a non-negative number as journals print it: .0032, .061, .54, 1.31, 12.3; at least two significant digits.

    An exact zero is 0 and nothing else is, so that a reader can tell "zero" from "small"; below .00001 the number is in
    scientific form. What is not a number is NaN.
    """
    if math.isnan(value):
        return "NaN"
    if value == 0 or math.isinf(value):
        return f"{value:g}"
    if abs(value) < 1e-5:
        return f"{value:.1e}".replace("e-0", "e-")
    decimals = max(1 - math.floor(math.log10(abs(value))), 1 if abs(value) >= 10 else 2)
    return f"{value:.{decimals}f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.{decimals}f}"
