"""What is done in an impulse response: one part of a period's shock is set, whatever it would have been."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium.economy import Economy
from deqn.equilibrium.exogenous import Joint
from deqn.project.errors import UserError


class Intervention(NamedTuple):
    """do(z = value) of a chain, or do(e_j = value) of one of several normal innovations.

    name: as it is typed: the number of a chain's value, from 1; of an innovation its number, or in a `Joint` the name
    of its part, with its number if the part has several: "e", "e.2". part: of a `Joint`, else None. component: of
    innovations, from 0; None for a chain. value: of a chain, from 0; of an innovation, in standard deviations.
    """

    name: str
    part: str | None
    component: int | None
    value: float

    def of(self, shock: Any) -> tf.Tensor:
        """The part of a shock that this sets, [batch] or [batch, d]."""
        return shock if self.part is None else getattr(shock, self.part)

    def done(self, shock: Any) -> Any:
        """The shock [batch, ...] with this part of it set."""
        drawn = self.of(shock)
        if self.component is None:
            imposed = tf.fill(tf.shape(drawn), tf.cast(self.value, drawn.dtype))
        else:
            here = tf.one_hot(self.component, drawn.shape[1], dtype=drawn.dtype)  # [d]
            imposed = drawn * (1 - here) + self.value * here
        return imposed if self.part is None else shock._replace(**{self.part: imposed})


def interventions_of(economy: Economy, asked: Sequence[str] = (), size: float = 1.0) -> list[Intervention]:
    """What is asked for by name; by default every value of a chain, else every innovation.

    size: of innovations, in standard deviations. Raises UserError for a name that the economy does not have.
    """
    known = {each.name: each for each in (*values_of_chain(economy), *_innovations(economy, size))}
    for name in asked:
        if name not in known:
            raise UserError(f"--shock {name}: no such shock; expected one of {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(asked)] or values_of_chain(economy) or list(known.values())


def values_of_chain(economy: Economy) -> list[Intervention]:
    """One for each value of the economy's discrete shock."""
    part = economy.shocks.chain if isinstance(economy.shocks, Joint) else None
    return [Intervention(str(z + 1), part, None, z) for z in range(economy.shocks.discrete or 0)]


def _innovations(economy: Economy, size: float) -> list[Intervention]:
    state = economy.tensors(economy.initial_states(1, np.random.default_rng(0)))
    example = economy.shocks.draw(state, tf.zeros([2], tf.int32))
    parts = example._asdict() if isinstance(economy.shocks, Joint) else {None: example}
    found = []
    for part, drawn in parts.items():
        count = 0 if drawn.dtype.is_integer else drawn.shape[1]
        for j in range(count):
            words = [part or "", str(j + 1)] if part is None or count > 1 else [part]
            found.append(Intervention(".".join(filter(None, words)), part, j, size))
    return found
