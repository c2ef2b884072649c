"""The economist's part of a parameter file for `IRBC`: every parameter with unit, range and source."""

from __future__ import annotations

from typing import Literal

from deqn.project.schema import Section, setting

JV11 = "Juillard & Villemot (2011), table 2"


class Parameters(Section):
    """Several countries with complete markets; elasticities are spaced evenly from the lowest to the highest."""

    countries: int = setting(2, unit="countries", ge=2, le=200)
    discount_factor: float = setting(0.99, unit="per quarter", source=JV11, gt=0, lt=1)
    capital_share: float = setting(0.36, unit="share of output", source=JV11, gt=0, lt=1)
    depreciation: float = setting(
        0.01, unit="share of capital per quarter", source="Brumm & Scheidegger (2017)", gt=0, le=1
    )
    lowest_elasticity: float = setting(0.25, unit="elasticity of intertemporal substitution", source=JV11, gt=0)
    highest_elasticity: float = setting(1.0, unit="elasticity of intertemporal substitution", source=JV11, gt=0)
    adjustment_cost: float = setting(0.5, unit="phi, of the squared growth of capital", source=JV11, gt=0)
    persistence: float = setting(0.95, unit="autocorrelation of ln productivity", source=JV11, ge=0, lt=1)
    innovation_sd: float = setting(
        0.01, unit="log points, of the common and of the own shock", source=JV11, gt=0, le=0.1
    )
    degree: Literal[3, 5] = setting(3, unit="to which E is exact: 2(N+1) nodes for 3, 2(N+1)^2 + 1 for 5")
