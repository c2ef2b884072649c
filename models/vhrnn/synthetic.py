r"""Synthetic sequences whose dynamics and noise change, after "Variational Hyper RNN for Sequence Modeling", section 4.

    x_t = W x_{t-1} + sigma_t eps_t,   eps_t ~ N(0, I) in the plane,   x_0 ~ U[-1, 1]^2              (eq. 6)

W is one of ten matrices, sigma_t one of .25, 1, 4, changing exactly twice in a sequence. The settings on which
a trained network is examined:

    test         as trained                               noiseless    sigma = 0
    switch       three noiseless sequences, joined        rand         W = I, sigma changes at most three times
    long         noiseless, twice as long                 zero_shot    noiseless, ten other matrices
    add          x_t = x_{t-1} + b,  b, x_0 ~ U[0, 1]^2

The paper states neither the length nor how its matrices are drawn; here both are arguments. The radius is the spectral
one: above 1 a noiseless sequence grows without bound, which is how the paper comes to -334173 nats a step.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

LEVELS = (0.25, 1.0, 4.0)
MATRICES = 10
SETTINGS = ("test", "noiseless", "switch", "rand", "long", "zero_shot", "add")


class Sequences(NamedTuple):
    """Sequences x [n, T, 2], with matrices [n, T, 2, 2] and sigma [n, T] of the step into each x_t; none at t = 0."""

    x: np.ndarray
    matrices: np.ndarray
    sigma: np.ndarray


def random_matrices(radius: tuple[float, float], generator: np.random.Generator, count: int = MATRICES) -> np.ndarray:
    """Draws [count, 2, 2] normal entries, scaled to spectral radii that are uniform on the interval `radius`.

    Raises ValueError unless 0 < lowest <= highest.
    """
    if not 0 < radius[0] <= radius[1]:
        raise ValueError(f"radius: got {list(radius)}, expected 0 < lowest <= highest")
    W = generator.normal(size=(count, 2, 2))
    wanted = generator.uniform(*radius, size=count)
    return W * (wanted / np.abs(np.linalg.eigvals(W)).max(axis=1))[:, None, None]


def switching_levels(count: int, periods: int, changes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draws sigma [count, periods] with exactly changes[n] changes in sequence n, at periods from 1 to periods-1.

    Raises ValueError if a sequence has no room for its changes.
    """
    if periods <= changes.max():
        raise ValueError(f"periods: got {periods}, expected more than the {changes.max()} changes of the noise")
    level = generator.integers(len(LEVELS), size=count)
    order = generator.permuted(np.tile(np.arange(1, periods), (count, 1)), axis=1)
    indices = np.empty((count, periods), np.int64)
    indices[:, 0] = level
    for t in range(1, periods):
        is_change = ((order == t) & (np.arange(periods - 1) < changes[:, None])).any(axis=1)
        # one of the two other levels
        level = np.where(is_change, (level + generator.integers(1, len(LEVELS), size=count)) % len(LEVELS), level)
        indices[:, t] = level
    return np.asarray(LEVELS)[indices]


def recurrence(x_0: np.ndarray, W: np.ndarray, sigma: np.ndarray, generator: np.random.Generator) -> Sequences:
    """Follows equation 6 from x_0 [n, 2] with W [n, 2, 2] and sigma [n, T]."""
    n, periods = sigma.shape
    x = np.empty((n, periods, 2))
    x[:, 0] = x_0
    for t in range(1, periods):
        noise = sigma[:, t, None] * generator.normal(size=(n, 2))
        x[:, t] = np.einsum("nij,nj->ni", W, x[:, t - 1]) + noise
    return Sequences(x, np.broadcast_to(W[:, None], (n, periods, 2, 2)), sigma)


def training_sequences(count: int, periods: int, matrices: np.ndarray, generator: np.random.Generator) -> Sequences:
    """Draws sequences as trained on: one of the matrices each, noise that changes exactly twice."""
    W = matrices[generator.integers(len(matrices), size=count)]
    x_0 = generator.uniform(-1, 1, size=(count, 2))
    return recurrence(x_0, W, switching_levels(count, periods, np.full(count, 2), generator), generator)


