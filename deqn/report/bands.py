"""Figures along an axis of the economy, such as age: the distribution over simulated states as bands of percentiles.

Along an axis of names, such as countries, the bands are bars. A variable with a second axis has one line for each of
its labels there.

Which variables are drawn, and how the axis is called, the economy says in description.json:

axes             labels of each axis, whose distributions stand in by_AXIS.csv; else there is by_age.csv alone
axis_labels      what an axis is called in figures; else its name
figures          variables by the name of their figure; else every variable has a figure NAME_by_AXIS
stage_variables  rows of the figure of stages; else the first variable of each of the first four figures
shock_variables  panels of the figure by shock; else the first three variables that the first axis has by shock
condition_names  what an error is called; else its name in errors.csv
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes as Panel
from matplotlib.figure import Figure

from deqn.report import files
from deqn.report.axes import Axes
from deqn.report.paper import COLOURS, DASHES, GREY, INK, MIDDLE, PALE, Drawing, axis_label, legend_below, palette
from deqn.report.tables import condition_name

STATISTICS = ("mean", "p0.1", "p10", "p50", "p90", "p99.9")
# Below this an error is rounding of a condition that holds by construction. Letting it set the axis (the writer clips
# log10 of zero to -16) would squeeze the errors that matter into the panel's upper edge.
ROUNDING = -10.0
_FEW = 7  # numbers that have room to be named one by one, names that have it side by side
_MOST_NAMES = 25  # beyond which every second or third name of an axis is shown


def by_axis(folder: Path) -> Iterator[Drawing]:
    """Draws each figure of which a by_AXIS.csv has a variable: mean, median, 10/90 and 0.1/99.9 % bands.

    Data: columns variable, unit, the axis and the statistics, as in by_AXIS.csv.
    """
    described = files.description(folder)
    for path in _paths(folder, described):
        yield from _along(profiles(path), described)


def _along(table: pd.DataFrame, described: dict[str, Any]) -> Iterator[Drawing]:
    for name, wanted in _figures(described, table).items():
        data = _all_shocks(table, wanted)
        variables = list(dict.fromkeys(data["variable"]))
        if not variables:
            continue
        figure = Figure(figsize=(0.6 + 3.6 * len(variables), 3.2), layout="constrained")
        panels = figure.subplots(1, len(variables), sharex=True, sharey=True, squeeze=False)[0]
        for panel, variable in zip(panels, variables, strict=True):
            rows = data[data["variable"] == variable]
            _band(panel, rows)
            panel.set_ylabel(_label(rows, described))
            panel.set_xlabel(_axis(described, data))
            panel.tick_params(labelleft=True)
        _all_labels(panels, data)
        if _limits(panels, [data[data["variable"] == variable] for variable in variables]):
            legend_below(figure, *panels[0].get_legend_handles_labels())
        yield Drawing(name, figure, data)


def stages(folder: Path) -> Drawing | None:
    """Draws some variables over the axis, one column for each stage of training.

    Reads stages/<percent of training>.csv; None if there is none. Data: as by_AXIS.csv, with a first column percent.
    """
    found = sorted((float(path.stem), path) for path in (folder / "stages").glob("*.csv") if _is_number(path.stem))
    if not found:
        return None
    described, files_read = files.description(folder), {percent: profiles(path) for percent, path in found}
    firsts = [names[0] for names in _figures(described, files_read[found[0][0]]).values()][:4]
    wanted = described.get("stage_variables", firsts)
    tables = {percent: _all_shocks(table, wanted) for percent, table in files_read.items()}
    data = pd.concat([table.assign(percent=percent) for percent, table in tables.items()], ignore_index=True)
    data = data[["percent", *(column for column in data if column != "percent")]]
    variables = [variable for variable in wanted if variable in set(data["variable"])]
    if not variables:
        return None
    figure = Figure(figsize=(0.5 + 2.35 * len(found), 0.6 + 1.75 * len(variables)), layout="constrained")
    panels = figure.subplots(len(variables), len(found), sharex=True, sharey="row", squeeze=False)
    drawn = False
    for variable, line in zip(variables, panels, strict=True):
        parts = [data[(data["variable"] == variable) & (data["percent"] == percent)] for percent in tables]
        for panel, rows in zip(line, parts, strict=True):
            _band(panel, rows)
        drawn |= _limits(line, parts)
        line[0].set_ylabel(_label(data[data["variable"] == variable], described))
    for percent, top, bottom in zip(tables, panels[0], panels[-1], strict=True):
        top.set_title(f"after {percent:g} % of training")
        bottom.set_xlabel(_axis(described, data))
    _all_labels(panels.flat, data)
    figure.align_ylabels()
    if drawn:
        legend_below(figure, *panels[0, 0].get_legend_handles_labels())
    return Drawing("stages", figure, data)


def by_shock(folder: Path) -> Drawing | None:
    """Draws the means of some variables over the axis, one line for each shock; None without such rows.

    Data: columns variable, unit, shock (counted from 1), the axis, mean.
    """
    described = files.description(folder)
    known = list(dict.fromkeys(_means_by_shock(folder)["variable"]))
    wanted = [each for each in described.get("shock_variables", known[:3]) if each in known]
    if not wanted:
        return None
    drawing = by_shock_of_runs({"": folder}, wanted, "by_shock")
    return Drawing("by_shock", drawing.figure, drawing.data.drop(columns="run"))


def by_shock_of_runs(runs: Mapping[str, Path], variables: Sequence[str], name: str) -> Drawing:
    """The same for several runs by their names: a row of panels for each, or panels side by side of one variable.

    Panels of one variable have one scale. Data: the run's name, then as `by_shock`.
    """
    first = next(iter(runs.values()))
    described = files.description(first)
    data = pd.concat([_means_by_shock(folder).assign(run=run) for run, folder in runs.items()], ignore_index=True)
    data = data[data["variable"].isin(variables)].reset_index(drop=True)
    axis = _axes(data)[0]
    data = data[["run", "variable", "unit", "shock", axis, "mean"]]
    shocks = list(dict.fromkeys(data["shock"]))
    names = files.shock_names(first, shocks)
    side_by_side = len(variables) == 1
    places = [(variable, run) for run in runs for variable in variables]
    rows = 1 if side_by_side else len(runs)
    columns = len(places) // rows
    figure = Figure(figsize=(0.3 + 2.5 * columns, 0.7 + 2.4 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey="row" if side_by_side else "col", squeeze=False)
    for (variable, run), panel in zip(places, panels.flat, strict=True):
        mine = data[(data["variable"] == variable) & (data["run"] == run)]
        for position, (shock, colour) in enumerate(zip(shocks, palette(len(shocks)), strict=True)):
            line = mine[mine["shock"] == shock].sort_values(axis)
            dash = DASHES[position % len(DASHES)]
            panel.plot(_places(line), line["mean"], color=colour, linestyle=dash, label=names[shock])
        panel.set_title(run)
        panel.set_ylabel(_label(mine, described))
        panel.set_xlabel(_axis(described, data))
        panel.tick_params(labelleft=True, labelbottom=True)
        _label_axis(panel, data)
    legend_below(figure, *panels[0, 0].get_legend_handles_labels())
    return Drawing(name, figure, data)


def _means_by_shock(folder: Path) -> pd.DataFrame:
    """The rows by shock of the economy's first axis, of variables that have no other."""
    table = profiles(_paths(folder, files.description(folder))[0])
    axis, *others = _axes(table)
    rows = table[(table["shock"] != "all") & (table[others] == "").all(axis=1)]
    return rows[["variable", "unit", "shock", axis, "mean"]]


