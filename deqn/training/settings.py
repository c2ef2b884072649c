"""What a parameter file may say to the engine: phases, stopping rule, checkpoints, precision, seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import pydantic

from deqn.project.schema import Section, setting
from deqn.workers.settings import WorkerSettings

Percent = Annotated[int, pydantic.Field(ge=1, le=100)]


class OptimizerSettings(Section):
    """A Keras 3 optimiser and its learning rate over the phase.

    Where it averages (ScheduleFreeAdamW, the option use_ema), validation, the best weights and the next phase take the
    average.
    """

    name: str = setting("Adam", source="a class of keras.optimizers: Adam, Muon, ScheduleFreeAdamW, SGD, ...")
    learning_rate: float = setting(1e-3, unit="per update", gt=0)
    schedule: Literal["constant", "cosine"] = setting("constant", source="Loshchilov & Hutter (2017) for cosine")
    final: float = setting(0.01, unit="share of the learning rate at the end of a cosine", ge=0, le=1)
    warm_up: int = setting(0, unit="updates of linear increase", ge=0)
    clip: float | None = setting(None, unit="norm of all gradients together", gt=0)
    options: dict[str, Any] = setting({}, source="further arguments of the Keras class")


class PhaseSettings(Section):
    """A stretch of training with its own optimiser.

    optimizer: one for all losses, or one for each by the loss's name (actor, critic).
    problem: what the phase changes in the problem, such as {gradient: full}.
    parameters: of the economy that differ in this phase from those of the file.
    """

    updates: int = setting(unit="updates", ge=0)
    optimizer: OptimizerSettings | dict[str, OptimizerSettings] = setting(OptimizerSettings())
    problem: dict[str, Any] = setting({})
    parameters: dict[str, Any] = setting({})

    @pydantic.field_validator("optimizer", mode="before")
    @classmethod
    def _one_or_by_loss(cls, value: Any) -> Any:
        """Chooses the form from the keys, so that an unknown key is reported once, in its own form."""
        if isinstance(value, dict) and not (value and all(isinstance(entry, dict) for entry in value.values())):
            return OptimizerSettings.model_validate(value)
        return value


class CheckpointSettings(Section):
    """When checkpoints are written."""

    minutes: float = setting(5.0, unit="minutes between checkpoints", gt=0)
    keep: int = setting(2, unit="numbered checkpoints kept beside last and best", ge=0)
    stages: list[Percent] = setting([1, 5, 100], unit="percent of training after which weights are kept for figures")


class DivergenceSettings(Section):
    """When training counts as diverged, and what is then done.

    Training goes back to the last validation that found nothing wrong if a loss is not finite, if the validation error
    is beyond `factor`, or if no gradient since then was finite. A single gradient that is not finite is left out and
    counted.

    factor: the validation error, relative to the best so far and to 1e-6, above which the run is rolled back.
    retries: how often; then the run ends with exit status 3.
    cut: what the learning rate is multiplied by each time.
    """

    factor: float = setting(300.0, unit="ratio of validation errors", gt=1)
    retries: int = setting(3, unit="times", ge=0)
    cut: float = setting(0.3, unit="ratio of learning rates", gt=0, lt=1)


class TrainingSettings(Section):
    """The engine's part of a parameter file."""

    phases: list[PhaseSettings] = setting(min_length=1)
    stop: dict[str, float] = setting(
        {}, source="training ends when every figure of validation named here, as euler.mean, is below its threshold"
    )
    patience: int | None = setting(None, unit="validations without better weights, after which training ends", ge=1)
    validate_every: int = setting(500, unit="updates", ge=1)
    checkpoints: CheckpointSettings = setting(CheckpointSettings())
    divergence: DivergenceSettings = setting(DivergenceSettings())
    workers: WorkerSettings = setting(WorkerSettings())
    precision: Literal["float32", "float64"] = setting("float32")
    seed: int = setting(0, ge=0, lt=2**31)

    @pydantic.field_validator("stop", mode="before")
    @classmethod
    def _flat(cls, value: Any) -> Any:
        """{euler: {mean: 1e-4}}, as --set stop.euler.mean=1e-4 makes it, is {euler.mean: 1e-4}."""
        return dict(_flattened(value)) if isinstance(value, dict) else value


def _flattened(mapping: Mapping[Any, Any]) -> Iterator[tuple[Any, Any]]:
    for key, value in mapping.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{inner}", each) for inner, each in _flattened(value))
        else:
            yield key, value
