"""Quantile forecasts of the next period over the first test periods, with the true quantiles, and coverage."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deqn.report.paper import COLOURS, DASHES, GREY, INK, MIDDLE, Drawing

_SHOWN = 100


def drawings(folder: Path) -> Iterator[Drawing]:
    """Draws the band between the outer quantiles, and the share of periods below each quantile by horizon."""
    with np.load(folder / "results.npz") as file:
        arrays = {name: file[name][:_SHOWN] for name in file.files}
    future, forecasts = arrays["future"], arrays["forecasts"]
    table = pd.read_csv(folder / "quantiles.csv")
    figure = Figure(figsize=(6.6, 2.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2.2, 1))
    periods = np.arange(len(future))
    left.fill_between(
        periods, forecasts[:, 0, 0], forecasts[:, 0, -1], color=MIDDLE, linewidth=0, label="network, outer quantiles"
    )
    for edge, label in ((0, "true ones"), (-1, None)) if "truth" in arrays else ():
        left.plot(periods, arrays["truth"][:, edge], color=COLOURS[1], linestyle=DASHES[1], linewidth=0.8, label=label)
    left.plot(periods, future[:, 0], ".", color=INK, markersize=3, label="what came about")
    left.legend()
    left.set_xlabel("period of the test")
    network = table[table["forecast"] == "network"]
    for number, (ahead, rows) in enumerate(network.groupby("ahead")):
        right.plot(
            rows["quantile"], rows["coverage"], "o-", markersize=3, color=COLOURS[number], label=f"{ahead} ahead"
        )
    right.plot([0, 1], [0, 1], color=GREY, linewidth=0.6)
    right.set(xlabel="quantile", ylabel="share of periods below")
    right.legend()
    yield Drawing("quantiles", figure, table)
