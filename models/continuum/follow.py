"""Sets a trained continuum of households beside one solved on grids.

    python models/continuum/follow.py stationary
    python models/continuum/follow.py continuum

Along the same shocks, from the same histogram: the price by z, households without wealth and quantiles of wealth, both
of the histogram averaged over the path; and consumption and values of the network beside those of the grid, weighted by
households. `followed` says by how much values are wrong if nothing but the network's own Bellman errors is known: their
sum over all periods to come. Figures, with their numbers as .csv, are written into the run's `figures`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import coo_array, eye_array
from scipy.sparse.linalg import spsolve

import deqn
from deqn.project.errors import UserError
from deqn.project.user_code import load_module
from deqn.report.paper import Drawing, line_drawing, paper_style, save
from deqn.tasks.solution import Solution

BURN_IN, PERIODS, EVERY = 500, 2500, 25
SHARES = np.array([0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99])


class Along(NamedTuple):
    """Of a network. price: [T]. histogram: [T, S, J]. state: every 25th after the burn-in, [M], with its policy."""

    price: np.ndarray
    histogram: np.ndarray
    state: Any
    policy: Any


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; a mistake is one line on stderr and exit status 2."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", metavar="RUN", nargs="+", help="of one file; the grid is then solved once")
    parser.add_argument("--periods", type=int, default=PERIODS, help=f"of the path, after {BURN_IN}")
    given = parser.parse_args(arguments)
    try:
        evidence, grid = (load_module(Path(__file__).parent, name) for name in ("evidence", "grid"))
        solved: dict[str, Any] = {}
        for run in given.runs:
            solution = deqn.load(run)
            print(f"--- {run}")
            key = repr((evidence.economy_of(solution.economy.p), solution.economy.p.bins, solution.economy.p.richest))
            if key not in solved:
                solved[key] = on_grids(solution.economy.p, evidence, grid, BURN_IN + given.periods)
            beside(solution, grid, *solved[key])
    except UserError as error:
        print(f"follow: {error}", file=sys.stderr)
        sys.exit(2)


def on_grids(p: Any, evidence: Any, grid: Any, periods: int) -> tuple[Any, dict[str, np.ndarray], np.ndarray]:
    """The solution for a file's parameters, its prices [T] and histograms [T, S, J] along a path, and the shocks."""
    economy = evidence.economy_of(p)
    shocks, bins = evidence.drawn(economy.chain, periods, 0), grid.wealth_grid(p.bins, p.richest, 1.0)
    if len(p.income) > 1:
        return *grid.approximate(economy, evidence.start(p), shocks, bins), shocks
    known = grid.stationary(economy, bins=p.bins, richest=p.richest)
    same = {"price": np.full(periods, known.price), "histogram": np.repeat(known.histogram[None], periods, axis=0)}
    return known, same, shocks


def beside(solution: Solution, grid: Any, known: Any, theirs: dict[str, np.ndarray], shocks: np.ndarray) -> None:
    """Prints both economies along the same path, and draws them."""
    bins = grid.wealth_grid(solution.economy.p.bins, solution.economy.p.richest, 1.0)
    mine = path_of(solution, shocks.astype(np.int32), theirs["histogram"][0])
    _prices(mine.price, theirs["price"], shocks)
    for name, histogram in (("network", mine.histogram), ("grid", theirs["histogram"])):
        mean = histogram[BURN_IN:].mean(axis=0)
        levels = grid.quantiles(bins, mean.sum(axis=0), SHARES)
        shown = ", ".join(f"{share:.0%} {level:.4f}" for share, level in zip(SHARES, levels, strict=True))
        print(f"{name}: without wealth {mean[:, 0].sum():.4%}, by type {mean[:, 0] / mean.sum(axis=1)}; {shown}")
    _decisions(solution, mine, known, bins)
    size, signed = followed_values(solution, mine)
    print(f"value, followed Bellman errors: households' mean {100 * size:.4f} %, signed {100 * signed:+.4f} %")
    with paper_style():
        for drawing in drawings(solution, mine, theirs, known, bins):
            print(f"figure in {save(solution.run.path, drawing)}")


def _prices(mine: np.ndarray, theirs: np.ndarray, shocks: np.ndarray) -> None:
    apart = 100 * (mine / theirs - 1)[BURN_IN:]
    print(f"price: apart by {np.abs(apart).mean():.4f} % on average, {np.abs(apart).max():.4f} % at most, "
          f"signed {apart.mean():+.4f} %")  # fmt: skip
    for z in range(shocks.max() + 1):
        here = np.flatnonzero(shocks[BURN_IN:] == z) + BURN_IN
        for name, path in (("network", mine[here]), ("grid", theirs[here])):
            r = 100 * (1 / path - 1)
            print(f"shock {z + 1}, {name}: price {path.mean():.6f} ({path.std():.6f}), interest {r.mean():.4f} % "
                  f"({r.std():.4f})")  # fmt: skip


def _decisions(solution: Solution, mine: Along, known: Any, bins: np.ndarray) -> None:
    """Prints the distance of consumption and values, at the network's own states and prices."""
    economy, mass = solution.economy, mine.state.histogram.numpy().swapaxes(1, 2)
    states = zip(mass, mine.state.shock.numpy(), mine.policy.price.numpy(), strict=True)
    theirs = np.array([known.decisions(bins, z, known.moment(m, bins), p)[:2] for m, z, p in states])  # [M, 2, S, J]
    c, v = (x.numpy().swapaxes(1, 2) for x in (mine.policy.consumed, economy.at_bins(mine.policy.value)))
    c_apart, v_apart = c / theirs[:, 0] - 1, v / theirs[:, 1] - 1
    for name, apart in (("consumption", c_apart), ("value", v_apart)):
        size = 100 * apart
        print(f"{name} at the same price: households' mean distance {np.average(abs(size), weights=mass):.4f} %, "
              f"signed {np.average(size, weights=mass):+.4f} %, "
              f"largest where there are any {np.abs(size)[mass > 1e-5].max():.4f} %")  # fmt: skip


