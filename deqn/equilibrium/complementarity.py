r"""Residuals of 0 <= a ⟂ b >= 0: a multiplier and the slack of its constraint, of which at least one is zero.

    kkt_product         a b                        zero if either is, whatever the sign of the other: keep both >= 0
    min_residual        min(a, b)                  zero exactly on the complementarity set; kinked along a = b
    fischer_burmeister  a + b - sqrt(a^2 + b^2)    the same zero set; smooth but for the origin

All act element by element on tensors of one floating dtype and of shapes that broadcast. The last two add or compare a
and b, so that their units should agree: divide multiplier and slack by their own scales first (u'(c) and c, say).
"""

import numpy as np
import tensorflow as tf


def kkt_product(multiplier: tf.Tensor, slack: tf.Tensor) -> tf.Tensor:
    """The complementary slackness condition lambda (a - a_low), Azinovic, Gaegauf and Scheidegger (2019), section 3.

    multiplier: lambda >= 0, utility per unit of the good. slack: a - a_low >= 0, units of the good, same shape.
    Returns their product; both must be kept non-negative by the policy's form, for the product does not ask for it.
    """
    return multiplier * slack


def min_residual(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """min(a, b), zero if and only if a >= 0, b >= 0 and a b = 0.

    The gradient goes to the smaller argument alone (at a tie, to one of the two): the other gets exactly zero.
    a, b: same unit, shapes that broadcast. Returns the broadcast shape. Source: Facchinei and Pang (2003), section 1.5.
    """
    return tf.minimum(a, b)


def fischer_burmeister(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    r"""The Fischer-Burmeister function, zero if and only if a >= 0, b >= 0 and a b = 0 (Fischer 1992, Optimization 24).

        phi(a, b) = a + b - sqrt(a^2 + b^2)

    As written it loses every digit once one argument is much the larger, and its squares over- or underflow float32
    beyond 1e19 or below 1e-19. With hi = max(a, b), lo = min(a, b) the same number is

        phi = 2 lo / (1 + t + sqrt(1 + t^2)),   t = lo / hi in (-1, 1]    if hi + lo > 0  (multiply by the conjugate)
        phi = hi + lo (1 + sqrt(1 + u^2)),      u = hi / lo in [-1, 1]    otherwise

    where no difference of nearly equal numbers is left but hi + lo itself, and no square exceeds one. Differentiating
    these forms gives d phi/da = 1 - a / sqrt(a^2 + b^2) without cancellation too: b^2 / (2 a^2), not 0, for b << a.

    At the origin phi has no derivative; (1 - 1/sqrt(2)) (1, 1) is used, the limit along a = b > 0 and so a member of
    Clarke's generalised gradient that treats both arguments alike. Numbers below the smallest normal one count as zero.

    a, b: same unit, shapes that broadcast. Returns the broadcast shape, in that unit; NaN where an argument is NaN.
    """
    swap = b > a
    # By selection and not by tf.maximum and tf.minimum, which would both send a tie's gradient to the same argument.
    hi = tf.where(swap, b, a)
    lo = tf.where(swap, a, b)
    zero, one = tf.zeros_like(hi), tf.ones_like(hi)
    # Subnormal numbers are part of the origin: 1 / hi would overflow, and whether they survive depends on the thread.
    is_origin = tf.abs(hi) + tf.abs(lo) <= 4 * np.finfo(hi.dtype.as_numpy_dtype).tiny
    is_positive = (hi > -lo) & ~is_origin  # hi + lo > 0, without the sum, which overflows first
    is_other = ~(is_positive | is_origin)

    # A branch that is not taken still sends its gradient back times zero: its divisor must not be zero.
    t = tf.where(is_positive, lo, zero) / tf.where(is_positive, hi, one)
    above = lo * (2 / (1 + t + tf.sqrt(1 + t * t)))
    u = tf.where(is_other, hi, zero) / tf.where(is_other, lo, one)
    below = hi + lo + lo * tf.sqrt(1 + u * u)
    at_origin = (1 - 0.5**0.5) * (hi + lo)
    return tf.where(is_origin, at_origin, tf.where(is_positive, above, below))
