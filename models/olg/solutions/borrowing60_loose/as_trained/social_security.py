r"""Overlapping generations with pensions that workers pay as they go.

The state takes tau of every wage and gives all of it to the retired h = R..N, each alike:

    c^h + a^h = r k^h + (1-tau) l^h w + b 1{h >= R},     b = tau w L / (N - R + 1)

So what a cohort receives besides the return on its capital is a share of w that depends on its age alone,

    m^h = (1-tau) l^h + 1{h >= R} tau L / (N - R + 1),     sum_h m^h = L,

and the economy is that of `economy.py` with m in the place of l: contributions are pensions by construction, and with
tau = 0 it is that economy. With two cohorts, log utility, full depreciation and labour of the young alone

    a = (1-tau) w l beta phi / (1 + beta phi),     phi = alpha / (alpha + tau (1-alpha)),

because K' = a makes r' a / Y' = alpha and b' / Y' = tau (1-alpha), whatever the shock (`social_security_evidence.py`).
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .economy import OLG, State
from .social_security_parameters import SocialSecurityParameters


class SocialSecurity(OLG):
    """The economy above for any number of cohorts."""

    Parameters = SocialSecurityParameters

    def definitions(self, state: State, policy: Any, E) -> dict[str, tf.Tensor]:
        """Also b, the pension of one of the retired; total income is after contributions."""
        defined = super().definitions(state, policy, E)
        return {**defined, "b": defined["w"] * self.p.pension()}
