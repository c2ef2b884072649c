"""Values of Keras variables and of a carry as named NumPy arrays, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from deqn.project.errors import UserError


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


def read_carry(carry: Any) -> dict[str, np.ndarray]:
    """The tensors of any nested structure under "carry/number"."""
    return {f"carry/{number}": np.asarray(tensor) for number, tensor in enumerate(tf.nest.flatten(carry))}


def carry_from(arrays: Mapping[str, np.ndarray], like: Any) -> Any:
    """What `read_carry` read, in the structure of `like`. Raises UserError if number or shapes differ from it."""
    tensors = tf.nest.flatten(like)
    count = sum(name.startswith("carry/") for name in arrays)
    given = [list(arrays[f"carry/{number}"].shape) for number in range(count)]
    expected = [list(tensor.shape) for tensor in tensors]
    if given != expected:
        raise UserError(
            f"the checkpoint carries tensors of shapes {given}, expected {expected}: it is of another problem or "
            "another number of tracks"
        )
    restored = [tf.constant(arrays[f"carry/{number}"], tensor.dtype) for number, tensor in enumerate(tensors)]
    return tf.nest.pack_sequence_as(like, restored)
