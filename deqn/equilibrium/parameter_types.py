"""Types that schemas of economies share: a field of this type is checked as the file is read. No TensorFlow."""

from __future__ import annotations

from typing import Annotated

import pydantic


def _is_chain(value: list[list[float]]) -> list[list[float]]:
    from deqn.equilibrium.markov import check_chain  # only here: NumPy would slow down commands that need no chain

    try:
        check_chain(value)
    except ValueError as error:
        raise ValueError(str(error).removeprefix("transition: ")) from error
    return value


def _above_zero(value: list[float]) -> list[float]:
    if min(value, default=1.0) <= 0:
        raise ValueError(f"got {value}, expected numbers above 0")
    return value


def _between_zero_and_one(value: list[float]) -> list[float]:
    if min(value, default=0.0) < 0 or max(value, default=1.0) > 1:
        raise ValueError(f"got {value}, expected numbers from 0 to 1")
    return value


# A finite chain's probabilities, [S, S], rows = from, each summing to one: transition: TransitionMatrix = setting(...)
TransitionMatrix = Annotated[list[list[float]], pydantic.AfterValidator(_is_chain)]

# Numbers by shock or age: levels of productivity, rates of depreciation.
Positives = Annotated[list[float], pydantic.AfterValidator(_above_zero)]
Shares = Annotated[list[float], pydantic.AfterValidator(_between_zero_and_one)]