def setting(
    name: str, count: int, periods: int, matrices: np.ndarray, others: np.ndarray, generator: np.random.Generator
) -> Sequences:
    """Draws `count` sequences of one of SETTINGS; others: for zero_shot. Raises ValueError for other names."""
    if name not in SETTINGS:
        raise ValueError(f"name: got {name!r}, expected one of {', '.join(SETTINGS)}")
    if name == "test":
        return training_sequences(count, periods, matrices, generator)
    if name == "add":
        # In the form of eq. 6 with W = I the constant b would be the noise; it is kept out of sigma.
        b, x_0 = generator.uniform(0, 1, size=(2, count, 2))
        x = x_0[:, None] + b[:, None] * np.arange(periods)[None, :, None]
        return Sequences(x, np.broadcast_to(np.eye(2), (count, periods, 2, 2)), np.zeros((count, periods)))
    if name == "rand":
        sigma = switching_levels(count, periods, generator.integers(0, 4, size=count), generator)
        x_0 = generator.uniform(-1, 1, size=(count, 2))
        return recurrence(x_0, np.tile(np.eye(2), (count, 1, 1)), sigma, generator)
    if name == "switch":
        parts = [setting("noiseless", count, periods, matrices, others, generator) for _ in range(3)]
        return Sequences(*(np.concatenate(each, axis=1) for each in zip(*parts, strict=True)))
    chosen = others if name == "zero_shot" else matrices
    W = chosen[generator.integers(len(chosen), size=count)]
    x_0 = generator.uniform(-1, 1, size=(count, 2))
    return recurrence(x_0, W, np.zeros((count, 2 * periods if name == "long" else periods)), generator)


def oracle_log_likelihood(sequences: Sequences) -> np.ndarray:
    """Returns ln p [n] for one who knows W and every sigma_t. Raises ValueError where sigma is 0.

    With the three levels equally frequent its mean a step is -2.838 nats, x_0 aside.
    """
    x, W, sigma = sequences
    if (sigma <= 0).any():
        raise ValueError("sequences: sigma is 0, expected noise; without it a sequence has a density of infinity")
    return _log_first(x) + _log_normal(x, W, sigma)[:, 1:].sum(axis=1)


def exact_log_likelihood(x: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Returns ln p [n] of sequences as trained on, for an ideal observer who knows the ten matrices, but neither which
    of them a sequence has nor its noise. No network can have more in the mean.

    The forward algorithm over (level of the noise, changes so far), for each matrix, then the mean over matrices. With
    s of the two changes still to come and T - t periods left, one comes now with probability s / (T - t).
    """
    n, periods = x.shape[:2]
    levels, changes = len(LEVELS), 2
    states = list(itertools.product(range(levels), range(changes + 1)))
    likelihoods = np.stack(
        [
            np.stack([_log_normal(x, np.broadcast_to(W, (n, 1, 2, 2)), np.full((n, 1), s)) for s in LEVELS], axis=2)
            for W in matrices
        ],
        axis=1,
    )  # [n, matrices, T, levels], logarithms
    of_state = likelihoods[:, :, 1:, [level for level, _ in states]].reshape(-1, periods - 1, len(states))
    with np.errstate(divide="ignore"):
        belief = np.log([float(done == 0) / levels for _, done in states])
        log_transitions = [np.log(_transition(states, changes, periods - t)) for t in range(1, periods)]
    for t, log_transition in enumerate(log_transitions):
        predicted = np.logaddexp.reduce(np.atleast_2d(belief)[:, :, None] + log_transition, axis=1)
        belief = predicted + of_state[:, t]
    log_p = np.logaddexp.reduce(belief, axis=1)
    by_matrix = log_p.reshape(n, len(matrices))
    return _log_first(x) + np.logaddexp.reduce(by_matrix, axis=1) - np.log(len(matrices))


def _transition(states: list[tuple[int, int]], changes: int, left: int) -> np.ndarray:
    """Of (level, changes so far), when `left` periods are still to come."""
    transition = np.zeros((len(states), len(states)))
    for row, (level, done) in enumerate(states):
        hazard = min((changes - done) / left, 1.0)
        for column, (other, then) in enumerate(states):
            if (other, then) == (level, done):
                transition[row, column] = 1 - hazard
            elif other != level and then == done + 1:
                transition[row, column] = hazard / (len(LEVELS) - 1)
    return transition


def _log_first(x: np.ndarray) -> np.ndarray:
    """ln of the uniform density of x_0 on [-1, 1]^2."""
    return np.full(len(x), -2 * np.log(2.0))


def _log_normal(x: np.ndarray, W: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """ln N(x_t; W x_{t-1}, sigma_t^2 I), [n, T]; of no meaning at t = 0."""
    before = np.concatenate([x[:, :1], x[:, :-1]], axis=1)
    error = x - np.einsum("ntij,ntj->nti", np.broadcast_to(W, (*x.shape, 2)), before)
    return -np.log(2 * np.pi) - 2 * np.log(sigma) - 0.5 * (error**2).sum(axis=2) / sigma**2
