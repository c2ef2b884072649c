"""Schema of the quantile forecasts of a series whose volatility changes."""

from __future__ import annotations

import itertools
from typing import Annotated

import pydantic

from deqn.project.schema import Section, setting

Share = Annotated[float, pydantic.Field(gt=0, lt=1)]


class Parameters(Section):
    """The series is x_t = persistence x_{t-1} + s_t eps_t,  s_t = calm + nervous |x_{t-1}|,  eps_t standard normal."""

    persistence: float = setting(0.6, unit="autocorrelation", ge=0, lt=1)
    calm: float = setting(0.3, unit="standard deviation of x_t after x_{t-1} = 0", gt=0)
    nervous: float = setting(0.4, unit="standard deviation added by each unit of |x_{t-1}|", ge=0, lt=0.8)
    rows: int = setting(20_000, unit="periods to train on", ge=100)
    tests: int = setting(10_000, unit="periods to test on, and half as many to validate on", ge=100)
    history: int = setting(10, unit="periods that a forecast sees", ge=1)
    horizon: int = setting(3, unit="periods ahead, all forecast at once", ge=1)
    quantiles: list[Share] = setting([0.1, 0.5, 0.9], min_length=1, source="the lecture's Q")
    units: int = setting(16, unit="of the GRU", ge=1)
    batch: int = setting(100, unit="origins in an update", ge=1)

    @pydantic.field_validator("quantiles")
    @classmethod
    def _ascend(cls, value: list[float]) -> list[float]:
        if any(a >= b for a, b in itertools.pairwise(value)):
            raise ValueError(f"got {value}, expected ascending quantiles")
        return value
