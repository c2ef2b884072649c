"""Figures 2 to 4 and 6 to 8 of "Variational Hyper RNN for Sequence Modeling", and the mean KL by step.

One panel for each of four quantities of one sequence of each setting: the data, the KL of proposal and prior, the
distance of the emission's mean from x, and the emission's log-variance.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deqn.report.paper import COLOURS, DASHES, GREY, Drawing

_SHOWN = {"noiseless": "without noise", "switch": "three noiseless sequences joined", "test": "as trained"}
_SETTINGS = ("test", "noiseless", "switch", "rand", "long", "zero_shot", "add")
_ROWS = ("x", "KL [nats]", "distance of mean and x", "log-variance")


def drawings(folder: Path) -> Iterator[Drawing]:
    """Draws them from results.npz."""
    with np.load(folder / "results.npz") as file:
        if "divergence_switch" not in file.files:
            return  # sequences of a file, or anomalies.yaml
        yield _divergences(file)
        yield _panels(file)


def _divergences(file: np.lib.npyio.NpzFile) -> Drawing:
    """The mean over sequences, and an error of two standard deviations of that mean around it."""
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    tables = []
    for axes, (name, title) in zip(figure.subplots(1, len(_SHOWN), sharey=True), _SHOWN.items(), strict=True):
        divergence = file[f"divergence_{name}"].astype(float)
        mean, error = divergence.mean(axis=0), divergence.std(axis=0) / np.sqrt(len(divergence))
        steps = np.arange(len(mean))
        axes.fill_between(steps, mean - 2 * error, mean + 2 * error, color=COLOURS[0], alpha=0.2, linewidth=0)
        axes.plot(steps, mean, color=COLOURS[0])
        axes.set_title(title)
        axes.set_xlabel("step")
        if name == "switch":
            for joint in (len(mean) // 3, 2 * len(mean) // 3):
                axes.axvline(joint, color=GREY, linewidth=0.6)
        tables.append(pd.DataFrame({"setting": name, "step": steps, "kl": mean, "standard_error": error}))
    figure.axes[0].set_ylabel("KL of proposal and prior [nats]")
    return Drawing("kl", figure, pd.concat(tables))


def _panels(file: np.lib.npyio.NpzFile) -> Drawing:
    """The first sequence of each setting, a column each."""
    figure, tables = Figure(figsize=(1.8 * len(_SETTINGS), 6.0), layout="constrained"), []
    grid = figure.subplots(len(_ROWS), len(_SETTINGS), sharex="col", squeeze=False)
    for column, name in zip(grid.T, _SETTINGS, strict=True):
        x, mean, variance = (file[f"{field}_{name}"][0].astype(float) for field in ("x", "mean", "log_variance"))
        divergence, distance = file[f"divergence_{name}"][0], np.linalg.norm(mean - x, axis=1)
        for axes, values in zip(column, (x, divergence, distance, variance), strict=True):
            for number, values_of_one in enumerate(np.atleast_2d(values.T)):
                axes.plot(values_of_one, color=COLOURS[number], linestyle=DASHES[number], linewidth=0.9)
        column[0].set_title(name.replace("_", " "))
        column[-1].set_xlabel("step")
        table = {"x_1": x[:, 0], "x_2": x[:, 1], "kl": divergence, "distance": distance}
        table |= {"log_variance_1": variance[:, 0], "log_variance_2": variance[:, 1]}
        tables.append(pd.DataFrame({"setting": name, "step": np.arange(len(x)), **table}))
    for axes, label in zip(grid[:, 0], _ROWS, strict=True):
        axes.set_ylabel(label)
    return Drawing("panels", figure, pd.concat(tables))