def profiles(path: Path) -> pd.DataFrame:
    """Reads by_AXIS.csv or a file of stages/: variable, unit, shock ("all" or 1..S), axes, mean and percentiles.

    Numbers on the first axis are numbers, names a category in the file's order; labels of a second axis are text.
    An empty table if there is no such file (an economy without axes, or a run not yet evaluated).
    """
    fixed = ("variable", "unit", "shock")
    if not path.exists():
        return pd.DataFrame(columns=[*fixed, "age", *STATISTICS])
    axes = [column for column in files.header(path) if column not in (*fixed, *STATISTICS)]
    rows = files.rows(path, text=(*fixed, *axes), numbers=STATISTICS)
    table = pd.DataFrame(rows, columns=[*fixed, *axes, *STATISTICS])
    labels = table[axes[0]]
    if labels.map(_is_number).all():
        return table.assign(**{axes[0]: labels.astype(float)})
    return table.assign(**{axes[0]: pd.Categorical(labels, list(dict.fromkeys(labels)), ordered=True)})


def _paths(folder: Path, described: dict[str, Any]) -> list[Path]:
    """The by_AXIS.csv of each axis, the first of the economy first."""
    return [folder / f"by_{axis}.csv" for axis in Axes.read(described).labels or ("age",)]


def _axes(table: pd.DataFrame) -> list[str]:
    """The names of the axes among the columns, the one that figures are drawn along first."""
    return [
        str(column) for column in table if column not in ("percent", "run", "variable", "unit", "shock", *STATISTICS)
    ]


def _places(rows: pd.DataFrame) -> np.ndarray:
    """Where rows stand on the first axis: the numbers there, or the positions of the names."""
    column = rows[_axes(rows)[0]]
    return np.asarray(column.cat.codes if hasattr(column, "cat") else column)


def _figures(described: dict[str, Any], table: pd.DataFrame) -> dict[str, Sequence[str]]:
    axis = _axes(table)[0]
    own = {f"{name.removeprefix('log10_')}_by_{axis}": [name] for name in dict.fromkeys(table["variable"])}
    return described.get("figures", own)


def _axis(described: dict[str, Any], table: pd.DataFrame) -> str:
    axis = _axes(table)[0]
    return str(described.get("axis_labels", {}).get(axis, axis.replace("_", " ")))


