r"""`Illiquid` where shocks are small: the network sees moments of who holds what that are smooth in age.

    sum_h P_j(h) k^h,   sum_h P_j(h) b^h,   P_j: Legendre's polynomial of degree j on the cohorts, j < 12

All cohorts alive live through the same shocks, so that on visited states holdings differ smoothly from age to age. How
a cohort should react to what it alone holds is then never seen. A network that is shown each cohort's holdings may let
such a difference grow, at errors that are small wherever it was trained. Shown moments, it can't answer to such a
difference: what a cohort does about it is what `Illiquid.policy` says before the network corrects it. That spends the
difference over the rest of life, and returns capital to the first guess.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from .economy import State
from .illiquid import Illiquid

_MOMENTS = 12  # of capital, and of bonds


class Smooth(Illiquid):
    """The economy of `Illiquid`, seen by moments."""

    def __init__(self, parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        ages = np.linspace(-1, 1, parameters.cohorts)
        self.moments = np.linalg.qr(np.polynomial.legendre.legvander(ages, _MOMENTS - 1))[0]
        self.own = None

    def features(self, state: State) -> tf.Tensor:
        """Moments of capital and, as bonds add up to zero, one fewer of bonds, [batch, 2 moments - 1]."""
        P = tf.constant(self.moments, self.dtype)
        return tf.concat([state.capital @ P, state.bonds @ P[:, 1:]], axis=1)
