"""What a parameter file may say about approximating one of Genz's functions."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from deqn.project.schema import Section, setting

Count = Annotated[int, pydantic.Field(ge=1)]


class ApproximationParameters(Section):
    """The exercise of the lecture: functions of d inputs are learned from N points and tested on others.

    repetitions: functions (c and w), points and initial weights drawn anew; tables show medians over them.
    """

    function: Literal["oscillatory", "product_peak", "corner_peak", "gaussian", "continuous", "discontinuous"] = (
        setting(source="Genz (1987); the lecture's f_1 to f_6")
    )
    dimensions: list[Count] = setting([2, 5, 10], unit="inputs", min_length=1)
    points: list[Count] = setting([10, 50, 100, 500], unit="training points", min_length=1)
    test_points: int = setting(1000, unit="points", ge=1)
    repetitions: int = setting(5, unit="draws", ge=1)
    hidden: list[Count] = setting([32, 32], unit="neurons a layer")
    activation: str = setting("swish", source="any Keras activation; the lecture's advice")
    minibatch: int = setting(100, unit="points an update sees, at most", ge=1)
    by_hand: int = setting(1, unit="repetitions on which the hand-written network learns, too", ge=0)
    by_hand_updates: int = setting(3000, unit="updates", ge=1)
