r"""Stochastic growth with partial depreciation and a chain of productivity.

A planner with capital k and productivity z consumes c and saves a = k':

    c + a = z k^alpha + (1-delta) k
    u'(c) = beta E[ R' u'(c') ],   R = alpha z k^(alpha-1) + 1 - delta,   u'(c) = c^-gamma

ln z moves on a Rouwenhorst chain. Technology, budget and Euler equation stand in `equations.py`, which the economies
beside this one share: `ar1.py`, a continuous ln z; `irreversible.py`, investment that cannot be undone; `family.py`,
one network for an interval of gamma.
"""

from __future__ import annotations

from .equations import GrowthOnChain, one_risk_aversion
from .parameters import Parameters


class Growth(GrowthOnChain):
    """The economy above; the network sees ln k and has one output for each value of productivity."""

    def __init__(self, parameters: Parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        self.gamma = one_risk_aversion(parameters)
