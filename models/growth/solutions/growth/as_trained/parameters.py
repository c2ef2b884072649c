"""The economist's part of a parameter file for the growth economies: every parameter with unit, range and source."""

from __future__ import annotations

from typing import Annotated

import pydantic

from deqn.project.schema import Section, setting

RiskAversion = Annotated[float, pydantic.Field(gt=0, le=50)]


class Parameters(Section):
    """Calibration of stochastic growth; the economies differ in what they need of the last four.

    risk_aversion: a number, or the interval [lowest, highest] for which GrowthFamily is solved.
    states: of the Rouwenhorst chain of productivity. nodes: of Gauss-Hermite quadrature, where productivity is an
    AR(1) instead. Each economy asks for one of them and refuses the other.
    """

    capital_share: float = setting(0.4, unit="share of output", gt=0, lt=1)
    discount_factor: float = setting(0.9896, unit="per period (a quarter)", gt=0, lt=1)
    depreciation: float = setting(0.0196, unit="share of capital per period", gt=0, le=1)
    risk_aversion: RiskAversion | tuple[RiskAversion, RiskAversion] = setting(
        2.0, unit="coefficient of relative risk aversion, or [lowest, highest]"
    )
    persistence: float = setting(0.95, unit="autocorrelation of ln productivity", ge=0, lt=1)
    innovation_sd: float = setting(0.007, unit="log points per period", gt=0, le=0.5)
    states: int | None = setting(None, unit="values of productivity on a chain (Rouwenhorst 1995)", ge=2, le=99)
    nodes: int | None = setting(None, unit="Gauss-Hermite nodes for the innovation of an AR(1)", ge=2, le=99)

    @pydantic.field_validator("risk_aversion")
    @classmethod
    def _interval_ascends(cls, value: float | tuple[float, float]) -> float | tuple[float, float]:
        if isinstance(value, tuple) and value[0] >= value[1]:
            raise ValueError(f"got {list(value)}, expected [lowest, highest], the lowest first")
        return value