def _all_shocks(table: pd.DataFrame, variables: Sequence[str]) -> pd.DataFrame:
    rows = table[(table["shock"] == "all") & table["variable"].isin(variables)]
    return rows.drop(columns="shock").sort_values(["variable", _axes(rows)[0]], kind="stable").reset_index(drop=True)


def _band(axes: Panel, rows: pd.DataFrame) -> None:
    values = rows[list(STATISTICS)]
    if _is_log(rows):  # a line or band ends where it meets rounding, instead of plunging to the clipped zeros
        values = values.where(values > ROUNDING).fillna({"p0.1": ROUNDING, "p10": ROUNDING})
    x, others = _places(rows), rows[_axes(rows)[1:]]
    if (others != "").to_numpy().any():
        _lines(axes, x, values, others.agg(" ".join, axis=1))
        return
    names = hasattr(rows[_axes(rows)[0]], "cat")
    for low, high, colour, label in (("p0.1", "p99.9", PALE, "0.1 to 99.9 %"), ("p10", "p90", MIDDLE, "10 to 90 %")):
        if names:
            axes.bar(x, values[high] - values[low], 0.7, values[low], color=colour, linewidth=0, label=label)
        else:
            axes.fill_between(x, values[low], values[high], color=colour, linewidth=0, label=label)
    looks: dict[str, Any] = {"linestyle": "", "marker": "_", "markersize": 9} if names else {}
    axes.plot(x, values["p50"], color=COLOURS[0], label="median", **looks)
    axes.plot(x, values["mean"], color=INK, label="mean", **(looks or {"linestyle": DASHES[1], "linewidth": 1.1}))


def _lines(axes: Panel, x: np.ndarray, values: pd.DataFrame, labels: pd.Series) -> None:
    """The mean along the first axis for each label of the second, and thinly between its 10th and 90th percentile."""
    each = list(dict.fromkeys(labels))
    for position, (label, colour) in enumerate(zip(each, palette(len(each)), strict=True)):
        here = (labels == label).to_numpy()
        mine, dash = values[here], DASHES[position % len(DASHES)]
        axes.fill_between(x[here], mine["p10"], mine["p90"], color=colour, alpha=0.15, linewidth=0)
        axes.plot(x[here], mine["mean"], color=colour, linestyle=dash, label=label)


def _all_labels(panels: Iterable[Panel], data: pd.DataFrame) -> None:
    """Limits of an axis that all panels share: every label of any of them, and a margin; few numbers are named."""
    for panel in panels:
        _label_axis(panel, data)


def _label_axis(axes: Panel, data: pd.DataFrame) -> None:
    column = data[_axes(data)[0]]
    if hasattr(column, "cat"):
        names = list(column.cat.categories)
        shown = range(0, len(names), -(-len(names) // _MOST_NAMES))
        axes.set_xlim(-0.6, len(names) - 0.4)
        axes.set_xticks(list(shown), [names[n] for n in shown], rotation=90 if len(names) > _FEW else 0)
        return
    labels = sorted(set(column))
    step = min((later - earlier for earlier, later in itertools.pairwise(labels)), default=1.0)
    margin = max(step / 2, 0.02 * (labels[-1] - labels[0]))
    axes.set_xlim(labels[0] - margin, labels[-1] + margin)
    if len(labels) <= _FEW:
        axes.set_xticks(labels, [f"{label:g}" for label in labels])


def _limits(panels: Sequence[Panel], parts: Sequence[pd.DataFrame]) -> bool:
    """Limits of a shared axis of logarithms, set by what lies above ROUNDING; levels keep matplotlib's own.

    parts: the rows of each panel. A panel that hides errors says so. Returns whether any panel shows something.
    """
    if not all(map(_is_log, parts)):
        return True
    values = [rows[list(STATISTICS)].to_numpy().ravel() for rows in parts]
    shown = [each[each > ROUNDING] for each in values]
    every = np.concatenate(shown)
    if every.size:
        bottom = max(ROUNDING, math.floor(2 * every.min() - 0.2) / 2)
        panels[0].set_ylim(bottom, math.ceil(2 * every.max() + 0.2) / 2)
    else:
        panels[0].set_yticks([])
    for panel, mine, all_of_it in zip(panels, shown, values, strict=True):
        if not mine.size:
            words = "every error is below $10^{-10}$"
            panel.text(0.5, 0.5, words, transform=panel.transAxes, ha="center", va="center", color=GREY, fontsize=7)
        elif mine.size < all_of_it.size:
            panel.set_title("not shown: errors below $10^{-10}$", loc="left", color=GREY, fontsize=7)
    return bool(every.size)


def _is_log(rows: pd.DataFrame) -> bool:
    return bool(rows["variable"].str.startswith("log10_").all())


def _label(rows: pd.DataFrame, described: dict[str, Any]) -> str:
    variable, unit = rows["variable"].iloc[0], rows["unit"].iloc[0]
    if variable.startswith("log10_"):
        return rf"$\log_{{10}}$ |{condition_name(variable.removeprefix('log10_'), described)}|"
    return axis_label(variable, unit)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
