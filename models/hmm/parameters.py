"""Schema of the experiments on inference in hidden Markov models."""

from __future__ import annotations

from typing import Annotated, Literal

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
    starts: Size | list[Size] = setting(
        1, unit="initial weights from which each network is trained, or a list, one for each entry of `hidden`"
    )
    particles: list[Size] = setting([], unit="particles of each filter beside the networks", source="figure 7")
    periods: int = setting(8, unit="observations of a path", ge=1, source="section 4.1")
    paths: Size | list[Size] = setting(
        20_000, unit="paths to train on; of several numbers each has networks of its own", source="section 4"
    )
    tests: int = setting(2000, unit="paths to test on, and as many to validate on (100 in the paper)", ge=1)
    batch: int = setting(100, unit="paths in an update", ge=1)
    least_share: float = setting(
        0.0, ge=0, lt=0.5, unit="share of periods in which the filter predicts each state; else another model is drawn"
    )

    @pydantic.model_validator(mode="after")
    def _starts_fit(self) -> Parameters:
        if isinstance(self.starts, list) and len(self.starts) != len(self.hidden):
            raise ValueError(f"starts: got {len(self.starts)} numbers, expected {len(self.hidden)}, as many as hidden")
        return self

    def sizes_of_data(self) -> list[int]:
        """Returns the numbers of paths, ascending."""
        return sorted(set(self.paths)) if isinstance(self.paths, list) else [self.paths]

    def starts_of(self, units: int) -> int:
        """Returns the number of initial weights of the network with so many units."""
        return self.starts[self.hidden.index(units)] if isinstance(self.starts, list) else self.starts


class NextSymbolParameters(Section):
    """A model whose states stay and whose symbols tell them apart; a network of units `hidden` sees its symbols alone.

    Flat Dirichlet distributions would leave nothing to learn: the exact prediction is then only .003 to .008 nats
    better than one from the last symbol.
    """

    states: int = setting(5, unit="hidden states m", ge=2)
    symbols: int = setting(10, unit="observable symbols K", ge=2)
    stay: float = setting(8.0, unit="Dirichlet parameter of a state's next being itself", gt=0)
    move: float = setting(0.5, unit="Dirichlet parameter of each other next state", gt=0)
    emission: float = setting(0.5, unit="Dirichlet parameter of a state's symbols: small, they tell much", gt=0)
    periods: int = setting(20, unit="symbols of a path", ge=3)
    paths: int = setting(20_000, unit="paths to train on", ge=1)
    tests: int = setting(5000, unit="paths to test on, and as many to validate on", ge=1)
    cell: Literal["rnn", "lstm", "gru"] = setting("gru")
    hidden: Size = setting(32, unit="units k")
    embedding: Size = setting(8, unit="numbers for each symbol")
    batch: int = setting(100, unit="paths in an update", ge=1)
