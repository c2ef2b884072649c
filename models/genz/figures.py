"""Mean and maximum error over the number of points, one panel for each dimension."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from deqn.report.paper import COLOURS, Drawing

ERRORS = {"max_error": ("maximum", COLOURS[1], "s"), "mean_error": ("mean", COLOURS[0], "o")}


def drawings(folder: Path) -> Iterator[Drawing]:
    """Draws medians over repetitions, in the units of f, from errors.csv."""
    data = pd.read_csv(folder / "errors.csv")
    dimensions = list(dict.fromkeys(data["d"]))
    figure = Figure(figsize=(0.6 + 2.2 * len(dimensions), 2.6), layout="constrained")
    panels = figure.subplots(1, len(dimensions), sharey=True, squeeze=False)[0]
    for axes, dimension in zip(panels, dimensions, strict=True):
        own = data[data["d"] == dimension]
        for column, (label, colour, marker) in ERRORS.items():
            axes.loglog(own["N"], own[column], color=colour, marker=marker, markersize=4, label=label)
        axes.set_title(f"d = {dimension}")
        axes.set_xlabel("points N")
        axes.set_xticks(own["N"], [str(points) for points in own["N"]])
        axes.minorticks_off()
    panels[0].set_ylabel("absolute error on test points")
    panels[-1].legend(loc="best")
    yield Drawing("errors", figure, data[["d", "N", *ERRORS]])
