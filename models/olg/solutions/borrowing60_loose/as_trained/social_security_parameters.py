"""The economist's part of a parameter file for `SocialSecurity`."""

from __future__ import annotations

import numpy as np
import pydantic

from deqn.project.schema import setting

from .parameters import Parameters


class SocialSecurityParameters(Parameters):
    """Calibration of the overlapping-generations economy with pensions."""

    contribution_rate: float = setting(0.1, unit="tau, share of the wage", ge=0, lt=1)
    retirement_age: float = setting(66, unit="years, of the youngest cohort that receives a pension")

    @pydantic.model_validator(mode="after")
    def _somebody_is_retired(self) -> SocialSecurityParameters:
        ages = self.ages()
        if not ages[0] < self.retirement_age <= ages[-1]:
            raise ValueError(
                f"retirement_age: got {self.retirement_age:g}, expected above {ages[0]:g} and at most {ages[-1]:g}, "
                "the ages of the youngest and the oldest cohort"
            )
        return self

    def pension(self) -> float:
        """b, in units of the wage."""
        return float(self.contribution_rate * super().labour_endowments().sum() / self._retired().sum())

    def labour_endowments(self) -> np.ndarray:
        """[N] m, what each cohort receives of the wage; the sum is that of the labour endowments."""
        return (1 - self.contribution_rate) * super().labour_endowments() + self.pension() * self._retired()

    def _retired(self) -> np.ndarray:
        return self.ages() >= self.retirement_age
