"""The figures of `deqn welfare`: who gains, by period of birth or by member of an axis, and the transition."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deqn.project.errors import CannotWrite
from deqn.report.paper import COLOURS, DASHES, INK, Drawing, legend_below, paper_style, save


def draw(gains: Sequence[dict[str, Any]], transition: Sequence[dict[str, Any]], folder: Path) -> list[Path]:
    """Writes welfare and transition into folder/figures; returns the PNG files. Raises CannotWrite."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"{folder}: cannot make this folder ({error.strerror}); choose another --out") from error
    with paper_style():
        drawings = [_gains(pd.DataFrame(gains))]
        if transition:
            drawings.append(_transition(pd.DataFrame(transition)))
        return [save(folder, drawing) for drawing in drawings]


def _gains(table: pd.DataFrame) -> Drawing:
    """The gain with two standard errors: a line by period of birth, else a bar for each member."""
    figure = Figure(figsize=(4.6, 2.8), layout="constrained")
    axes = figure.subplots()
    gain, error, first = table["gain %"], 2 * table["standard error"], str(table.columns[0])
    if first == "birth":
        axes.fill_between(table["birth"], gain - error, gain + error, color=COLOURS[0], alpha=0.2, linewidth=0)
        axes.plot(table["birth"], gain, color=COLOURS[0])
        axes.axvline(0, color=INK, linewidth=0.6, linestyle=DASHES[2])
        axes.set_xlabel("period of birth, the change at 0")
    else:
        axes.bar(np.arange(len(table)), gain, 0.6, yerr=error, color=COLOURS[0], ecolor=INK, capsize=3)
        axes.set_xticks(np.arange(len(table)), list(table[first]))
        axes.set_xlabel(first)
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.set_ylabel("gain [% of consumption]")
    return Drawing("welfare", figure, table)


def _transition(table: pd.DataFrame) -> Drawing:
    """The means with the change over those without."""
    figure = Figure(figsize=(4.6, 2.8), layout="constrained")
    axes = figure.subplots()
    names = [str(name) for name in table if name != "period"]
    for place, name in enumerate(names):
        axes.plot(
            table["period"], table[name], color=COLOURS[place % len(COLOURS)], linestyle=DASHES[place % 4], label=name
        )
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.set_xlabel("periods after the change")
    axes.set_ylabel("change of the mean [%]")
    legend_below(figure, *axes.get_legend_handles_labels())
    return Drawing("transition", figure, table)
