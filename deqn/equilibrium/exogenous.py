"""Exogenous processes: what may happen next period, with which probability, and how to draw it."""

from __future__ import annotations

import collections
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from deqn.equilibrium import quadrature
from deqn.equilibrium.markov import check_chain, stationary_distribution


class Exogenous(Protocol):
    """An economy's exogenous process.

    discrete: the number of values that `state.shock` takes, or None for a continuous shock.
    """

    discrete: int | None

    def successors(self, state: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Values of the next shock, [J, batch] or [J, batch, d], and their weights [J, batch], which sum to one.

        What is the same for every state may have 1 in the place of batch. Of a process with a discrete part each row of
        `discrete` successive values has them all in order, and the rest of the shock is the same through a row.
        """

    def draw(self, state: Any, key: tf.Tensor) -> tf.Tensor:
        """One next shock for each state, [batch] or [batch, d]."""


class MarkovChain:
    """A finite chain; the state carries its index as `shock`, int32 [batch], counted from 0.

    transition: [S, S], rows = from, each summing to one. Raises ValueError otherwise.
    """

    def __init__(self, transition: Any) -> None:
        self.transition = check_chain(transition)
        self.discrete: int | None = len(self.transition)
        self.stationary = stationary_distribution(self.transition)

    def successors(self, state: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """All S values, with the row of the present shock as weights."""
        dtype = _floating_type(state)
        weights = tf.transpose(tf.gather(tf.constant(self.transition, dtype), state.shock))  # [S, batch]
        values = tf.tile(tf.range(len(self.transition), dtype=tf.int32)[:, None], [1, tf.shape(state.shock)[0]])
        return values, weights

    def draw(self, state: Any, key: tf.Tensor) -> tf.Tensor:
        """Inverts the cumulative probabilities of the present row: int32 [batch]."""
        uniform = tf.random.stateless_uniform(tf.shape(state.shock), key, dtype=tf.float64)
        return self.draw_from(state.shock, uniform)

    def draw_from(self, shock: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
        """The successor of `shock` at a draw `uniform` in [0, 1), float64 [batch]."""
        steps = tf.gather(tf.constant(np.cumsum(self.transition, axis=1)[:, :-1]), shock)  # [batch, S-1]
        return tf.reduce_sum(tf.cast(uniform[:, None] >= steps, tf.int32), axis=1)


class Gaussian:
    """Independent standard normal innovations, which `transition` receives as [batch, dimensions].

    rule: "gauss_hermite" (`nodes` in each dimension) or "monomial" (of degree 3 or 5; Stroud 1971).
    """

    def __init__(self, dimensions: int, rule: str = "gauss_hermite", nodes: int = 5, degree: int = 5) -> None:
        self.discrete: int | None = None
        self.dimensions = dimensions
        if rule == "gauss_hermite":
            self.nodes, self.weights = quadrature.gauss_hermite(nodes, dimensions)
        elif rule == "monomial":
            self.nodes, self.weights = quadrature.monomial(dimensions, degree)
        else:
            raise ValueError(f"rule: got {rule!r}, expected 'gauss_hermite' or 'monomial'")

    def successors(self, state: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """The nodes, the same for every state: [J, 1, d] and [J, 1]."""
        dtype = _floating_type(state)
        return tf.constant(self.nodes[:, None, :], dtype), tf.constant(self.weights[:, None], dtype)

    def draw(self, state: Any, key: tf.Tensor) -> tf.Tensor:
        """Standard normal [batch, dimensions]."""
        return tf.random.stateless_normal([tf.shape(state[0])[0], self.dimensions], key, dtype=_floating_type(state))


class Joint:
    """Independent parts that move together, by name: Joint(z=MarkovChain(P), e=Gaussian(2)).

    `transition` gets a NamedTuple of their shocks: shock.z, shock.e. At most one part is a chain, whose value the state
    carries as `shock`. E is over all pairs of a value of one part and a node of the other.
    """

    def __init__(self, **parts: Any) -> None:
        chains = [name for name, part in parts.items() if part.discrete]
        if not parts or len(chains) > 1:
            raise ValueError(
                f"Joint: got {'the chains ' + ' and '.join(chains) if chains else 'nothing'}, expected parts by name, "
                "at most one of them a chain; of two independent chains make one: MarkovChain(np.kron(P, Q))"
            )
        self.parts = {name: parts[name] for name in sorted(parts, key=lambda name: name not in chains)}
        self.chain: str | None = chains[0] if chains else None
        self.discrete: int | None = parts[chains[0]].discrete if chains else None
        self.type: Any = collections.namedtuple("Shock", list(parts))  # type: ignore[misc]

    @property
    def stationary(self) -> np.ndarray:
        """Of the chain."""
        return next(part.stationary for part in self.parts.values() if part.discrete)

    def with_chain(self, chain: MarkovChain) -> Joint:
        """The same with another chain."""
        return Joint(**{name: chain if name == self.chain else part for name, part in self.parts.items()})

    def successors(self, state: Any) -> tuple[Any, tf.Tensor]:
        """All pairs, the chain moving fastest."""
        values: dict[str, tf.Tensor] = {}
        weights = tf.ones([1, 1], _floating_type(state))
        for name, part in self.parts.items():
            own, weight = part.successors(state)
            before, count = weights.shape[0], weight.shape[0]
            values = {other: tf.tile(x, [count] + [1] * (len(x.shape) - 1)) for other, x in values.items()}
            values[name] = tf.repeat(own, before, axis=0)
            pairs = weight[:, None] * weights[None]  # [count, before, batch or 1]
            weights = tf.reshape(pairs, [count * before, -1])
        return self.type(**values), weights

    def draw(self, state: Any, key: tf.Tensor) -> Any:
        """Each part with a key of its own."""
        keys = {name: tf.random.experimental.stateless_fold_in(key, n) for n, name in enumerate(sorted(self.parts))}
        return self.type(**{name: part.draw(state, keys[name]) for name, part in self.parts.items()})


def shock_of(shocks: Any, number: int | tf.Tensor, rows: tf.Tensor) -> Any:
    """The shock of this number among successors [J, ...], for each of so many states."""

    def one(x: tf.Tensor) -> tf.Tensor:
        return tf.repeat(x[number], rows, axis=0) if x.shape[1] == 1 else x[number]

    return tf.nest.map_structure(one, shocks)


def _floating_type(state: Any) -> tf.DType:
    """The type of the state's real variables: float32 in training, float64 in evaluation."""
    return next(field.dtype for field in state if field.dtype.is_floating)
