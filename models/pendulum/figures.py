"""Returns of the episodes of training, as they came."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deqn.report.paper import COLOURS, MIDDLE, Drawing

_OVER = 10  # episodes of the running mean


def figures(folder: Path) -> Iterator[Drawing]:
    """Each episode's return over the transitions made, and the mean of the last 10."""
    with np.load(folder / "results.npz") as file:
        if "return" not in file.files:
            return
        table = pd.DataFrame({"transitions": file["transitions"], "return": file["return"]})
    table["mean_of_10"] = table["return"].rolling(_OVER).mean()
    figure = Figure(figsize=(5.2, 2.8), layout="constrained")
    axes = figure.subplots()
    axes.plot(table["transitions"], table["return"], ".", color=MIDDLE, markersize=2, label="an episode")
    axes.plot(table["transitions"], table["mean_of_10"], color=COLOURS[0], label="mean of the last 10")
    axes.set_xlabel("transitions")
    axes.set_ylabel("return")
    axes.legend()
    yield Drawing("returns", figure, table)
