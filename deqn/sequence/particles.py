r"""Particle filters, plain NumPy, as an iterator over observations.

M particles stand for P(H_t | x_1..x_t). Each step propagates them from a proposal q, weights them, and estimates before
it resamples, for resampling only adds noise to the estimate of this period:

    H_t^i ~ q(. | H_{t-1}^i, x_t),   w_t^i = p(x_t | H_t^i) p(H_t^i | H_{t-1}^i) / q(H_t^i | H_{t-1}^i, x_t)
    p(x_t | x_1..x_{t-1}) ~ sum_i W_{t-1}^i w_t^i,   E[p_hat(x_1..x_T)] = p(x_1..x_T) for every M

(Choe, Shin and Spencer 2017, section 2.3 print the weight as P(H_t | x_t, H_{t-1}) / q, which lacks the factor
p(x_t | H_{t-1}).) With q = p(H_t | H_{t-1}) this is the bootstrap filter, and w_t^i = p(x_t | H_t^i).
"""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, final

import numpy as np

from deqn.sequence.hmm import HMM, draw
from deqn.sequence.kalman import LinearGaussian

Resampling = Literal["multinomial", "systematic"]


class StateSpace(abc.ABC):
    """What a particle filter needs of a model. Particles of n paths stand in arrays [n, M, ...]."""

    @abc.abstractmethod
    def first(self, shape: tuple[int, int], observation: Any, generator: np.random.Generator) -> np.ndarray:
        """Draws particles [n, M, ...] from p(H_1), or from q(. | x_1) if `log_weight` takes that into account."""

    @abc.abstractmethod
    def propagate(self, particles: np.ndarray, observation: Any, generator: np.random.Generator) -> np.ndarray:
        """Draws the particles of the next period, from p(H_t | H_{t-1}) or from q."""

    @abc.abstractmethod
    def log_weight(self, before: np.ndarray | None, particles: np.ndarray, observation: Any) -> np.ndarray:
        """Returns ln w_t [n, M]; `before` is None in the first period."""


