"""Ranks that mpi4py alone connects, where Horovod can't be built."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, final

import numpy as np

from deqn.workers.settings import WorkerSettings
from deqn.workers.watchdog import Watchdog, exit_at_once
from deqn.workers.workers import Value

if TYPE_CHECKING:
    import tensorflow as tf


@final
class MPIWorkers:
    """Ranks that MPI alone connects, by mpi4py; a thread of its own ends the job when a rank stays away."""

    kind = "mpi"

    def __init__(self, settings: WorkerSettings) -> None:
        from mpi4py import MPI

        self._world = MPI.COMM_WORLD
        self.rank, self.size = self._world.Get_rank(), self._world.Get_size()
        self.local_rank = self._world.Split_type(MPI.COMM_TYPE_SHARED).Get_rank()
        self._sum, self._half = MPI.SUM, settings.compression == "fp16"
        self._watchdog = Watchdog(self.rank, settings.stall_seconds)

    def average(self, vector: tf.Tensor) -> tf.Tensor:
        import tensorflow as tf

        return tf.ensure_shape(tf.numpy_function(self._mean, [vector], vector.dtype), vector.shape)

    def _mean(self, values: Any) -> Any:
        # MPI has no half floats of its own: what is rounded is what each rank contributes.
        sent = values.astype(np.float16).astype(values.dtype) if self._half else values
        mean = np.empty_like(sent)
        with self._watchdog:
            self._world.Allreduce(sent, mean, op=self._sum)
        mean /= self.size
        return mean

    def broadcast(self, value: Value) -> Value:
        with self._watchdog:
            return self._world.bcast(value, root=0)

    def gather(self, value: Value) -> list[Value]:
        with self._watchdog:
            return self._world.allgather(value)

    def finish(self) -> None:
        """Ends MPI, which waits for all ranks."""
        with self._watchdog:
            finalize_mpi()

    def abort(self, status: int) -> None:
        exit_at_once(status)


def finalize_mpi() -> None:
    """Ends MPI if this process has begun it and not yet ended it."""
    if "mpi4py.MPI" in sys.modules:
        MPI = sys.modules["mpi4py.MPI"]
        if not MPI.Is_finalized():
            MPI.Finalize()
