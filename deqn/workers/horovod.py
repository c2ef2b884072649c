"""Ranks of horovodrun, mpirun or srun, with Horovod's all-reduce (MPI, gloo or NCCL below it)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, final

from deqn.workers.mpi import finalize_mpi
from deqn.workers.settings import WorkerSettings
from deqn.workers.watchdog import Watchdog, exit_at_once
from deqn.workers.workers import Value

if TYPE_CHECKING:
    import tensorflow as tf


@final
class HorovodWorkers:
    """Ranks that Horovod connects (Sergeev & Del Balso 2018); a thread of its own ends the job when a rank stays away.

    Horovod's own stall check ends it, too, but not where a whole process has stopped: over MPI its rank 0 waits for
    that process without looking at the clock.
    """

    kind = "horovod"

    def __init__(self, settings: WorkerSettings) -> None:
        seconds = settings.stall_seconds
        os.environ.setdefault("HOROVOD_STALL_CHECK_TIME_SECONDS", str(max(1, round(seconds / 2))))
        os.environ.setdefault("HOROVOD_STALL_SHUTDOWN_TIME_SECONDS", str(max(2, round(seconds))))
        os.environ.setdefault("HOROVOD_LOG_LEVEL", "error")
        if "HOROVOD_GLOO_RENDEZVOUS_ADDR" not in os.environ:
            # Before hvd.init: else Horovod owns MPI, and its end finalises it under mpi4py.
            from mpi4py import MPI  # noqa: F401
        import horovod.tensorflow as hvd

        self._hvd = hvd
        hvd.init()
        self.rank, self.size, self.local_rank = hvd.rank(), hvd.size(), hvd.local_rank()
        self._compression = getattr(hvd.Compression, settings.compression)
        self._watchdog = Watchdog(self.rank, seconds)

    def average(self, vector: tf.Tensor) -> tf.Tensor:
        return self._watchdog.around(
            vector,
            lambda ready: self._hvd.allreduce(
                ready, op=self._hvd.Average, compression=self._compression, name="average"
            ),
        )

    def broadcast(self, value: Value) -> Value:
        with self._watchdog:
            return self._hvd.broadcast_object(value, root_rank=0, name="broadcast")

    def gather(self, value: Value) -> list[Value]:
        with self._watchdog:
            return self._hvd.allgather_object(value, name="gather")

    def finish(self) -> None:
        """Ends Horovod and MPI, which wait for all ranks."""
        with self._watchdog:
            self._hvd.shutdown()
            finalize_mpi()

    def abort(self, status: int) -> None:
        exit_at_once(status)
