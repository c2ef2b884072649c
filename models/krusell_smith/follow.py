"""Sets a trained economy of many households beside one solved on grids.

    python models/krusell_smith/follow.py aiyagari
    python models/krusell_smith/follow.py krusell_smith

Aiyagari's economy: the interest rate and the quantiles of wealth at rest. Krusell and Smith's: aggregate capital along
the same 10,000 quarters of booms and recessions, after 1,000; the law ln K' = b_0(z) + b_1(z) ln K that fits the
network's own path, with its R squared; den Haan's (2010, JEDC 34) test of it, which follows the law alone, from the
first quarter on, and compares with the path; and the distribution of wealth in the last quarter. Figures, with their
numbers as .csv, are written into the run's `figures`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import deqn
from deqn.project.errors import UserError
from deqn.project.user_code import load_module
from deqn.report.paper import Drawing, line_drawing, paper_style, save
from deqn.tasks.solution import Solution

BURN_IN, QUARTERS = 1000, 10_000
SHARES = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99])
POOR = 3.0  # times mean wealth: as far as figures of the distribution go


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; a mistake is one line on stderr and exit status 2."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--quarters", type=int, default=QUARTERS, help="of the path, after 1,000")
    given = parser.parse_args(arguments)
    try:
        solution = deqn.load(given.run)
        folder = Path(__file__).parent
        evidence, grid = load_module(folder, "evidence"), load_module(folder, "grid")
        if solution.economy.shocks.discrete == 1:
            at_rest(solution, evidence, grid)
        else:
            over_the_cycle(solution, evidence, grid, BURN_IN + given.quarters)
    except UserError as error:
        print(f"follow: {error}", file=sys.stderr)
        sys.exit(2)


def at_rest(solution: Solution, evidence: Any, grid: Any, periods: int = 2000) -> None:
    """Prints the interest rate and the distribution beside those of the grid."""
    economy = solution.economy
    known = grid.stationary(evidence.economy_of(economy.p), bins=4000, richest=economy.p.richest)
    state, capital, _ = path_of(solution, np.zeros(periods, np.int32))
    R = economy.prices(state)[0].numpy()[0]
    print(f"capital moved by {abs(capital[-1] / capital[-101] - 1):.1e} in the last hundred of {periods} periods")
    print(f"interest {100 * (R - 1):.4f} %, on the grid {100 * (known.gross_return - 1):.4f} %: "
          f"{1e4 * (R - known.gross_return):+.3f} basis points")  # fmt: skip
    mine = grid.quantiles(economy.bins.wealth, state.histogram.numpy()[0].sum(axis=1), SHARES)
    print_quantiles(mine, known.quantiles(SHARES))
    draw(solution, {"at rest": state})


def print_quantiles(mine: np.ndarray, theirs: np.ndarray) -> None:
    """Wealth below which the SHARES of households are, beside that of the grid."""
    for share, here, there in zip(SHARES, mine, theirs, strict=True):
        print(f"wealth at {share:.0%}: {here:.4f}, on the grid {there:.4f}: {100 * (here / there - 1):+.3f} %")


def over_the_cycle(solution: Solution, evidence: Any, grid: Any, quarters: int) -> None:
    """Prints how far capital is from that of Krusell and Smith's algorithm, and tests of the law that fits it."""
    p = solution.economy.p
    economy = evidence.economy_of(p)
    shocks = evidence.drawn(economy.chain, quarters, seed=0)
    fine = 2 * p.bins - 1  # every second of these bins is one of the network's economy
    coarse = evidence.lognormal(economy, p.bins, p.richest)
    start = np.zeros((len(coarse), fine))
    start[:, ::2] = coarse
    known = grid.krusell_smith(economy, start, shocks, bins=fine, richest=p.richest)
    theirs, their_last = grid.follow(known, start, shocks, fine, p.richest)
    state, mine, by_shock = path_of(solution, shocks.astype(np.int32), coarse)
    apart = 100 * np.abs(mine / theirs - 1)[BURN_IN:]
    print(f"capital in {len(apart)} quarters: apart by {apart.mean():.4f} % on average, {apart.max():.4f} % at most")
    for name, path in (("network", mine[BURN_IN:]), ("grid", theirs[BURN_IN:])):
        law, r2 = grid.regression(np.log(path), shocks[BURN_IN:], len(economy.productivity))
        error = 100 * np.abs(den_haan(path, shocks[BURN_IN:], law))
        print(f"{name}: mean capital {path.mean():.4f}, standard deviation {path.std():.4f}")
        print(f"{name}: ln K' = {' or '.join(f'{a:.5f} + {b:.5f} ln K' for a, b in law)}; R squared {r2.round(7)}")
        print(f"{name}: den Haan's test: mean {error.mean():.4f} %, max {error.max():.4f} %")
    wealth, mass = solution.economy.bins.wealth, state.histogram.numpy()[0].sum(axis=1)
    places, their_mass = grid.wealth_grid(fine, p.richest, 1.5), their_last.sum(axis=0)
    print(f"Gini coefficient in the last quarter: {gini(wealth, mass):.4f}, on the grid {gini(places, their_mass):.4f}")
    print_quantiles(grid.quantiles(wealth, mass, SHARES), grid.quantiles(places, their_mass, SHARES))
    draw(solution, dict(zip(("recession", "boom"), by_shock, strict=True)))


