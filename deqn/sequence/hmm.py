r"""Hidden Markov models: simulation and the forward algorithm, exact, in plain NumPy.

    P(H_1 = i) = pi_i,   P(H_{t+1} = j | H_t = i) = A_ij,   P(X_t = x | H_t = i) = B_ix

The forward algorithm (Choe, Shin and Spencer 2017, section 3.2) carries the joint probability of state and past; here
it is normalised at every step, so that a path of any length neither underflows nor needs logarithms:

    w_1 = pi ∘ B[:, x_1],   w_{t+1} = (A' f_t) ∘ B[:, x_{t+1}],   f_t = w_t / sum(w_t),   ln p(x_1..x_t) = sum ln sum(w)

f_t is P(H_t | x_1..x_t), the *filter*: what is known at t. (Libraries' posterior probabilities are smoothed instead:
they look ahead.) States and symbols count from 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
from numpy.typing import ArrayLike

ROW_SUM_TOLERANCE = 1e-8


class Filtered(NamedTuple):
    """The results of the forward algorithm on n paths.

    states: [n, T, m] P(H_t | x_1..x_t). predictions: [n, T, K] P(X_{t+1} | x_1..x_t). log_likelihood: [n].
    """

    states: np.ndarray
    predictions: np.ndarray
    log_likelihood: np.ndarray


class Forward(NamedTuple):
    """The forward algorithm after one more observation: states [n, m], log_norm [n] = ln P(x_t | x_1..x_{t-1})."""

    states: np.ndarray
    log_norm: np.ndarray


@final
@dataclass(frozen=True)
class HMM:
    """A hidden Markov model. initial: pi [m]. transition: A [m, m], rows = from. emission: B [m, K], rows = state.

    Raises ValueError if a row is no probability distribution (sums to 1 within 1e-8) or shapes do not fit.
    """

    initial: np.ndarray
    transition: np.ndarray
    emission: np.ndarray

    def __post_init__(self) -> None:
        for name, dimensions in {"initial": 1, "transition": 2, "emission": 2}.items():
            object.__setattr__(self, name, probabilities(name, getattr(self, name), dimensions))
        m, shape = self.states, self.transition.shape
        if shape != (m, m):
            raise ValueError(f"transition: shape is {shape}, expected {(m, m)}, as initial has {m} states")
        if len(self.emission) != m:
            raise ValueError(f"emission: {len(self.emission)} rows, expected {m}, one a state")

    @property
    def states(self) -> int:
        return len(self.initial)

    @property
    def symbols(self) -> int:
        return self.emission.shape[1]

    def sample(self, paths: int, periods: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draws hidden states and observations, two int arrays [paths, periods]."""
        hidden = np.empty((paths, periods), np.int64)
        hidden[:, 0] = draw(np.broadcast_to(self.initial, (paths, self.states)), generator)
        for t in range(1, periods):
            hidden[:, t] = draw(self.transition[hidden[:, t - 1]], generator)
        return hidden, draw(self.emission[hidden], generator)

    def check(self, observations: ArrayLike) -> np.ndarray:
        """Returns observations as int [n, T]. Raises ValueError: not of two dimensions, not whole, outside 0..K-1."""
        x = np.asarray(observations)
        if x.ndim != 2 or x.size == 0:
            raise ValueError(f"observations: shape is {x.shape}, expected [paths, periods]")
        if not np.issubdtype(x.dtype, np.integer):
            raise ValueError(f"observations: type is {x.dtype}, expected whole numbers from 0 to {self.symbols - 1}")
        outside = (x < 0) | (x >= self.symbols)
        if outside.any():
            path, t = np.argwhere(outside)[0]
            raise ValueError(
                f"observations: {x[path, t]} in path {path} at t = {t}, expected symbols from 0 to {self.symbols - 1}"
            )
        return x

    def forward(self, observations: ArrayLike) -> Iterator[Forward]:
        """Runs the forward algorithm, one step for each column of `observations` [n, T]."""
        x = self.check(observations)
        # [T, n, m]: what each observation says of each state
        yield from forward(self.initial, self.transition, np.moveaxis(self.emission.T[x], 1, 0))

    def filter(self, observations: ArrayLike) -> Filtered:
        """Returns filter, predictions and log-likelihood of n paths of T observations."""
        steps = list(self.forward(observations))
        states = np.stack([step.states for step in steps], axis=1)
        predictions = states @ self.transition @ self.emission
        return Filtered(states, predictions, np.sum([step.log_norm for step in steps], axis=0))


def forward(initial: np.ndarray, transition: np.ndarray, likelihoods: np.ndarray) -> Iterator[Forward]:
    """Runs the forward algorithm for any observations, of which only p(x_t | H_t = i) matters.

    likelihoods: [T, n, m], at least 0. Raises ValueError naming t where an observation is impossible: all are 0.
    """
    predicted = np.broadcast_to(initial, likelihoods[0].shape)
    for t, likelihood in enumerate(likelihoods):
        weights = predicted * likelihood
        norm = weights.sum(axis=1)
        impossible = ~(norm > 0)
        if impossible.any():
            raise ValueError(
                f"observations: the one at t = {t} of path {int(np.argmax(impossible))} has probability 0 given those "
                "before it, expected one that the model can produce"
            )
        states = weights / norm[:, None]
        yield Forward(states, np.log(norm))
        predicted = states @ transition


def random_hmm(states: int, symbols: int, generator: np.random.Generator) -> HMM:
    """Draws every distribution from the Dirichlet(1, ..., 1), as Choe, Shin and Spencer (2017), section 4.1."""
    return HMM(
        generator.dirichlet(np.ones(states)),
        generator.dirichlet(np.ones(states), size=states),
        generator.dirichlet(np.ones(symbols), size=states),
    )


def draw(distributions: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draws one index from each distribution [..., m]: int [...]. An entry of probability 0 is never drawn."""
    cumulative = np.cumsum(distributions, axis=-1)
    uniform = generator.random(distributions.shape[:-1]) * cumulative[..., -1]
    return (cumulative <= uniform[..., None]).sum(axis=-1)


def probabilities(name: str, value: ArrayLike, dimensions: int) -> np.ndarray:
    """Returns distributions as a float64 array whose rows sum to 1. Raises ValueError naming the row."""
    p = np.asarray(value, np.float64)
    if p.ndim != dimensions or p.size == 0:
        raise ValueError(f"{name}: shape is {p.shape}, expected {dimensions} dimension{'s' * (dimensions > 1)}")
    for number, row in enumerate(np.atleast_2d(p)):
        where = name if dimensions == 1 else f"{name}: row {number}"
        if not np.isfinite(row).all() or row.min() < 0:
            raise ValueError(f"{where} holds {row[~(row >= 0) | ~np.isfinite(row)][0]:g}, expected probabilities >= 0")
        if abs(row.sum() - 1) > ROW_SUM_TOLERANCE:
            raise ValueError(f"{where} sums to {row.sum():.10g}, expected 1")
    return p
