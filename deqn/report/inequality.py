"""Who holds how much: Gini coefficients, Lorenz curves, shares over time, and lives of single generations.

The members of an economy's axis, such as its cohorts, count alike: each is one household.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deqn.project.errors import UserError
from deqn.project.run import RunFolder
from deqn.report import files, tidy
from deqn.report.axes import text
from deqn.report.paper import COLOURS, DASHES, GREY, INK, MIDDLE, PALE, Drawing, legend_below, palette

_SHOWN = 150  # periods of the figure over time
_GROUPS = 6  # at most, of the members of an axis
_LIVES = 4  # generations followed


def gini(holdings: np.ndarray) -> np.ndarray:
    """Gini coefficient along the last axis: the mean absolute difference of two members over twice the mean.

        G = sum_i (2 i - n - 1) x_(i) / (n sum_i x_i),   x_(1) <= ... <= x_(n)

    holdings: [..., n]. Where some hold less than nothing G may exceed 1; it is NaN where the sum is not positive.
    Returns [...]. One who holds all of n gives 1 - 1/n, equal shares 0.
    """
    x = np.sort(np.asarray(holdings, np.float64), axis=-1)
    n, total = x.shape[-1], x.sum(axis=-1)
    rank = 2 * np.arange(1, n + 1) - n - 1
    return np.where(total > 0, (x @ rank) / (n * np.where(total > 0, total, 1.0)), np.nan)


def lorenz(holdings: np.ndarray) -> np.ndarray:
    """Share of the total that the poorest i of n hold, i = 0..n: [..., n + 1], NaN where the total is not positive."""
    x = np.sort(np.asarray(holdings, np.float64), axis=-1)
    total = x.sum(axis=-1, keepdims=True)
    shares = np.cumsum(x, axis=-1) / np.where(total > 0, total, np.nan)
    return np.concatenate([np.zeros((*shares.shape[:-1], 1)), shares], axis=-1)


def gini_rows(folder: Path) -> list[dict[str, Any]]:
    """By variable the mean of the Gini coefficient over time, its standard deviation, and what the top tenth holds."""
    rows = []
    for name, _, each in _held(folder):
        values = gini(each.values)
        curve = np.nanmean(lorenz(each.values), axis=0)
        at_ninety = np.interp(0.9, np.linspace(0, 1, len(curve)), curve)
        rows.append({
            "variable": name, "among": each.dims[1], "Gini, mean": f"{np.nanmean(values):.3f}",
            "std over time": f"{np.nanstd(values):.3f}", "share of the top tenth, %": f"{100 * (1 - at_ninety):.1f}",
        })  # fmt: skip
    return rows


def drawings(folder: Path) -> Iterator[Drawing]:
    """Yields Lorenz curves, shares over time and lives; nothing without simulation.npz or an axis.

    Lives are drawn where the path is longer than a life: on a shorter one nobody is seen from first to last age.
    """
    held = list(_held(folder))
    if not held:
        return
    yield _lorenz(held)
    name, _, stock = held[0]
    yield _shares(name, stock, files.description(folder))
    if stock.dims[1] == "age" and all(len(each.values) > each.values.shape[1] for _, _, each in held):
        yield _lives(held, files.description(folder))


def _held(folder: Path) -> Iterator[tuple[str, str, tidy.Labelled]]:
    """Name, letter and values of the states with one axis, and of consumption."""
    run = RunFolder(folder)
    if not run.simulation.exists() or not files.description(folder).get("axes"):
        return
    path = tidy.of_run(run)
    letters = files.description(folder).get("letters", {})
    for field in dict.fromkeys([*files.description(folder).get("states", ()), "consumption"]):
        letter = letters.get(field, field)
        if letter in path and path[letter].ndim == 2:
            try:
                each = path.array(letter)
            except UserError:
                continue
            whole = each.values.dtype.kind == "f" and (each.values.sum(axis=1) > 0).all()  # else there are no shares
            if whole and not each.dims[1].startswith("entry_of"):
                yield path.name(letter), letter, each


def _lorenz(held: list[tuple[str, str, tidy.Labelled]]) -> Drawing:
    """The mean curve over time of each variable and its 10/90 % band. Data: variable, share of members, statistics."""
    frames = []
    figure = Figure(figsize=(0.4 + 2.9 * len(held), 3.2), layout="constrained")
    panels = figure.subplots(1, len(held), sharex=True, sharey=True, squeeze=False)[0]
    for (name, _, each), panel in zip(held, panels, strict=True):
        curves = lorenz(each.values)
        share = np.linspace(0, 1, curves.shape[1])
        low, high = np.nanpercentile(curves, [10, 90], axis=0)
        mean = np.nanmean(curves, axis=0)
        panel.plot([0, 1], [0, 1], color=GREY, linewidth=0.6)
        panel.fill_between(share, low, high, color=MIDDLE, linewidth=0, label="10 to 90 % of periods")
        panel.plot(share, mean, color=COLOURS[0], label="mean over time")
        panel.set_title(f"{name}: Gini {np.nanmean(gini(each.values)):.2f}")
        panel.set_xlabel(f"share of members ({each.dims[1]}), poorest first")
        panel.set_ylabel("share held")
        panel.tick_params(labelleft=True)
        frames.append(pd.DataFrame({"variable": name, "share": share, "mean": mean, "p10": low, "p90": high}))
    legend_below(figure, *panels[0].get_legend_handles_labels())
    return Drawing("lorenz", figure, pd.concat(frames, ignore_index=True))


def _groups(each: tidy.Labelled) -> dict[str, slice]:
    """Up to six groups of neighbours on the axis, by their names."""
    labels = list(each.coords[each.dims[1]])
    count = min(_GROUPS, len(labels))
    count = next((n for n in range(count, count // 2, -1) if len(labels) % n == 0), count)  # alike in size, if they can
    edges = np.unique(np.linspace(0, len(labels), count + 1).round().astype(int))
    places = [slice(int(a), int(b)) for a, b in itertools.pairwise(edges)]
    named = [labels[place] for place in places]
    return {
        text(part[0]) if len(part) == 1 else f"{text(part[0])} to {text(part[-1])}": place
        for part, place in zip(named, places, strict=True)
    }


def _shares(name: str, each: tidy.Labelled, described: Mapping[str, Any]) -> Drawing:
    """Who holds which share of the total over the first 150 periods. Data: period, and the shares by group."""
    total = each.values[:_SHOWN].sum(axis=1)
    groups = _groups(each)
    data = pd.DataFrame({group: each.values[:_SHOWN, place].sum(axis=1) / total for group, place in groups.items()})
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    panel = figure.subplots()
    for group, colour, dash in zip(groups, palette(len(groups)), [*DASHES, *DASHES], strict=False):
        panel.plot(data.index, data[group], color=colour, linestyle=dash, linewidth=1.1, label=group)
    panel.set_xlim(0, len(data) - 1)
    panel.set_xlabel("period")
    panel.set_ylabel(f"share of {name}")
    axis = each.dims[1]
    label = described.get("axis_labels", {}).get(axis, axis).replace("_", " ")
    legend_below(figure, *panel.get_legend_handles_labels(), title=label, title_fontsize=8)
    data.insert(0, "period", np.arange(len(data)))
    return Drawing(f"{name.replace(' ', '_')}_shares", figure, data)


def _lives(held: list[tuple[str, str, tidy.Labelled]], described: Mapping[str, Any]) -> Drawing:
    """Lives of four generations along the path, over the mean at their age. Data: variable, born, age, value, mean."""
    frames = []
    figure = Figure(figsize=(0.4 + 3.2 * len(held), 3.2), layout="constrained")
    panels = figure.subplots(1, len(held), squeeze=False)[0]
    for (name, _, each), panel in zip(held, panels, strict=True):
        ages, values = np.asarray(each.coords["age"], float), each.values
        places = np.arange(len(ages))
        births = np.linspace(0, min(len(values) - len(ages), 4 * _SHOWN), _LIVES).round().astype(int)
        mean, (low, high) = values.mean(axis=0), np.percentile(values, [10, 90], axis=0)
        panel.fill_between(ages, low, high, color=PALE, linewidth=0, label="10 to 90 %")
        panel.plot(ages, mean, color=INK, linewidth=1.8, label="mean")
        for birth, colour, dash in zip(births, COLOURS, DASHES, strict=False):
            life = values[birth + places, places]
            panel.plot(ages, life, color=colour, linestyle=dash, linewidth=0.9, label=f"born in period {birth}")
            frames.append(pd.DataFrame({"variable": name, "born": birth, "age": ages, "value": life, "mean": mean}))
        panel.set_xlabel(described.get("axis_labels", {}).get("age", "age"))
        panel.set_ylabel(f"{name}\n[{each.unit}]" if each.unit else name)
    legend_below(figure, *panels[0].get_legend_handles_labels())
    return Drawing("lives", figure, pd.concat(frames, ignore_index=True))
