"""The economist's part of a parameter file for `AnalyticOLG`: every parameter with unit, range and source."""

from __future__ import annotations

import pydantic

from deqn.equilibrium import Positives, Shares, TransitionMatrix
from deqn.project.schema import Section, setting

AGS22 = "Azinovic, Gaegauf & Scheidegger (2022), appendix A.8"


class Parameters(Section):
    """Calibration of the overlapping-generations economy with log utility and labour in the first period of life."""

    cohorts: int = setting(6, unit="cohorts", source=AGS22, ge=2, le=1000)
    discount_factor: float = setting(0.7, unit="per period", source=AGS22, gt=0, lt=1)
    capital_share: float = setting(0.3, unit="share of output", source=AGS22, gt=0, lt=1)
    tfp: Positives = setting([0.95, 1.05, 0.95, 1.05], unit="by shock", source=AGS22, min_length=1)
    depreciation: Shares = setting(
        [0.5, 0.5, 0.9, 0.9], unit="share of capital per period, by shock", source=AGS22, min_length=1
    )
    transition: TransitionMatrix = setting(
        [[0.25] * 4] * 4, unit="probability per period, rows = from", source=AGS22, min_length=1
    )

    floor: float = setting(
        1e-6, unit="units of the good; the capital income of a cohort below it counts as this much", source="none", gt=0
    )

    @pydantic.model_validator(mode="after")
    def _lengths_agree(self) -> Parameters:
        for name in ("tfp", "depreciation"):
            if len(getattr(self, name)) != len(self.transition):
                raise ValueError(
                    f"{name}: got {len(getattr(self, name))} values, expected {len(self.transition)}, one a shock"
                )
        return self
