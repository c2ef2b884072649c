"""The figure of an agent's training: the returns of its episodes."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deqn.report.paper import COLOURS, MIDDLE, Drawing


def returns_figure(folder: Path, over: int) -> Drawing | None:
    """Draws each episode's return over the transitions, and the mean of the last `over`; None before the first."""
    with np.load(folder / "results.npz") as file:
        if "return" not in file.files:
            return None
        table = pd.DataFrame({"transitions": file["transitions"], "return": file["return"]})
    mean = f"mean_of_{over}"
    table[mean] = table["return"].rolling(over).mean()
    figure = Figure(figsize=(5.2, 2.8), layout="constrained")
    axes = figure.subplots()
    axes.plot(table["transitions"], table["return"], ".", color=MIDDLE, markersize=2, label="an episode")
    axes.plot(table["transitions"], table[mean], color=COLOURS[0], label=f"mean of the last {over}")
    axes.set_xlabel("transitions")
    axes.set_ylabel("return")
    axes.legend()
    return Drawing("returns", figure, table)
