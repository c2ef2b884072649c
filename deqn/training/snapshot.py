"""Values of Keras variables as named NumPy arrays, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deqn.training.errors import UserError


def read(groups: Mapping[str, Sequence[Any]]) -> dict[str, np.ndarray]:
    """Each variable's value under "group/number", copied."""
    return {
        f"{group}/{number:03d}": np.array(variable)
        for group, variables in groups.items()
        for number, variable in enumerate(variables)
    }


def assign(groups: Mapping[str, Sequence[Any]], arrays: Mapping[str, np.ndarray]) -> None:
    """Sets the variables from what `read` gave; nothing is changed unless every name and shape fits.

    Raises UserError: the arrays are of another economy or network.
    """
    pairs = []
    for group, variables in groups.items():
        given = sum(name.startswith(f"{group}/") for name in arrays)
        if given != len(variables):
            raise UserError(
                f"the checkpoint holds {given} arrays of {group}, expected {len(variables)}: it is of another economy, "
                "network or optimiser"
            )
        for number, variable in enumerate(variables):
            value = arrays[f"{group}/{number:03d}"]
            if tuple(value.shape) != tuple(variable.shape):
                raise UserError(
                    f"the checkpoint's {group}/{number:03d} has shape {list(value.shape)}, expected "
                    f"{list(variable.shape)}: it is of another economy or network"
                )
            pairs.append((variable, value))
    for variable, value in pairs:
        variable.assign(value)
