"""The economist's part of a parameter file for `Portfolio`: every parameter with unit, range and source."""

from __future__ import annotations

import pydantic

from deqn.equilibrium import Positives, TransitionMatrix
from deqn.project.schema import Section, setting


class Parameters(Section):
    """Calibration of overlapping generations with capital and a bond; a period is a decade."""

    cohorts: int = setting(6, unit="cohorts", source="none", ge=2, le=100)
    discount_factor: float = setting(0.75, unit="per period", source="none", gt=0, lt=1)
    capital_share: float = setting(0.3, unit="share of output", source="none", gt=0, lt=1)
    collateral: float = setting(0.2, unit="what may be borrowed on a unit of capital saved", source="none", ge=0, lt=1)
    tfp: Positives = setting([0.93, 1.07], unit="by shock", source="none", min_length=1)
    transition: TransitionMatrix = setting(
        [[0.7, 0.3], [0.3, 0.7]], unit="probability per period, rows = from", source="none", min_length=1
    )

    @pydantic.model_validator(mode="after")
    def _lengths_agree(self) -> Parameters:
        if len(self.tfp) != len(self.transition):
            raise ValueError(f"tfp: got {len(self.tfp)} values, expected {len(self.transition)}, one a shock")
        return self
