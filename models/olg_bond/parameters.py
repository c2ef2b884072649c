"""The economist's part of a parameter file for `CapitalAndBond`: every parameter with unit, range and source."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pydantic

from deqn.equilibrium import Positives, Shares, TransitionMatrix
from deqn.project.schema import Section, setting

AGS19 = "Azinovic, Gaegauf & Scheidegger (2019), section 7"


class Parameters(Section):
    """Calibration of overlapping generations with illiquid capital and a collateralised bond."""

    cohorts: int = setting(60, unit="cohorts", source=AGS19, ge=2, le=1000)
    first_age: float = setting(21, unit="years, of the youngest cohort", source=AGS19, ge=0)
    years_per_period: float = setting(1, unit="years", source=AGS19, gt=0)
    discount_factor: float = setting(0.95, unit="per period", source=AGS19, gt=0, lt=1.5)
    risk_aversion: float = setting(2.0, unit="coefficient of relative risk aversion", source=AGS19, gt=0, le=50)
    capital_share: float = setting(0.3, unit="share of output", source=AGS19, gt=0, lt=1)
    tfp: Positives = setting(unit="by shock", source=AGS19, min_length=1)
    depreciation: Shares = setting(unit="share of capital per period, by shock", source=AGS19, min_length=1)
    transition: TransitionMatrix = setting(unit="probability per period, rows = from", source=AGS19, min_length=1)
    labour: list[tuple[float, float]] | list[float] = setting(
        unit="endowment: [age, labour] between which it is linear, or one number a cohort", source=AGS19, min_length=1
    )
    adjustment_cost: float = setting(0.5, unit="zeta, goods per squared good", source=AGS19, ge=0)
    adjustment: Literal["holdings", "proceeds"] = setting(
        "holdings", source="holdings: zeta (a - k)^2 of AGS19; proceeds: zeta/2 (a - r k)^2 of AGS22"
    )
    collateral: float = setting(3.0, unit="kappa, capital that must back a bond sold", source="AGS19, Table 5", gt=0)
    trading_cost: float = setting(
        0.0, unit="xi in xi d^2, goods per squared bond; to reach the economy without it step by step", ge=0
    )
    floor: float = setting(1e-3, unit="units of the good; consumption below it is bent to stay above 0", gt=0)

    @pydantic.model_validator(mode="after")
    def _lengths_agree(self) -> Parameters:
        shocks = len(self.transition)
        for name in ("tfp", "depreciation"):
            if len(getattr(self, name)) != shocks:
                raise ValueError(f"{name}: got {len(getattr(self, name))} values, expected {shocks}, one a shock")
        if not isinstance(self.labour[0], tuple) and len(self.labour) != self.cohorts:
            raise ValueError(f"labour: got {len(self.labour)} numbers, expected {self.cohorts}, one a cohort")
        if self.labour_endowments().min() < 0 or self.labour_endowments()[0] <= 0:
            raise ValueError(f"labour: got {self.labour}, expected numbers from 0 up, the first above 0")
        return self

    def ages(self) -> np.ndarray:
        """[N] age of each cohort, years."""
        return self.first_age + self.years_per_period * np.arange(self.cohorts)

    def labour_endowments(self) -> np.ndarray:
        """[N] labour endowment of each cohort."""
        given = np.asarray(self.labour, np.float64)
        return given if given.ndim == 1 else np.interp(self.ages(), given[:, 0], given[:, 1])
