"""What the estimation of effects by double machine learning can vary."""

from __future__ import annotations

from typing import Annotated

import pydantic

from deqn.project.schema import Section, setting

Width = Annotated[int, pydantic.Field(ge=1)]


class Parameters(Section):
    """Parameters of the table, of cross-fitting, and of the networks for E[Y|X] and E[T|X]."""

    file: str = setting("", source="CSV or Parquet of one's own; empty for made data")
    outcome: str = setting("y", source="column Y of the file")
    treatments: list[str] = setting(["t"], source="columns T of the file", min_length=1)
    controls: list[str] = setting([], source="columns X of the file; none means all others")
    folds: int = setting(5, unit="parts K, each predicted by networks that did not see it", ge=2)
    repetitions: int = setting(1, unit="samples drawn anew; of a file, partitions into folds", ge=1)
    hidden: list[Width] = setting([32, 32], unit="units by layer of each network")
    activation: str = setting("swish", source="any of keras.activations")
    batch: int = setting(200, unit="rows that an update of each network sees", ge=1)
    stop_early: bool = setting(True, source="whether rows held back from each network choose its weights")
    validation_share: float = setting(0.1, unit="share of a network's rows that choose its weights", gt=0, lt=0.5)


class DoubleMLParameters(Parameters):
    """The made sample is Y = effect T + g(X) + eps, T = m(X) + nu, X ~ N(0, I_5), eps and nu ~ N(0, 1)."""

    rows: int = setting(4000, unit="observations of a made sample", ge=50)
    effect: float = setting(1.0, unit="outcome a unit of the treatment")


class EventsParameters(Parameters):
    """The made hours are x_t = s(hour, weekday) + sum effect_j T_jt + u_t, u_t = .7 u_{t-1} + e_t, T: rain, holiday."""

    outcome: str = setting("demand", source="column of the file")
    treatments: list[str] = setting(["rain", "holiday"], source="columns of zeros and ones of the file", min_length=1)
    date: str = setting("time", source="column of the file: hours that follow each other")
    date_format: str = setting("", source="of dates that are neither ISO nor 31.12.2009, as strptime takes it")
    days: int = setting(730, unit="days of the made hours", ge=28)
    effects: tuple[float, float] = setting((1.5, 2.0), unit="demand in an hour of rain, of a holiday")
    lags: int = setting(48, unit="hours over which errors are correlated, in standard errors", ge=0)
    before: int = setting(12, unit="hours before an event that have to be alike and free of events", ge=8)
