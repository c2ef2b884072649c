"""Schema of the experiments on inference in hidden Markov models."""

from __future__ import annotations

from typing import Annotated

import pydantic

from deqn.project.schema import Section, setting

Size = Annotated[int, pydantic.Field(ge=1)]
States = Annotated[int, pydantic.Field(ge=2)]


class ModelSettings(Section):
    """A hidden Markov model of one's own; rows sum to one."""

    initial: list[float] = setting(unit="probability of each hidden state", min_length=2)
    transition: list[list[float]] = setting(unit="probability of the next state, a row for each state")
    emission: list[list[float]] = setting(unit="probability of each symbol, a row for each state")


class Parameters(Section):
    """Parameters of models, data and networks as in Choe, Shin and Spencer (2017), section 4.

    Every number of hidden states has a model of its own, with one network for each entry of `hidden`; of several
    starts the one with the least validation loss counts, for a network of one unit has poor local optima.
    """

    states: list[States] = setting(min_length=1, unit="hidden states m", source="figures 5 to 7")
    symbols: int = setting(unit="observable symbols K", ge=2, source="figures 5 and 7")
    model: ModelSettings | None = setting(None, source="one's own instead of one drawn at random; of as many states")
    hidden: list[Size] = setting(min_length=1, unit="recurrent units k of each network")
    starts: int = setting(1, unit="initial weights from which each network is trained; the best is reported", ge=1)
    particles: list[Size] = setting([], unit="particles of each filter beside the networks", source="figure 7")
    periods: int = setting(8, unit="observations of a path", ge=1, source="section 4.1")
    paths: int = setting(20_000, unit="paths to train on", ge=1, source="section 4")
    tests: int = setting(2000, unit="paths to test on, and as many to validate on (100 in the paper)", ge=1)
    batch: int = setting(100, unit="paths in an update", ge=1)
    least_share: float = setting(
        0.0, ge=0, lt=0.5, unit="share of periods in which the filter predicts each state; else another model is drawn"
    )
