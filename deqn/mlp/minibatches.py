"""Minibatches of data that stay the same through training: which rows each update sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from deqn.project.errors import UserError


def minibatches(rows: int | np.ndarray, size: int, seed: Sequence[int]) -> Iterator[np.ndarray]:
    """Yields the rows of each update of one pass, in an order drawn from `seed`, such as (seed, rank, episode).

    rows: their number, or their indices. Rows that do not fill a last minibatch are left out; a size above the number
    of rows means all of them.
    """
    order = np.random.default_rng(seed).permutation(rows)
    size = min(size, len(order))
    yield from order[: len(order) // size * size].reshape(-1, size)


def check_size(size: int, rows: int, words: str) -> None:
    """Raises UserError if a minibatch is larger than the data of this rank; words: what the data are."""
    if rows < size:
        raise UserError(f"parameters.batch: {size}, expected at most the {rows} {words}")
