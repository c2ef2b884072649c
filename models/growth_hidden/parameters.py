"""The economist's part of a parameter file for growth by hidden regimes: unit, range and source."""

from __future__ import annotations

import pydantic

from deqn.equilibrium import TransitionMatrix
from deqn.project.schema import Section, setting

HAMILTON = "Hamilton (1989), Table I: United States, 1952-1984"


class Parameters(Section):
    """Calibration of a quarter. The regimes are an expansion and a recession, in this order."""

    capital_share: float = setting(0.36, unit="share of output", gt=0, lt=1)
    discount_factor: float = setting(0.99, unit="per quarter", gt=0, lt=1)
    depreciation: float = setting(0.025, unit="share of capital per quarter", gt=0, le=1)
    risk_aversion: float = setting(2.0, unit="coefficient of relative risk aversion", gt=0, le=20)
    growth: tuple[float, float] = setting(
        (0.0116, -0.0036), unit="mean log growth of productivity per quarter, by regime", source=HAMILTON
    )
    growth_sd: float = setting(0.0077, unit="log points per quarter, within a regime", source=HAMILTON, gt=0, le=0.2)
    transition: TransitionMatrix = setting(
        [[0.9049, 0.0951], [0.245, 0.755]], unit="probability per quarter, rows = from", source=HAMILTON
    )
    nodes: int = setting(5, unit="Gauss-Hermite nodes of growth within a regime", ge=2, le=99)

    @pydantic.model_validator(mode="after")
    def _are_two(self) -> Parameters:
        if len(self.transition) != 2:
            raise ValueError(f"transition: got {len(self.transition)} rows, expected 2, one a regime")
        if self.growth[0] <= self.growth[1]:
            raise ValueError(f"growth: got {list(self.growth)}, expected an expansion first, which grows faster")
        return self
