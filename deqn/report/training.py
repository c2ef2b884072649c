"""The figure of training: loss and errors on fresh data, over updates and over CPU time (AGS19, figure 4)."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from deqn.report import files
from deqn.report.paper import COLOURS, DASHES, Drawing, axis_label, legend_below

CLOCKS = {"update": "updates", "cpu_seconds": "CPU time [s]"}
ERRORS = {"max": "maximum", "p99.9": "99.9th percentile", "mean": "mean"}
_MOST = 3  # validation figures drawn of a problem that is no economy
_DECADE = 10  # between smallest and largest: below it a logarithmic scale has hardly a number to show


class Panel(NamedTuple):
    """A row of the figure: columns of metrics.csv by their legends, times `scale`."""

    label: str
    columns: dict[str, str]
    scale: float = 1.0


def training_figure(folder: Path) -> Drawing | None:
    """Draws the loss and what validation measured; the scale is logarithmic where they fall to a tenth.

    Of an economy these are mean, 99.9th percentile and maximum of the error on fresh paths of the condition that
    decides, else the problem's own.
    One column of panels over updates, one over CPU-seconds where metrics.csv has them; a figure of validation appears
    with the first one. None if there is no metrics.csv or it has no row yet. Data: the columns of metrics.csv that are
    drawn, errors as fractions.
    """
    path = folder / "metrics.csv"
    if not path.exists():
        return None
    validated = _validated(path)
    rows = files.rows(path, numbers=("update", "loss"), optional=("cpu_seconds", *validated), cure=files.TRAIN)
    data = pd.DataFrame(rows, dtype=float)
    if data.empty or not data["loss"].notna().any():
        return None
    panels = [Panel("loss", {"loss": ""}), *_panels([name for name in validated if data[name].notna().any()])]
    clocks = [column for column in CLOCKS if column in data and data[column].notna().any()]
    figure = Figure(figsize=(0.4 + 3.4 * len(clocks), 0.3 + 2.2 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), len(clocks), sharex="col", sharey="row", squeeze=False)
    for clock, column in zip(clocks, axes.T, strict=True):
        for panel, each in zip(panels, column, strict=True):
            _draw(each, data, clock, panel)
        column[-1].set_xlabel(CLOCKS[clock])
        column[-1].locator_params(axis="x", nbins=5)
    for panel, row in zip(panels, axes, strict=True):
        row[0].set_ylabel(panel.label)
        if len(panel.columns) > 1:
            legend_below(figure, *row[0].get_legend_handles_labels())
    data["update"] = data["update"].astype("int64")
    return Drawing("training", figure, data)


def _validated(path: Path) -> list[str]:
    """The columns of metrics.csv that hold figures of validation: those between loss_max and cpu_seconds."""
    header = files.header(path, files.TRAIN)
    if "loss_max" not in header or "cpu_seconds" not in header:
        return []
    return header[header.index("loss_max") + 1 : header.index("cpu_seconds")]


def _panels(validated: list[str]) -> list[Panel]:
    if validated and validated[0].endswith(".mean"):  # of an economy: the figures of the condition that decides
        condition = validated[0].removesuffix(".mean")
        errors = {f"{condition}.{statistic}": label for statistic, label in ERRORS.items()}
        return [Panel(f"{condition} error on fresh paths [%]", errors, 100.0)]
    return [Panel(axis_label(name, ""), {name: name}) for name in validated[:_MOST]]


def _draw(axes: Axes, data: pd.DataFrame, clock: str, panel: Panel) -> None:
    shown = data.dropna(subset=list(panel.columns), how="all")
    is_loss = "loss" in panel.columns
    every = shown[list(panel.columns)].to_numpy(float)
    signed, positive = bool((every < 0).any()), every[(every > 0) & np.isfinite(every)]
    few = len(shown) < 30 and not is_loss  # so that a run which has just begun shows its points
    alone = len(panel.columns) == 1
    looks = (
        [(COLOURS[0], DASHES[0])] if alone else zip((COLOURS[1], COLOURS[2], COLOURS[0]), DASHES[2::-1], strict=True)
    )
    for (name, label), (colour, dash) in zip(panel.columns.items(), looks, strict=False):
        values = panel.scale * (shown[name] if signed else shown[name].where(shown[name] > 0))
        axes.plot(
            shown[clock], values, color=colour, linestyle=dash, linewidth=1.0 if is_loss else 1.4,
            marker="o" if few else "", markersize=2.5, label=label,
        )  # fmt: skip
    if not signed and positive.size and positive.max() > _DECADE * positive.min():
        axes.set_yscale("log")
        if not is_loss:
            axes.yaxis.set_major_formatter("{x:g}")
            if positive.max() < 10 * _DECADE * positive.min():  # else matplotlib names the decades only
                axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
                axes.yaxis.set_minor_formatter("{x:g}")
