"""Deep Equilibrium Nets: economies as their equations, solved on the states that they visit.

An economist's file needs `from deqn.equilibrium import Economy, MarkovChain`; names are imported when first used, so
that a parameter file can be checked without TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deqn.equilibrium.economy import Economy, Report
    from deqn.equilibrium.exogenous import Gaussian, Joint, MarkovChain
    from deqn.equilibrium.parameter_types import Positives, Shares, TransitionMatrix
    from deqn.equilibrium.powers import power

_HOMES = {
    "Economy": "economy",
    "Report": "economy",
    "MarkovChain": "exogenous",
    "Gaussian": "exogenous",
    "Joint": "exogenous",
    "Positives": "parameter_types",
    "Shares": "parameter_types",
    "TransitionMatrix": "parameter_types",
    "power": "powers",
}
__all__ = ["Economy", "Gaussian", "Joint", "MarkovChain", "Positives", "Report", "Shares", "TransitionMatrix", "power"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"deqn.equilibrium has no {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"deqn.equilibrium.{_HOMES[name]}"), name)
