"""What a parity experiment can vary."""

from typing import Annotated, Literal

from pydantic import Field

from deqn.project.schema import Section, setting


class ParityParameters(Section):
    """The task: after each of a string of random digits 0 and 1, say whether the number of ones so far is even."""

    cells: list[Literal["rnn", "lstm", "gru"]] = setting(["lstm", "rnn", "gru"], source="the networks, one for each")
    units: int = setting(8, unit="units of each cell", ge=1)
    window: int = setting(5, unit="last digits that the multilayer perceptron sees", ge=1)
    hidden: list[Annotated[int, Field(ge=1)]] = setting([32], unit="units by layer of the perceptron", min_length=1)
    strings: int = setting(20_000, unit="strings to train on", ge=1)
    digits: int = setting(12, unit="digits of each", ge=1)
    batch: int = setting(100, unit="strings an update", ge=1)
    test_strings: int = setting(2000, unit="fresh strings of each length", ge=1)
    test_digits: list[Annotated[int, Field(ge=1)]] = setting([12, 50, 200], unit="digits", min_length=1)
