"""Keras optimisers and learning rates by the names of the parameter file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deqn.project.errors import UserError, nearest
from deqn.training import corrected
from deqn.training.settings import OptimizerSettings

# Keras switches weight decay on for these by default; an Euler equation has no use for small weights.
_NO_DECAY: dict[str, dict[str, float]] = {"Muon": {"weight_decay": 0.0, "adam_weight_decay": 0.0}}
_CORRECTED: dict[str, Any] = {"Muon": corrected.Muon, "ScheduleFreeAdamW": corrected.ScheduleFreeAdamW}


class ScaledSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule times a variable: what a roll-back cuts without compiling the update again."""

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule, scale: tf.Variable) -> None:
        self.schedule = schedule
        self.scale = scale

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The learning rate at update `step` of the phase."""
        return self.scale * tf.cast(self.schedule(step), self.scale.dtype)


class WarmUpThenConstant(keras.optimizers.schedules.LearningRateSchedule):
    """Linear increase over `warm_up` updates, then a constant."""

    def __init__(self, learning_rate: float, warm_up: int) -> None:
        self.learning_rate = learning_rate
        self.warm_up = warm_up

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The learning rate at update `step`, counted from 0."""
        share = (tf.cast(step, tf.float32) + 1.0) / max(self.warm_up, 1)
        return self.learning_rate * tf.minimum(share, 1.0)


def schedule(settings: OptimizerSettings, updates: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate over a phase of `updates` updates."""
    if settings.schedule == "constant":
        return WarmUpThenConstant(settings.learning_rate, settings.warm_up)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if settings.warm_up else settings.learning_rate,
        decay_steps=max(updates - settings.warm_up, 1),
        alpha=settings.final,
        warmup_target=settings.learning_rate if settings.warm_up else None,
        warmup_steps=settings.warm_up,
    )


def optimizer(settings: OptimizerSettings, updates: int, scale: tf.Variable) -> keras.optimizers.Optimizer:
    """A Keras optimiser for a phase of `updates` updates; its learning rate is multiplied by `scale`.

    scale: a scalar of the type of the variables to be trained. Raises UserError: unknown name, or refused options.
    """
    known = [name for name in dir(keras.optimizers) if _is_optimizer(getattr(keras.optimizers, name))]
    if settings.name not in known:
        raise UserError(f"optimizer.name: {settings.name!r} is not in keras.optimizers;{nearest(settings.name, known)}")
    options = {**_NO_DECAY.get(settings.name, {}), **settings.options}
    try:
        return _CORRECTED.get(settings.name, getattr(keras.optimizers, settings.name))(
            learning_rate=ScaledSchedule(schedule(settings, updates), scale), global_clipnorm=settings.clip, **options
        )
    except (TypeError, ValueError) as error:
        raise UserError(f"optimizer.options: keras.optimizers.{settings.name} refuses {options}: {error}") from error


def use_averages(optimizers: Mapping[str, keras.optimizers.Optimizer], trainable: Mapping[str, Sequence[Any]]) -> None:
    """Gives the variables the values that their optimiser means for use, where these are not the ones it moves.

    These are ScheduleFreeAdamW's average x and, with the option use_ema of any optimiser, the exponential average.
    """
    for name, each in optimizers.items():
        variables = list(trainable[name])
        if not _averages(each):
            continue
        if isinstance(each, corrected.ScheduleFreeAdamW):
            for variable in variables:
                variable.assign(each.average(variable))
        else:
            each.finalize_variable_values(variables)


@contextlib.contextmanager
def averages_in_use(
    optimizers: Mapping[str, keras.optimizers.Optimizer], trainable: Mapping[str, Sequence[Any]]
) -> Iterator[None]:
    """Within it the variables have the values meant for use; afterwards they are as before, bit for bit."""
    averaged = [variable for name, each in optimizers.items() if _averages(each) for variable in trainable[name]]
    before = [np.array(variable) for variable in averaged]
    use_averages(optimizers, trainable)
    try:
        yield
    finally:
        for variable, value in zip(averaged, before, strict=True):
            variable.assign(value)


def _averages(each: keras.optimizers.Optimizer) -> bool:
    """Whether the optimiser averages and has made updates; before the first one Keras's averages are zero."""
    return (each.use_ema or isinstance(each, corrected.ScheduleFreeAdamW)) and int(each.iterations) > 0


def _is_optimizer(each: Any) -> bool:
    """Whether this is a class with an update of its own, not a base class or a wrapper of other optimisers."""
    base = keras.optimizers.Optimizer
    wrappers = (base, keras.optimizers.LossScaleOptimizer, keras.optimizers.MultiOptimizer)
    return isinstance(each, type) and issubclass(each, base) and each not in wrappers
