"""What the engine asks of the processes that train together, and the case of one process.

Gradients are averaged inside the update's graph, by `average`; everything else (weights at the start, errors,
decisions) goes as Python objects from process to process, by `broadcast` and `gather`. All three are collective: every
rank has to call them, in the same order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar, final

if TYPE_CHECKING:
    import tensorflow as tf

Value = TypeVar("Value")


class Workers(Protocol):
    """A group of processes that train together.

    rank: this process, 0..size-1; only rank 0 writes files. local_rank: among the processes of this host. kind: single,
    horovod or mpi.
    """

    kind: str
    rank: int
    size: int
    local_rank: int

    def average(self, vector: tf.Tensor) -> tf.Tensor:
        """The mean over ranks of a vector [n], inside a graph that is not compiled by XLA."""

    def broadcast(self, value: Value) -> Value:
        """Rank 0's value on every rank; any object that can be pickled."""

    def gather(self, value: Value) -> list[Value]:
        """Every rank's value on every rank, in the order of ranks."""

    def finish(self) -> None:
        """Ends communication: from here on ranks may go on or end without each other."""

    def abort(self, status: int) -> None:
        """Ends the processes of all ranks at once, this one with `status`."""


@final
class SingleWorker:
    """One process, with nobody to exchange anything with."""

    kind, rank, size, local_rank = "single", 0, 1, 0

    def average(self, vector: tf.Tensor) -> tf.Tensor:
        return vector

    def broadcast(self, value: Value) -> Value:
        return value

    def gather(self, value: Value) -> list[Value]:
        return [value]

    def finish(self) -> None:
        pass

    def abort(self, status: int) -> None:
        """Does nothing: the caller's exception ends this process."""
