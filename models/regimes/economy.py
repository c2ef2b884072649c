"""Overlapping generations in closed form, and what its measured prices say about its regime; NumPy.

The economy is that of models/olg_analytic, solved by hand (Krueger & Kubler 2004): whatever shocks may come,

    a^h = beta (1 - beta^(N-h)) / (1 - beta^(N-h+1)) x^h,   x^1 = w,   x^h = r k^h
    r = alpha eta K^(alpha-1) + 1 - delta,   w = (1-alpha) eta K^alpha,   K = sum k^h

Measured are y = (ln r, ln w) plus independent normal noise; hidden are the regime z, that is (delta, eta), and capital.
"""

from __future__ import annotations

from typing import final

import numpy as np

from deqn.sequence.hmm import draw, forward
from deqn.sequence.particles import StateSpace

from .parameters import Parameters

REGIMES = 4
_BURN_IN = 60
_POOL = 5000  # draws from the long-run distribution of the state


@final
class Regimes(StateSpace):
    """The economy as a state space: a particle is (z, k^1, ..., k^N), an observation y of each path, [n, 2]."""

    def __init__(self, parameters: Parameters, generator: np.random.Generator) -> None:
        p = self.p = parameters
        N, beta, h = p.cohorts, p.discount_factor, np.arange(1, parameters.cohorts)
        self.saved = beta * (1 - beta ** (N - h)) / (1 - beta ** (N - h + 1))  # [N-1] shares of cash
        depreciation, tfp = (np.array([[stay, 1 - stay], [1 - stay, stay]]) for stay in p.stays)
        self.transition = np.kron(depreciation, tfp)  # symmetric: every regime is equally frequent
        self.delta, self.eta = np.repeat(p.depreciation, 2), np.tile(p.tfp, 2)
        self.noise = np.array(p.noise)
        start = np.concatenate([np.zeros((_POOL, 1)), np.full((_POOL, N), 0.01)], axis=1)
        start[:, 0], start[:, 1] = generator.integers(REGIMES, size=_POOL), 0.0
        self.pool = start
        for _ in range(_BURN_IN):
            self.pool = self.propagate(self.pool[None], None, generator)[0]

    def prices(self, particles: np.ndarray) -> np.ndarray:
        """Returns (r, w), [..., 2], of states [..., 1 + N]."""
        z, K, alpha = particles[..., 0].astype(int), particles[..., 1:].sum(axis=-1), self.p.capital_share
        Y = self.eta[z] * K**alpha
        return np.stack([alpha * Y / K + 1 - self.delta[z], (1 - alpha) * Y], axis=-1)

    def capital(self, particles: np.ndarray) -> np.ndarray:
        """Returns next period's k^1..k^N, [..., N]: nobody is born rich, the oldest leave nothing."""
        prices = self.prices(particles)
        x = np.concatenate([prices[..., 1:], prices[..., :1] * particles[..., 2:]], axis=-1)
        return np.concatenate([np.zeros_like(x[..., :1]), self.saved * x[..., :-1]], axis=-1)

    def first(self, shape: tuple[int, int], observation: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return self.pool[generator.integers(len(self.pool), size=shape)]

    def propagate(self, particles: np.ndarray, observation: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Draws the next period's regime from the chain; its capital follows from the closed form."""
        z = draw(self.transition[particles[..., 0].astype(int)], generator)
        return np.concatenate([z[..., None], self.capital(particles)], axis=-1)

    def log_weight(self, before: np.ndarray | None, particles: np.ndarray, observation: np.ndarray) -> np.ndarray:
        return self.log_density(observation[:, None], particles)

    def log_density(self, y: np.ndarray, particles: np.ndarray) -> np.ndarray:
        """Returns ln N(y; ln prices, noise), over the last axis."""
        scaled = (y - np.log(self.prices(particles))) / self.noise
        return -0.5 * (scaled**2).sum(axis=-1) - np.log(2 * np.pi * self.noise.prod())

    def sample(self, paths: int, periods: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draws regimes int [paths, periods] and measured prices y [paths, periods, 2]."""
        states = [self.first((paths, 1), np.empty(0), generator)]
        while len(states) < periods:
            states.append(self.propagate(states[-1], np.empty(0), generator))
        joined = np.concatenate(states, axis=1)
        noise = self.noise * generator.normal(size=(paths, periods, 2))
        return joined[..., 0].astype(int), np.log(self.prices(joined)) + noise

    def filter_by_history(self, y: np.ndarray, memory: int) -> np.ndarray:
        """Returns P(z_t | y_1..y_t), [n, T, 4], by the forward algorithm over the last `memory` regimes.

        Capital is what these regimes make of the long-run mean: exact but for what is older, of which little is left.
        """
        histories = np.indices((REGIMES,) * memory).reshape(memory, -1).T  # [4^memory, memory], the latest last
        count = len(histories)
        capital = np.broadcast_to(self.pool[:, 1:].mean(axis=0), (count, self.p.cohorts))
        for past in histories.T[:-1]:
            capital = self.capital(np.concatenate([past[:, None], capital], axis=1))
        states = np.concatenate([histories[:, -1:], capital], axis=1)
        transition, initial = np.zeros((count, count)), np.full(count, 1 / REGIMES)
        for step in range(1, memory):
            initial = initial * self.transition[histories[:, step - 1], histories[:, step]]
        for z in range(REGIMES):
            # History (a, b, .., c) is followed by (b, .., c, z).
            following = (np.arange(count) * REGIMES) % count + z
            transition[np.arange(count), following] = self.transition[histories[:, -1], z]
        log_density = self.log_density(np.moveaxis(y, 1, 0)[:, :, None], states)  # [T, n, count]
        likelihoods = np.exp(log_density - log_density.max(axis=2, keepdims=True))
        latest = np.eye(REGIMES)[histories[:, -1]]
        return np.stack([step.states @ latest for step in forward(initial, transition, likelihoods)], axis=1)
