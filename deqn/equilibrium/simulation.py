"""Many simulated paths of an economy at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from deqn.equilibrium.economy import Economy
from deqn.equilibrium.exogenous import Exogenous


def step(economy: Economy, shocks: Exogenous, rule: Callable[[Any], Any], state: Any, key: tf.Tensor) -> Any:
    """The states one period later; `shocks` draws, which need not be the true process when training samples."""
    return economy.transition(state, rule(state), shocks.draw(state, key))


def simulate(
    economy: Economy,
    shocks: Exogenous,
    rule: Callable[[Any], Any],
    state: Any,
    periods: int,
    key: tf.Tensor,
    burn_in: int = 0,
) -> tuple[Any, Any]:
    """Paths from `state` [tracks]: the states visited [periods, tracks, ...] after `burn_in`, and the ones that follow.

    Pure TensorFlow; key: int32 [2], from which each period's draw is made.
    """

    def advance(t: tf.Tensor, now: Any, path: Any) -> tuple[tf.Tensor, Any, Any]:
        row = tf.maximum(t - burn_in, 0)  # the burn-in overwrites row 0
        path = tf.nest.map_structure(lambda rows, x: rows.write(row, x), path, now)
        following = step(economy, shocks, rule, now, tf.random.experimental.stateless_fold_in(key, t))
        return t + 1, following, path

    empty = tf.nest.map_structure(
        lambda x: tf.TensorArray(x.dtype, size=periods, element_shape=x.shape, clear_after_read=False), state
    )
    _, following, path = tf.while_loop(
        lambda t, *_: t < burn_in + periods,
        advance,
        (tf.constant(0), state, empty),
        maximum_iterations=burn_in + periods,
    )
    return tf.nest.map_structure(lambda rows: rows.stack(), path), following
