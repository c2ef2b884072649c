"""Which edges carry something, and impulse responses over the graph: the network's, a VAR's, and the law's if known."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deqn.report.paper import COLOURS, DASHES, INK, MIDDLE, Drawing

_NAMES = {"truth": "known law", "network": "network", "VAR": "VAR"}


def drawings(folder: Path) -> Iterator[Drawing]:
    """Draws what a run with `network: edges` has found; other runs have no responses."""
    with np.load(folder / "results.npz") as file:
        responses = {
            label: file[f"responses_{name}"] for name, label in _NAMES.items() if f"responses_{name}" in file.files
        }
    if not responses:
        return
    edges = pd.read_csv(folder / "importance.csv")
    figure = Figure(figsize=(6.6, 4.9), layout="constrained")
    above, below = figure.subfigures(2, 1)
    panels = above.subplots(1, len(responses), sharey=True)
    most = np.abs(next(iter(responses.values()))[:, 1]).max()
    for panel, (name, each) in zip(panels, responses.items(), strict=True):
        image = panel.imshow(np.abs(each[:, 1]), cmap="Greys", vmin=0, vmax=most)
        panel.set(title=name, xlabel="node that responds")
        panel.locator_params(integer=True)
        panel.grid(visible=False)
    panels[0].set_ylabel("shocked node")
    above.colorbar(image, ax=panels, label="|response| after two rows", shrink=0.9)
    left, right = below.subplots(1, 2)
    shocked = _most_hit(left, responses)
    _importance(right, edges)
    table = pd.concat([
        pd.DataFrame(each[shocked]).assign(row=np.arange(1, each.shape[1] + 1), by=name)
        for name, each in responses.items()
    ])  # fmt: skip
    yield Drawing("responses", figure, table)


def _most_hit(axes: Axes, responses: dict[str, np.ndarray]) -> int:
    """Draws the mean response of all others to the node that moves others most, and their range; returns the node."""
    first = next(iter(responses.values()))
    nodes = len(first)
    shocked = int(np.argmax([np.delete(np.abs(first[node]), node, axis=1).sum() for node in range(nodes)]))
    for number, (name, each) in enumerate(responses.items()):
        others = np.delete(each[shocked], shocked, axis=1)
        rows = np.arange(1, len(others) + 1)
        axes.plot(rows, others.mean(axis=1), color=COLOURS[number], linestyle=DASHES[number], label=name)
        for edge in (others.min(axis=1), others.max(axis=1)):
            axes.plot(rows, edge, color=COLOURS[number], linestyle=DASHES[number], linewidth=0.6)
    axes.set(xlabel="rows after the shock", ylabel=f"response of the others\nto node {shocked}: mean, range")
    axes.legend()
    return shocked


def _importance(axes: Axes, edges: pd.DataFrame) -> None:
    carries = edges["carries"] if "carries" in edges else np.ones(len(edges), bool)
    for which, colour, label in ((True, INK, "carries"), (False, MIDDLE, "does not")):
        chosen = np.flatnonzero(carries == which)
        axes.bar(chosen + 1, edges["importance"].iloc[chosen], width=1.0, color=colour, label=label)
    axes.set(xlabel="edges, the largest importance first", ylabel="importance")
    if "carries" in edges:
        axes.legend()
