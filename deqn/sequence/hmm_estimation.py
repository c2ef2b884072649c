r"""Hidden Markov models with hindsight, and from data: smoothing, Viterbi's path, Baum and Welch's estimates.

    b_T = 1,   b_t = A (B[:, x_{t+1}] ∘ b_{t+1}) / p(x_{t+1} | x_1..x_t)
    P(H_t = i | x_1..x_T)                  = f_t(i) b_t(i)                                          (smoothing)
    P(H_t = i, H_{t+1} = j | x_1..x_T)     = f_t(i) A_ij B[j, x_{t+1}] b_{t+1}(j) / p(x_{t+1} | x_1..x_t)

with the filter f of `deqn.sequence.hmm` (Rabiner 1989; the scaling makes f b a probability at once).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from deqn.sequence.hmm import HMM


class Smoothed(NamedTuple):
    """What is known with hindsight of n paths.

    states: [n, T, m] P(H_t | x_1..x_T). transitions: [m, m], expected number of moves i to j, summed over paths and
    periods. log_likelihood: [n].
    """

    states: np.ndarray
    transitions: np.ndarray
    log_likelihood: np.ndarray


class Estimated(NamedTuple):
    """The estimate, ln p of all paths before each iteration and at the end, and whether the last gain was small."""

    hmm: HMM
    log_likelihoods: np.ndarray
    converged: bool


def smooth(hmm: HMM, observations: ArrayLike) -> Smoothed:
    """Returns the smoothed states of n paths of T observations, int [n, T]. Raises ValueError as `HMM.check`."""
    x = hmm.check(observations)
    steps = list(hmm.forward(x))
    states, transitions = np.empty((*x.shape, hmm.states)), np.zeros_like(hmm.transition)
    backward = np.ones((len(x), hmm.states))
    states[:, -1] = steps[-1].states
    for t in reversed(range(x.shape[1] - 1)):
        seen = hmm.emission.T[x[:, t + 1]] * backward / np.exp(steps[t + 1].log_norm)[:, None]  # [n, m]
        transitions += hmm.transition * (steps[t].states.T @ seen)
        backward = seen @ hmm.transition.T
        states[:, t] = steps[t].states * backward
    return Smoothed(states, transitions, np.sum([step.log_norm for step in steps], axis=0))


def viterbi(hmm: HMM, observations: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Returns the likeliest hidden path of each path, int [n, T], and ln p(path, observations), [n] (Viterbi 1967).

    It is not the path of the likeliest states by period: that may take moves which are impossible.
    """
    x = hmm.check(observations)
    with np.errstate(divide="ignore"):
        initial, transition, emission = (np.log(p) for p in (hmm.initial, hmm.transition, hmm.emission.T))
    best, origins = initial + emission[x[:, 0]], []
    for t in range(1, x.shape[1]):
        moves = best[:, :, None] + transition  # [n, from, to]
        origins.append(moves.argmax(axis=1))
        best = moves.max(axis=1) + emission[x[:, t]]
    path = [best.argmax(axis=1)]
    for origin in reversed(origins):
        path.append(np.take_along_axis(origin, path[-1][:, None], axis=1)[:, 0])
    return np.stack(path[::-1], axis=1), best.max(axis=1)


def baum_welch(start: HMM, observations: ArrayLike, iterations: int = 100, tolerance: float = 1e-6) -> Estimated:
    """Estimates a model of n paths, int [n, T], from a first guess (Baum, Petrie, Soules and Weiss 1970).

    Each iteration counts what the guess before expects to have happened; ln p never falls. It ends after `iterations`,
    or when ln p of all paths gains no more than `tolerance`. The optimum is a local one, and states may come in another
    order than in the model that made the data: try several guesses, such as `random_hmm` draws, and keep the best.
    A state that the guess never visits keeps its rows.
    """
    if iterations < 1:
        raise ValueError(f"iterations: got {iterations}, expected 1 or more")
    x, hmm, found = start.check(observations), start, list[float]()
    symbols = np.eye(start.symbols)[x]  # [n, T, K]
    for _ in range(iterations):
        smoothed = smooth(hmm, x)
        found.append(float(smoothed.log_likelihood.sum()))
        if len(found) > 1 and found[-1] - found[-2] <= tolerance:
            return Estimated(hmm, np.array(found), True)
        emissions = np.einsum("nti,ntk->ik", smoothed.states, symbols)
        hmm = HMM(
            smoothed.states[:, 0].mean(axis=0) / smoothed.states[:, 0].mean(axis=0).sum(),
            _shares(smoothed.transitions, hmm.transition),
            _shares(emissions, hmm.emission),
        )
    found.append(float(hmm.filter(x).log_likelihood.sum()))
    return Estimated(hmm, np.array(found), found[-1] - found[-2] <= tolerance)


def _shares(counts: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Each row divided by its sum; the row of `otherwise` where nothing was counted."""
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total > 0, counts / np.where(total > 0, total, 1.0), otherwise)
