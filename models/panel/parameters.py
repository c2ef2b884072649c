"""What forecasts of a panel of series can vary."""

from __future__ import annotations

import itertools
from typing import Annotated, Literal

import pydantic

from deqn.project.schema import Section, setting

Width = Annotated[int, pydantic.Field(ge=1)]
Share = Annotated[float, pydantic.Field(gt=0, lt=1)]


class Parameters(Section):
    """Parameters of the panel, of the windows, and of the network that forecasts quantiles of all steps at once.

    A made panel is one of: "static", an autoregression and a season for each series that its static features tell;
    "vector", one vector autoregression with a full matrix; "ahead", a series that a covariate known ahead moves.
    """

    data: Literal["static", "vector", "ahead"] = setting("static", source="the made panel; of no effect with a file")
    file: str = setting("", source="CSV or Parquet of one's own in long form, a row for each series and date")
    series: str = setting("", source="column of the file that names the series; empty for one series alone")
    date: str = setting("date", source="column of the file")
    date_format: str = setting("", source="of dates that are neither ISO nor 31.12.2009, as strptime takes it")
    targets: list[str] = setting(["y"], source="columns of the file that are forecast, together", min_length=1)
    static: list[str] = setting([], source="columns of the file that never change within a series")
    ahead: list[str] = setting([], source="columns of the file that are known ahead, such as prices or holidays")
    network: Literal["global", "local"] = setting("global", source="one for all series, or one for each")
    starts: int = setting(1, unit="initial weights, of which the forecasts are averaged", ge=1)
    use_ahead: bool = setting(True, source="whether the network sees what is known ahead")
    scale: Literal["panel", "series"] = setting("panel", source="whose mean and standard deviation inputs are in")
    count: int = setting(60, unit="made series", ge=1)
    rows: int = setting(60, unit="rows of each made series to train and validate on", ge=20)
    tests: int = setting(200, unit="rows of each made series to test on", ge=5)
    test_share: Share = setting(0.2, unit="share of a file's dates to test on, the last ones")
    validation_share: Share = setting(0.2, unit="share of the dates before the tests that validate, the last ones")
    period: int = setting(12, unit="rows a season", ge=2)
    history: int = setting(3, unit="rows that a forecast sees", ge=1)
    horizon: int = setting(4, unit="rows ahead, all forecast at once", ge=1)
    quantiles: list[Share] = setting(
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], source="ascending, with .5, and as many below as above"
    )
    hidden: list[Width] = setting([32], unit="units by layer")
    batch: int = setting(200, unit="windows an update; of each series, of local networks", ge=1)

    @pydantic.field_validator("quantiles")
    @classmethod
    def _symmetric(cls, value: list[float]) -> list[float]:
        if any(a >= b for a, b in itertools.pairwise(value)) or any(
            abs(a + b - 1) > 1e-9 for a, b in zip(value, reversed(value), strict=True)
        ) or len(value) % 2 == 0 or len(value) < 3:  # fmt: skip
            raise ValueError(f"got {value}, expected three or more that ascend and are symmetric about .5")
        return value
