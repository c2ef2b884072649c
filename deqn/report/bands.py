"""Figures over the economy's axis, such as age: the distribution over simulated states as bands of percentiles.

Which variables are drawn, and how the axis is called, the economy says in description.json:

figures          variables by the name of their figure; else every variable has a figure NAME_by_age
stage_variables  rows of the figure of stages; else the first variable of each of the first four figures
shock_variables  panels of the figure by shock; else the first three variables that by_age.csv has by shock
axis             label of the axis; else "age"
condition_names  what an error is called; else its name in errors.csv
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deqn.report import files
from deqn.report.paper import COLOURS, DASHES, GREY, INK, MIDDLE, PALE, Drawing, axis_label, legend_below, palette
from deqn.report.tables import condition_name

STATISTICS = ("mean", "p0.1", "p10", "p50", "p90", "p99.9")
# Below this an error is rounding of a condition that holds by construction. Letting it set the axis (the writer clips
# log10 of zero to -16) would squeeze the errors that matter into the panel's upper edge.
ROUNDING = -10.0
_FEW_AGES = 7  # which have room to be named one by one


def by_age(folder: Path) -> Iterator[Drawing]:
    """Draws each figure of which by_age.csv has a variable: mean, median, 10/90 and 0.1/99.9 % bands.

    Data: columns variable, unit, age and the statistics, as in by_age.csv.
    """
    table, described = profiles(folder / "by_age.csv"), files.description(folder)
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
            panel.set_xlabel(_axis(described))
            panel.tick_params(labelleft=True)
        _all_ages(panels[0], data)
        if _limits(panels, [data[data["variable"] == variable] for variable in variables]):
            legend_below(figure, *panels[0].get_legend_handles_labels())
        yield Drawing(name, figure, data)


def stages(folder: Path) -> Drawing | None:
    """Draws some variables over the axis, one column for each stage of training.

    Reads stages/<percent of training>.csv; None if there is none. Data: as by_age.csv, with a first column percent.
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
        bottom.set_xlabel(_axis(described))
    _all_ages(panels[0, 0], data)
    figure.align_ylabels()
    if drawn:
        legend_below(figure, *panels[0, 0].get_legend_handles_labels())
    return Drawing("stages", figure, data)


def by_shock(folder: Path) -> Drawing | None:
    """Draws the means of some variables over the axis, one line for each shock; None without such rows.

    Data: columns variable, unit, shock (counted from 1), age, mean.
    """
    table, described = profiles(folder / "by_age.csv"), files.description(folder)
    data = table[table["shock"] != "all"]
    wanted = described.get("shock_variables", list(dict.fromkeys(data["variable"]))[:3])
    data = data[data["variable"].isin(wanted)]
    data = data[["variable", "unit", "shock", "age", "mean"]].reset_index(drop=True)
    variables = [variable for variable in wanted if variable in set(data["variable"])]
    if not variables:
        return None
    shocks = list(dict.fromkeys(data["shock"]))
    names = files.shock_names(folder, shocks)
    figure = Figure(figsize=(0.3 + 2.5 * len(variables), 3.1), layout="constrained")
    panels = figure.subplots(1, len(variables), sharex=True, squeeze=False)[0]
    for variable, panel in zip(variables, panels, strict=True):
        rows = data[data["variable"] == variable]
        for position, (shock, colour) in enumerate(zip(shocks, palette(len(shocks)), strict=True)):
            line = rows[rows["shock"] == shock].sort_values("age")
            dash = DASHES[position % len(DASHES)]
            panel.plot(line["age"], line["mean"], color=colour, linestyle=dash, label=names[shock])
        panel.set_ylabel(_label(rows, described))
        panel.set_xlabel(_axis(described))
    _all_ages(panels[0], data)
    legend_below(figure, *panels[0].get_legend_handles_labels())
    return Drawing("by_shock", figure, data)


def profiles(path: Path) -> pd.DataFrame:
    """Reads by_age.csv or a file of stages/: variable, unit, shock ("all" or 1..S), age, mean and percentiles.

    An empty table if there is no such file (an economy without ages, or a run not yet evaluated).
    """
    columns = ("variable", "unit", "shock")
    if not path.exists():
        return pd.DataFrame(columns=[*columns, "age", *STATISTICS])
    return pd.DataFrame(
        files.rows(path, text=columns, numbers=("age", *STATISTICS)), columns=[*columns, "age", *STATISTICS]
    )


def _figures(described: dict[str, Any], table: pd.DataFrame) -> dict[str, Sequence[str]]:
    own = {f"{name.removeprefix('log10_')}_by_age": [name] for name in dict.fromkeys(table["variable"])}
    return described.get("figures", own)


def _axis(described: dict[str, Any]) -> str:
    return str(described.get("axis", "age"))


def _all_shocks(table: pd.DataFrame, variables: Sequence[str]) -> pd.DataFrame:
    rows = table[(table["shock"] == "all") & table["variable"].isin(variables)]
    return rows.drop(columns="shock").sort_values(["variable", "age"], kind="stable").reset_index(drop=True)


def _band(axes: Axes, rows: pd.DataFrame) -> None:
    values = rows[list(STATISTICS)]
    if _is_log(rows):  # a line or band ends where it meets rounding, instead of plunging to the clipped zeros
        values = values.where(values > ROUNDING).fillna({"p0.1": ROUNDING, "p10": ROUNDING})
    for low, high, colour, label in (("p0.1", "p99.9", PALE, "0.1 to 99.9 %"), ("p10", "p90", MIDDLE, "10 to 90 %")):
        axes.fill_between(rows["age"], values[low], values[high], color=colour, linewidth=0, label=label)
    axes.plot(rows["age"], values["p50"], color=COLOURS[0], label="median")
    axes.plot(rows["age"], values["mean"], color=INK, linestyle=DASHES[1], linewidth=1.1, label="mean")


def _all_ages(axes: Axes, data: pd.DataFrame) -> None:
    """Limits of an axis of ages that all panels share: every age of any of them, and a margin; few ages are named."""
    ages = sorted(set(data["age"]))
    step = min((later - earlier for earlier, later in itertools.pairwise(ages)), default=1.0)
    margin = max(step / 2, 0.02 * (ages[-1] - ages[0]))
    axes.set_xlim(ages[0] - margin, ages[-1] + margin)
    if len(ages) <= _FEW_AGES:
        axes.set_xticks(ages, [f"{age:g}" for age in ages])


def _limits(panels: Sequence[Axes], parts: Sequence[pd.DataFrame]) -> bool:
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


def _is_number(stem: str) -> bool:
    try:
        return math.isfinite(float(stem))
    except ValueError:
        return False