@final
class HMMParticles(StateSpace):
    """An HMM with the bootstrap proposal; an observation is a symbol for each path, [n]."""

    def __init__(self, hmm: HMM) -> None:
        self.hmm = hmm
        with np.errstate(divide="ignore"):
            self.log_emission = np.log(hmm.emission)

    def first(self, shape: tuple[int, int], observation: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return draw(np.broadcast_to(self.hmm.initial, (*shape, self.hmm.states)), generator)

    def propagate(self, particles: np.ndarray, observation: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return draw(self.hmm.transition[particles], generator)

    def log_weight(self, before: np.ndarray | None, particles: np.ndarray, observation: np.ndarray) -> np.ndarray:
        return self.log_emission[particles, observation[:, None]]

    def rao_blackwell(self, before: Particles | None, observation: np.ndarray) -> np.ndarray:
        """Estimates P(H_t = i | x_1..x_t), [n, states], with H_t summed out instead of drawn.

        before: the filter at t - 1, None in the first period. The mean of what `Particles.shares` estimates at t, given
        the particles of t - 1: no more variance for the same particles (Rao and Blackwell), exact in the first period.
        """
        predicted = self.hmm.initial if before is None else before.shares(self.hmm.states) @ self.hmm.transition
        joint = predicted * self.hmm.emission.T[observation]
        return joint / joint.sum(axis=1, keepdims=True)


@final
class LinearGaussianParticles(StateSpace):
    """A linear Gaussian state space with the bootstrap proposal; an observation is [n, k], a particle [d]."""

    def __init__(self, system: LinearGaussian) -> None:
        self.system = system
        self.precision = np.linalg.inv(system.observation_noise)
        self.log_constant = -0.5 * np.linalg.slogdet(2 * np.pi * system.observation_noise)[1]

    def first(self, shape: tuple[int, int], observation: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return generator.multivariate_normal(self.system.initial_mean, self.system.initial_covariance, size=shape)

    def propagate(self, particles: np.ndarray, observation: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        zero, Q = np.zeros(particles.shape[-1]), self.system.state_noise
        return particles @ self.system.transition.T + generator.multivariate_normal(zero, Q, size=particles.shape[:2])

    def log_weight(self, before: np.ndarray | None, particles: np.ndarray, observation: np.ndarray) -> np.ndarray:
        error = observation[:, None] - particles @ self.system.observation.T
        return self.log_constant - 0.5 * np.einsum("nmi,ij,nmj->nm", error, self.precision, error)


class Particles(NamedTuple):
    """The filter after one more observation, before resampling.

    particles: [n, M, ...]. weights: [n, M], summing to 1. ess: [n] effective number of particles 1 / sum W^2.
    log_norm: [n], ln of the estimate of p(x_t | x_1..x_{t-1}). ancestors: [n, M], the particle of the period before
    from which each one descends.
    """

    particles: np.ndarray
    weights: np.ndarray
    ess: np.ndarray
    log_norm: np.ndarray
    ancestors: np.ndarray

    def mean(self, values: np.ndarray | None = None) -> np.ndarray:
        """Estimates E[f(H_t) | x_1..x_t]; values: f of each particle, [n, M, ...], by default the particle itself."""
        return np.einsum("nm,nm...->n...", self.weights, self.particles if values is None else values)

    def shares(self, states: int) -> np.ndarray:
        """Estimates P(H_t = i | x_1..x_t) of discrete particles, [n, states]."""
        return self.mean(np.eye(states)[self.particles])


def particle_filter(
    space: StateSpace,
    observations: np.ndarray,
    particles: int,
    generator: np.random.Generator,
    resampling: Resampling = "systematic",
    threshold: float = 1.0,
) -> Iterator[Particles]:
    """Runs the filter, one step for each observation.

    observations: [n, T, ...], of n paths. particles: M. resampling: how ancestors are drawn.
    threshold: a path is resampled where ess <= threshold M; 1 resamples always, 0 never.
    Raises ValueError: M below 1, an unknown scheme, a threshold outside [0, 1], and at t where all weights are 0.
    """
    if particles < 1:
        raise ValueError(f"particles: got {particles}, expected 1 or more")
    if resampling not in ("multinomial", "systematic"):
        raise ValueError(f"resampling: got {resampling!r}, expected 'multinomial' or 'systematic'")
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold: got {threshold}, expected a share of the particles from 0 to 1")
    n = len(observations)
    own = np.broadcast_to(np.arange(particles), (n, particles))
    log_weights = np.full((n, particles), -np.log(particles))
    ancestors, before, current = own, None, None
    for t in range(observations.shape[1]):
        x = observations[:, t]
        before = current
        current = space.first((n, particles), x, generator) if before is None else space.propagate(before, x, generator)
        log_weights = log_weights + space.log_weight(before, current, x)
        top = log_weights.max(axis=1, keepdims=True)
        if not np.isfinite(top).all():
            path = int(np.argmax(~np.isfinite(top[:, 0])))
            raise ValueError(
                f"observations: at t = {t} no particle of path {path} has a weight above 0, expected an observation "
                f"that one of the {particles} particles can produce"
            )
        weights = np.exp(log_weights - top)
        total = weights.sum(axis=1)
        weights /= total[:, None]
        log_norm = top[:, 0] + np.log(total)
        ess = 1 / (weights**2).sum(axis=1)
        yield Particles(current, weights, ess, log_norm, ancestors)
        with np.errstate(divide="ignore"):
            log_weights = np.log(weights)
        due = ess <= threshold * particles * (1 + 1e-12)
        drawn = resample(weights, generator, resampling)
        ancestors = np.where(due[:, None], drawn, own)
        log_weights = np.where(due[:, None], -np.log(particles), log_weights)
        current = np.take_along_axis(current, ancestors.reshape(n, particles, *[1] * (current.ndim - 2)), axis=1)


def resample(weights: np.ndarray, generator: np.random.Generator, scheme: Resampling) -> np.ndarray:
    """Draws ancestors, int [n, M], from weights [n, M].

    multinomial: independent. systematic: at u + 0, u + 1, ..., of M, with one u for each path (Kitagawa 1996), so that
    particle i has floor(M W_i) or one more descendants.
    """
    n, m = weights.shape
    if scheme == "multinomial":
        positions = np.sort(generator.random((n, m)), axis=1)
    else:
        positions = (np.arange(m) + generator.random((n, 1))) / m
    cumulative = np.cumsum(weights, axis=1)
    cumulative /= cumulative[:, -1:]
    # The paths' distributions end to end on one axis, so that a single search serves all.
    offset = np.arange(n)[:, None]
    found = np.searchsorted((cumulative + offset).ravel(), (positions + offset).ravel(), side="right").reshape(n, m)
    return np.minimum(found - m * offset, m - 1)
