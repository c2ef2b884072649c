r"""The Kalman filter of a linear state space with Gaussian noise, exact, in plain NumPy.

    h_1 ~ N(m_1, P_1),   h_t = F h_{t-1} + N(0, Q),   x_t = G h_t + N(0, R)

(Kalman 1960; the notation is Durbin and Koopman 2012, chapter 4, with h for the state.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
from numpy.typing import ArrayLike

_ROUNDING = 1e-10  # of the largest eigenvalue: g g' has eigenvalues of about -1e-17 where they are 0


class Kalman(NamedTuple):
    """The filter of n paths after one more observation.

    mean: [n, d] E[h_t | x_1..x_t]. covariance: [d, d], the same for all paths; [n, d, d] where something is missing.
    log_norm: [n] ln p(x_t | x_1..x_{t-1}), of what is observed.
    """

    mean: np.ndarray
    covariance: np.ndarray
    log_norm: np.ndarray


@final
@dataclass(frozen=True)
class LinearGaussian:
    """initial_mean [d], initial_covariance [d, d], transition F [d, d], state_noise Q [d, d], observation G [k, d],
    observation_noise R [k, k].

    Covariances may be singular, as Q = g g' of an economy with fewer shocks than states; R must not be.
    Raises ValueError: shapes that do not fit, a covariance that is not symmetric or has a negative eigenvalue, an R
    that is singular. Eigenvalues below 1e-10 of the largest count as rounding errors about 0.
    """

    initial_mean: np.ndarray
    initial_covariance: np.ndarray
    transition: np.ndarray
    state_noise: np.ndarray
    observation: np.ndarray
    observation_noise: np.ndarray

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.float64))
        d, k = len(np.atleast_1d(self.initial_mean)), len(np.atleast_1d(self.observation))
        shapes = {
            "initial_mean": (d,), "initial_covariance": (d, d), "transition": (d, d), "state_noise": (d, d),
            "observation": (k, d), "observation_noise": (k, k),
        }  # fmt: skip
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value.shape != shape or not np.isfinite(value).all():
                raise ValueError(f"{name}: shape is {value.shape}, expected finite numbers of shape {shape}")
        for name in ("initial_covariance", "state_noise", "observation_noise"):
            value = getattr(self, name)
            eigenvalues = np.linalg.eigvalsh((value + value.T) / 2)
            smallest, rounding = eigenvalues[0], _ROUNDING * np.abs(eigenvalues).max()
            is_singular = name == "observation_noise" and smallest <= rounding
            if not np.allclose(value, value.T) or smallest < -rounding or is_singular:
                raise ValueError(f"{name}: smallest eigenvalue {smallest:g}, expected a symmetric covariance matrix")

    def sample(self, paths: int, periods: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draws hidden states [paths, periods, d] and observations [paths, periods, k]."""
        d, k = len(self.initial_mean), len(self.observation)
        hidden = np.empty((paths, periods, d))
        hidden[:, 0] = generator.multivariate_normal(self.initial_mean, self.initial_covariance, size=paths)
        for t in range(1, periods):
            noise = generator.multivariate_normal(np.zeros(d), self.state_noise, size=paths)
            hidden[:, t] = hidden[:, t - 1] @ self.transition.T + noise
        noise = generator.multivariate_normal(np.zeros(k), self.observation_noise, size=(paths, periods))
        return hidden, hidden @ self.observation.T + noise

    def forward(self, observations: ArrayLike) -> Iterator[Kalman]:
        """Runs the filter, one step for each of the T observations of [n, T, k]; NaN is a number that is missing."""
        x, G = np.asarray(observations, np.float64), self.observation
        if x.ndim != 3 or x.shape[2] != len(G) or np.isinf(x).any():
            raise ValueError(f"observations: shape is {x.shape}, expected finite numbers [paths, periods, {len(G)}]")
        if np.isnan(x).any():
            yield from self._with_gaps(x)
            return
        mean, P = np.broadcast_to(self.initial_mean, (len(x), len(self.initial_mean))), self.initial_covariance
        for t in range(x.shape[1]):
            error = x[:, t] - mean @ G.T  # [n, k]
            S = G @ P @ G.T + self.observation_noise
            solved = np.linalg.solve(S, error.T).T
            log_norm = -0.5 * ((error * solved).sum(axis=1) + np.linalg.slogdet(2 * np.pi * S)[1])
            mean = mean + solved @ G @ P
            P = P - P @ G.T @ np.linalg.solve(S, G @ P)
            yield Kalman(mean, P, log_norm)
            mean, P = mean @ self.transition.T, self.transition @ P @ self.transition.T + self.state_noise

    def _with_gaps(self, x: np.ndarray) -> Iterator[Kalman]:
        """Where x is missing its row leaves G and R (Durbin and Koopman 2012, section 4.10).

        In their place stand a row of zeros and a noise of variance one that was zero, whose density is taken out again.
        """
        is_there = ~np.isnan(x)  # [n, T, k]
        mean = np.broadcast_to(self.initial_mean, (len(x), len(self.initial_mean)))
        P = np.broadcast_to(self.initial_covariance, (len(x), *self.initial_covariance.shape))
        for t in range(x.shape[1]):
            m = is_there[:, t]
            G = self.observation * m[:, :, None]  # [n, k, d]
            R = np.where(m[:, :, None] & m[:, None, :], self.observation_noise, np.eye(x.shape[2]))
            error = np.where(m, x[:, t], 0.0) - np.einsum("nkd,nd->nk", G, mean)
            S = G @ P @ G.transpose(0, 2, 1) + R
            gain = np.linalg.solve(S, G @ P)  # [n, k, d]
            squares = (error * np.linalg.solve(S, error[:, :, None])[:, :, 0]).sum(axis=1)
            constant = m.sum(axis=1) * np.log(2 * np.pi)
            mean = mean + np.einsum("nkd,nk->nd", gain, error)
            P = P - (G @ P).transpose(0, 2, 1) @ gain
            yield Kalman(mean, P, -0.5 * (squares + np.linalg.slogdet(S)[1] + constant))
            mean, P = mean @ self.transition.T, self.transition @ P @ self.transition.T + self.state_noise

    def log_likelihood(self, observations: ArrayLike) -> np.ndarray:
        """Returns ln p(x_1..x_T) of each path, [n]."""
        return np.sum([step.log_norm for step in self.forward(observations)], axis=0)
