"""The economist's part of a parameter file for `OLG`: every parameter with unit, range and source."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pydantic

from deqn.equilibrium import Positives, Shares, TransitionMatrix
from deqn.project.schema import Section, setting

AGS19 = "Azinovic, Gaegauf & Scheidegger (2019), section 5"


class LabourProfile(Section):
    """Labour endowment by age, linear between knots."""

    knots: list[tuple[float, float]] = setting(unit="[age, labour endowment]", source=AGS19, min_length=1)

    @pydantic.field_validator("knots")
    @classmethod
    def _ages_increase(cls, knots: list[tuple[float, float]]) -> list[tuple[float, float]]:
        ages = [age for age, _ in knots]
        if any(later <= earlier for earlier, later in itertools.pairwise(ages)):
            raise ValueError(f"got ages {ages}, expected increasing ages")
        if any(labour < 0 for _, labour in knots):
            raise ValueError("got a negative labour endowment, expected at least 0")
        return knots


class Parameters(Section):
    """Calibration of the overlapping-generations economy."""

    cohorts: int = setting(60, unit="cohorts", source=AGS19, ge=2, le=1000)
    first_age: float = setting(21, unit="years, of the youngest cohort", source=AGS19, ge=0)
    years_per_period: float = setting(1, unit="years", source=AGS19, gt=0)
    discount_factor: float = setting(0.95, unit="per period", source=AGS19, gt=0, lt=1.5)
    risk_aversion: float = setting(2.0, unit="coefficient of relative risk aversion", source=AGS19, gt=0, le=50)
    capital_share: float = setting(0.3, unit="share of output", source=AGS19, gt=0, lt=1)
    tfp: Positives = setting(unit="by shock", source=AGS19, min_length=1)
    depreciation: Shares = setting(unit="share of capital per period, by shock", source=AGS19, min_length=1)
    transition: TransitionMatrix = setting(
        unit="probability per period, rows = from", source="AGS19 eq. 43 prints the transpose", min_length=1
    )
    labour: LabourProfile | list[float] = setting(
        unit="endowment, by knots of age or one number a cohort", source=AGS19
    )
    borrowing_limit: float = setting(0.0, unit="units of the good; savings may not be lower", source=AGS19, le=0, ge=-5)
    floor: float = setting(
        1e-5, unit="units of the good; consumption and capital below it count as this much", source="AGS19, B.2", gt=0
    )

    @pydantic.field_validator("labour", mode="before")
    @classmethod
    def _profile_or_list(cls, value: Any) -> Any:
        return LabourProfile.model_validate(value) if isinstance(value, dict) else value

    @pydantic.model_validator(mode="after")
    def _lengths_agree(self) -> Parameters:
        shocks = len(self.transition)
        for name in ("tfp", "depreciation"):
            if len(getattr(self, name)) != shocks:
                raise ValueError(f"{name}: got {len(getattr(self, name))} values, expected {shocks}, one a shock")
        if isinstance(self.labour, list):
            if len(self.labour) != self.cohorts:
                raise ValueError(f"labour: got {len(self.labour)} numbers, expected {self.cohorts}, one a cohort")
            if min(self.labour) < 0 or self.labour_endowments().sum() <= 0:
                raise ValueError(f"labour: got {self.labour}, expected numbers from 0 up, not all 0")
        return self

    def ages(self) -> np.ndarray:
        """[N] age of each cohort, years."""
        return self.first_age + self.years_per_period * np.arange(self.cohorts)

    def labour_endowments(self) -> np.ndarray:
        """[N] labour endowment of each cohort."""
        if isinstance(self.labour, list):
            return np.asarray(self.labour, np.float64)
        knots = np.asarray(self.labour.knots, np.float64)
        return np.interp(self.ages(), knots[:, 0], knots[:, 1])
