"""Schema of the quantile forecasts of a series whose volatility changes."""

from __future__ import annotations

import itertools
from typing import Annotated

import pydantic

from deqn.project.schema import Section, setting

Share = Annotated[float, pydantic.Field(gt=0, lt=1)]


class Parameters(Section):
    """The made series is x_t = persistence x_{t-1} + s_t eps_t, s_t = calm + nervous |x_{t-1}|, eps_t standard normal.

    A series of a file is cut in time: 60 % of its rows to train on, 15 % to validate, the last 25 % to test.
    """

    file: str = setting("", source="CSV or Parquet of one's own, such as returns; empty for the made series")
    column: str = setting("", source="of the file; empty for its second one")
    date: str = setting("", source="column of the file; empty for its first one")
    date_format: str = setting("", source="of dates that are neither ISO nor 31.12.2009, as strptime takes it")

    persistence: float = setting(0.6, unit="autocorrelation", ge=0, lt=1)
    calm: float = setting(0.3, unit="standard deviation of x_t after x_{t-1} = 0", gt=0)
    nervous: float = setting(0.4, unit="standard deviation added by each unit of |x_{t-1}|", ge=0, lt=0.8)
    rows: int = setting(20_000, unit="periods to train on, of the made series", ge=100)
    tests: int = setting(10_000, unit="periods to test on, half as many to validate; made", ge=100)
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
