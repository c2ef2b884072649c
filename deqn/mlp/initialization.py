"""What the weights of a layer are before training: NumPy arrays [inputs, outputs].

    normal   N(0, sd^2)
    glorot   uniform with variance 2/(inputs + outputs), for tanh and the like      (Glorot & Bengio 2010, eq. 16)
    he       normal with variance 2/inputs, for relu                                (He et al. 2015, eq. 10)

With the right one the signal neither dies nor explodes on its way through many layers. The networks of
deqn.mlp.networks have Keras's of the same names.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from deqn.mlp.checks import above_zero, one_of


def normal(inputs: int, outputs: int, generator: np.random.Generator, sd: float = 1.0) -> np.ndarray:
    """N(0, sd^2). Raises ValueError unless sd is above 0."""
    return generator.normal(0.0, above_zero(sd, "sd"), size=(inputs, outputs))


def glorot(inputs: int, outputs: int, generator: np.random.Generator) -> np.ndarray:
    """Uniform on +-sqrt(6/(inputs + outputs))."""
    limit = np.sqrt(6 / (inputs + outputs))
    return generator.uniform(-limit, limit, size=(inputs, outputs))


def he(inputs: int, outputs: int, generator: np.random.Generator) -> np.ndarray:
    """N(0, 2/inputs)."""
    return generator.normal(0.0, np.sqrt(2 / inputs), size=(inputs, outputs))


INITIALIZATIONS: dict[str, Callable[[int, int, np.random.Generator], np.ndarray]] = {
    "normal": normal,
    "glorot": glorot,
    "he": he,
}


def initial(name: str, inputs: int, outputs: int, generator: np.random.Generator) -> np.ndarray:
    """By its name. Raises ValueError, listing the names, if there is none."""
    return INITIALIZATIONS[one_of(name, INITIALIZATIONS, "initialization")](inputs, outputs, generator)
