"""KL between proposal and prior by step, as in figures 2 and 3 of "Variational Hyper RNN for Sequence Modeling"."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deqn.report.paper import COLOURS, GREY, Drawing

_SHOWN = {"noiseless": "without noise", "switch": "three noiseless sequences joined", "test": "as trained"}


def drawings(folder: Path) -> Iterator[Drawing]:
    """Draws the mean over sequences, and an error of two standard deviations of that mean around it."""
    if not (folder / "settings.csv").is_file():  # of anomalies.yaml
        return
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    tables = []
    with np.load(folder / "results.npz") as file:
        for axes, (name, title) in zip(figure.subplots(1, len(_SHOWN), sharey=True), _SHOWN.items(), strict=True):
            divergence = file[f"kl_{name}"].astype(float)
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
    yield Drawing("kl", figure, pd.concat(tables))
