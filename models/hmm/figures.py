"""Accuracy and agreement with the forward algorithm, like figures 5 to 7 of Choe, Shin and Spencer (2017)."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from deqn.report.paper import COLOURS, DASHES, GREY, Drawing

_MEASURES = {"accuracy": "share of hidden states found", "agreement": "same prediction as forward"}
_LABELS = {
    "rnn": "recurrent network",
    "particles": "particle filter",
    "rao_blackwell": "particle filter, last state summed out",
    "forward": "forward algorithm",
}


def drawings(folder: Path) -> Iterator[Drawing]:
    """Draws accuracy over the size of network and filter, or over states or training paths where these vary."""
    if not (folder / "inference.csv").is_file():
        yield _next_symbol(pd.read_csv(folder / "next_symbol.csv"), folder)
        return
    table = pd.read_csv(folder / "inference.csv")
    if table["states"].nunique() > 1:
        yield _by_states(table)
    elif table.loc[table["method"] == "rnn", "paths"].nunique() > 1:
        yield from _by_paths(table, folder)
    else:
        yield _by_size(table)


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


def _by_paths(table: pd.DataFrame, folder: Path) -> Iterator[Drawing]:
    """Accuracy and agreement over the number of paths to train on, and the accuracy by period."""
    networks = table[table["method"] == "rnn"]
    forward = table.loc[table["method"] == "forward", "accuracy"].iloc[0]
    figure = Figure(figsize=(4.2, 4.6), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True)
    panels[0].axhline(forward, color=GREY, linestyle=DASHES[1], label=_LABELS["forward"])
    for axes, (measure, label) in zip(panels, _MEASURES.items(), strict=True):
        for number, (size, rows) in enumerate(networks.groupby("size")):
            _line(axes, rows, "paths", measure, number, f"k = {size}")
        axes.set_ylabel(label)
    panels[0].legend()
    panels[1].set_xscale("log")
    panels[1].set_xlabel("paths to train on")
    yield Drawing("paths", figure, table)
    m, sizes, counts = (networks[name].unique() for name in ("states", "size", "paths"))
    figure, columns = Figure(figsize=(0.8 + 2.0 * len(sizes), 2.6), layout="constrained"), []
    with np.load(folder / "results.npz") as file:
        for axes, k in zip(figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0], sizes, strict=True):
            shown = {f"{n:,} paths": file[f"right_m{m[0]}_k{k}_n{n}"] for n in counts}
            shown[_LABELS["forward"]] = file[f"right_m{m[0]}_forward"]
            for number, (label, right) in enumerate(shown.items()):
                colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
                axes.plot(np.arange(1, len(right) + 1), right, color=colour, linestyle=dash, label=label)
                columns += [{"size": k, "data": label, "period": t, "accuracy": r} for t, r in enumerate(right, 1)]
            axes.set(title=f"k = {k}", xlabel="period")
    figure.axes[0].set_ylabel(_MEASURES["accuracy"])
    figure.axes[-1].legend()
    yield Drawing("periods", figure, pd.DataFrame(columns))


def _next_symbol(table: pd.DataFrame, folder: Path) -> Drawing:
    """What each distribution loses to the exact one, in all periods and by period."""
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.4))
    others = table[table["distribution"] != "exact"]
    bars = left.barh(others["distribution"], others["above_exact"], color=COLOURS[0], height=0.6)
    left.bar_label(bars, fmt="%.3f", padding=3)
    left.invert_yaxis()
    left.margins(x=0.25)
    left.grid(axis="y", visible=False)
    left.set_xlabel("cross-entropy above the exact one [nats]")
    with np.load(folder / "results.npz") as file:
        for number, name in enumerate(others["distribution"]):
            above = file[f"entropy_{name}"] - file["entropy_exact"]
            seen = np.arange(1, len(above) + 1)
            right.plot(seen, above, color=COLOURS[number], linestyle=DASHES[number % len(DASHES)], label=name)
    right.set(xlabel="symbols seen", ylabel="the same, by period")
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return Drawing("next_symbol", figure, table)


def _line(axes: Axes, rows: pd.DataFrame, x: str, y: str, number: int, label: str) -> None:
    if not rows.empty:
        style = {"color": COLOURS[number], "linestyle": DASHES[number], "marker": "o", "markersize": 3}
        axes.plot(rows[x], rows[y], label=label, **style)
