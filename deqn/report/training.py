"""The figure of training: loss and errors on fresh paths, over updates and over CPU time (AGS19, figure 4)."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deqn.report import files
from deqn.report.paper import COLOURS, DASHES, Drawing

CLOCKS = {"update": "updates", "cpu_seconds": "CPU time [s]"}
ERRORS = {"error_max": "maximum", "error_p999": "99.9th percentile", "error_mean": "mean"}


def training(folder: Path) -> Drawing | None:
    """Loss, and mean, 99.9th percentile and maximum of the error on fresh validation paths, on log scales.

    One column of panels over updates, one over CPU-seconds where metrics.csv has them; the errors' row appears with the
    first validation. None if there is no metrics.csv or it has no positive loss yet. Data: the columns of metrics.csv
    that are drawn, errors as fractions.
    """
    path = folder / "metrics.csv"
    if not path.exists():
        return None
    rows = files.rows(
        path, numbers=("update", "loss"), optional=("cpu_seconds", *ERRORS), cure="training writes it; is this a run?"
    )
    data = pd.DataFrame(rows, dtype=float)
    if data.empty or not (data["loss"] > 0).any():
        return None
    errors = [column for column in ERRORS if column in data and (data[column] > 0).any()]
    clocks = [column for column in CLOCKS if column in data and data[column].notna().any()]
    height = 1 + bool(errors)
    figure = Figure(figsize=(0.4 + 3.4 * len(clocks), 0.3 + 2.2 * height), layout="constrained")
    panels = figure.subplots(height, len(clocks), sharex="col", sharey="row", squeeze=False)
    for clock, column in zip(clocks, panels.T, strict=True):
        column[0].plot(data[clock], data["loss"].where(data["loss"] > 0), color=COLOURS[0], linewidth=1)
        if errors:
            _errors(column[1], data, clock, errors)
        column[-1].set_xlabel(CLOCKS[clock])
        column[-1].locator_params(axis="x", nbins=5)
    for row, label in zip(panels, ("loss", "error on fresh paths [%]"), strict=False):
        row[0].set_yscale("log")
        row[0].set_ylabel(label)
    if errors:
        panels[1, 0].yaxis.set_major_formatter("{x:g}")
        panels[1, -1].legend(loc="upper right")
    data["update"] = data["update"].astype("int64")
    return Drawing("training", figure, data)


def _errors(axes: Axes, data: pd.DataFrame, clock: str, errors: list[str]) -> None:
    validated = data.dropna(subset=errors, how="all")
    few = len(validated) < 30  # so that a run which has just begun shows its points
    for name, colour, dash in zip(ERRORS, (COLOURS[1], COLOURS[2], COLOURS[0]), DASHES[2::-1], strict=True):
        if name in errors:
            axes.plot(
                validated[clock],
                100 * validated[name].where(validated[name] > 0),
                color=colour,
                linestyle=dash,
                marker="o" if few else "",
                markersize=2.5,
                label=ERRORS[name],
            )
