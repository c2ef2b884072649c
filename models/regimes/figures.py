"""A path of measured prices, and which regime each way of inference thinks the economy is in."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deqn.report.paper import COLOURS, DASHES, PALE, Drawing

_WAYS = {"particle_filter": "particle filter", "hmm": "hidden Markov model", "network": "recurrent network"}
_NAMES = (
    "low depreciation, low TFP",
    "low depreciation, high TFP",
    "high depreciation, low TFP",
    "high depreciation, high TFP",
)


def drawings(folder: Path) -> Iterator[Drawing]:
    """Draws the first test path; shaded is where the economy truly is in the regime."""
    with np.load(folder / "results.npz") as file:
        z, y = file["z"][0], file["y"][0]
        shown = {name: file[f"p_{name}"][0] for name in _WAYS}
    periods = np.arange(len(z))
    figure = Figure(figsize=(6.4, 6.2), layout="constrained")
    top, *panels = figure.subplots(1 + len(_NAMES), 1, sharex=True)
    for column, (label, colour) in enumerate((("gross return", COLOURS[0]), ("wage", COLOURS[1]))):
        top.plot(periods, y[:, column], color=colour, linestyle=DASHES[column], label=label)
    top.set_ylabel("log price")
    top.legend(ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))
    for regime, (axes, name) in enumerate(zip(panels, _NAMES, strict=True)):
        axes.fill_between(periods, 0, z == regime, step="mid", color=PALE, linewidth=0)
        for number, (way, label) in enumerate(_WAYS.items()):
            style = {"color": COLOURS[number], "linestyle": DASHES[number], "linewidth": 1, "label": label}
            axes.plot(periods, shown[way][:, regime], **style)
        axes.set_ylim(0, 1)
        axes.set_title(name, loc="left")
    panels[-1].set_xlabel("period")
    figure.legend(*panels[0].get_legend_handles_labels(), ncols=3, loc="outside lower center")
    tables = [
        pd.DataFrame({"period": periods, "regime": r + 1, "is_true": z == r, **{w: p[:, r] for w, p in shown.items()}})
        for r in range(len(_NAMES))
    ]
    yield Drawing("regimes", figure, pd.concat(tables))
