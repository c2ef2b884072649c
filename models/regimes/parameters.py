"""Schema of regime inference from the prices of an economy with overlapping generations."""

from __future__ import annotations

import pydantic

from deqn.project.schema import Section, setting

AGS22 = "Azinovic, Gaegauf & Scheidegger (2022), appendix A.8"


class Parameters(Section):
    """The economy of models/olg_analytic with lasting regimes, the prices' noise, and the data for the network.

    The regimes are the pairs of a depreciation and a TFP, counted as in that economy: TFP moves fastest.
    """

    cohorts: int = setting(6, unit="cohorts", source=AGS22, ge=2, le=100)
    discount_factor: float = setting(0.7, unit="per period", source=AGS22, gt=0, lt=1)
    capital_share: float = setting(0.3, unit="share of output", source=AGS22, gt=0, lt=1)
    tfp: tuple[float, float] = setting((0.95, 1.05), source=AGS22)
    depreciation: tuple[float, float] = setting((0.5, 0.9), unit="share of capital per period", source=AGS22)
    stays: tuple[float, float] = setting(
        (0.9, 0.8), unit="probability that depreciation, and that TFP, is next period what it is now (.5 in AGS22)"
    )
    noise: tuple[float, float] = setting((0.1, 0.05), unit="log points, of the measured gross return and wage")
    periods: int = setting(40, unit="periods of a path", ge=1)
    paths: int = setting(5000, unit="paths to train on", ge=1)
    tests: int = setting(500, unit="paths to test on, and as many to validate on", ge=1)
    particles: int = setting(1000, ge=1, unit="of the particle filter")
    memory: int = setting(4, unit="shocks that the hidden Markov model remembers: 4^memory states", ge=1, le=5)
    units: int = setting(32, unit="of the GRU", ge=1)
    batch: int = setting(100, unit="paths in an update", ge=1)

    @pydantic.model_validator(mode="after")
    def _in_range(self) -> Parameters:
        for name, low, high in (("tfp", 0, 10), ("depreciation", 0, 1), ("stays", 0, 1), ("noise", 0, 1)):
            for value in getattr(self, name):
                if not low < value < high:
                    raise ValueError(f"{name}: got {list(getattr(self, name))}, expected numbers from {low} to {high}")
        return self
