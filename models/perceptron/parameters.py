"""What a parameter file may say about learning a logic function of two bits."""

from __future__ import annotations

from typing import Literal

from deqn.project.schema import Section, setting


class LogicParameters(Section):
    """Parameters of a truth table, and of how perceptron and hand-written network learn it.

    repetitions: initial weights; the trained networks begin with those of the hand-written ones.
    """

    function: Literal["or", "xor"] = setting(source="Marsland (2014), sections 3.3 and 4.2")
    hidden: int = setting(3, unit="neurons", ge=1)
    repetitions: int = setting(20, unit="initial weights", ge=1)
    iterations: int = setting(5001, unit="passes of the hand-written ones, at most", ge=1)
    learning_rate: float = setting(0.25, unit="per update, of the hand-written ones", gt=0)
    momentum: float = setting(0.9, unit="share of the last change, of the hand-written network", ge=0, lt=1)
