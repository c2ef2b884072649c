"""How well rules that see only the past do without Bayes' rule, and what a network remembers of it.

    deqn train models/growth_hidden/belief.yaml
    deqn train models/growth_hidden/memoryless.yaml
    deqn train models/growth_hidden/recurrent.yaml
    python models/growth_hidden/follow.py belief memoryless recurrent

Each later run's consumption is set beside that of the first, at the states of the later run's own path. Of a run with a
memory m the belief of Bayes' rule is read by least squares, b = constant + m' slopes, m being what is kept once this
quarter's growth is known. That belief is computed anew from past growth, by the forward algorithm of deqn.sequence.
Written into the `figures` of each run with a memory: belief_followed, as .png, .pdf and .csv.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import deqn
from deqn.equilibrium.markov import stationary_distribution
from deqn.project.errors import UserError
from deqn.report.paper import COLOURS, DASHES, PALE, Drawing, paper_style, save
from deqn.sequence.hmm import forward
from deqn.tasks.solution import Solution

SHOWN = 120  # quarters of the figure
FORGOTTEN = 100  # quarters, after which it does not matter with which belief the forward algorithm began


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; a mistake is one line on stderr and exit status 2."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("belief", metavar="BELIEF", help="a run whose rule sees the belief")
    parser.add_argument("others", metavar="RUN", nargs="+", help="runs whose rules see only the past")
    parser.add_argument("--periods", type=int, default=20_000, help="quarters of each run's own path")
    given = parser.parse_args(arguments)
    try:
        belief = deqn.load(given.belief)
        for name in given.others:
            run = deqn.load(name)
            path = run.simulate(given.periods, seed=5, burn_in=1000)
            print(f"{name}: consumption differs from that of {given.belief} by {apart(belief, path)}")
            if "memory" in path:
                read = reading(run, path)
                print(f"{name}: least squares on what it remembers gives {share(read):.2%} of the belief's variance")
                with paper_style():
                    print(f"figure in {save(run.run.path, drawing(read.tail(SHOWN)))}")
    except UserError as error:
        print(f"follow: {error}", file=sys.stderr)
        sys.exit(2)


def apart(belief: Solution, path: dict[str, np.ndarray]) -> str:
    """The distance of a path's consumption from what the rule with the belief consumes at its states, in words."""
    names = {"capital": "k", "growth": "g", "belief": "b", "shock": "z"}
    known = belief.policy(**{name: path[letter] for name, letter in names.items()})
    distance = 100 * np.abs(path["c"] / known.consumption - 1)
    return f"mean {distance.mean():.2g} %, p99.9 {np.quantile(distance, 0.999):.2g} %, max {distance.max():.2g} %"


def reading(run: Solution, path: dict[str, np.ndarray]) -> pd.DataFrame:
    """By quarter: the belief of the forward algorithm, and what least squares on the memory makes of it."""
    p, growth = run.economy.p, path["g"][:-1]
    likelihoods = np.exp(-(((growth[:, None] - np.asarray(p.growth)) / p.growth_sd) ** 2) / 2)[:, None]  # [T, 1, 2]
    steps = forward(stationary_distribution(p.transition), np.asarray(p.transition), likelihoods)
    bayes = np.array([step.states[0, 0] for step in steps])
    kept = np.column_stack([np.ones(len(growth)), path["memory"][1:]])
    slopes, *_ = np.linalg.lstsq(kept, bayes)
    columns = {"quarter": np.arange(len(growth)), "recession": path["z"][:-1], "bayes": bayes, "memory": kept @ slopes}
    return pd.DataFrame(columns).iloc[FORGOTTEN:]


def share(read: pd.DataFrame) -> float:
    """The share of the belief's variance that the reading has."""
    return float(1 - ((read["bayes"] - read["memory"]) ** 2).mean() / read["bayes"].var(ddof=0))


def drawing(read: pd.DataFrame) -> Drawing:
    """The belief and the reading of the memory; recessions are shaded."""
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    axes = figure.subplots()
    quarter = np.arange(len(read))
    axes.fill_between(quarter, 0, read["recession"], step="mid", color=PALE, linewidth=0, label="recession")
    for number, (column, label) in enumerate((("bayes", "Bayes' rule"), ("memory", "read from the memory"))):
        axes.plot(quarter, read[column], color=COLOURS[number], linestyle=DASHES[number], label=label)
    axes.set_xlabel("quarter")
    axes.set_ylabel("probability of an expansion")
    figure.legend(*axes.get_legend_handles_labels(), ncols=3, loc="outside lower center")
    return Drawing("belief_followed", figure, read)


if __name__ == "__main__":
    main()
