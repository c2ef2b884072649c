"""Consumption against the grid at 300,000 states: `python models/consumption/everywhere.py RUN [RUN ...]`.

300 households live for 1,200 years by the rule of a run; the last 1,000 count. Distances are in % of consumption by
endogenous grid points (`grid.py`, 20,000 points), of all states and of the wealthiest thousandth.
"""

import sys
from pathlib import Path

import numpy as np

import deqn
from deqn.project.user_code import load_module

HOUSEHOLDS, DROPPED, YEARS, POINTS = 300, 200, 1000, 20_000
HERE = Path(__file__).resolve().parent


def distances(run):
    """Wealth, and the distance of consumption from the grid's in %, each [HOUSEHOLDS * YEARS]."""
    solution = deqn.load(run)
    path = solution.simulate(YEARS, seed=7, burn_in=DROPPED, tracks=HOUSEHOLDS)
    household = load_module(HERE, "evidence").household(solution.economy.p)
    known = load_module(HERE, "grid").solve(household, nodes=POINTS)
    return path["w"], 100 * np.abs(path["c"] / known.consumption(path["w"], path["z"].astype(int)) - 1)


def main():
    for run in sys.argv[1:]:
        wealth, away = distances(run)
        rich = wealth >= np.quantile(wealth, 0.999)
        print(
            f"{run}: mean {away.mean():.4f} %, p99.9 {np.quantile(away, 0.999):.4f} %, max {away.max():.4f} %; "
            f"wealth above {wealth[rich].min():.0f}: mean {away[rich].mean():.4f} %, max {away[rich].max():.4f} %"
        )


if __name__ == "__main__":
    main()
