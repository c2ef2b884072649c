"""Panels on graphs: made ones, of which law and best forecast are known, and files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from deqn.graph import graphs
from deqn.graph.files import read_edges
from deqn.project.errors import UserError
from deqn.project.tables import read_series

from . import exact
from .parameters import Parameters


class Panel(NamedTuple):
    """Rows of nodes. values: [rows, nodes, features], of which the first feature is forecast.

    graphs: adjacencies [graphs, nodes, nodes]. hour: [rows]. cuts: rows at which validation and tests begin. known:
    forecasts by who knows the law [rows, nodes], by name. carries: bool [nodes, nodes] or [season, nodes,
    nodes], the edges that carry something. law: A of x_t = A x_{t-1} + e_t. names: of nodes.
    """

    values: np.ndarray
    graphs: np.ndarray
    hour: np.ndarray
    cuts: tuple[int, int]
    known: Mapping[str, np.ndarray] = {}
    carries: np.ndarray | None = None
    law: np.ndarray | None = None
    names: tuple[str, ...] = ()


def make_panel(p: Parameters, rng: np.random.Generator) -> Panel:
    if p.file:
        return _of_file(p)
    if p.edges:
        raise UserError(f"parameters.edges: got {p.edges!r} without parameters.file, expected both or none")
    validation = max(round(p.rows * p.validation_share), 20)
    cuts = p.rows, p.rows + validation
    return {
        "filter": _filtered, "context": _with_context, "diffusion": _diffusing, "switching": _switching,
        "banks": _banks,
    }[p.data](p, rng, cuts, cuts[1] + p.tests)  # fmt: skip


BURN_IN = 200  # rows before the first one
LAW = "known law"


def _filtered(p: Parameters, rng: np.random.Generator, cuts: tuple[int, int], rows: int) -> Panel:
    """x_t = sum_{k <= 2} theta_k T_k x_{t-1} + N(0, I), spectral radius .9, on points in a square."""
    points, pois = rng.uniform(size=(p.nodes, 2)), rng.normal(size=(p.nodes, 5))
    right = graphs.near(points, 0.28)
    wrong = graphs.near(rng.permutation(points), 0.28)
    third = np.maximum(0.0, graphs.similarity(pois, right.mean()) - right)
    a = np.tensordot(rng.normal(size=3), graphs.chebyshev(graphs.scaled_laplacian(right), 2), 1)
    a *= 0.9 / np.abs(np.linalg.eigvalsh(a)).max()
    x = _autoregression(a, rng.normal(size=(rows + BURN_IN, p.nodes)))
    chosen = {"right": [right], "wrong": [wrong], "all": [right, wrong, third]}[p.graphs]
    return _linear(p, x, np.stack(chosen), cuts, a)


def _linear(p: Parameters, x: np.ndarray, edges: np.ndarray, cuts: tuple[int, int], a: np.ndarray, **more) -> Panel:
    """The panel of x [burn-in and rows, nodes] with x_t = A x_{t-1} + e_t."""
    best = x @ np.linalg.matrix_power(a, p.horizon).T
    best = np.roll(best, p.horizon, axis=0)[BURN_IN:]
    x = x[BURN_IN:]
    return Panel(x[..., None], edges, np.arange(len(x)) % p.season, cuts, {LAW: best}, law=a, **more)


def _autoregression(a: np.ndarray, shocks: np.ndarray) -> np.ndarray:
    x = np.zeros_like(shocks)
    for t in range(1, len(x)):
        x[t] = a @ x[t - 1] + shocks[t]
    return x


def _with_context(p: Parameters, rng: np.random.Generator, cuts: tuple[int, int], rows: int) -> Panel:
    """x_t = .9 x_{t-L} + .436 e, L = 6 if s_t = 1, else 1; s stays with .95; nodes see s_t as +-1, noise of 1.5."""
    total = rows + BURN_IN
    s = np.cumsum(rng.uniform(size=total) > 0.95) % 2
    x = np.zeros((total, p.nodes))
    best = np.zeros_like(x)
    for t in range(6, total):
        best[t] = 0.9 * x[t - (6 if s[t] else 1)]
        x[t] = best[t] + 0.436 * rng.normal(size=p.nodes)
    seen = 2.0 * s[:, None] - 1 + 1.5 * rng.normal(size=x.shape)
    values = np.stack([x, seen], axis=-1)[BURN_IN:]
    ring = graphs.adjacency(p.nodes, [(i, (i + 1) % p.nodes, 1.0) for i in range(p.nodes)])
    known = {LAW: best[BURN_IN:], "law, own rows": exact.of_own_rows(*values.transpose(2, 0, 1))}
    known = known if p.horizon == 1 else {}
    return Panel(values, ring[None], np.arange(rows) % p.season, cuts, known)


def _spreading(p: Parameters, rng: np.random.Generator, rows: int, spread: np.ndarray, own: float) -> np.ndarray:
    """x = D + I: D_t = spread[hour] (D + I)_{t-1} + .5 e, I_t = own I_{t-1} + .5 e'; also what D and I tell of x."""
    total = rows + BURN_IN
    d, i, best = (np.zeros((total, p.nodes)) for _ in range(3))
    for t in range(1, total):
        moved, stays = spread[(t - BURN_IN) % p.season] @ (d[t - 1] + i[t - 1]), own * i[t - 1]
        best[t] = moved + stays
        d[t], i[t] = moved + 0.5 * rng.normal(size=p.nodes), stays + 0.5 * rng.normal(size=p.nodes)
    return np.stack([d + i, best])[:, BURN_IN:]