def path_of(solution: Solution, shocks: np.ndarray, start: np.ndarray | None = None) -> tuple[Any, np.ndarray, list]:
    """The last state, capital [T] along these shocks, and the last state under each; nothing else is kept."""
    import tensorflow as tf  # after deqn, which says how much TensorFlow is to tell

    economy, rule = solution.economy, solution.rule
    first = economy.initial_states(1, np.random.default_rng(0))
    if start is not None:
        first = first._replace(histogram=start.T[None])
    state = economy.tensors(first._replace(shock=shocks[:1]))

    @tf.function(autograph=False)
    def step(state: Any, shock: tf.Tensor) -> Any:
        return economy.transition(state, rule(state), shock)

    capital, last = np.empty(len(shocks)), {}
    for t, z in enumerate(shocks):
        capital[t] = np.einsum("js,j->", state.histogram.numpy()[0], economy.bins.wealth)
        last[int(z)] = state
        if t + 1 < len(shocks):
            state = step(state, tf.constant(shocks[t + 1 : t + 2]))
    return state, capital, [last[z] for z in sorted(last)]


def den_haan(capital: np.ndarray, shocks: np.ndarray, law: np.ndarray) -> np.ndarray:
    """ln of capital that the law alone foretells from the first period on, less that of the path, [T]."""
    told = np.empty(len(capital))
    told[0] = np.log(capital[0])
    for t in range(len(capital) - 1):
        told[t + 1] = law[shocks[t], 0] + law[shocks[t], 1] * told[t]
    return told - np.log(capital)


def lorenz(wealth: np.ndarray, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The share of households, poorest first, and the share of wealth that they own."""
    return np.cumsum(mass) / mass.sum(), np.cumsum(mass * wealth) / (mass @ wealth)


def gini(wealth: np.ndarray, mass: np.ndarray) -> float:
    """The Gini coefficient of wealth: twice the area between the diagonal and the Lorenz curve."""
    poorest, owned = lorenz(wealth, mass)
    return float(1 - np.sum(np.diff(poorest, prepend=0) * (owned + np.concatenate([[0], owned[:-1]]))))


# --- figures -------------------------------------------------------------------------------------------------------


def draw(solution: Solution, states: dict[str, Any]) -> None:
    """Writes the distribution of wealth, its Lorenz curve and consumption by wealth and type at these states."""
    with paper_style():
        for drawing in drawings(solution, states):
            print(f"figure in {save(solution.run.path, drawing)}")


def drawings(solution: Solution, states: dict[str, Any]) -> Iterator[Drawing]:
    """The three figures, one after the other."""
    economy = solution.economy
    wealth = economy.bins.wealth
    mass = {name: state.histogram.numpy()[0].sum(axis=1) for name, state in states.items()}
    shown = wealth <= POOR * economy.typical
    density = {name: m / np.gradient(wealth) for name, m in mass.items()}
    yield line_drawing(
        "distribution", "wealth [units of the good]", "households per unit of wealth",
        {name: (wealth[shown][1:], d[shown][1:]) for name, d in density.items()},
    )  # fmt: skip
    curves = {}
    for name, m in mass.items():
        unequal = gini(wealth, m)
        print(f"Gini coefficient, {name}: {unequal:.4f}; at no wealth: {m[0]:.4%}")
        curves[f"{name}, Gini {unequal:.3f}"] = lorenz(wealth, m)
    curves["equal wealth"] = (np.array([0, 1]), np.array([0, 1]))
    yield line_drawing("lorenz", "share of households, poorest first", "share of wealth", curves)
    nodes = economy.nodes.wealth
    few = nodes <= economy.typical
    types = economy.type_names()
    rules = {}
    for name, state in states.items():
        c = solution.rule(state).consumption.numpy()[0]
        for s in sorted({0, len(types) - 1}):
            rules[f"{types[s]}, {name}"] = (nodes[few], c[few, s])
    yield line_drawing("consumption_by_wealth", "wealth [units of the good]", "consumption [units of the good]", rules)


if __name__ == "__main__":
    main()
