"""Many simulated paths of an economy at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from deqn.equilibrium.economy import Economy
from deqn.equilibrium.exogenous import Exogenous
from deqn.project.errors import UserError


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


def along(economy: Economy, rule: Callable[[Any], Any], state: Any, shocks: Any) -> Any:
    """The states [T + 1, tracks, ...] that follow `state` [tracks] when these shocks [T, tracks, ...] happen."""
    following = tf.scan(lambda now, shock: economy.transition(now, rule(now), shock), shocks, state)
    return tf.nest.map_structure(lambda first, rest: tf.concat([first[None], rest], axis=0), state, following)


def given_shocks(economy: Economy, given: Any, state: Any, periods: int) -> Any:
    """A user's shocks as `along` takes them, [periods - 1, tracks, ...]; UserError says what is wrong with them.

    given: an array [periods - 1, ...], the same on every track, or [periods - 1, tracks, ...]; by name for each part of
    a `Joint`. Values of a chain count from 0.
    """
    example = economy.shocks.draw(state, tf.zeros([2], tf.int32))
    names = getattr(example, "_fields", None)
    if names is None:
        return _given("shocks", given, example, periods, economy.shocks.discrete)
    if not isinstance(given, Mapping) or set(given) != set(names):
        seen = ", ".join(map(str, given)) if isinstance(given, Mapping) else "one array"
        raise UserError(f"shocks: got {seen}, expected an array by name for each of {', '.join(names)}")
    parts = zip(names, example, strict=True)
    return type(example)(*(_given(f"shocks: {n}", given[n], x, periods, economy.shocks.discrete) for n, x in parts))


def _given(what: str, given: Any, example: tf.Tensor, periods: int, discrete: int | None) -> tf.Tensor:
    try:
        array = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"{what} are no array of numbers: {error}") from error
    whole, one = [periods - 1, *example.shape], [periods - 1, *example.shape[1:]]
    if list(array.shape) not in (whole, one):
        raise UserError(
            f"{what} have shape {list(array.shape)}, expected {one} or {whole}: of {periods} periods, each but the "
            "last has a shock that leads to the next"
        )
    if not np.isfinite(array).all():
        raise UserError(f"{what} hold {array[~np.isfinite(array)][0]}, expected finite numbers")
    if (
        example.dtype.is_integer
        and (bad := (array != np.round(array)) | (array < 0) | (array >= (discrete or 1))).any()
    ):
        raise UserError(
            f"{what} hold {array[bad][0]:g}, expected whole numbers from 0 to {(discrete or 1) - 1} (arrays count from "
            "0)"
        )
    if list(array.shape) == one:
        array = array[:, None]
    return tf.constant(np.broadcast_to(array, whole), example.dtype)