def _diffusing(p: Parameters, rng: np.random.Generator, cuts: tuple[int, int], rows: int) -> Panel:
    """D_t = .95 g(h_t) P (D + I)_{t-1} + .5 e, g = .5 + .45 sin(2 pi h / 24), I_t = .8 I_{t-1} + .5 e'."""
    a = graphs.near(rng.uniform(size=(p.nodes, 2)), 0.35)
    g = 0.5 + 0.45 * np.sin(2 * np.pi * np.arange(p.season) / p.season)
    spread = 0.95 * g[:, None, None] * graphs.diffusion(a)
    x, best = _spreading(p, rng, rows, spread, 0.8)
    known = {
        LAW: best, "law, x alone": exact.kalman(x, spread, 0.8),
        "law, no hour, linear": exact.without_hour(x, spread, 0.8, p.history),
    } if p.horizon == 1 else {}  # fmt: skip
    return Panel(x[..., None], a[None], np.arange(rows) % p.season, cuts, known)


def _switching(p: Parameters, rng: np.random.Generator, cuts: tuple[int, int], rows: int) -> Panel:
    """x_t = .9 P_h x_{t-1} + .5 e with half of each node's edges in P_h by day, the other half by night."""
    a, day = np.zeros((p.nodes, p.nodes)), np.zeros((p.nodes, p.nodes), bool)
    for node in range(p.nodes):
        others = rng.permutation(np.delete(np.arange(p.nodes), node))[:6]
        a[node, others], day[node, others[:3]] = 1.0, True
    is_day = np.arange(p.season) < p.season // 2
    carries = np.where(is_day[:, None, None], day, (a > 0) & ~day)
    law = np.stack([0.9 * graphs.diffusion(each.astype(float)) for each in carries])
    total = rows + BURN_IN
    x, best = np.zeros((total, p.nodes)), np.zeros((total, p.nodes))
    for t in range(1, total):
        best[t] = law[(t - BURN_IN) % p.season] @ x[t - 1]
        x[t] = best[t] + 0.5 * rng.normal(size=p.nodes)
    hour, known = np.arange(rows) % p.season, {LAW: best[BURN_IN:]} if p.horizon == 1 else {}
    return Panel(x[BURN_IN:, :, None], a[None], hour, cuts, known, carries)


def _banks(p: Parameters, rng: np.random.Generator, cuts: tuple[int, int], rows: int) -> Panel:
    """x_t = (.5 I + B) x_{t-1} + e: a quarter of all pairs have an exposure, a quarter of these carry .15."""
    pairs = np.argwhere(~np.eye(p.nodes, dtype=bool))
    exposed = pairs[rng.permutation(len(pairs))[: len(pairs) // 4]]
    a, carries = np.zeros((p.nodes, p.nodes)), np.zeros((p.nodes, p.nodes), bool)
    a[tuple(exposed.T)] = 1.0
    carries[tuple(exposed[: len(exposed) // 4].T)] = True
    law = 0.5 * np.eye(p.nodes) + 0.15 * carries
    x = _autoregression(law, rng.normal(size=(rows + BURN_IN, p.nodes)))
    return _linear(p, x, a[None], cuts, law, carries=carries)


def _of_file(p: Parameters) -> Panel:
    """The file's rows; hours begin again after every `season` rows, the first row is hour 0."""
    if not p.edges:
        raise UserError("parameters.edges: got none, expected a CSV with columns from, to and weight")
    values = read_series(p.file, p.columns or None, date=p.date, date_format=p.date_format).values
    names = tuple(p.columns) or tuple(name for name in _columns(p) if name != (p.date or _columns(p)[0]))
    a = read_edges(p.edges, names, p.directed)
    tests = round(len(values) * (1 - p.test_share))
    cuts = round(tests * (1 - p.validation_share)), tests
    return Panel(values[..., None], a[None], np.arange(len(values)) % p.season, cuts, names=names)


def _columns(p: Parameters) -> list[str]:
    import pandas as pd

    if p.file.lower().endswith((".parquet", ".pq")):
        return list(pd.read_parquet(p.file).columns)
    return list(pd.read_csv(p.file, nrows=0, sep=None, engine="python", encoding="utf-8-sig").columns)
