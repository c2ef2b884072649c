"""Forecasts of flows between origins and destinations, most of which are zero."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, final

import numpy as np
import tensorflow as tf

from deqn.graph.flows import OriginDestination
from deqn.mlp.minibatches import minibatches
from deqn.project.errors import UserError
from deqn.project.tables import read_table
from deqn.training.problem import Batch, Carry, Losses, Problem, Results
from deqn.training.settings import TrainingSettings

from .parameters import Parameters

DAY = 24


class Flows(NamedTuple):
    """counts: [hours, from, to]. rates: the same of who knows the law, by name, if there is one."""

    counts: np.ndarray
    rates: Mapping[str, np.ndarray]


def made(p: Parameters, rng: np.random.Generator) -> Flows:
    """ln rate_ijt = c + m_i + n_j - d_ij / 2 + .8 sin(hour + phase_i) + s_r(i)t + s'_r(j)t; s, s' AR(1) by region r."""
    hours, cells = DAY * (p.days + p.validation_days + p.test_days), p.side**2
    m, n = rng.normal(size=(2, cells))
    phase = rng.choice([0.0, np.pi], size=cells)  # homes and offices
    daily = 0.8 * np.sin(2 * np.pi * np.arange(hours)[:, None] / DAY + phase)
    states = np.zeros((2, hours, regions(p).max() + 1))
    for t in range(1, hours):
        shocks = rng.normal(size=states[:, 0].shape)
        states[:, t] = p.persistence * states[:, t - 1] + p.sd * np.sqrt(1 - p.persistence**2) * shocks

    def rates(states: np.ndarray) -> np.ndarray:
        out, into = (each[:, regions(p)] for each in states)
        return np.exp((m + daily + out)[:, :, None] + (n + into)[:, None] - distances(p) / 2)

    now = rates(states)
    level = p.mean / now.mean()
    before = p.persistence * np.roll(states, 1, axis=1)  # what is expected of states after those of an hour ago
    ahead = rates(before) * np.exp(p.sd**2 * (1 - p.persistence**2))
    counts = rng.poisson(now * level).astype(float)
    return Flows(counts, {"states of an hour ago known": ahead * level, "known rates": now * level})


def regions(p: Parameters) -> np.ndarray:
    """The region of each cell, int [cells]."""
    row, column = np.divmod(np.arange(p.side**2), p.side)
    return row // p.block * -(-p.side // p.block) + column // p.block


def distances(p: Parameters) -> np.ndarray:
    """Between the centres of cells [cells, cells], in cells."""
    place = np.stack(np.divmod(np.arange(p.side**2), p.side), axis=1).astype(float)
    return np.linalg.norm(place[:, None] - place[None], axis=-1)


def of_file(p: Parameters) -> Flows:
    table, cells = read_table(p.file, ["time", "from", "to", "count"]), p.side**2
    for name, most in (("time", np.inf), ("from", cells - 1), ("to", cells - 1), ("count", np.inf)):
        bad = table[name].lt(0) | table[name].gt(most) | (table[name] % 1 != 0)
        if bad.any():
            row = int(np.argmax(bad.to_numpy()))
            raise UserError(
                f"parameters.file: {p.file}, line {row + 2}: {name} is {table[name].iloc[row]:g}, expected an integer "
                f"from 0{'' if most == np.inf else f' to {most}, a cell of {p.side} x {p.side}'}"
            )
    where = table.astype(int)
    counts = np.zeros((where["time"].max() + 1, cells, cells))
    np.add.at(counts, (where["time"], where["from"], where["to"]), where["count"])
    return Flows(counts, {})


@final
class FlowForecast(Problem):
    """OD-CED: flows between regions are encoded, and decoded to rates of all pairs of cells; Poisson likelihood."""

    def __init__(self, parameters: Parameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1) -> None:
        p = self.p = parameters
        self.seed, self.rank, self.dtype = settings.seed, rank, settings.precision
        self.flows = of_file(p) if p.file else made(p, np.random.default_rng([settings.seed, 0]))
        hours = len(self.flows.counts)
        tests = hours - DAY * p.test_days
        ends = (p.history, tests - DAY * p.validation_days, tests, hours)
        if ends[1] <= p.history:
            raise UserError(
                f"parameters: {hours} hours leave none to train on, expected fewer days to test and validate"
            )
        self.rows = [np.arange(a, b) for a, b in itertools.pairwise(ends)]
        region = regions(p) if p.coarse else np.arange(p.side**2)
        self.network = OriginDestination(region, distances(p), DAY, p.units, p.width, settings.seed, self.dtype)
        self.seen = np.log1p(self.network.coarsened(self.flows.counts)).astype(self.dtype)
        mean = self.flows.counts[self.rows[0]].mean()
        self.network(*self._inputs(self.rows[0][:1]))
        self.network.begin_at(float(np.log(max(mean, 1e-6))))
        self.networks = {"rates": self.network}

    def _inputs(self, rows: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
        past = rows[:, None] - np.arange(1, self.p.history + 1)
        return tf.constant(self.seen[past]), tf.constant(rows % DAY, tf.int32)

    def describe(self) -> Mapping[str, str]:
        counts = self.flows.counts
        return {
            "data": f"{len(counts)} hours of flows between {counts.shape[1]} cells, {(counts == 0).mean():.1%} zero; "
            f"{', '.join(map(str, map(len, self.rows)))} hours to train, to validate, to test",
            "network": f"OD-CED, {self.network.count_params():,} weights",
        }

    def batches(self, episode: int) -> Iterator[Batch]:
        for rows in minibatches(self.rows[0], self.p.batch, [self.seed, 1, self.rank, episode]):
            yield *self._inputs(rows), tf.constant(self.flows.counts[rows], self.dtype)

    def losses(self, batch: Batch, carry: Carry, key: tf.Tensor) -> Losses:
        x, hour, counts = batch
        log = self.network(x, hour)
        return Losses({"rates": tf.reduce_mean(tf.exp(log) - counts * log)}, carry)

    def rates(self, rows: np.ndarray) -> np.ndarray:
        """Returns the rates [rows, cells, cells] that the network gives."""
        each = [np.exp(self.network(*self._inputs(rows[k : k + DAY])).numpy()) for k in range(0, len(rows), DAY)]
        return np.concatenate(each).astype(float)

    def validate(self) -> Mapping[str, float]:
        rows = self.rows[1]
        rates, counts = self.rates(rows), self.flows.counts[rows]
        return {"deviance": float(deviance(rates, counts))}

    def results(self) -> Results:
        """Reports the measures of OD-CED's tables for the network, the average by hour, and who knows the rates."""
        rows, counts = self.rows[2], self.flows.counts
        before = counts[: self.rows[2][0]]
        by_hour = np.stack([before[hour::DAY].mean(axis=0) for hour in range(DAY)])
        found = {
            "network": self.rates(rows),
            "historical average": by_hour[rows % DAY],
            "average of all hours": np.broadcast_to(before.mean(axis=0), counts[rows].shape),
            "persistence": counts[rows - 1],
        }
        found |= {name: each[rows] for name, each in self.flows.rates.items()}
        measured = [{"forecast": name, **measures(each, counts[rows])} for name, each in found.items()]
        tables: dict[str, Any] = {"forecasts": measured}
        headline = ", ".join(f"{name} {measured[0][name]:.3f}" for name in ("wmape", "rmse", "cpc"))
        if self.flows.rates:
            first, average, best = measured[0], measured[1], measured[-1]
            way = {
                name: (first[name] - average[name]) / (best[name] - average[name]) for name in ("wmape", "rmse", "cpc")
            }
            tables["way"] = [{"share of the way from the average by hour to the known rates": k, "share": v}
                             for k, v in way.items()]  # fmt: skip
        return Results(headline, tables, {"truth": counts[rows], "rates": found["network"]})


def measures(rates: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    """Returns wMAPE = sum |error| / sum, RMSE, and CPC = 2 sum min / (sum + sum), the common part of commuters."""
    return {
        "wmape": float(np.abs(rates - counts).sum() / counts.sum()),
        "rmse": float(np.sqrt(((rates - counts) ** 2).mean())),
        "cpc": float(2 * np.minimum(rates, counts).sum() / (rates.sum() + counts.sum())),
        "deviance": float(deviance(rates, counts)),
    }


def deviance(rates: np.ndarray, counts: np.ndarray) -> float:
    """Returns the mean Poisson deviance; a rate of zero where something was counted is taken as 1e-3."""
    rates = np.maximum(rates, 1e-3)
    ratio = np.where(counts > 0, counts / rates, 1.0)
    return float(2 * (counts * np.log(ratio) - counts + rates).mean())
