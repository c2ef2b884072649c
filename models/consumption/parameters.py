"""The economist's part of a parameter file for the household: every parameter with unit, range and source."""

from __future__ import annotations

import pydantic

from deqn.project.schema import Section, setting


class Parameters(Section):
    """Calibration of a household with uncertain income and a borrowing limit, a period of one year."""

    discount_factor: float = setting(0.96, unit="per year", source="Aiyagari (1994)", gt=0, lt=1)
    risk_aversion: float = setting(2.0, unit="coefficient of relative risk aversion", gt=0, le=20)
    gross_return: float = setting(1.03, unit="per year", gt=1, le=1.2)
    persistence: float = setting(0.9, unit="autocorrelation of ln income", source="Aiyagari (1994)", ge=0, lt=1)
    innovation_sd: float = setting(0.2, unit="log points per year", gt=0, le=0.5)
    states: int = setting(7, unit="values of income on a chain (Rouwenhorst 1995)", ge=2, le=99)
    borrowing_limit: float = setting(0.0, unit="mean yearly incomes; savings may not be lower", le=0)

    @pydantic.model_validator(mode="after")
    def _is_impatient(self) -> Parameters:
        patience = self.discount_factor * self.gross_return
        if patience >= 1:
            raise ValueError(
                f"gross_return: discount_factor times it is {patience:g}, expected less than 1: else wealth grows "
                "without end"
            )
        return self
