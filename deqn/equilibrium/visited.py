"""Where a decision rule was trained: the range of each input of the network over the states that training visits.

A network answers everywhere, also where nothing has taught it. A state is in the ranges if each input lies in its own,
with a margin of a tenth of its width on both sides. Inputs are looked at one by one: each may be in its range in a
combination that training never visits, so the errors there have to be seen too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    from deqn.equilibrium.sampling import Sampler

_MARGIN = 0.1  # of a range's width, on both sides
_ROUNDING = 1e-5  # of an input's size: what never varies is still computed in float32
TRACKS, _PERIODS = 256, 100  # of the paths on which the ranges are found


class Visited(NamedTuple):
    """The smallest and the largest value of each of the network's inputs, [inputs] each, in the economy's units."""

    low: np.ndarray
    high: np.ndarray

    def holds(self, features: tf.Tensor) -> tf.Tensor:
        """Whether inputs [batch, inputs] lie within the ranges and their margin, bool [batch]; NaN does not."""
        margin = _MARGIN * (self.high - self.low) + _ROUNDING * np.maximum(np.abs(self.low), np.abs(self.high))
        # What is zero in all states has no size of its own: that of the other inputs then says what is rounding.
        margin = np.maximum(margin, _ROUNDING**2 * max(np.abs(self.high).max(), np.abs(self.low).max()))
        low, high = (tf.constant(x, features.dtype) for x in (self.low - margin, self.high + margin))
        return tf.reduce_all((features >= low) & (features <= high), axis=1)


def visited_by(sampler: Sampler, now: Any, pool: Any, key: tf.Tensor, burn_in: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Smallest and largest inputs of the network, [inputs] each, on tracks moved as in training, resets included.

    now: the states [tracks] from which they start; the first `burn_in` periods do not count. pool: where tracks that
    are reset start anew. key: int32 [2].
    """
    features = sampler.economy.seen
    never = tf.fill([features(now).shape[-1]], tf.constant(np.inf, sampler.economy.dtype))

    def advance(t: tf.Tensor, now: Any, low: tf.Tensor, high: tf.Tensor) -> tuple[tf.Tensor, Any, tf.Tensor, tf.Tensor]:
        seen = features(now)
        good = (t >= burn_in) & tf.reduce_all(tf.math.is_finite(seen), axis=1, keepdims=True)
        low = tf.minimum(low, tf.reduce_min(tf.where(good, seen, never), axis=0))
        high = tf.maximum(high, tf.reduce_max(tf.where(good, seen, -never), axis=0))
        following, _ = sampler.advance(now, pool, tf.random.experimental.stateless_fold_in(key, t))
        return t + 1, following, low, high

    periods = burn_in + _PERIODS
    _, _, low, high = tf.while_loop(
        lambda t, *_: t < periods, advance, (tf.constant(0), now, never, -never), maximum_iterations=periods
    )
    return low, high
