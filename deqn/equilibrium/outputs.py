"""What an economy takes from its network: so many numbers, or groups of them by name."""

from __future__ import annotations

import collections
import keyword
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from deqn.project.errors import UserError

Declared = int | Mapping[str, int | tuple[int, ...]]


class Outputs:
    """The network's numbers [batch, width] as `policy` takes them.

    declared: a number of outputs, which `policy` takes as they are, [batch, width]; or sizes by name, such as
    {"bonds": N, "price": 1}, and it takes output.bonds [batch, N] and output.price [batch]. A size may be a tuple:
    (N,) is [batch, N] for N = 1 too, (N, M) is [batch, N, M].
    agents: the shape of the agents that one network serves, () if it sees the whole state; they come after the batch:
    [batch, agents, N].
    """

    def __init__(self, declared: Declared, agents: tuple[int, ...] = ()) -> None:
        groups = declared if isinstance(declared, Mapping) else {"": (declared,)}
        self.agents = agents
        self.shapes = {name: _shape(size) for name, size in groups.items()}
        self.sizes = [math.prod(shape) for shape in self.shapes.values()]
        self.each = sum(self.sizes)  # numbers of one agent
        self.width = self.each * math.prod(agents)
        named = isinstance(declared, Mapping)
        self.type: Any = collections.namedtuple("Outputs", list(self.shapes)) if named else None  # type: ignore[misc]

    def grouped(self, output: tf.Tensor) -> Any:
        """[batch, width] as `policy` takes it."""
        if self.agents:
            output = tf.reshape(output, [-1, *self.agents, self.each])
        if self.type is None:
            return output
        groups = tf.split(output, self.sizes, axis=-1)
        return self.type(*(
            tf.reshape(group, [-1, *self.agents, *shape])
            for group, shape in zip(groups, self.shapes.values(), strict=True)
        ))  # fmt: skip

    def flat(self, groups: Any) -> tf.Tensor:
        """What `grouped` gives as one tensor again, [batch, width]."""
        if self.type is not None:
            each = [tf.reshape(x, [-1, *self.agents, n]) for x, n in zip(groups, self.sizes, strict=True)]
            groups = tf.concat(each, axis=-1)
        return tf.reshape(groups, [-1, self.width]) if self.agents else groups

    def name_of(self, number: int) -> str:
        """What the output of this number, from 0, is called: "output 3" or "output.bonds[2]"."""
        number %= self.each  # all agents have the same
        if self.type is None:
            return f"output {number} (from 0)"
        for (name, shape), size in zip(self.shapes.items(), self.sizes, strict=True):
            if number < size:
                return f"output.{name}" + str([int(i) for i in np.unravel_index(number, shape)] if shape else "")
            number -= size
        raise IndexError(number)


def check_outputs(economy: str, declared: Any) -> None:
    """Raises UserError unless these are outputs of an economy of this name."""
    if isinstance(declared, Mapping) and declared:
        for name, size in declared.items():
            if not str(name).isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
                raise UserError(f"{economy}: outputs has {name!r}, expected a name as of a variable, such as 'price'")
            if not _is_size(size):
                raise UserError(
                    f"{economy}: outputs[{name!r}] is {size!r}, expected how many numbers `policy` takes, such as 1 "
                    "for [batch], N for [batch, N], (N, M) for [batch, N, M]"
                )
    elif not _is_size(declared) or isinstance(declared, tuple):
        raise UserError(
            f"{economy}: outputs is {declared}, expected a whole number at least 1; write self.outputs = 1 into "
            "__init__ if `policy` takes one number from the network, or {'price': 1} to take it by its name"
        )


def _shape(size: int | tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(size, tuple):
        return tuple(map(int, size))
    return () if size == 1 else (int(size),)


def _is_size(size: Any) -> bool:
    sizes = size if isinstance(size, tuple) else (size,)
    return bool(sizes) and all(isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= 1 for n in sizes)
