"""The economist's part of a parameter file for many households: every parameter with unit, range and source."""

from __future__ import annotations

from typing import Literal

import pydantic

from deqn.equilibrium import TransitionMatrix
from deqn.project.schema import Section, setting

AIYAGARI = "Aiyagari (1994), QJE 109"
DHJJ = "den Haan, Judd and Juillard (2010), JEDC 34"


class Households(Section):
    """What both economies have; the grids are of wealth, denser where households are poor."""

    capital_share: float = setting(0.36, unit="share of output", source=f"{AIYAGARI}; {DHJJ}", gt=0, lt=1)
    nodes: int = setting(120, unit="points of wealth at which the network is asked; between them it is linear", ge=10)
    bins: int = setting(1000, unit="points of wealth of the histogram", source="Young (2010), JEDC 34", ge=20)
    richest: float = setting(200.0, unit="units of the good; households do not hold more", gt=0)
    told: Literal["mean", "spread", "moments", "bins"] = setting(
        "mean", source="what the network sees of wealth: its mean; mean and spread; both by type; shares by cell"
    )
    cells: int = setting(40, unit="cells of wealth by type that `told: bins` shows", ge=2)


class AiyagariParameters(Households):
    """A year; labour moves on a Rouwenhorst chain, its mean is 1."""

    discount_factor: float = setting(0.96, unit="per year", source=AIYAGARI, gt=0, lt=1)
    risk_aversion: float = setting(1.0, unit="coefficient of relative risk aversion", source=AIYAGARI, gt=0, le=20)
    depreciation: float = setting(0.08, unit="share of capital per year", source=AIYAGARI, gt=0, le=1)
    persistence: float = setting(0.6, unit="autocorrelation of ln labour", source=AIYAGARI, ge=0, lt=1)
    labour_sd: float = setting(0.2, unit="log points, of ln labour in the long run", source=AIYAGARI, gt=0, le=1)
    types: int = setting(7, unit="values of labour on a chain (Rouwenhorst 1995)", source=AIYAGARI, ge=2, le=25)


class KrusellSmithParameters(Households):
    """A quarter; recessions come first. Who is unemployed comes first among the types."""

    discount_factor: float = setting(0.99, unit="per quarter", source=DHJJ, gt=0, lt=1)
    risk_aversion: float = setting(1.0, unit="coefficient of relative risk aversion", source=DHJJ, gt=0, le=20)
    depreciation: float = setting(0.025, unit="share of capital per quarter", source=DHJJ, gt=0, le=1)
    productivity: list[float] = setting([0.99, 1.01], unit="of all factors, in a recession and a boom", source=DHJJ)
    transition: TransitionMatrix = setting(
        [[0.875, 0.125], [0.125, 0.875]], unit="probability per quarter, rows = from: 8 quarters", source=DHJJ
    )
    hours: float = setting(1 / 0.9, unit="labour of an employed household", source=DHJJ, gt=0)
    unemployment: list[float] = setting([0.10, 0.04], unit="share of households", source=DHJJ)
    stays: list[list[float]] = setting(
        [[0.6, 0.25], [0.75, 1 / 3]], unit="probability that an unemployed household stays so, from row to column",
        source=f"{DHJJ}: 2.5 quarters in a recession, 1.5 in a boom; 1.25 and .75 times as likely on the way",
    )  # fmt: skip
    benefit: float = setting(0.15, unit="of an unemployed household, in wages of one unit of labour", source=DHJJ, ge=0)

    @pydantic.model_validator(mode="after")
    def _fit_each_other(self) -> KrusellSmithParameters:
        count = len(self.transition)
        sizes = {"productivity": self.productivity, "unemployment": self.unemployment, "stays": self.stays}
        for name, values in sizes.items():
            if len(values) != count:
                raise ValueError(f"{name}: got {len(values)} values, expected {count} as transition has rows")
        for name, values in (("unemployment", self.unemployment), *(("stays", row) for row in self.stays)):
            if len(values) != count or not all(0 < x < 1 for x in values):
                raise ValueError(f"{name}: got {values}, expected {count} shares between 0 and 1")
        for before, row in zip(self.unemployment, self.stays, strict=True):
            for after, stay in zip(self.unemployment, row, strict=True):
                if not 0 <= after - before * stay <= 1 - before:
                    raise ValueError(
                        f"stays: {stay:g} of the unemployed stay so from {before:g} to {after:g} unemployment, which "
                        "the employed who lose work can't bring about"
                    )
        return self
