"""Markov chains for the oracles: discretised TFP and sample paths."""

import numpy as np


def rouwenhorst(states, persistence, innovation_sd):
    """Chain for ln z' = rho ln z + sd eps, Rouwenhorst (1995) in Kopecky and Suen's (2010) recursion.

    Returns ln z [states], ascending, and the transition matrix [states, states], rows = from.
    """
    stay = (1 + persistence) / 2
    transition = np.array([[1.0]])
    for n in range(2, states + 1):
        wider = np.zeros((n, n))
        wider[:-1, :-1] += stay * transition
        wider[:-1, 1:] += (1 - stay) * transition
        wider[1:, :-1] += (1 - stay) * transition
        wider[1:, 1:] += stay * transition
        wider[1:-1] /= 2  # inner rows have been counted twice
        transition = wider
    width = innovation_sd * np.sqrt((states - 1) / (1 - persistence**2))
    return np.linspace(-width, width, states), transition


def chain_paths(transition, periods, tracks, seed):
    """Indices [periods, tracks] of independent paths of the chain, all from state 0."""
    cumulative = np.cumsum(transition, axis=1)
    cumulative[:, -1] = 1.0  # so that no rounding lets a draw pass the last state
    draws = np.random.default_rng(seed).random((periods - 1, tracks))
    path = np.zeros((periods, tracks), int)
    for t in range(periods - 1):
        path[t + 1] = (draws[t][:, None] > cumulative[path[t]]).sum(axis=1)
    return path


def chain_path(transition, periods, seed):
    """Indices [periods] of one path of the chain, from state 0."""
    return chain_paths(transition, periods, 1, seed)[:, 0]
