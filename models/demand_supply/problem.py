"""Demand before supply: quantiles of demand, and of supply given demand or by itself, by region and hour."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import final

import numpy as np
import tensorflow as tf

from deqn.graph.attention import AttentionForecast
from deqn.mlp.minibatches import minibatches
from deqn.project.errors import UserError
from deqn.project.tables import read_table
from deqn.sequence.quantiles import QUANTILES, coverage, mean_quantile_loss, risk
from deqn.training.problem import Batch, Carry, Losses, Problem, Results
from deqn.training.settings import TrainingSettings

from .parameters import Parameters

DAY = 24
MEDIAN = QUANTILES.index(0.5)


def made(p: Parameters, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns demand, supply [hours, nodes] and what is known ahead [hours, nodes, 1], the weather.

    x = 15 + 4 sin(hour) + weather_v z_t + u_vt, u_vt = persistence u_{v,t-1} + e + a shock that neighbours share;
    y = 2 + own y_{t-1} + answer x_t + e'.
    """
    hours = p.rows + p.validation + p.tests + 100
    z, u, x, y = (np.zeros((hours, p.nodes)) for _ in range(4))
    loading = rng.uniform(0.5, 1.5, size=p.nodes)
    group = np.arange(p.nodes) // 5
    x[0] = 15.0
    y[0] = (2 + p.answer * 15) / (1 - p.own)
    for t in range(1, hours):
        z[t] = 0.9 * z[t - 1] + rng.normal()
        shared = rng.normal(size=group.max() + 1)[group]
        u[t] = p.persistence * u[t - 1] + p.sd_demand * (rng.normal(size=p.nodes) + shared) / np.sqrt(2)
        x[t] = 15 + 4 * np.sin(2 * np.pi * t / DAY) + p.weather * loading * z[t] + u[t]
        y[t] = 2 + p.own * y[t - 1] + p.answer * x[t] + p.sd_supply * rng.normal(size=p.nodes)
    return {"demand": x[100:], "supply": y[100:], "known": z[100:, :, None]}


def of_file(p: Parameters) -> dict[str, np.ndarray]:
    """Returns the same of a file, what is known ahead in units of its standard deviation."""
    columns = ["demand", "supply", *p.known]
    table = read_table(p.file, ["time", *columns], texts=["region"])
    wide = table.pivot_table(index="time", columns="region", values=columns, sort=True)
    hours, twice = np.arange(len(wide)), table.duplicated(["time", "region"]).any()
    if twice or wide.isna().any(axis=None) or not np.array_equal(wide.index, hours):
        raise UserError(f"parameters.file: {p.file}: expected each region once at each time 0, 1, ... {len(wide) - 1}")
    if len(wide) < p.history + p.horizon + p.validation + p.tests:
        raise UserError(
            f"parameters.file: {p.file}: {len(wide)} hours leave none to train on beside {p.validation} to "
            f"validate and {p.tests} to test"
        )
    demand, supply, *known = (wide[name].to_numpy(float) for name in columns)
    ahead = [(each - each.mean()) / max(each.std(), 1e-12) for each in known]
    nothing = np.zeros((*demand.shape, 0))
    return {"demand": demand, "supply": supply, "known": np.stack(ahead, axis=-1) if ahead else nothing}


def _hours(hours: int, nodes: int) -> np.ndarray:
    """Sine and cosine of the hour [hours, nodes, 2]."""
    turns = 2 * np.pi * (np.arange(hours) + 100) / DAY
    return np.stack([np.sin(turns), np.cos(turns)], axis=-1)[:, None].repeat(nodes, axis=1)


