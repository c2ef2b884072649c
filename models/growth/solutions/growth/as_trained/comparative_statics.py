"""Comparative statics in risk aversion: one network for the whole interval against economies solved one at a time.

    deqn train models/growth/growth_family.yaml
    for gamma in 1 2 5; do
      deqn train models/growth/growth.yaml --run gamma$gamma --set parameters.risk_aversion=$gamma
    done
    python models/growth/comparative_statics.py

All policies meet the same draws of productivity, so that differences are those of the policies. Drawn against gamma:

    mean of k;   standard deviation of ln c;   share of additional output consumed, (c4 - c3) / (y4 - y3), when
    productivity rises from its middle value by one state in the steady state

Written into the family run's `figures`: comparative_statics.png, .pdf and the numbers as .csv.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

import deqn
from deqn.project.errors import UserError
from deqn.report.paper import COLOURS, Drawing, paper_style, save
from deqn.tasks.solution import Solution

PERIODS, BURN_IN, TRACKS = 500, 300, 30
STATISTICS = {
    "mean_capital": "mean capital",
    "sd_log_consumption": "s.d. of ln consumption [%]",
    "share_consumed": "share of additional output\nconsumed on impact",
}
Rule = Callable[[np.ndarray, np.ndarray], np.ndarray]  # capital [M], shock [M] -> consumption [M]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; a mistake is one line on stderr and exit status 2."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--family", default="growth_family", metavar="RUN", help="a run of growth_family.yaml")
    single = ["growth/gamma1", "growth/gamma2", "growth/gamma5"]
    parser.add_argument("--single", nargs="+", default=single, metavar="RUN", help="runs of growth.yaml")
    parser.add_argument("--points", type=int, default=17, help="values of gamma at which the family is drawn")
    given = parser.parse_args(arguments)
    try:
        family, singles = deqn.load(given.family), [deqn.load(run) for run in given.single]
        table, differences = compare(family, singles, given.points)
        with paper_style():
            print(f"figure in {save(family.run.path, draw(table))}")
    except UserError as error:
        print(f"comparative_statics: {error}", file=sys.stderr)
        sys.exit(2)
    print(differences.to_string(index=False, float_format="{:.2g}".format))


def compare(family: Solution, singles: Sequence[Solution], points: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The statistics by gamma of the family and of each single solution; and how far apart their consumption is.

    The second table has the mean and the largest |c_family / c_single - 1| in %, on the single solution's own path.
    """
    low, high = family.economy.interval
    rows = [("family", gamma, of_family(family, gamma)) for gamma in np.linspace(low, high, points)]
    apart = []
    for single in singles:
        check_calibration(family, single)
        gamma = single.economy.gamma
        rows.append(("single", gamma, of_single(single)))
        k, shock = path(family, of_single(single))
        gap = 100 * np.abs(of_family(family, gamma)(k, shock) / of_single(single)(k, shock) - 1)
        apart.append({"gamma": gamma, "run": str(single.run), "mean %": gap.mean(), "max %": gap.max()})
    table = [{"solution": kind, "gamma": gamma, **statistics(family, rule)} for kind, gamma, rule in rows]
    return pd.DataFrame(table), pd.DataFrame(apart)


def of_family(family: Solution, gamma: float) -> Rule:
    return lambda k, z: family.policy(capital=k, risk_aversion=np.full(len(k), gamma), shock=z).consumption


def of_single(single: Solution) -> Rule:
    return lambda k, z: single.policy(capital=k, shock=z).consumption


def check_calibration(family: Solution, single: Solution) -> None:
    """UserError if the two differ in more than risk aversion, or gamma is not in the family's interval."""
    ours, theirs = (each.economy.p.model_dump() for each in (family, single))
    for name in ours:
        if name != "risk_aversion" and ours[name] != theirs[name]:
            raise UserError(f"{single.run}: {name} is {theirs[name]}, but {ours[name]} in {family.run}; train it alike")
    low, high = family.economy.interval
    if not low <= single.economy.gamma <= high:
        raise UserError(f"{single.run}: risk aversion {single.economy.gamma:g} is outside {low:g} to {high:g}")


def path(family: Solution, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    """Capital and shock of TRACKS paths of PERIODS each after BURN_IN, from the steady state, with the same draws."""
    economy, rng = family.economy, np.random.default_rng(0)
    p, cumulative = economy.p, np.cumsum(economy.shocks.transition, axis=1)
    k = np.full(TRACKS, economy.rule.steady.capital)
    z = np.full(TRACKS, len(cumulative) // 2)
    visited = []
    for _ in range(BURN_IN + PERIODS):
        visited.append((k, z))
        k = np.exp(economy.log_productivity[z]) * k**p.capital_share + (1 - p.depreciation) * k - rule(k, z)
        z = (rng.random(TRACKS)[:, None] >= cumulative[z, :-1]).sum(axis=1)
    capital, shock = (np.concatenate(each) for each in zip(*visited[BURN_IN:], strict=True))
    return capital, shock


def statistics(family: Solution, rule: Rule) -> dict[str, float]:
    """The statistics of one solution that are drawn."""
    k, shock = path(family, rule)
    economy, middle = family.economy, family.economy.shocks.discrete // 2
    steady, states = np.full(2, economy.rule.steady.capital), np.array([middle, middle + 1])
    output = np.exp(economy.log_productivity[states]) * steady**economy.p.capital_share
    return {
        "mean_capital": k.mean(),
        "sd_log_consumption": 100 * np.log(rule(k, shock)).std(),
        "share_consumed": float(np.diff(rule(steady, states))[0] / np.diff(output)[0]),
    }


def draw(table: pd.DataFrame) -> Drawing:
    """The family as lines, the single solutions as dots."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 2.7), layout="constrained")
    family, single = (table[table["solution"] == kind] for kind in ("family", "single"))
    for panel, (name, label) in zip(figure.subplots(1, len(STATISTICS)), STATISTICS.items(), strict=True):
        panel.plot(family["gamma"], family[name], color=COLOURS[0], label="one network for all")
        panel.plot(single["gamma"], single[name], "o", color=COLOURS[1], label="solved one at a time")
        panel.set_xlabel("risk aversion")
        panel.set_ylabel(label)
    panel.legend()
    return Drawing("comparative_statics", figure, table)


if __name__ == "__main__":
    main()
