"""Markov chains for the oracles: discretised TFP and sample paths."""

import numpy as np

from .growth_grid import rouwenhorst

__all__ = ["chain_path", "chain_paths", "rouwenhorst"]


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