def path_of(solution: Solution, shocks: np.ndarray, start: np.ndarray) -> Along:
    """The network's economy along these shocks from a histogram [S, J]."""
    import tensorflow as tf  # after deqn, which says how much TensorFlow is to tell

    economy, rule = solution.economy, solution.rule
    first = economy.initial_states(1, np.random.default_rng(0))
    state = economy.tensors(first._replace(histogram=start.T[None], shock=shocks[:1]))
    decide = tf.function(rule, autograph=False)
    move = tf.function(economy.transition, autograph=False)
    price, histogram, kept = np.empty(len(shocks)), np.empty((len(shocks), *start.shape)), []
    for t in range(len(shocks)):
        policy = decide(state)
        price[t], histogram[t] = policy.price[0], state.histogram.numpy()[0].T
        if t >= BURN_IN and t % EVERY == 0:
            kept.append((state, policy))
        if t + 1 < len(shocks):
            state = move(state, policy, tf.constant(shocks[t + 1 : t + 2]))
    return Along(price, histogram, *tf.nest.map_structure(lambda *each: tf.concat(each, axis=0), *kept))


def followed_values(solution: Solution, mine: Along) -> tuple[float, float]:
    """Households' mean size of the followed Bellman errors, and their mean, as shares of values.

    A small error d v'/v' of next period's value is, to first order, beta (m/v)^(1-rho) E[(v'/m)^(1-gamma) d v'/v'] of
    today's. With this period's residual that is a linear system for the errors at all nodes, types and z; what changes
    with the histogram is averaged over the path.
    """
    economy, p = solution.economy, solution.economy.p
    Z, I, S = len(p.income), p.nodes, len(p.labour)
    E = solution.rule.expectation(mine.state, mine.policy)
    nearest = np.eye(I)[np.abs(economy.bins[:, None] - economy.nodes).argmin(axis=1)]  # [bins, nodes]
    of_all = np.stack([
        economy.residuals(mine.state, mine.policy, E)["bellman"], mine.policy.value, mine.policy.savings,
        np.einsum("mjs,ji->mis", mine.state.histogram, nearest),
    ])  # fmt: skip
    at = np.eye(Z)[mine.state.shock.numpy()]  # [M, Z]
    residual, v, savings, mass = np.einsum("mz,kmis->kzis", at / np.maximum(at.sum(axis=0), 1), of_all)
    below = np.clip(np.searchsorted(economy.nodes, savings, "right") - 1, 0, I - 2)
    above = np.clip((savings - economy.nodes[below]) / np.diff(economy.nodes)[below], 0, 1)
    chance = np.einsum("zy,st->zsyt", p.transition, economy.types)
    gamma, rho = p.risk_aversion, p.inverse_substitution
    number = np.arange(Z * I * S).reshape(Z, I, S)
    rows, columns, values = [], [], []
    for z, s in np.ndindex(Z, S):
        b, up = below[z, :, s], above[z, :, s]
        then = (1 - up) * v[:, b].transpose(0, 2, 1) + up * v[:, b + 1].transpose(0, 2, 1)  # [Z', S', I]
        m = np.einsum("yt,yti->i", chance[z, s], then ** (1 - gamma)) ** (1 / (1 - gamma))
        weight = p.discount_factor * (m / v[z, :, s]) ** (1 - rho) * chance[z, s][..., None] * (then / m) ** (1 - gamma)
        for y, t in np.ndindex(Z, S):
            for place, part in ((b, 1 - up), (b + 1, up)):
                rows.append(number[z, :, s])
                columns.append(number[y, place, t])
                values.append(weight[y, t] * part)
    carried = coo_array((np.ravel(values), (np.ravel(rows), np.ravel(columns))), shape=2 * (number.size,))
    error = spsolve((eye_array(number.size) - carried).tocsc(), residual.ravel())
    households = (mass * at.mean(axis=0)[:, None, None]).ravel()
    return float(households @ np.abs(error)), float(households @ error)


# --- figures -------------------------------------------------------------------------------------------------------


def drawings(solution: Solution, mine: Along, theirs: Any, known: Any, bins: np.ndarray) -> Iterator[Drawing]:
    """Prices of a hundred periods, the mean distribution of wealth, consumption by wealth and type."""
    last = slice(len(mine.price) - 100, None)
    periods = np.arange(1, 101)
    yield line_drawing("price_path", "period", "price of the bond", {
        "network": (periods, mine.price[last]), "grid": (periods, theirs["price"][last]),
    })  # fmt: skip
    few = bins <= 4 * solution.economy.p.supply
    curves, rules = {}, {}
    policy, last_histogram = mine.policy, mine.state.histogram.numpy()[-1].T
    x, z = known.moment(last_histogram, bins), int(mine.state.shock[-1])
    c = known.decisions(bins, z, x, float(policy.price[-1]))[0]
    for s, label in enumerate(solution.economy.axes["type"]):
        for name, path in (("network", mine.histogram), ("grid", theirs["histogram"])):
            curves[f"{label}, {name}"] = (bins[few], path[BURN_IN:, s].mean(axis=0)[few])
        rules[f"{label}, network"] = (bins[few], policy.consumed.numpy()[-1, few, s])
        rules[f"{label}, grid"] = (bins[few], c[s, few])
    yield line_drawing("distribution", "wealth [bonds]", "share of households in a bin", curves)
    yield line_drawing("consumption_by_wealth", "wealth [bonds]", "consumption [goods]", rules)


if __name__ == "__main__":
    main()
