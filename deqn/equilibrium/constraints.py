"""What an economy's `constraints` mean for its results: a product, where each binds, and what must not be negative.

0 <= multiplier  ⟂  slack >= 0
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from deqn.equilibrium.economy import Economy
from deqn.equilibrium.expectation import Expectation

_ROUNDING = 1e-5  # of the larger of the two, which a number below zero may owe to single precision


def errors_of(economy: Economy, state: Any, policy: Any, E: Any) -> dict[str, tf.Tensor]:
    """What is reported: the economy's errors, and for each constraint the product of multiplier and slack."""
    products = {name: multiplier * slack for name, (multiplier, slack) in economy.constraints(state, policy).items()}
    return {**economy.errors(state, policy, E), **products}


def flags_of(economy: Economy, state: Any, policy: Any) -> dict[str, tf.Tensor]:
    """The economy's flags, and for each constraint whether it binds and whether a part of it is below zero."""
    flags = dict(economy.flags(state, policy))
    for name, (multiplier, slack) in economy.constraints(state, policy).items():
        rounding = -_ROUNDING * tf.maximum(tf.abs(multiplier), tf.abs(slack))
        flags |= {
            name: multiplier > slack,
            f"multiplier_of_{name}_below_zero": multiplier < rounding,
            f"slack_of_{name}_below_zero": slack < rounding,
        }
    return flags


def names_of(economy: Economy) -> list[str]:
    """The names of an economy's constraints."""
    if type(economy).constraints is Economy.constraints:
        return []
    state = economy.tensors(economy.initial_states(1, np.random.default_rng(0)))
    policy = economy.decide(tf.zeros([1, economy.width], economy.dtype), state)

    def decide(states: Any) -> list[Any]:
        return [economy.decide(tf.zeros([1, economy.width], economy.dtype), each) for each in states]

    policy = economy.complete(state, policy, Expectation(economy, state, policy, decide, most=1))
    return list(economy.constraints(state, policy))


def products_of(economy: Economy) -> list[str]:
    """The errors that are products and not relative to anything."""
    return [*economy.report.products, *names_of(economy)]


def binding_of(economy: Economy, policy: Any, flags: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Where constraints bind, bool arrays by the words for it: the one of the report, or those of `constraints`."""
    if economy.report.binding:
        return {"": getattr(policy, economy.report.binding) > 0}
    names = names_of(economy)
    return {"" if len(names) == 1 else f"{name} ": flags[name] for name in names}
