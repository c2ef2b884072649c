"""The economist's part of a parameter file for `LucasTree`: every parameter with unit, range and source."""

from __future__ import annotations

from typing import Annotated

import pydantic

from deqn.project.schema import Section, setting

Positive = Annotated[float, pydantic.Field(gt=0)]

BY04 = "Bansal & Yaron (2004), table I"


class Parameters(Section):
    """Preferences of Epstein and Zin, and consumption growth with a small persistent part; per month by default."""

    discount_factor: float = setting(0.998, unit="per period", source=BY04, gt=0, lt=1)
    risk_aversion: float = setting(10.0, unit="coefficient of relative risk aversion, not 1", source=BY04, gt=0, le=50)
    substitution: float = setting(1.5, unit="elasticity of intertemporal substitution, not 1", source=BY04, gt=0)
    mean_growth: float = setting(0.0015, unit="log points per period", source=BY04)
    growth_sd: float = setting(0.0078, unit="log points per period", source=BY04, gt=0)
    persistence: float = setting(0.979, unit="autocorrelation of expected growth", source=BY04, ge=0, lt=1)
    relative_sd: float = setting(0.044, unit="of innovations to expected growth, in growth_sd", source=BY04, ge=0)
    correlation: float = setting(0.0, unit="of the two innovations", source=BY04, gt=-1, lt=1)
    nodes: int = setting(5, unit="Gauss-Hermite nodes of each innovation", ge=2, le=25)
    first_guess: tuple[Positive, Positive] | None = setting(
        None, unit="v and p where training begins; by default what they would be without risk"
    )
