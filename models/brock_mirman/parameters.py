"""The economist's part of a parameter file for `BrockMirman`: every parameter with unit, range and source."""

from __future__ import annotations

import pydantic

from deqn.equilibrium import TransitionMatrix
from deqn.project.schema import Section, setting

BM72 = "Brock & Mirman (1972)"


class Parameters(Section):
    """Calibration of the stochastic growth economy with log utility and full depreciation."""

    capital_share: float = setting(0.36, unit="share of output", source=BM72, gt=0, lt=1)
    discount_factor: float = setting(0.96, unit="per period", source=BM72, gt=0, lt=1)
    log_productivity: list[float] = setting(
        [-0.1, 0.0, 0.1], unit="log points, by shock", source="this calibration", min_length=1
    )
    transition: TransitionMatrix = setting(
        [[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.05, 0.15, 0.8]],
        unit="probability per period, rows = from",
        source="this calibration",
        min_length=1,
    )

    @pydantic.model_validator(mode="after")
    def _lengths_agree(self) -> Parameters:
        if len(self.log_productivity) != len(self.transition):
            raise ValueError(
                f"log_productivity: got {len(self.log_productivity)} values, expected {len(self.transition)}, "
                "one a shock"
            )
        return self
