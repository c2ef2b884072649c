"""What it does to each generation when pensions are introduced, or any other parameter of the economy changes for ever.

    deqn train models/olg/benchmark60.yaml
    deqn train models/olg/social_security60.yaml
    python models/olg/reform.py benchmark60 social_security60

The reform comes as a surprise at date 0, in a state of the first economy's ergodic distribution. From there both go on
under the same shocks. What a generation gains is the share of consumption, in every year it still lives, that it would
have to be given without the reform to be as well off as with it:

    (1 + g)^(1-gamma) E[ sum_j beta^j u(c_j) | without ] = E[ sum_j beta^j u(c_j) | with ],
    u(c) = c^(1-gamma) / (1-gamma)

(log utility: ln (1 + g) sum_j beta^j is the difference). The expectation is over states at date 0 and later shocks.
Written into the second run's `figures`: reform_gains and reform_transition, as .png, .pdf and .csv.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

import deqn
from deqn.project.errors import UserError
from deqn.report.paper import COLOURS, DASHES, INK, Drawing, paper_style, save
from deqn.tasks.solution import Solution

SETTLING = 200  # periods from the steady state to the ergodic distribution
BATCHES = 20  # of tracks, from whose spread the standard errors come
SERIES = {"K": "capital", "Y": "output", "C": "consumption", "w": "wage"}


class Paths(NamedTuple):
    """consumption: [tracks, periods, N]. series: [tracks, periods] by letter of SERIES."""

    consumption: np.ndarray
    series: dict[str, np.ndarray]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; a mistake is one line on stderr and exit status 2."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("before", metavar="BEFORE", help="a run of the economy without the reform")
    parser.add_argument("after", metavar="AFTER", help="a run of the economy with it")
    parser.add_argument("--tracks", type=int, default=1000, help="states at date 0, a multiple of 20")
    parser.add_argument("--births", type=int, default=60, help="generations born after the reform")
    given = parser.parse_args(arguments)
    try:
        if given.tracks < BATCHES or given.tracks % BATCHES or given.births < 1:
            raise UserError(
                f"--tracks {given.tracks} --births {given.births}: expected a multiple of {BATCHES}, and 1 up"
            )
        before, after = deqn.load(given.before), deqn.load(given.after)
        paths = both_ways(before, after, given.tracks, given.births)
        gained, moved = gains(before, *paths), transition(*paths)
        with paper_style():
            for drawing in (draw_gains(gained), draw_transition(moved)):
                print(f"figure in {save(after.run.path, drawing)}")
    except UserError as error:
        print(f"reform: {error}", file=sys.stderr)
        sys.exit(2)
    shown = gained[gained["birth"].isin([1 - before.economy.p.cohorts, -40, -30, -20, -10, 0, 10, 20, given.births])]
    print(shown.to_string(index=False, float_format="{:.2f}".format))


def both_ways(before: Solution, after: Solution, tracks: int, births: int) -> tuple[Paths, Paths]:
    """Paths from the same states under the same shocks, until the last generation that is born has died."""
    for name in ("cohorts", "tfp", "depreciation", "transition", "risk_aversion", "discount_factor"):
        ours, theirs = (getattr(each.economy.p, name) for each in (before, after))
        if ours != theirs:
            raise UserError(f"{after.run}: {name} is {theirs}, but {ours} in {before.run}; both have to live alike")
    N = before.economy.p.cohorts
    periods = births + N
    first = before.simulate(1, seed=7, burn_in=SETTLING, tracks=tracks)
    start = {"capital": first["k"], "shock": first["z"].astype(int)}
    without = before.simulate(periods, seed=8, tracks=tracks, initial_state=start)
    shocks = without["z"].reshape(tracks, periods)[:, 1:].T.astype(int)
    reformed = after.simulate(periods, tracks=tracks, initial_state=start, shocks=shocks)
    return _paths(without, tracks), _paths(reformed, tracks)


def _paths(arrays: dict[str, np.ndarray], tracks: int) -> Paths:
    by_track = {name: x.reshape(tracks, -1, *x.shape[1:]) for name, x in arrays.items()}
    return Paths(by_track["c"], {name: by_track[name] for name in SERIES})


def gains(before: Solution, without: Paths, reformed: Paths) -> pd.DataFrame:
    """By period of birth, 0 that of the reform: g in % with its standard error, and the age at the reform."""
    p = before.economy.p
    N, periods = p.cohorts, without.consumption.shape[1]
    rows = []
    for birth in range(1 - N, periods - N + 1):
        lived = range(max(0, -birth), N)  # cohorts, from 0, in which it lives on after the reform
        values = [_value(each.consumption, birth, lived, p) for each in (without, reformed)]
        left = (p.discount_factor ** np.arange(len(lived))).sum()
        whole = _gain(*(v.mean() for v in values), left, p.risk_aversion)
        parts = [_gain(*each, left, p.risk_aversion)
                 for each in zip(*(v.reshape(BATCHES, -1).mean(axis=1) for v in values), strict=True)]  # fmt: skip
        rows.append({
            "birth": birth, "age at the reform": p.ages()[-birth] if birth <= 0 else np.nan,
            "gain %": 100 * whole, "standard error": 100 * np.std(parts, ddof=1) / np.sqrt(BATCHES),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _value(consumption: np.ndarray, birth: int, lived: range, p) -> np.ndarray:
    """Discounted utility of each track, [tracks], from the reform or from birth on."""
    total = 0.0
    for years, cohort in enumerate(lived):
        c = consumption[:, birth + cohort, cohort]
        u = np.log(c) if p.risk_aversion == 1 else c ** (1 - p.risk_aversion) / (1 - p.risk_aversion)
        total = total + p.discount_factor**years * u
    return np.asarray(total)


def _gain(without: float, reformed: float, years: float, gamma: float) -> float:
    if gamma == 1:
        return float(np.expm1((reformed - without) / years))
    return float((reformed / without) ** (1 / (1 - gamma)) - 1)


def transition(without: Paths, reformed: Paths) -> pd.DataFrame:
    """By period after the reform: by how much the mean of each series is above that without it, in %."""
    change = {
        words: 100 * (reformed.series[name].mean(axis=0) / without.series[name].mean(axis=0) - 1)
        for name, words in SERIES.items()
    }
    return pd.DataFrame({"period": np.arange(len(change["capital"])), **change})


def draw_gains(table: pd.DataFrame) -> Drawing:
    """The gain by period of birth, with two standard errors."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 2.8), layout="constrained")
    axes = figure.subplots()
    gain, error = table["gain %"], 2 * table["standard error"]
    axes.fill_between(table["birth"], gain - error, gain + error, color=COLOURS[0], alpha=0.2, linewidth=0)
    axes.plot(table["birth"], gain, color=COLOURS[0])
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.axvline(0, color=INK, linewidth=0.6, linestyle=DASHES[2])
    axes.set_xlabel("period of birth, reform at 0")
    axes.set_ylabel("gain [% of consumption]")
    return Drawing("reform_gains", figure, table)


def draw_transition(table: pd.DataFrame) -> Drawing:
    """The means with the reform over those without."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 2.8), layout="constrained")
    axes = figure.subplots()
    for name, colour, dash in zip(SERIES.values(), COLOURS, DASHES, strict=False):
        axes.plot(table["period"], table[name], color=colour, linestyle=dash, label=name)
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.set_xlabel("periods after the reform")
    axes.set_ylabel("change of the mean [%]")
    axes.legend()
    return Drawing("reform_transition", figure, table)


if __name__ == "__main__":
    main()
