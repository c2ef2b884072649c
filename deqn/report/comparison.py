"""Several solutions beside each other: tables for the terminal, and figures of their policies and errors."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from rich import box
from rich.table import Table

from deqn.report import files
from deqn.report.axes import Axes, text
from deqn.report.paper import DASHES, Drawing, axis_label, legend_below, palette, paper_style, save
from deqn.report.tables import SCALES, condition_name, digits, worst_row

_CURE = "repeat deqn compare"
_ROUNDING = 1e-10  # errors below it are rounding and do not set the axis
_MOST_STATICS = 5  # variables of the figure of comparative statics
_DOTS = 2000  # states drawn of each run
_PERCENTILES = np.concatenate([np.linspace(0, 99, 100), [99.5, 99.9, 100]])


def tables(folder: Path) -> Iterator[tuple[str, Table]]:
    """Yields title and table of errors, policies, moments and costs, from the files of `deqn compare`."""
    described = json.loads((folder / "comparison.json").read_text())
    table = _table("run", "error", "unit", "mean", "p99.9", "max")
    for row, is_worst in _error_rows(folder):
        numbers = (digits(100 * row[name]) for name in ("mean", "p99.9", "max"))
        name = condition_name(row["condition"], described) + (", the worst" if is_worst else "")
        table.add_row(row["run"], name, SCALES[row["unit"]], *numbers)
    yield "errors at the same states, those of the first run's path", table
    table = _table("run", "policy", "mean %", "max %")
    for row in files.rows(folder / "policies.csv", ("run", "policy"), ("mean", "max"), cure=_CURE):
        table.add_row(row["run"], row["policy"], digits(100 * row["mean"]), digits(100 * row["max"]))
    yield "policies there: distance from the first run's, of its mean", table
    rows = files.rows(folder / "moments.csv", ("run", "variable"), ("mean", "std"), cure=_CURE)
    runs = list(dict.fromkeys(row["run"] for row in rows))
    cells = {(row["variable"], row["run"]): f"{row['mean']:.5g} ({row['std']:.3g})" for row in rows}
    table = _table("variable", *runs)
    for variable in dict.fromkeys(row["variable"] for row in rows):
        table.add_row(variable, *(cells.get((variable, run), "") for run in runs))
    yield "mean (standard deviation) on each run's own path, of the same shocks", table
    table = _table("run", "CPU-seconds", "updates", "states")
    for row in files.rows(folder / "costs.csv", ("run",), ("CPU-seconds", "updates", "states"), cure=_CURE):
        table.add_row(row["run"], *(f"{row[name]:,.0f}" for name in ("CPU-seconds", "updates", "states")))
    yield "cost of training", table


def _error_rows(folder: Path) -> list[tuple[dict[str, Any], bool]]:
    """The rows of errors.csv, and whether each is the worst of several conditions of its run."""
    rows = files.rows(folder / "errors.csv", ("run", "condition", "unit"), ("mean", "p99.9", "max"), cure=_CURE)
    by_run = {run: [row for row in rows if row["run"] == run] for run in dict.fromkeys(row["run"] for row in rows)}
    return [(row, len(by_run[row["run"]]) > 1 and row is worst_row(by_run[row["run"]])) for row in rows]


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    text = ("run", "error", "unit", "policy", "variable")
    for column in columns:
        table.add_column(column, justify="left" if column in text else "right")
    return table


def figures(folder: Path) -> list[Path]:
    """Draws errors and policies of all runs over each other into folder/figures, and moments over a parameter in which
    they differ; returns the PNG files.
    """
    described = json.loads((folder / "comparison.json").read_text())
    with np.load(folder / "comparison.npz") as file:
        arrays = {name: file[name] for name in file.files}
    with paper_style():
        drawings = [_errors(described, arrays, folder), _policies(described, arrays), statics(described, folder)]
        return [save(folder, drawing) for drawing in drawings if drawing]


def statics(described: dict[str, Any], folder: Path) -> Drawing | None:
    """Comparative statics: mean and standard deviation of aggregates over a parameter, with the range over seeds.

    None unless one or two numbers among the parameters differ; of two, the one with fewer values makes the lines.
    Data: the parameters, variable, statistic, value (the mean over seeds), low, high, seeds.
    """
    varied = sorted(described.get("parameters", {}).items(), key=lambda each: -len(set(each[1])))
    if not 1 <= len(varied) <= 2:
        return None
    runs = pd.DataFrame({"run": described["runs"], **dict(varied)})
    moments = pd.DataFrame(files.rows(folder / "moments.csv", ("run", "variable"), ("mean", "std"), cure=_CURE))
    words = described.get("aggregates") or {}
    shown = [name for name in dict.fromkeys(moments["variable"]) if not words or name in words][:_MOST_STATICS]
    table = moments[moments["variable"].isin(shown)].merge(runs, on="run")
    long = table.melt([*dict(varied), "variable"], ["mean", "std"], "statistic")
    keys = [*dict(varied), "variable", "statistic"]
    data = long.groupby(keys, sort=True)["value"].agg(["mean", "min", "max", "count"]).reset_index()
    data.columns = pd.Index([*keys, "value", "low", "high", "seeds"])
    x, line = varied[0][0], varied[1][0] if len(varied) > 1 else None
    lines = sorted(set(data[line])) if line else [None]
    figure = Figure(figsize=(0.5 + 2.3 * len(shown), 4.4), layout="constrained")
    panels = figure.subplots(2, len(shown), sharex=True, squeeze=False)
    for statistic, row in zip(("mean", "std"), panels, strict=True):
        for name, panel in zip(shown, row, strict=True):
            for number, (label, colour) in enumerate(zip(lines, palette(len(lines)), strict=True)):
                mine = data[(data["variable"] == name) & (data["statistic"] == statistic)]
                mine = mine[mine[line] == label] if line else mine
                panel.fill_between(mine[x], mine["low"], mine["high"], color=colour, alpha=0.25, linewidth=0)
                panel.plot(mine[x], mine["value"], color=colour, linestyle=DASHES[number % 4], marker="o", markersize=3,
                           label=f"{line.replace('_', ' ')} {label:g}" if line else "")  # fmt: skip
            if statistic == "mean":
                panel.set_title(words.get(name, name))
            else:
                panel.set_xlabel(x.replace("_", " "))
            panel.locator_params(axis="x", nbins=4)
        row[0].set_ylabel("mean" if statistic == "mean" else "standard deviation")
    if line:
        legend_below(figure, *panels[0, 0].get_legend_handles_labels())
    return Drawing("comparative_statics", figure, data)


def _errors(described: dict[str, Any], arrays: dict[str, np.ndarray], folder: Path) -> Drawing:
    """The figure of the percentiles of each run's error at the common states, of the condition that is the worst."""
    runs = described["runs"]
    worst = worst_row([row for row, _ in _error_rows(folder)])
    condition = worst["condition"]
    data = pd.concat([
        pd.DataFrame({"run": run, "percentile": _PERCENTILES,
                      "error": np.percentile(np.abs(arrays[f"{number}/{condition}"]), _PERCENTILES)})
        for number, run in enumerate(runs, start=1)
        if f"{number}/{condition}" in arrays
    ], ignore_index=True)  # fmt: skip
    figure = Figure(figsize=(4.4, 3.2), layout="constrained")
    axes = figure.subplots()
    for number, (run, colour) in enumerate(zip(runs, palette(len(runs)), strict=True)):
        mine = data[(data["run"] == run) & (data["error"] > 0)]
        axes.plot(mine["percentile"], 100 * mine["error"], color=colour, linestyle=DASHES[number % 4], label=run)
    axes.set_yscale("log")
    shown = data["error"][data["error"] > _ROUNDING]
    if shown.size:
        axes.set_ylim(100 * shown.min() / 1.5, 100 * shown.max() * 1.5)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("percentile of the states")
    axes.set_ylabel(f"|{condition_name(condition, described)}| [{SCALES[worst['unit']]}]")
    legend_below(figure, *axes.get_legend_handles_labels())
    return Drawing("errors", figure, data)


