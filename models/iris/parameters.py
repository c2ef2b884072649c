"""What a parameter file may say about telling the species of irises."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from deqn.project.schema import Section, setting


class IrisParameters(Section):
    """Parameters of the splits of the 150 flowers, and of how the hand-written network learns.

    split: shares of training, validation and test data, the species in equal shares in each.
    """

    splits: int = setting(10, unit="random splits", ge=1)
    split: tuple[float, float, float] = setting((0.5, 0.25, 0.25), unit="shares", source="Marsland (2014), 4.4.3")
    normalization: Literal["std", "var", "maxabs"] = setting("std", source="deqn.mlp.normalization")
    hidden: list[Annotated[int, pydantic.Field(ge=1)]] = setting([8], unit="neurons a layer, of the trained networks")
    activation: str = setting("swish", source="any Keras activation")
    by_hand_hidden: int = setting(5, unit="neurons", ge=1)
    by_hand_passes: int = setting(1000, unit="passes over the data", ge=1)
    learning_rate: float = setting(0.1, unit="per update, of the hand-written network", gt=0)
    momentum: float = setting(0.9, unit="share of the last change, of the hand-written network", ge=0, lt=1)

    @pydantic.field_validator("split")
    @classmethod
    def _shares_sum_to_one(cls, value: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(value) <= 0 or abs(sum(value) - 1) > 1e-9:
            raise ValueError(f"got {list(value)}, expected three numbers above 0 that sum to 1")
        return value
