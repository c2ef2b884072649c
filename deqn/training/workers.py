"""Who trains: one process, or several that average gradients. The only file that names a communication library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import tensorflow as tf


class Workers(Protocol):
    """What the engine asks of a group of processes.

    rank: this process, 0..size-1; only rank 0 writes files.
    """

    rank: int
    size: int

    def average(self, tensors: list[tf.Tensor]) -> list[tf.Tensor]:
        """Mean over ranks of each tensor."""


class SingleWorker:
    """One process: averages are the values themselves."""

    rank = 0
    size = 1

    def average(self, tensors: list[tf.Tensor]) -> list[tf.Tensor]:
        """The tensors as they are."""
        return tensors
