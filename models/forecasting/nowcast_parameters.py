"""What the estimation of a hidden factor from observations with gaps can vary."""

from __future__ import annotations

from typing import Annotated

import pydantic

from deqn.project.schema import Section, setting

Share = Annotated[float, pydantic.Field(ge=0, lt=1)]


class NowcastParameters(Section):
    """The factor is f_t = persistence f_{t-1} + N(0, 1), and y_i = loading_i f + N(0, noise_i^2) is observed or not."""

    file: str = setting("", source="CSV or Parquet with observations of one's own, for which the factor is estimated")
    columns: list[str] = setting([], source="of the file, in the order of the loadings; none means all but the date")
    date: str = setting("", source="column of the file; empty for its first one")
    date_format: str = setting("", source="of dates that are neither ISO nor 31.12.2009, as strptime takes it")
    persistence: float = setting(0.9, unit="autocorrelation of the factor", ge=0, lt=1)
    loadings: list[float] = setting([1.0, 0.8, 0.5], min_length=1)
    noise: list[float] = setting([0.5, 0.7, 1.0], unit="standard deviation of each observation", min_length=1)
    missing_share: Share = setting(0.4, unit="probability that an observation is missing")
    late: int = setting(0, unit="last periods in which the last series is always missing: the ragged edge", ge=0)
    paths: int = setting(5000, unit="paths to train on", ge=1)
    tests: int = setting(2000, unit="paths to test on, and half as many to validate on", ge=2)
    periods: int = setting(40, unit="of a path", ge=1)
    units: int = setting(32, unit="of the GRU", ge=1)
    batch: int = setting(100, unit="paths an update", ge=1)

    @pydantic.model_validator(mode="after")
    def _fit(self) -> NowcastParameters:
        if len(self.loadings) != len(self.noise):
            raise ValueError(f"noise: got {len(self.noise)} numbers, expected {len(self.loadings)} as loadings has")
        if self.late > self.periods:
            raise ValueError(f"late: got {self.late}, expected at most the {self.periods} periods")
        return self
