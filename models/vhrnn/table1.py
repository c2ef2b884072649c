"""Table 1 of "Variational Hyper RNN for Sequence Modeling" beside the same of one's own runs.

    python models/vhrnn/table1.py            # every run of vrnn8, vrnn6 and vhrnn4 under runs/

Of several runs the median is shown. The paper states neither its matrices nor the length of its sequences, nor how long
it trained: its figures are another experiment's, beside which only the order of the networks can be compared.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from deqn.project.project import Project

RUNS = Project.around(Path(__file__)).runs

PAPER = pd.DataFrame(
    {
        "test": [-5.43, -5.80, -4.68],
        "noiseless": [-2.50, -3.66, -2.08],
        "switch": [-334173, -19735, -4.27],
        "rand": [-5.02, -5.24, -3.91],
        "long": [-1033348, -27200, -3005],
        "zero_shot": [-3.64, -4.39, -2.57],
        "add": [-3.57, -5.09, -2.62],
    },
    index=["vrnn8", "vrnn6", "vhrnn4"],
)
WEIGHTS = {"vrnn8": 2612, "vrnn6": 1516, "vhrnn4": 1568}


def measured(runs: Path) -> pd.DataFrame:
    """Returns FIVO a step of every run: columns network, run and the settings."""
    rows = [
        {"network": name, "run": path.parent.name, **pd.read_csv(path).set_index("setting")["fivo"].to_dict()}
        for name in PAPER.index
        for path in sorted((runs / name).glob("*/settings.csv"))
    ]
    return pd.DataFrame(rows, columns=["network", "run", *PAPER.columns])


def compared(runs: pd.DataFrame) -> pd.DataFrame:
    """Returns two rows a network, the paper's and the median of the runs."""
    medians = runs.groupby("network")[list(PAPER.columns)].median()
    rows = {}
    for name in PAPER.index:
        count = int((runs["network"] == name).sum())
        rows[f"{name} ({WEIGHTS[name]} weights), paper"] = PAPER.loc[name]
        if count:
            rows[f"{name}, median of {count}"] = medians.loc[name]
    return pd.DataFrame(rows).T


def main() -> int:
    """Prints the table; exit status 2 if there is no run."""
    runs = measured(RUNS)
    if runs.empty:
        print("runs: no settings.csv of vrnn8, vrnn6 or vhrnn4; train one first", file=sys.stderr)
        return 2
    print(compared(runs).to_string(float_format=lambda value: f"{value:.3f}" if abs(value) < 1000 else f"{value:.0f}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
