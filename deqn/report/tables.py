"""The tables journals print: errors by condition, where the errors sit, and the moments of the simulated economy.

Each function returns a rich Table for a terminal; `text` renders the same table as Markdown, which also reads well as
plain text in a SLURM log. Layout as in Azinovic, Gaegauf, Scheidegger (2019), Tables 3 and 4.
"""

import copy
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deqn.project.errors import UserError
from deqn.report import files

QUANTILES = ("p0.1", "p10", "p50", "p90", "p99.9")
STATISTICS = ("mean", "max", *QUANTILES)
# Both scales are a factor of 100; the name says how to read it. Products (lambda times a) are no share of anything.
SCALES = {"relative": "%", "product": "x1e-2"}
CONDITIONS = {
    "optimality": "Euler error, multiplier-free",
    "euler": "relative Euler error",
    "kkt": "KKT error",
}
MOMENTS = ("mean", "std", "autocorrelation", "correlation_with_output")


def error_rows(folder: Path, group: str = "all") -> list[dict[str, Any]]:
    """Rows of errors.csv of one group, in the file's order: condition, group, key, unit and the floats n, mean, ...

    group: "all", "age", "shock" or "binding". Values are raw: relative errors as fractions (0.001 = .1 %).
    Raises UserError if the file is missing or damaged, or names a unit other than "relative" and "product".
    """
    path = folder / "errors.csv"
    rows = files.rows(path, text=("condition", "group", "key", "unit"), numbers=("n", *STATISTICS))
    for row in rows:
        if row["unit"] not in SCALES:
            raise UserError(f"{path}: unit '{row['unit']}', expected one of {', '.join(SCALES)}; {files.EVALUATE}")
    return [row for row in rows if row["group"] == group]


def error_table(folder: Path) -> Table:
    """Rows: conditions; columns: mean, max and percentiles of the absolute error over all ages and states.

    Relative errors are printed in %, products (KKT) in 1e-2. Raises UserError as `error_rows`.
    """
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("error")
    table.add_column("unit")
    for statistic in STATISTICS:
        table.add_column(statistic, justify="right")
    for row in error_rows(folder):
        values = (digits(100 * row[statistic]) for statistic in STATISTICS)
        table.add_row(condition_name(row["condition"]), SCALES[row["unit"]], *values)
    return table


def where_table(folder: Path) -> Table:
    """Where the errors sit: mean and max of each condition by shock, and with the constraint binding or free.

    The last row is the share of observations in each column, in % of its group. Columns the file lacks are left out.
    Raises UserError as `error_rows`.
    """
    groups = {group: error_rows(folder, group) for group in ("shock", "binding")}
    columns = {
        (group, row["key"]): f"shock {row['key']}" if group == "shock" else row["key"]
        for group, rows in groups.items()
        for row in rows
    }
    cells = {(row["condition"], group, row["key"]): row for group, rows in groups.items() for row in rows}
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("error, mean / max")
    table.add_column("unit")
    for name in columns.values():
        table.add_column(name, justify="right")
    units = {row["condition"]: SCALES[row["unit"]] for rows in groups.values() for row in rows}
    for condition, unit in units.items():
        found = [cells.get((condition, *column)) for column in columns]
        pairs = (f"{digits(100 * row['mean'])} / {digits(100 * row['max'])}" if row else "" for row in found)
        table.add_row(condition_name(condition), unit, *pairs)
    if columns:
        table.add_row("share of observations", "%", *_shares(groups, list(columns)))
    return table


def _shares(groups: dict[str, list[dict[str, Any]]], columns: list[tuple[str, str]]) -> list[str]:
    """Share of each column within its group, counted on the group's first condition."""
    shares = []
    for group, key in columns:
        first = groups[group][0]["condition"]
        counts = {row["key"]: row["n"] for row in groups[group] if row["condition"] == first}
        total = sum(counts.values())
        shares.append(f"{100 * counts[key] / total:.1f}" if total and key in counts else "")
    return shares


def moments_table(folder: Path) -> Table:
    """Rows: aggregate variables; columns: mean, standard deviation, autocorrelation, correlation with output, and the
    mean in each shock. Levels are in the units of the economy. Raises UserError if moments.csv is missing or damaged.
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


def plain(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Any table of a study: columns in the order of the first row, real numbers to four digits."""
    table = Table(box=box.SIMPLE_HEAD)
    for column, value in rows[0].items():
        table.add_column(column.replace("_", " "), justify="left" if isinstance(value, str) else "right")
    for row in rows:
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else escape(str(value)) for value in row.values()))
    return table


def text(table: Table) -> str:
    """A table of this module as Markdown, without colours and however wide, ending in a newline."""
    markdown = copy.copy(table)
    markdown.box = box.MARKDOWN
    out = io.StringIO()
    Console(file=out, width=400, color_system=None, force_terminal=False).print(markdown)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines() if line.strip())


def condition_name(condition: str) -> str:
    """A condition of errors.csv in a reader's words: "kkt" -> "KKT error", "market_clearing" -> "market clearing"."""
    return CONDITIONS.get(condition, condition.replace("_", " "))


def digits(value: float) -> str:
    """A non-negative number as journals print it: .0032, .061, .54, 1.31, 12.3; at least two significant digits.

    An exact zero is 0 and nothing else is, so that a reader can tell "zero" from "small"; below .00001 the number is in
    scientific form. An empty group (NaN) is an en dash.
    """
    if math.isnan(value):
        return "–"
    if value == 0 or math.isinf(value):
        return f"{value:g}"
    if abs(value) < 1e-5:
        return f"{value:.1e}".replace("e-0", "e-")
    decimals = max(1 - math.floor(math.log10(abs(value))), 1 if abs(value) >= 10 else 2)
    return f"{value:.{decimals}f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.{decimals}f}"
