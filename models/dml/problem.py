"""Effects of treatments by double machine learning, on independent observations and on a series with events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np
import tensorflow as tf

from deqn.training.problem import Carry, Losses, Problem, Results
from deqn.training.settings import TrainingSettings

from .data import Hours, Sample, made_hours, made_sample, read_hours, read_sample
from .estimation import Effects, linear_residuals, median_of, partially_linear
from .groups import groups
from .nuisances import Nuisances, folds_of
from .parameters import DoubleMLParameters, EventsParameters, Parameters

CROSS_FITTED, UNSPLIT, LINEAR, NONE = "cross-fitted", "no splitting", "linear controls", "no controls"
KNOWN = "known means"


@final
class DoubleML(Problem):
    """Networks predict outcome and treatment from the controls; the effect is a regression of what is left."""

    updates_per_call = 50  # `losses` draws its rows itself

    def __init__(
        self, parameters: DoubleMLParameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1
    ) -> None:
        p = self.p = parameters
        generators = [np.random.default_rng([settings.seed, 0, number]) for number in range(p.repetitions)]
        if p.file:
            self.samples = [read_sample(p)] * p.repetitions
        else:
            self.samples = [made_sample(p.rows, p.effect, generator) for generator in generators]
        self.names = p.treatments if p.file else ["t"]
        folds = np.stack([folds_of(len(self.samples[0].outcome), p.folds, False, each) for each in generators])
        self.nuisances = Nuisances(self.samples, folds, p, settings.seed, settings.precision)
        self.networks = {"nuisances": self.nuisances.ensemble}

    def describe(self) -> Mapping[str, str]:
        source = self.p.file or f"made samples, {self.p.repetitions}"
        return {"data": f"{len(self.samples[0].outcome):,} rows of {source}", **_words(self.nuisances, self.p)}

    def losses(self, batch: Any, carry: Carry, key: tf.Tensor) -> Losses:
        """Returns the sum over networks of mean squared errors."""
        return Losses({"nuisances": self.nuisances.loss(key)}, carry)

    def validate(self) -> Mapping[str, float]:
        """Returns the mean squared error on rows held back from the networks, in variances of the target."""
        return {"squared_error": self.nuisances.validation_error()} if self.p.stop_early else {}

    def results(self) -> Results:
        """Reports the regression table; of made samples, the estimators over all of them, too."""
        split, unsplit = self.nuisances.residuals()
        each = [estimates(s, a, b) for s, a, b in zip(self.samples, split, unsplit, strict=True)]
        methods = list(each[0])
        shown = {name: median_of([one[name] for one in each]) if self.p.file else each[0][name] for name in methods}
        table = [row for name in methods for row in shown[name].rows(self.names, name)]
        found = shown[CROSS_FITTED]
        headline = ", ".join(
            f"{name} {value:.3f} ({error:.3f})"
            for name, value, error in zip(self.names, found.estimate, found.error, strict=True)
        )
        tables: dict[str, Any] = {"effects": table, "fit": fit(self.names, split, self.nuisances.targets)}
        if not self.p.file and self.p.repetitions > 1:
            truth = np.array([self.p.effect])
            tables["repetitions"] = [_over(name, [one[name] for one in each], truth) for name in methods]
            row = tables["repetitions"][0]
            headline = f"mean {row['mean']:.4f}, coverage {row['coverage']:.2f} of {self.p.repetitions} samples"
        arrays = {
            name.replace(" ", "_").replace("-", "_"): np.array([one[name].estimate for one in each]) for name in methods
        }
        return Results(headline, tables, arrays, notes=[note(self.samples[0], self.p)])


@final
class Events(Problem):
    """The effects of events on a series by the hour, whose season is the nuisance; folds are blocks of time."""

    updates_per_call = 50

    def __init__(self, parameters: EventsParameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1) -> None:
        p = self.p = parameters
        generator = np.random.default_rng([settings.seed, 0])
        self.hours: Hours = read_hours(p) if p.file else made_hours(p.days, p.effects, generator)
        self.names = list(p.treatments) if p.file else ["rain", "holiday"]
        self.sample = self.hours.sample()
        folds = np.stack([folds_of(len(self.sample.outcome), p.folds, True, generator)])
        self.nuisances = Nuisances([self.sample], folds, p, settings.seed, settings.precision)
        self.networks = {"nuisances": self.nuisances.ensemble}

    def describe(self) -> Mapping[str, str]:
        events = ", ".join(
            f"{int(count):,} of {name}" for name, count in zip(self.names, self.hours.events.sum(axis=0), strict=True)
        )
        data = f"{len(self.hours.demand):,} hours of {self.p.file or 'made demand'}, {events}"
        return {"data": data, **_words(self.nuisances, self.p)}

    def losses(self, batch: Any, carry: Carry, key: tf.Tensor) -> Losses:
        """Returns the sum over networks of mean squared errors."""
        return Losses({"nuisances": self.nuisances.loss(key)}, carry)

    def validate(self) -> Mapping[str, float]:
        """Returns the mean squared error on rows held back from the networks, in variances of the target."""
        return {"squared_error": self.nuisances.validation_error()} if self.p.stop_early else {}

    def results(self) -> Results:
        """Reports the regression table, beside it the difference of means, and the groups of matched hours."""
        split, unsplit = (each[0] for each in self.nuisances.residuals())
        found = estimates(self.sample, split, unsplit, self.p.lags)
        table = [row for name, effects in found.items() for row in effects.rows(self.names, name)]
        best = found[CROSS_FITTED]
        words = ", ".join(f"{n} {v:.2f} ({e:.2f})" for n, v, e in zip(self.names, *best, strict=True))
        tables = {
            "effects": table,
            "fit": fit(self.names, split[None], self.nuisances.targets),
            "groups": groups(self.hours, self.names, self.p.before),
        }
        return Results(words, tables, {"residuals": split}, notes=[note(self.sample, self.p, self.p.lags)])


def estimates(sample: Sample, split: np.ndarray, unsplit: np.ndarray, lags: int = 0) -> dict[str, Effects]:
    """Returns the estimators side by side; split, unsplit: what networks leave of Y and T, [n, 1 + p]."""
    both = np.column_stack([sample.outcome, sample.treatments])
    left = {
        CROSS_FITTED: split, UNSPLIT: unsplit, LINEAR: linear_residuals(both, sample.controls),
        NONE: both - both.mean(axis=0),
    }  # fmt: skip
    if sample.means is not None:
        left[KNOWN] = both - sample.means
    return {name: partially_linear(each[:, 1:], each[:, 0], lags) for name, each in left.items()}


def fit(names: list[str], left: np.ndarray, targets: np.ndarray) -> list[dict[str, Any]]:
    """Returns how well cross-fitted networks predict, R^2 of outcome and treatments, mean over repetitions."""
    explained = 1 - ((left**2).mean(axis=1) / targets.var(axis=1)).mean(axis=0)
    return [
        {"target": name, "out-of-fold R2": value} for name, value in zip(["outcome", *names], explained, strict=True)
    ]


def note(sample: Sample, p: Parameters, lags: int = 0) -> str:
    """Returns what stands below a regression table."""
    errors = f"Newey and West's with {lags} lags" if lags else "White's"
    return (
        f"n = {len(sample.outcome):,}, {sample.controls.shape[1]} controls, K = {p.folds}; standard errors are {errors}"
    )


def _over(name: str, each: list[Effects], truth: np.ndarray) -> dict[str, Any]:
    """One estimator over samples drawn anew, of the first treatment."""
    estimate = np.array([one.estimate[0] for one in each])
    return {
        "method": name, "mean": estimate.mean(), "bias": estimate.mean() - truth[0],
        "sd": estimate.std(ddof=1), "mean std err": np.mean([one.error[0] for one in each]),
        "coverage": np.mean([one.covers(truth)[0] for one in each]),
    }  # fmt: skip


def _words(nuisances: Nuisances, p: Parameters) -> dict[str, str]:
    repetitions, splits, count = nuisances.shape
    members = repetitions * splits * count
    widths = "-".join(map(str, p.hidden))
    return {
        "networks": f"{members} of {widths} {p.activation}, {nuisances.ensemble.count_params() // members} weights: "
        f"{repetitions} x ({splits - 1} folds + 1 without splitting) x {count} targets"
    }
