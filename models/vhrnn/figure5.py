"""Figure 5 of "Variational Hyper RNN for Sequence Modeling" on synthetic data: FIVO over the number of weights.

    python models/vhrnn/figure5.py            # every run of vhrnn4 and vrnn6 under runs/ that has hyper_inputs both

It writes figure5.png beside the runs. Of several seeds of a size the median is shown, and each as a point.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from deqn.project.parameter_yaml import read_yaml
from deqn.project.project import Project
from deqn.report.paper import COLOURS
from deqn.sequence.hyper import VHRNN
from deqn.sequence.variational import VRNN, Data

RUNS = Project.around(Path(__file__)).runs


def weights(p: dict) -> int:
    """Returns how many weights the paper counts for a run's parameters, on data of two features."""
    more = {"omega_width": p["omega_width"]} if p["network"] == "vhrnn" else {}
    make = {"vhrnn": VHRNN, "vrnn": VRNN}[p["network"]]
    return make(Data(2), p["latent"], p["hidden"], p["layers"], 0, cell=p["cell"], **more).parameters(live=False)


def measured(runs: Path) -> pd.DataFrame:
    """Returns a row for each run: network, cell, weights and FIVO a step by setting."""
    rows = []
    for path in sorted(runs.glob("v*rnn*/*/settings.csv")):
        p = read_yaml(path.parent / "parameters.yaml")["parameters"]
        if p["hyper_inputs"] == "both":
            found = pd.read_csv(path).set_index("setting")["fivo"].to_dict()
            label = p["network"].upper() + (" of GRUs" if p["cell"] == "gru" else "")
            rows.append({"network": label, "z": p["latent"], "weights": weights(p), "run": path.parent.name, **found})
    return pd.DataFrame(rows)


def main() -> int:
    """Draws the figure and prints medians; exit status 2 if there is no run."""
    found = measured(RUNS)
    if found.empty:
        print("runs: no settings.csv of vhrnn4 or vrnn6; train one first", file=sys.stderr)
        return 2
    medians = found.groupby(["network", "weights", "z"])[["test", "noiseless", "switch"]].median().reset_index()
    figure = Figure(figsize=(4.2, 3.0), layout="constrained")
    axes = figure.subplots()
    for number, (name, rows) in enumerate(medians.groupby("network")):
        each = found[found["network"] == name]
        axes.plot(each["weights"], each["test"], ".", color=COLOURS[number], markersize=4, alpha=0.5)
        axes.plot(rows["weights"], rows["test"], "o-", color=COLOURS[number], label=name)
    axes.set(xlabel="weights", ylabel="FIVO a step on test sequences [nats]")
    axes.legend()
    figure.savefig(RUNS / "figure5.png", dpi=200)
    print(medians.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
