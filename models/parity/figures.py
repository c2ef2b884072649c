"""Right answers by the number of digits read."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deqn.report.paper import COLOURS, DASHES, Drawing


def drawings(folder: Path) -> Iterator[Drawing]:
    """Draws the share of right answers after each digit of the longest strings, by network."""
    with np.load(folder / "results.npz") as file:
        right = {name.removeprefix("right_").replace("_", " "): file[name] for name in file.files}
    figure = Figure(figsize=(5.2, 2.8), layout="constrained")
    axes = figure.subplots()
    for number, (name, share) in enumerate(right.items()):
        colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
        axes.plot(np.arange(1, len(share) + 1), share, color=colour, linestyle=dash, label=name)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_ylim(0.4, 1.03)
    axes.set(xlabel="digits read", ylabel="share of right answers")
    axes.legend(loc="center left")
    columns = [{"network": n, "digits": d, "right": r} for n, s in right.items() for d, r in enumerate(s, start=1)]
    yield Drawing("accuracy", figure, pd.DataFrame(columns))
