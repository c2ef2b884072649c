"""Types that schemas of economies share: a field of this type is checked as the file is read. No TensorFlow."""

from __future__ import annotations

from typing import Annotated

import pydantic

from deqn.equilibrium.markov import check_chain


def _is_chain(value: list[list[float]]) -> list[list[float]]:
    try:
        check_chain(value)
    except ValueError as error:
        raise ValueError(str(error).removeprefix("transition: ")) from error
    return value


# A finite chain's probabilities, [S, S], rows = from, each summing to one: transition: TransitionMatrix = setting(...)
TransitionMatrix = Annotated[list[list[float]], pydantic.AfterValidator(_is_chain)]
