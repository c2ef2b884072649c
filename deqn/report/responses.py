"""Impulse responses of one or several runs: a table for the terminal, and figures over time and along an axis.

Layout as in Azinovic, Gaegauf, Scheidegger (2019), Figures 8 and 9: a panel for each shock, a line for each run.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes as Panel
from matplotlib.figure import Figure
from rich import box
from rich.table import Table

from deqn.project.errors import UserError
from deqn.project.json_files import read_json
from deqn.report import files
from deqn.report.paper import DASHES, GREY, Drawing, legend_below, palette, paper_style, save

OWN_LAW = "its own law"  # what responds to a draw of the shock's own law: nothing, but for the standard error
COLUMNS = ("variable", "shock", "axis", "entry", "horizon", "value", "standard_error", "mean")
Published = Mapping[tuple[str, str, float], float]
ERGODIC = "the ergodic distribution"
_CURE = "repeat deqn irf"
_BEFORE = 3  # periods before the shock that figures show
_ROWS = 4  # of panels at most


def responses(folder: Path) -> pd.DataFrame:
    """Reads responses.csv of a run: its columns, values as fractions. Raises UserError if it is missing or damaged."""
    text, numbers = COLUMNS[:4], COLUMNS[4:]
    return pd.DataFrame(files.rows(folder / "responses.csv", text, numbers, cure=_CURE), columns=list(COLUMNS))


def described(folder: Path) -> dict[str, Any]:
    """Reads what `deqn irf` says of its responses. Raises UserError if it cannot be read."""
    try:
        return read_json(folder / "responses.json")
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / 'responses.json'}: cannot be read ({error}); {_CURE}") from error


def table(folder: Path) -> Table:
    """Returns the responses of aggregates on impact, in %, each with its standard error; a column for each shock."""
    rows = responses(folder)
    rows = rows[(rows["axis"] == "") & (rows["horizon"] == 0)]
    shown = Table(box=box.SIMPLE_HEAD)
    shown.add_column("on impact, %")
    shocks = list(dict.fromkeys(rows["shock"]))
    for shock in shocks:
        shown.add_column(shock if shock == OWN_LAW else f"shock {shock}", justify="right")
    cells = {
        (row["variable"], row["shock"]): f"{_percent(row['value'])} ({_percent(row['standard_error'])})"
        for row in rows.to_dict("records")
    }
    for variable, words in described(folder)["aggregates"].items():
        shown.add_row(words.replace("_", " "), *(cells[variable, shock].replace("nan (nan)", "") for shock in shocks))
    return shown


def _percent(share: float) -> str:
    return f"{round(100 * share, 3) + 0.0:.3f}"  # no minus before zero


def draw(folders: Sequence[Path], names: Sequence[str], out: Path) -> list[Path]:
    """Draws the responses of several runs over each other into out/figures; returns the PNG files."""
    with paper_style():
        return [save(out, drawing) for drawing in drawings(folders, names)]


def drawings(folders: Sequence[Path], names: Sequence[str]) -> Iterator[Drawing]:
    """Yields the figure of aggregates over time, and one for each axis on impact; names: of the runs."""
    first = described(folders[0])
    runs = dict(zip(names, folders, strict=True))
    yield over_time(runs, dict(list(first["aggregates"].items())[:_ROWS]))
    found = responses(folders[0])
    for axis in dict.fromkeys(found["axis"]):
        rows = found[(found["axis"] == axis) & found["value"].notna()]
        known = list(dict.fromkeys(rows["variable"]))
        wanted = [name for name in first["along"] if name in known] or known
        if axis and "/" not in axis and wanted:
            yield on_impact(runs, axis, wanted[:_ROWS])


def over_time(
    runs: Mapping[str, Path], variables: Mapping[str, str], name: str = "responses", published: Published | None = None
) -> Drawing:
    """Draws responses over time, in a panel for each shock; variables: names in words. Data: run, then responses.csv.

    published: numbers in % by run, shock and horizon, or label on the axis, which are marked.
    """
    data = _all(runs)
    first = described(next(iter(runs.values())))
    return _figure(name, data[data["axis"] == ""], variables, first, "periods after the shock", published or {})


def on_impact(
    runs: Mapping[str, Path], axis: str, variables: Sequence[str], name: str = "", published: Published | None = None
) -> Drawing:
    """Draws responses on impact along an axis; the rest as `over_time`."""
    data = _all(runs)
    rows = data[(data["axis"] == axis) & data["value"].notna()]
    first = described(next(iter(runs.values())))
    words = {variable: variable.replace("_", " ") for variable in variables}
    label = first["axis_labels"].get(axis, axis.replace("_", " "))
    return _figure(name or f"responses_by_{axis}", rows, words, first, label, published or {})


def _all(runs: Mapping[str, Path]) -> pd.DataFrame:
    """The responses of all runs but those to what their own laws draw."""
    data = pd.concat([responses(path).assign(run=name) for name, path in runs.items()], ignore_index=True)
    return data.loc[data["shock"] != OWN_LAW, ["run", *COLUMNS]]


def _figure(
    name: str,
    rows: pd.DataFrame,
    variables: Mapping[str, str],
    first: dict[str, Any],
    x_label: str,
    published: Published,
) -> Drawing:
    """A row of panels for each variable, a column for each shock, a line for each run."""
    rows = rows[rows["variable"].isin(variables)].reset_index(drop=True)
    shocks, runs = list(dict.fromkeys(rows["shock"])), list(dict.fromkeys(rows["run"]))
    figure = Figure(figsize=(0.7 + 2.2 * len(shocks), 1.1 + 1.6 * len(variables)), layout="constrained")
    panels = figure.subplots(len(variables), len(shocks), sharex=True, sharey="row", squeeze=False)
    for (variable, words), line in zip(variables.items(), panels, strict=True):
        for shock, panel in zip(shocks, line, strict=True):
            panel.axhline(0, color=GREY, linewidth=0.6)
            for number, (run, colour) in enumerate(zip(runs, palette(len(runs)), strict=True)):
                mine = rows[(rows["variable"] == variable) & (rows["shock"] == shock) & (rows["run"] == run)]
                x, y, error = _line(mine)
                panel.fill_between(x, y - 2 * error, y + 2 * error, color=colour, alpha=0.2, linewidth=0)
                marker = "" if len(x) > 1 and not isinstance(x[0], str) else "o"
                panel.plot(
                    x, y, color=colour, linestyle=DASHES[number % len(DASHES)], marker=marker, markersize=3, label=run
                )
            panel.tick_params(labelleft=True)
        line[0].set_ylabel(f"{words.replace('_', ' ')}\n[%]")
    for shock, top, bottom in zip(shocks, panels[0], panels[-1], strict=True):
        top.set_title(first["shock_names"].get(shock, f"shock {shock}").replace(", ", ",\n"))
        bottom.set_xlabel(x_label)
    figure.align_ylabels()
    _mark(panels[0], shocks, runs, published)
    if len(runs) > 1 or published:
        handles = [panel.get_legend_handles_labels() for panel in panels[0]]
        named = {label: handle for each in handles for handle, label in zip(*each, strict=True)}
        legend_below(figure, list(named.values()), list(named))
    return Drawing(name, figure, rows)


def _mark(panels: Sequence[Panel], shocks: Sequence[str], runs: Sequence[str], published: Published) -> None:
    """Marks published numbers in the panels of their shocks."""
    for shock, panel in zip(shocks, panels, strict=True):
        for run, colour in zip(runs, palette(len(runs)), strict=True):
            places = [(x, y) for (named, about, x), y in published.items() if (named, about) == (run, shock)]
            if places:
                x, y = zip(*places, strict=True)
                panel.plot(x, y, color=colour, linestyle="", marker="x", markersize=6, label=f"{run}, published")


def _line(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where a line stands, its values and standard errors in %; over time with the zeros before the shock."""
    y, error = 100 * rows["value"].to_numpy(), 100 * rows["standard_error"].to_numpy()
    if (rows["axis"] == "").all():
        zeros = np.zeros(_BEFORE)
        x = np.concatenate([np.arange(-_BEFORE, 0), rows["horizon"]])
        return x, np.concatenate([zeros, y]), np.concatenate([zeros, error])
    try:
        return rows["entry"].to_numpy(float), y, error
    except ValueError:
        return rows["entry"].to_numpy(str), y, error
