"""Figures of the simulated path: aggregates over time, and the decision rule where the path has visited it."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deqn.project.errors import UserError
from deqn.report import files
from deqn.report.paper import COLOURS, Drawing, axis_label, legend_below, palette

SHOWN = 150  # periods of the path: more could not be told apart in print
THIRDS = ("low", "middle", "high")


def aggregates(folder: Path) -> Drawing | None:
    """Draws the aggregates over the first 150 periods of the path, each over its mean.

    They are those that `aggregates` of description.json names by letter. None without simulation.npz, or if it has
    none of them. Data: columns period and the ratios, by letter.
    """
    names = files.description(folder).get("aggregates", {})
    arrays = _arrays(folder, [*names, "track"])
    if arrays is None or not set(arrays) & set(names):
        return None
    first = arrays["track"] == arrays["track"][0] if "track" in arrays else slice(None)
    series = {letter: arrays[letter][first] for letter in names if letter in arrays}
    data = pd.DataFrame({letter: (values / values.mean())[:SHOWN] for letter, values in series.items()})
    data.insert(0, "period", np.arange(len(data)))
    figure = Figure(figsize=(6.4, 0.5 + 1.25 * len(series)), layout="constrained")
    panels = figure.subplots(len(series), 1, sharex=True, squeeze=False)[:, 0]
    for panel, letter in zip(panels, series, strict=True):
        panel.plot(data["period"], data[letter], color=COLOURS[0], linewidth=1)
        panel.set_ylabel(f"{names[letter]}\n[of its mean]")
    panels[-1].set_xlabel("period")
    panels[-1].set_xlim(0, len(data) - 1)
    figure.align_ylabels()
    return Drawing("path", figure, data)


def decision_rule(folder: Path) -> Drawing | None:
    """Draws each policy over the first state variable at every state of the path, in the colour of its shock.

    A shock that the path does not visit has no entry in the legend. Without a discrete shock, or with a second
    continuous state, the colours are thirds of that one. None unless the states are single numbers.
    Data: columns state, policy, group, x, y.
    """
    described = files.description(folder)
    letters = described.get("letters", {})
    named = {letters.get(name, name): name for name in (*described.get("states", ()), *described.get("policies", ()))}
    arrays = _arrays(folder, list(named))
    states = [letter for letter in named if named[letter] in described.get("states", ())]
    if arrays is None or not states or any(letter not in arrays or arrays[letter].ndim > 1 for letter in states):
        return None
    continuous = [letter for letter in states if arrays[letter].dtype.kind == "f"]
    policies = [p for p in named if p not in states and p in arrays and arrays[p].ndim == 1]
    if not continuous or not policies:
        return None
    x, group = arrays[continuous[0]], _groups(folder, arrays, states, continuous)
    data = pd.concat([
        pd.DataFrame({"state": named[continuous[0]], "policy": named[p], "group": group, "x": x, "y": arrays[p]})
        for p in policies
    ], ignore_index=True)  # fmt: skip
    return Drawing("decision_rule", _panels(data, described.get("units", {})), data)


def _groups(folder: Path, arrays: dict[str, np.ndarray], states: list[str], continuous: list[str]) -> pd.Categorical:
    """The name of the colour of each state: its shock, or a third of the last continuous state but the first."""
    shock = next((arrays[letter] for letter in states if arrays[letter].dtype.kind == "i"), None)
    if len(continuous) > 1:
        values = arrays[continuous[-1]]
        names = [f"{continuous[-1]} {third}" for third in THIRDS]
        codes = np.searchsorted(np.quantile(values, [1 / 3, 2 / 3]), values)
    elif shock is not None:
        names = list(files.shock_names(folder, [str(z + 1) for z in range(int(shock.max()) + 1)]).values())
        codes = shock
    else:
        names, codes = ["all states"], np.zeros(len(arrays[states[0]]), int)
    return pd.Categorical(np.array(names)[codes], categories=names)


def _panels(data: pd.DataFrame, units: dict[str, str]) -> Figure:
    policies, found = list(dict.fromkeys(data["policy"])), set(data["group"])
    groups = [group for group in data["group"].cat.categories if group in found]
    first = data["state"].iloc[0]
    figure = Figure(figsize=(0.4 + 3.2 * len(policies), 3.4), layout="constrained")
    panels = figure.subplots(1, len(policies), sharex=True, squeeze=False)[0]
    for policy, panel in zip(policies, panels, strict=True):
        for group, colour in zip(groups, palette(len(groups)), strict=True):
            rows = data[(data["policy"] == policy) & (data["group"] == group)]
            panel.plot(rows["x"], rows["y"], ".", color=colour, markersize=2, label=str(group), rasterized=True)
        panel.set_xlabel(axis_label(first, units.get(first, "")).replace("\n", " "))
        panel.set_ylabel(axis_label(policy, units.get(policy, "")))
    if len(groups) > 1:
        legend_below(figure, *panels[0].get_legend_handles_labels(), markerscale=4)
    return figure


def _arrays(folder: Path, letters: list[str]) -> dict[str, Any] | None:
    """Those of the named arrays that simulation.npz holds; None if there is no such file."""
    path = folder / "simulation.npz"
    if not path.exists():
        return None
    files.check_one_evaluation(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            return {letter: file[letter] for letter in letters if letter in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: cannot be read ({error}); {files.EVALUATE}") from None
