"""Inputs brought to one scale by statistics of the training set alone."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from deqn.mlp.checks import matrix, one_of

_SCALES = {
    "std": lambda x: x.std(axis=0),
    "var": lambda x: x.var(axis=0),
    "maxabs": lambda x: np.abs(x - x.mean(axis=0)).max(axis=0),
}


class Normalization(NamedTuple):
    """The map x -> (x - mean) / scale; both are [columns]."""

    mean: np.ndarray
    scale: np.ndarray

    def __call__(self, x: Any) -> np.ndarray:
        """Normalises any data [n, columns], validation and test sets too. Raises ValueError as `matrix`."""
        return (matrix(x, "x", columns=len(self.mean)) - self.mean) / self.scale


def normalization_of(training: Any, how: str = "std") -> Normalization:
    """Returns the normalization by statistics of the training set [n, columns].

    how: what is divided by: std, the standard deviation; var, the variance, as the lecture's recipe says (its units
    are then those of 1/x); maxabs, the larger of the maximum and minus the minimum of what is left after the mean is
    taken out. Raises ValueError: unknown `how`; a column that does not vary, by its number from 0.
    """
    x = matrix(training, "training")
    scale = _SCALES[one_of(how, _SCALES, "how")](x)
    # The mean of a constant is rounded: what remains of it is not variation.
    flat = np.ptp(x, axis=0) == 0
    if flat.any():
        column = int(np.argmax(flat))
        raise ValueError(f"training: got column {column} with the same value {x[0, column]:g} in all rows, expected it "
                         "to vary; leave it out")  # fmt: skip
    return Normalization(x.mean(axis=0), scale)
