"""Keras optimisers and learning rates by the names of the parameter file."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from deqn.training.errors import UserError, nearest
from deqn.training.settings import OptimizerSettings

# Keras switches weight decay on for these by default; an Euler equation has no use for small weights.
_NO_DECAY: dict[str, dict[str, float]] = {"Muon": {"weight_decay": 0.0, "adam_weight_decay": 0.0}}


@keras.saving.register_keras_serializable("deqn")
class ScaledSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule times a variable: what a roll-back cuts without compiling the update again."""

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule, scale: tf.Variable) -> None:
        self.schedule = schedule
        self.scale = scale

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The learning rate at update `step` of the phase."""
        return self.scale * tf.cast(self.schedule(step), tf.float32)

    def get_config(self) -> dict[str, Any]:
        """Keras asks for it; a run's parameters.yaml is what rebuilds an optimiser here."""
        return {"schedule": self.schedule.get_config()}


@keras.saving.register_keras_serializable("deqn")
class WarmUpThenConstant(keras.optimizers.schedules.LearningRateSchedule):
    """Linear increase over `warm_up` updates, then a constant."""

    def __init__(self, learning_rate: float, warm_up: int) -> None:
        self.learning_rate = learning_rate
        self.warm_up = warm_up

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The learning rate at update `step`, counted from 0."""
        share = (tf.cast(step, tf.float32) + 1.0) / max(self.warm_up, 1)
        return self.learning_rate * tf.minimum(share, 1.0)

    def get_config(self) -> dict[str, Any]:
        """The two settings."""
        return {"learning_rate": self.learning_rate, "warm_up": self.warm_up}


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
    """A Keras optimiser for a phase of `updates` updates; its learning rate is multiplied by `scale`."""
    known = [name for name in dir(keras.optimizers) if isinstance(getattr(keras.optimizers, name), type)]
    if settings.name not in known:
        raise UserError(f"optimizer.name: {settings.name!r} is not in keras.optimizers;{nearest(settings.name, known)}")
    options = {**_NO_DECAY.get(settings.name, {}), **settings.options}
    try:
        return getattr(keras.optimizers, settings.name)(
            learning_rate=ScaledSchedule(schedule(settings, updates), scale),
            global_clipnorm=settings.clip,
            **options,
        )
    except (TypeError, ValueError) as error:
        raise UserError(f"optimizer.options: keras.optimizers.{settings.name} refuses {options}: {error}") from error
