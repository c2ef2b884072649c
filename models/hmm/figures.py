"""Accuracy and agreement with the forward algorithm, like figures 5 to 7 of Choe, Shin and Spencer (2017)."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deqn.report.paper import COLOURS, DASHES, GREY, Drawing

_MEASURES = {"accuracy": "share of hidden states found", "agreement": "same prediction as forward"}
_LABELS = {
    "rnn": "recurrent network",
    "particles": "particle filter",
    "rao_blackwell": "particle filter, last state summed out",
    "forward": "forward algorithm",
}


def drawings(folder: Path) -> Iterator[Drawing]:
    """Draws accuracy over the size of network and filter, or over the number of hidden states if that varies."""
    table = pd.read_csv(folder / "inference.csv")
    yield _by_states(table) if table["states"].nunique() > 1 else _by_size(table)


def _by_size(table: pd.DataFrame) -> Drawing:
    figure = Figure(figsize=(4.2, 4.6), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True)
    forward = table.loc[table["method"] == "forward", "accuracy"].iloc[0]
    panels[0].axhline(forward, color=GREY, linestyle=DASHES[1], label=_LABELS["forward"])
    for axes, (measure, label) in zip(panels, _MEASURES.items(), strict=True):
        for number, method in enumerate(("rnn", "particles", "rao_blackwell")):
            _line(axes, table[table["method"] == method], "size", measure, number, _LABELS[method])
        axes.set_ylabel(label)
    panels[0].legend()
    panels[1].set_xscale("log")
    panels[1].set_xlabel("units of the network, particles of the filter")
    return Drawing("inference", figure, table)


def _by_states(table: pd.DataFrame) -> Drawing:
    figure = Figure(figsize=(4.2, 4.6), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True)
    methods = {method: table[table["method"] == method] for method in ("rnn", "forward")}
    for number, (method, rows) in enumerate(methods.items()):
        _line(top, rows, "states", "accuracy", number, f"{_LABELS[method]}, accuracy")
        _line(bottom, rows, "states", "parameters", number, _LABELS[method])
    _line(top, methods["rnn"], "states", "agreement", 2, "agreement of the two")
    states = methods["forward"]["states"]
    top.plot(states, 1 / states, color=GREY, linestyle=DASHES[2], label="by chance")
    for axes in (top, bottom):
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.legend()
    bottom.set_yscale("log")
    bottom.set(ylabel="parameters", xlabel="hidden states of the model")
    top.set_ylabel("share of paths' periods")
    return Drawing("inference", figure, table)


def _line(axes: Axes, rows: pd.DataFrame, x: str, y: str, number: int, label: str) -> None:
    if not rows.empty:
        style = {"color": COLOURS[number], "linestyle": DASHES[number], "marker": "o", "markersize": 3}
        axes.plot(rows[x], rows[y], label=label, **style)
