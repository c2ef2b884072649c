"""What training has reached on data it never sees: the best weights, the thresholds, divergence, cost to accuracy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

import numpy as np

from deqn.project.errors import UserError, nearest
from deqn.training.settings import TrainingSettings

LEVELS = tuple(digit * 10.0**-power for power in range(1, 16) for digit in (5, 2, 1))  # of errors below 100 %
ROUNDING = 1e-6  # below it an error is as good as none: a start at the exact solution would have diverged at once


@final
class Validations:
    """What a problem's validations have shown so far. The first figure of a validation decides which weights are best.

    initial: the validation before the first update, of the warm start alone. best: the validation of the best weights.
    best_weights: these, by the names of `position.read`. waited: validations since the best one. cost_to_accuracy:
    CPU-seconds after which the deciding error was first below .5, .2, .1, .05 and so on, by the level in percent.
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
        for name in self.settings.stop:
            if name not in errors:
                words = nearest(name, errors) if errors else " expected no thresholds: this problem does not validate"
                raise UserError(f"stop.{name}: not validated;{words}")
        if self.settings.patience and not errors:
            raise UserError("patience: this problem does not validate, so none of its weights are better; leave it out")
        self.initial = dict(errors)

    def divergence(self, errors: Mapping[str, float]) -> str | None:
        """Why these errors mean that training has diverged, if they do."""
        if not errors:
            return None
        name, value = next(iter(errors.items()))
        best, factor = self.best.get(name, math.inf), self.settings.divergence.factor
        for each, seen in errors.items():  # one that does not decide is no number either where training broke down
            if math.isnan(seen) or (each == name and math.isinf(seen)):
                return f"the error on fresh data, {each}, is {seen}"
        # What can be negative, as a log-likelihood's, has no ratio.
        if best > 0 and value > factor * max(best, ROUNDING):
            return f"the error on fresh data, {name}, is {value:.3g}, more than {factor:g} times the best, {best:.3g}"
        return None

    def add(self, errors: Mapping[str, float], cpu_seconds: float) -> bool:
        """Whether weights with these errors, finite and reached after `cpu_seconds`, become the best ones."""
        if not errors:
            return False
        self._record_cost(errors, cpu_seconds)
        if not self._are_better(errors):
            self.waited += 1
            return False
        self.best, self.waited = dict(errors), 0
        return True

    def _record_cost(self, errors: Mapping[str, float], cpu_seconds: float) -> None:
        error, before = next(iter(errors.values())), next(iter(self.best.values()), math.inf)
        passed = [level for level in LEVELS if 0 < error < level <= before]
        for level in passed if self.best else passed[-1:]:  # at the start only the smallest level says anything
            self.cost_to_accuracy.setdefault(f"{100 * level:g} %", round(cpu_seconds, 1))

    def _are_better(self, errors: Mapping[str, float]) -> bool:
        name, value = next(iter(errors.items()))
        # Weights within all thresholds are what was asked for, though the first error alone was once smaller.
        within = self._are_within_thresholds(errors)
        if within != self._are_within_thresholds(self.best):
            return within
        return value < self.best.get(name, math.inf)

    @property
    def patience_is_over(self) -> bool:
        """Whether so many validations as `patience` says have passed without better weights."""
        return self.settings.patience is not None and self.waited >= self.settings.patience

    @property
    def thresholds(self) -> bool | None:
        """Whether the best weights are within every threshold of `stop`; None if the file names none."""
        return self._are_within_thresholds(self.best) if self.settings.stop else None

    def _are_within_thresholds(self, errors: Mapping[str, float]) -> bool:
        stop = self.settings.stop
        return bool(stop) and all(errors.get(name, math.inf) < threshold for name, threshold in stop.items())

    def summary(self) -> dict[str, Any]:
        """What a checkpoint keeps beside the best weights."""
        return {
            "initial": self.initial, "best": self.best, "waited": self.waited,
            "cost_to_accuracy": self.cost_to_accuracy,
        }  # fmt: skip

    def restore(self, best_weights: Mapping[str, np.ndarray], summary: Mapping[str, Any]) -> None:
        """Takes back the best weights and what `summary` gave; other entries may stand beside it."""
        self.best_weights = dict(best_weights)
        self.initial, self.best, self.waited = dict(summary["initial"]), dict(summary["best"]), summary["waited"]
        self.cost_to_accuracy = dict(summary["cost_to_accuracy"])
