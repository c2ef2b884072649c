"""Perplexities side by side, and pairs of letters in samples against the source's."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deqn.report.paper import COLOURS, GREY, Drawing


def drawings(folder: Path) -> Iterator[Drawing]:
    """Draws test perplexities; where the source is known, frequencies of pairs with bands of two standard errors."""
    table = pd.read_csv(folder / "perplexity.csv")
    figure = Figure(figsize=(3.4, 2.4), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(table["distribution"], table["test"], color=COLOURS[0], height=0.6)
    axes.bar_label(bars, fmt="%.3f", padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("perplexity of the test text")
    yield Drawing("perplexities", figure, table)
    with np.load(folder / "results.npz") as file:
        if "pairs_drawn" in file.files:
            yield _pairs(file["pairs_drawn"].ravel(), file["pairs_expected"].ravel())


def _pairs(drawn: np.ndarray, expected: np.ndarray) -> Drawing:
    total = drawn.sum()
    share, truth = drawn / total, expected / total
    error = 2 * np.sqrt(truth * (1 - truth) / total)
    figure = Figure(figsize=(3.4, 3.0), layout="constrained")
    axes = figure.subplots()
    axes.axline((0, 0), slope=1, color=GREY, linewidth=0.8)
    axes.errorbar(truth, share, yerr=error, fmt="o", markersize=3, linewidth=0.8, color=COLOURS[1])
    axes.set(xlabel="probability of a pair of letters in the source", ylabel="share in samples of the network")
    return Drawing("pairs", figure, pd.DataFrame({"probability": truth, "share": share, "two_standard_errors": error}))
