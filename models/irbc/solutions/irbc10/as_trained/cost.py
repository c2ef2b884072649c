"""Cost against the number of countries: CPU-seconds of training, and the Euler errors that it ends with.

    deqn train models/irbc/irbc2.yaml; deqn train models/irbc/irbc10.yaml; deqn train models/irbc/irbc50.yaml
    python models/irbc/cost.py irbc2 irbc10 irbc50

Written into the last run's `figures`: cost.png, .pdf and the numbers as .csv.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from deqn.project.errors import UserError
from deqn.project.parameter_yaml import read_yaml
from deqn.project.project import Project
from deqn.project.run import RunFolder
from deqn.report import files
from deqn.report.paper import COLOURS, Drawing, paper_style, save
from deqn.report.tables import error_rows


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; a mistake is one line on stderr and exit status 2."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="*", default=["irbc2", "irbc10", "irbc50"], metavar="RUN")
    try:
        runs = [Project.around(Path.cwd()).run(name) for name in parser.parse_args(arguments).runs]
        table = pd.DataFrame([costs(run) for run in runs]).sort_values("countries", ignore_index=True)
        with paper_style():
            print(f"figure in {save(runs[-1].path, draw(table))}")
    except UserError as error:
        print(f"cost: {error}", file=sys.stderr)
        sys.exit(2)
    print(table.to_string(index=False, float_format="{:.3g}".format))


def costs(run: RunFolder) -> dict[str, float | str]:
    """CPU-seconds of training, those before its first ten updates are done, and Euler errors in %."""
    (euler,) = (row for row in error_rows(run.path) if row["condition"] == "euler")
    first = files.rows(run.metrics, numbers=("update", "cpu_seconds"))[0]
    record = json.loads(run.provenance.read_text())
    return {
        "run": str(run),
        "countries": int(read_yaml(run.parameters)["parameters"]["countries"]),
        "updates": record["updates"],
        "CPU-seconds": record["training_cpu_seconds"],
        "before update 10": first["cpu_seconds"],
        "mean %": 100 * euler["mean"],
        "p99.9 %": 100 * euler["p99.9"],
    }


def draw(table: pd.DataFrame) -> Drawing:
    """CPU-seconds and errors over the number of countries, both on logarithmic scales."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 2.9), layout="constrained")
    lines = (
        {"CPU-seconds": "all of training", "before update 10": "of it compiling and first guess"},
        {"mean %": "mean", "p99.9 %": "99.9th percentile"},
    )
    for panel, named, label in zip(figure.subplots(1, 2), lines, ("CPU-seconds", "Euler error [%]"), strict=True):
        for (column, words), colour in zip(named.items(), COLOURS, strict=False):
            panel.loglog(table["countries"], table[column], "o-", color=colour, label=words)
        panel.set_xlabel("countries (half the number of states)")
        panel.set_ylabel(label)
        panel.set_xticks(table["countries"], [f"{N}" for N in table["countries"]])
        panel.minorticks_off()
        panel.set_ylim(
            10 ** math.floor(math.log10(panel.get_ylim()[0])), 10 ** math.ceil(math.log10(panel.get_ylim()[1]))
        )
        panel.legend()
    return Drawing("cost", figure, table)


if __name__ == "__main__":
    main()
