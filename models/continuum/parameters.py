"""The economist's part of a parameter file for `Continuum`: every parameter with unit, range and source."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from deqn.equilibrium import TransitionMatrix
from deqn.project.schema import Section, setting

Positive = Annotated[float, pydantic.Field(gt=0)]

AGS22 = "Azinovic, Gaegauf & Scheidegger (2022), IER 63(4), appendix A.5"

# Today's uncertainty says how income moves, and is itself kept with probability .8: rows = from, normal first.
_NORMAL = [[0.70, 0.20, 0.10], [0.15, 0.70, 0.15], [0.10, 0.20, 0.70]]
_HIGH = [[0.75, 0.10, 0.15], [0.20, 0.60, 0.20], [0.15, 0.10, 0.75]]
_CHAIN = [
    [round(stay * x, 4) for stay in stays for x in row]
    for rows, stays in ((_NORMAL, (0.8, 0.2)), (_HIGH, (0.2, 0.8)))
    for row in rows
]


class Parameters(Section):
    """A continuum of households with preferences of Epstein and Zin, and one bond."""

    discount_factor: float = setting(0.95, unit="per period", source=AGS22, gt=0, lt=1)
    risk_aversion: float = setting(8.0, unit="coefficient of relative risk aversion, not 1", source=AGS22, gt=0, le=50)
    inverse_substitution: float = setting(
        2.0, unit="1 / elasticity of intertemporal substitution, not 1", source=AGS22, gt=0, le=50
    )
    income: list[Positive] = setting([0.95, 1.0, 1.05] * 2, unit="goods per unit of labour, by z", source=AGS22)
    transition: TransitionMatrix = setting(_CHAIN, unit="probability per period, rows = from", source=AGS22)
    labour: list[Positive] = setting([0.8, 1.2], unit="of a household, by its type", source=AGS22, min_length=1)
    labour_transition: TransitionMatrix = setting(
        [[0.7, 0.3], [0.3, 0.7]], unit="probability per period that a type becomes another, rows = from", source=AGS22
    )
    supply: float = setting(1.0, unit="bonds per household, each pays one good", source=AGS22, gt=0)
    bins: int = setting(100, unit="points of wealth of the histogram, evenly", source=f"{AGS22}; Young (2010)", ge=20)
    richest: float = setting(20.0, unit="bonds; households do not hold more", source=AGS22, gt=0)
    nodes: int = setting(160, unit="points of wealth at which the network is asked; between them it is linear", ge=10)
    scales: list[Positive] = setting(
        [0.3, 1.0, 3.0], unit="bonds; the network sees the mean of exp(-wealth/scale) of each type", min_length=1
    )
    price: Literal["learned", "cleared"] = setting(
        "learned", source="learned by a network, so that clearing is a residual; or what clears the market exactly"
    )

    @pydantic.model_validator(mode="after")
    def _fit_each_other(self) -> Parameters:
        for name, values, chain in (
            ("income", self.income, self.transition),
            ("labour", self.labour, self.labour_transition),
        ):
            if len(values) != len(chain):
                raise ValueError(f"{name}: got {len(values)} values, expected {len(chain)} as its transition has rows")
        for name in ("risk_aversion", "inverse_substitution"):
            if getattr(self, name) == 1:
                raise ValueError(f"{name}: got 1, for which the formulas divide by zero; 1.001 is close to it")
        if self.richest <= 2 * self.supply:
            raise ValueError(f"richest: got {self.richest:g}, expected more than twice the supply {self.supply:g}")
        return self