@final
class DemandSupply(Problem):
    """Three networks of the same form; "supply" is told demand of the hours ahead, "supply_alone" is not told any."""

    def __init__(self, parameters: Parameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1) -> None:
        p = self.p = parameters
        self.seed, self.rank, self.dtype = settings.seed, rank, settings.precision
        data = of_file(p) if p.file else made(p, np.random.default_rng([settings.seed, 0]))
        rows = self.rows = len(data["demand"]) - p.validation - p.tests
        self.scale = {name: (data[name][:rows].mean(), data[name][:rows].std()) for name in ("demand", "supply")}
        x, y = ((data[name] - mean) / sd for name, (mean, sd) in self.scale.items())
        known = np.concatenate([data["known"], _hours(*x.shape)], axis=-1)
        self.of = {
            "demand": (x[..., None], known, x),
            "supply": (np.stack([y, x], axis=-1), np.concatenate([known, x[..., None]], axis=-1), y),
            "supply_alone": (y[..., None], known, y),
        }
        cuts = (p.history, rows, rows + p.validation, len(x))
        self.origins = [np.arange(a, b - p.horizon + 1) for a, b in itertools.pairwise(cuts)]
        self.networks = {
            name: AttentionForecast(past.shape[-1], ahead.shape[-1], p.horizon, QUANTILES, p.units, p.features,
                                    settings.seed + 100 * number, self.dtype)
            for number, (name, (past, ahead, _)) in enumerate(self.of.items())
        }  # fmt: skip
        for name, network in self.networks.items():
            network(*self._inputs(name, self.origins[0][:1]))

    def _inputs(self, name: str, origins: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
        past, ahead, _ = self.of[name]
        before, after = origins[:, None] - np.arange(1, self.p.history + 1)[::-1], self._after(origins)
        return tf.constant(past[before], self.dtype), tf.constant(ahead[after], self.dtype)

    def _after(self, origins: np.ndarray) -> np.ndarray:
        return origins[:, None] + np.arange(self.p.horizon)

    def _truth(self, name: str, origins: np.ndarray) -> np.ndarray:
        """[origins, nodes, horizon], in units of the network."""
        return self.of[name][2][self._after(origins)].transpose(0, 2, 1)

    def describe(self) -> Mapping[str, str]:
        p, weights = self.p, sum(each.count_params() for each in self.networks.values())
        kind = f"fast, {p.features} random features" if p.features else "exact"
        return {
            "data": f"{self.rows} hours of demand and supply in {self.of['demand'][2].shape[1]} regions to train, "
            f"{p.validation} to validate, "
            f"{p.tests} to test",
            "network": f"three with attention over time and between regions ({kind}), {weights:,} weights in all",
        }

    def batches(self, episode: int) -> Iterator[Batch]:
        for origins in minibatches(self.origins[0], self.p.batch, [self.seed, 1, self.rank, episode]):
            yield {
                name: (*self._inputs(name, origins), tf.constant(self._truth(name, origins), self.dtype))
                for name in self.of
            }

    def losses(self, batch: Batch, carry: Carry, key: tf.Tensor) -> Losses:
        return Losses(
            {name: mean_quantile_loss(y, self.networks[name](past, ahead)) for name, (past, ahead, y) in batch.items()},
            carry,
        )

    def quantiles(self, name: str, origins: np.ndarray) -> np.ndarray:
        """Returns [origins, nodes, horizon, quantiles] in units of the network."""
        each = [
            self.networks[name](*self._inputs(name, origins[k : k + 200])).numpy() for k in range(0, len(origins), 200)
        ]
        return np.concatenate(each).astype(float)

    def validate(self) -> Mapping[str, float]:
        origins = self.origins[1]
        each = {name: risk(1 + self._truth(name, origins), 1 + self.quantiles(name, origins)).sum() for name in self.of}
        return {"risk": float(sum(each.values())), **{f"risk.{name}": float(value) for name, value in each.items()}}

    def _supply_on_forecast_demand(self, origins: np.ndarray) -> np.ndarray:
        """Supply where the demand ahead that it is told is the median of its own forecast."""
        past, ahead = self._inputs("supply", origins)
        median = self.quantiles("demand", origins)[..., MEDIAN].transpose(0, 2, 1)
        ahead = np.concatenate([ahead.numpy()[..., :-1], median[..., None]], axis=-1)
        pairs = zip(np.array_split(past.numpy(), 4), np.array_split(ahead, 4), strict=True)
        each = [self.networks["supply"](tf.constant(a), tf.constant(b, self.dtype)).numpy() for a, b in pairs]
        return np.concatenate(each).astype(float)

    def results(self) -> Results:
        """Reports the risk of each quantile in units of the data, and what knowing demand is worth."""
        origins = self.origins[2]
        found = {name: (name.split("_")[0], self.quantiles(name, origins)) for name in self.of}
        found["supply, demand forecast"] = ("supply", self._supply_on_forecast_demand(origins))
        rows, arrays = [], {}
        for name, (what, each) in found.items():
            mean, sd = self.scale[what]
            truth, forecast = self._truth(what, origins) * sd + mean, each * sd + mean
            share = coverage(truth, forecast)
            rows.append({"forecast": name.replace("_", " ")}
                        | {f"risk {q:.0%}": float(r) for q, r in zip(QUANTILES, risk(truth, forecast), strict=True)}
                        | {f"below {q:.0%}": float(s) for q, s in zip(QUANTILES, share, strict=True)})  # fmt: skip
            arrays |= {f"{name.replace(', ', '_').replace(' ', '_')}": forecast, f"{what}_truth": truth}
        gain = 1 - rows[1]["risk 50%"] / rows[2]["risk 50%"]
        return Results(f"risk 50% of supply {gain:.0%} smaller with demand", {"risk": rows}, arrays)
