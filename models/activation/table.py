"""What moved a panel that is seen through a known lag: Total Activation on made regions, or on a panel of one's own.

    python models/activation/table.py                                  # seeds 0, 1, 2 of the made panel
    python models/activation/table.py --panel PANEL.csv --edges EDGES.csv --response .2,.5,.3 --out LEVELS.csv

PANEL.csv has a date and a column for each region, EDGES.csv columns from and to. The response is what a unit does to
the rows that follow, this one first. Weights are in units of the noise, which is estimated from second differences.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deqn.graph.files import read_edges
from deqn.graph.total_activation import total_activation
from deqn.project.errors import UserError
from deqn.project.tables import read_table
from deqn.project.user_code import load_module

_MADE = load_module(Path(__file__).parent, "made")
TIME, SPACE = 2.0, 0.5  # chosen at seeds 10 to 12; with SPACE half of TIME is enough
ENOUGH = 1e-4  # relative residual of the solver


def correlation(guess: np.ndarray, truth: np.ndarray) -> float:
    """Returns the mean over regions of the correlation over time."""
    return float(np.mean([np.corrcoef(g, t)[0, 1] for g, t in zip(guess.T, truth.T, strict=True)]))


def noise_of(y: np.ndarray) -> float:
    """Returns the noise's standard deviation, from the median of absolute second differences."""
    return float(np.median(np.abs(np.diff(y, n=2, axis=0))) / 0.6745 / np.sqrt(6.0))


def guesses(made: Any, time: float, space: float) -> dict[str, np.ndarray]:
    """Returns [rows, regions] by name; observations are shifted by the lag of the response's peak."""
    lag, sd = int(np.argmax(made.response)), made.noise
    common = made.observed, made.response, made.a
    return {
        "observations, shifted": np.vstack([made.observed[lag:], np.repeat(made.observed[-1:], lag, axis=0)]),
        "Wiener filter": _MADE.wiener(made),
        "level in time": total_activation(*common, time * sd, 0.0, tolerance=ENOUGH).x,
        "and alike in space": total_activation(*common, time * sd / 2, space * sd, tolerance=ENOUGH).x,
    }


def table(seeds: Sequence[int], time: float = TIME, space: float = SPACE) -> pd.DataFrame:
    """Returns a row for each seed: mean correlation with the activity, by method."""
    rows = []
    for seed in seeds:
        made = _MADE.make(np.random.default_rng(seed))
        found = {name: correlation(x, made.activity) for name, x in guesses(made, time, space).items()}
        rows.append({"seed": seed, **found})
    return pd.DataFrame(rows)


def of_files(panel: str, edges: str, response: str, time: float, space: float) -> pd.DataFrame:
    """Returns the levels of a panel of one's own, with its dates. Raises UserError for what can't be read."""
    first = pd.read_csv(panel, nrows=0).columns[0]
    frame = read_table(panel, None, texts=[first])
    values = frame.drop(columns=first)
    a = read_edges(edges, list(values), weighted=False)
    try:
        lags = np.array([float(each) for each in response.split(",")])
    except ValueError as error:
        raise UserError(f"--response: got {response!r}, expected numbers such as .2,.5,.3") from error
    y = values.to_numpy(float)
    sd = noise_of(y)
    found = total_activation(y, lags, a, time * sd / 2, space * sd, tolerance=ENOUGH)
    return pd.concat([frame[[first]], pd.DataFrame(found.x, columns=values.columns)], axis=1)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--panel", "--edges", "--response", "--out"):
        parser.add_argument(name)
    parser.add_argument("--time", type=float, default=TIME, help="weight of changes in time, in units of the noise")
    parser.add_argument("--space", type=float, default=SPACE, help="weight of differences in space, the same")
    given = parser.parse_args(arguments)
    files = given.panel, given.edges, given.response, given.out
    if not any(files):
        print(table([0, 1, 2], given.time, given.space).to_string(index=False, float_format=lambda x: f"{x:.3f}"))
        return 0
    if not all(files):
        print("--panel, --edges, --response, --out: got some of them, expected all four or none", file=sys.stderr)
        return 2
    try:
        of_files(*files[:3], given.time, given.space).to_csv(given.out, index=False)
    except (UserError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
