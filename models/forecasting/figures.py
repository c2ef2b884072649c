"""Figures of the errors by step ahead, and of the first forecasts beside the true values."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deqn.report.paper import COLOURS, DASHES, INK, Drawing

_SHOWN = 96  # origins


def drawings(folder: Path) -> Iterator[Drawing]:
    """Draws mean absolute errors over the steps ahead, and forecasts of the last step over the first test rows."""
    if not (folder / "errors.csv").is_file():  # of nowcast.yaml
        return
    table = pd.read_csv(folder / "errors.csv")
    steps = [column for column in table if column.startswith("step_")]
    figure = Figure(figsize=(4.2, 2.8), layout="constrained")
    axes = figure.subplots()
    for number, row in table.iterrows():
        style = {"color": COLOURS[number], "linestyle": DASHES[number % 4], "marker": "o", "markersize": 3}
        axes.plot(range(1, len(steps) + 1), row[steps].astype(float), label=row["forecast"], **style)
    axes.set_ylim(bottom=0)
    axes.set(xlabel="rows ahead", ylabel="mean absolute error")
    axes.legend()
    long = table[["forecast", *steps]].melt("forecast", None, "rows_ahead", "mean_absolute_error")
    yield Drawing("errors", figure, long.assign(rows_ahead=long["rows_ahead"].str.removeprefix("step_").astype(int)))
    with np.load(folder / "results.npz") as file:
        yield _path({name: file[name][:_SHOWN, -1] for name in file.files}, len(steps))


def _path(ends: dict[str, np.ndarray], ahead: int) -> Drawing:
    figure = Figure(figsize=(6.2, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(ends["truth"], color=INK, linewidth=0.8, label="what came about")
    for number, name in enumerate(("network", "conditional_mean")):
        if name in ends:
            label = f"{name.replace('_', ' ')}, {ahead} rows ahead"
            axes.plot(ends[name], color=COLOURS[number], linestyle=DASHES[number], label=label)
    axes.set(xlabel="rows of the test", ylabel="series")
    axes.legend(ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))
    return Drawing("forecasts", figure, pd.DataFrame(ends))