def _policies(described: dict[str, Any], arrays: dict[str, np.ndarray]) -> Drawing | None:
    """The figure of the policies over the first state where that is one number, else of their means along an axis."""
    states = [name for name in arrays if "/" not in name]
    scalar = next((name for name in states if arrays[name].ndim == 1 and arrays[name].dtype.kind == "f"), None)
    axes = Axes.read(described)
    frames, titles = [], {}
    for number, run in enumerate(described["runs"], start=1):
        for letter in described["names"]:
            values = arrays.get(f"{number}/{letter}")
            if values is None:
                continue
            for name, along, xy in _lines(letter, values, axes, arrays[scalar] if scalar else None):
                frames.append(pd.DataFrame({"run": run, "policy": name, **xy}))
                x = described.get("axis_labels", {}).get(along, along) if along else _label(described, scalar or "")
                titles[name] = (x, _label(described, letter) + name.removeprefix(letter).replace("/", " "))
    if not frames:
        return None
    data = pd.concat(frames, ignore_index=True)
    return Drawing("policies", _panels(described["runs"], data, titles, bool(axes.labels)), data)


def _lines(
    letter: str, values: np.ndarray, axes: Axes, state: np.ndarray | None
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, axis and line of a policy: its mean along its first axis, for each label of the others; or a sample of it
    over a state, without an axis.
    """
    labels = axes.of(letter, values.shape[1:])
    if labels:
        first, *others = labels
        means = values.mean(axis=0).reshape(len(labels[first]), -1).T
        for place, line in zip(itertools.product(*(labels[axis] for axis in others)), means, strict=True):
            yield "/".join([letter, *map(text, place)]), first, {"x": labels[first], "y": line}
    elif not axes.labels and state is not None and values.ndim == 1:
        step = max(1, len(values) // _DOTS)
        yield letter, "", {"x": state[::step], "y": values[::step]}


def _label(described: dict[str, Any], letter: str) -> str:
    return axis_label(described["names"].get(letter, letter), described["units"].get(letter, ""))


def _panels(runs: list[str], data: pd.DataFrame, titles: dict[str, tuple[str, str]], along: bool) -> Figure:
    """A panel for each policy with a line (or dots) for each run. titles: by policy, of its axes. along: an axis."""
    figure = Figure(figsize=(0.4 + 3.2 * len(titles), 3.4), layout="constrained")
    panels = figure.subplots(1, len(titles), squeeze=False)[0]
    for (name, (x, y)), panel in zip(titles.items(), panels, strict=True):
        for number, (run, colour) in enumerate(zip(runs, palette(len(runs)), strict=True)):
            mine = data[(data["policy"] == name) & (data["run"] == run)]
            looks: dict[str, Any] = {"linestyle": DASHES[number % 4]}
            if not along:
                # The first runs in larger dots, so that they show beneath those that agree with them.
                looks = {"linestyle": "", "marker": ".", "markersize": 2.0 * (len(runs) - number), "rasterized": True}
            panel.plot(list(mine["x"]), mine["y"], color=colour, label=run, **looks)
        panel.set_xlabel(x.replace("\n", " "))
        panel.set_ylabel(y)
    legend_below(figure, *panels[0].get_legend_handles_labels(), markerscale=1 if along else 2)
    return figure
