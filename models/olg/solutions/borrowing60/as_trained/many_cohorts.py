"""The economy of `economy.py` with so many cohorts that without a limit the young would owe most of the capital."""

from __future__ import annotations

import numpy as np

from .economy import OLG, State
from .parameters import Parameters


class ManyCohorts(OLG):
    """The same equations; only the states at which simulation begins are others."""

    def __init__(self, parameters: Parameters, dtype: str = "float32") -> None:
        with np.errstate(over="ignore"):  # at a return far too high, labour of many periods later is worth nothing
            super().__init__(parameters, dtype)

    def initial_states(self, count: int, generator: np.random.Generator) -> State:
        """As there, with as much capital in all as in the steady state, which has debts that no limit would allow."""
        states = super().initial_states(count, generator)
        steady = self.steady.capital
        return states._replace(capital=states.capital * steady.sum() / np.maximum(steady, 0.0).sum())
