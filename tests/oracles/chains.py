"""Markov chains for the oracles: discretised TFP and sample paths."""

from .growth_grid import rouwenhorst
from .olg_grid import chain_paths

__all__ = ["chain_path", "chain_paths", "rouwenhorst"]


def chain_path(transition, periods, seed):
    """Indices [periods] of one path of the chain, from state 0."""
    return chain_paths(transition, periods, 1, seed)[:, 0]
