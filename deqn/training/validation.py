"""What training has reached on data it never sees: the best weights, the thresholds, divergence, cost to accuracy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

import numpy as np

from deqn.project.errors import UserError
from deqn.training.settings import TrainingSettings

MILESTONES = (6e-4, 2e-4, 1e-4, 5e-5, 2e-5)  # validation errors whose cost is recorded


@final
class Judge:
    """Holds what a problem's validations have said so far; the first error of a validation chooses the best weights.

    initial: the validation before the first update, that is of the warm start alone. best: the one of best_weights,
    arrays by the names of `snapshot.read`. waited: validations since the best one. cost_to_accuracy: CPU-seconds at
    which the mean error of an equilibrium passed a milestone.
    """

    def __init__(self, settings: TrainingSettings) -> None:
        self.settings = settings
        self.initial: dict[str, float] = {}
        self.best: dict[str, float] = {}
        self.best_weights: dict[str, np.ndarray] = {}
        self.waited = 0
        self.cost_to_accuracy: dict[str, float] = {}

    def begin(self, errors: Mapping[str, float]) -> None:
        """Takes the validation before the first update. Raises UserError if a threshold's error is not in it."""
        unknown = sorted(set(self.settings.stop) - set(errors))
        if unknown:
            expected = f"any of {', '.join(errors)}" if errors else "no thresholds: this problem does not validate"
            raise UserError(f"stop: {', '.join(unknown)} is not validated; expected {expected}")
        if self.settings.patience and not errors:
            raise UserError("patience: this problem does not validate, so none of its weights are better; leave it out")
        self.initial = dict(errors)

    def divergence(self, errors: Mapping[str, float]) -> str | None:
        """Why these errors mean that training has diverged, if they do."""
        if not errors:
            return None
        name, value = next(iter(errors.items()))
        best, factor = self.best.get(name, math.inf), self.settings.divergence.factor
        if not math.isfinite(value):
            return f"the error on fresh data, {name}, is {value}"
        if best > 0 and value > factor * best:  # what can be negative, as a log-likelihood's, has no ratio
            return f"the error on fresh data, {name}, is {value:.3g}, more than {factor:g} times the best, {best:.3g}"
        return None

    def takes(self, errors: Mapping[str, float], cpu_seconds: float) -> bool:
        """Whether weights with these errors, finite and reached after `cpu_seconds`, become the best ones."""
        if not errors:
            return False
        for milestone in MILESTONES:
            if errors.get("error_mean", math.inf) < milestone:
                self.cost_to_accuracy.setdefault(f"{100 * milestone:g} %", round(cpu_seconds, 1))
        if not self._are_better(errors):
            self.waited += 1
            return False
        self.best, self.waited = dict(errors), 0
        return True

    def _are_better(self, errors: Mapping[str, float]) -> bool:
        name, value = next(iter(errors.items()))
        # Weights within all thresholds are what was asked for, though the first error alone was once smaller.
        within = self._within_thresholds(errors)
        if within != self._within_thresholds(self.best):
            return within
        return value < self.best.get(name, math.inf)

    @property
    def has_lost_patience(self) -> bool:
        """Whether so many validations as `patience` says have passed without better weights."""
        return self.settings.patience is not None and self.waited >= self.settings.patience

    @property
    def thresholds(self) -> bool | None:
        """Whether the best weights are within every threshold of `stop` (Algorithm 1); None if there are none."""
        return self._within_thresholds(self.best) if self.settings.stop else None

    def _within_thresholds(self, errors: Mapping[str, float]) -> bool:
        stop = self.settings.stop
        return bool(stop) and all(errors.get(name, math.inf) < threshold for name, threshold in stop.items())

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Arrays and a JSON-like rest, from which `restore` makes an equal judge."""
        arrays = {f"best/{name}": value for name, value in self.best_weights.items()}
        return arrays, {
            "initial": self.initial, "best": self.best, "waited": self.waited,
            "cost_to_accuracy": self.cost_to_accuracy,
        }  # fmt: skip

    def restore(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
        """Takes back what `state` gave; other arrays and entries may stand beside it."""
        self.best_weights = {k.removeprefix("best/"): v for k, v in arrays.items() if k.startswith("best/")}
        self.initial, self.best, self.waited = dict(meta["initial"]), dict(meta["best"]), meta["waited"]
        self.cost_to_accuracy = dict(meta["cost_to_accuracy"])
