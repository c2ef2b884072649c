"""The phases of a training: which one is due, and the optimisers that belong to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

import keras
import tensorflow as tf

from deqn.project.errors import UserError
from deqn.training.optimizers import optimizer, use_averages
from deqn.training.problem import Problem
from deqn.training.settings import OptimizerSettings, PhaseSettings


@final
class Phases:
    """Holds the phase that training is in; schedules start anew with each.

    number: of the phase, from 0. optimizers: of the phase, by the names of the losses. rate_scale: what every learning
    rate is multiplied by, changed by roll-backs, `base` at first. Raises UserError if any phase's optimisers can't be
    made.
    """

    def __init__(self, problem: Problem, phases: Sequence[PhaseSettings], base: float = 1.0) -> None:
        self.problem, self.phases = problem, phases
        dtype = next(iter(problem.trainable.values()))[0].dtype  # a rate of another type would not multiply gradients
        self.base, self.cut = base, 1.0
        self.rate_scale = tf.Variable(base, trainable=False, dtype=dtype)
        self.total = sum(phase.updates for phase in phases)
        for number in range(len(phases)):
            self._optimizers(number)  # a mistake in the last phase is found now, not after the first ones
        self.enter(self.due(0))

    def cut_rates(self, factor: float) -> None:
        """From here on every learning rate is `factor` times what the file says for so many ranks."""
        self.cut = factor
        self.rate_scale.assign(self.base * factor)

    @property
    def has_own_parameters(self) -> bool:
        """Whether this phase trains another problem than the file's."""
        return bool(self.phases[self.number].parameters)

    def end(self) -> int:
        """The update after the last one of this phase."""
        return self._end(self.number)

    def due(self, update: int) -> int:
        """The phase to which an update, counted from 0, belongs; a phase of no updates is passed over."""
        numbers = range(len(self.phases))
        return next((number for number in numbers if update < self._end(number)), numbers[-1])

    def enter(self, number: int) -> None:
        """Changes the problem and makes new optimisers; the update has to be compiled anew."""
        self.number = number
        self.problem.enter_phase(self.phases[number].problem, self.phases[number].parameters)
        self.optimizers = self._optimizers(number)
        for name, each in self.optimizers.items():
            each.build(list(self.problem.trainable[name]))  # variables can't be made while tracing

    def follow(self, number: int, say: Callable[[str], None]) -> bool:
        """Enters a phase from the end of the one before it: from the weights that its optimisers mean for use.

        Returns whether its parameters are others and the problem has changed its networks for them.
        """
        use_averages(self.optimizers, self.problem.trainable)
        before = self.phases[self.number].parameters
        self.enter(number)
        return self.phases[number].parameters != before and self.problem.follow_parameters(say)

    def _end(self, number: int) -> int:
        return sum(phase.updates for phase in self.phases[: number + 1])

    def _optimizers(self, number: int) -> dict[str, keras.optimizers.Optimizer]:
        """Makes the optimisers of a phase, without their variables."""
        chosen, names = self.phases[number].optimizer, list(self.problem.trainable)
        if isinstance(chosen, OptimizerSettings):
            chosen = dict.fromkeys(names, chosen)
        if set(chosen) != set(names):
            raise UserError(
                f"phases.{number}.optimizer: names {sorted(chosen)}, expected one optimiser, or one for each of "
                f"{sorted(names)}"
            )
        updates = self.phases[number].updates
        return {name: optimizer(chosen[name], updates, self.rate_scale) for name in names}
