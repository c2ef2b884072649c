r"""Quantile forecasts and measures of their errors.

    QL_q(x, f) = (q - 1(x <= f)) (x - f) >= 0,   Risk_q = 2 sum QL_q / sum |x|

(the lecture's definitions for forecasts of traffic demand, quantiles 10 %, 50 % and 90 %). Risk_.5 is the weighted mean
absolute percentage error sum |x - f| / sum |x|; the forecast with the least mean QL_q is the q-quantile.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

QUANTILES = (0.1, 0.5, 0.9)


def check_quantiles(quantiles: Sequence[float]) -> np.ndarray:
    """Returns them as an array. Raises ValueError unless they ascend between 0 and 1."""
    q = np.asarray(quantiles, np.float64)
    if q.ndim != 1 or not len(q) or not (q > 0).all() or not (q < 1).all() or not (np.diff(q) > 0).all():
        raise ValueError(f"quantiles: got {list(quantiles)}, expected ascending numbers between 0 and 1")
    return q


def quantile_loss(x: ArrayLike, forecasts: ArrayLike, quantiles: Sequence[float] = QUANTILES) -> np.ndarray:
    """Returns QL_q of every forecast: x [...], forecasts [..., Q] -> [..., Q]. Raises ValueError if shapes differ."""
    q = check_quantiles(quantiles)
    x, f = np.asarray(x, np.float64), np.asarray(forecasts, np.float64)
    if f.shape != (*x.shape, len(q)):
        raise ValueError(f"forecasts: shape is {f.shape}, expected {(*x.shape, len(q))}: one for each quantile of x")
    error = x[..., None] - f
    return (q - (error <= 0)) * error


def risk(x: ArrayLike, forecasts: ArrayLike, quantiles: Sequence[float] = QUANTILES) -> np.ndarray:
    """Returns Risk_q of each quantile, [Q]; arguments as of `quantile_loss`. Raises ValueError if x is all 0."""
    total = np.abs(np.asarray(x, np.float64)).sum()
    if not total > 0:
        raise ValueError("x: the sum of |x| is 0, expected values that are not all 0, for a risk is relative to them")
    loss = quantile_loss(x, forecasts, quantiles)
    return 2 * loss.reshape(-1, loss.shape[-1]).sum(axis=0) / total


def coverage(x: ArrayLike, forecasts: ArrayLike) -> np.ndarray:
    """Returns the share of x at or below each forecast, [Q]: q itself where forecasts are right."""
    below = np.asarray(x)[..., None] <= np.asarray(forecasts)
    return below.reshape(-1, below.shape[-1]).mean(axis=0)


def crossings(forecasts: ArrayLike) -> float:
    """Returns the share of forecasts [..., Q] in which a higher quantile is below a lower one."""
    return float((np.diff(np.asarray(forecasts), axis=-1) < 0).any(axis=-1).mean())


def mean_quantile_loss(x: tf.Tensor, forecasts: tf.Tensor, quantiles: Sequence[float] = QUANTILES) -> tf.Tensor:
    """Returns the loss to minimise: QL_q summed over quantiles, mean over all x [...]; forecasts: [..., Q]."""
    q = tf.constant(check_quantiles(quantiles), forecasts.dtype)
    error = x[..., None] - forecasts
    return tf.reduce_mean(tf.reduce_sum(tf.maximum(q * error, (q - 1) * error), axis=-1))


def without_crossings(raw: tf.Tensor) -> tf.Tensor:
    """Makes ascending quantiles of a network's outputs [..., Q]: the lowest, and distances above it."""
    return tf.cumsum(tf.concat([raw[..., :1], tf.nn.softplus(raw[..., 1:])], axis=-1), axis=-1)
