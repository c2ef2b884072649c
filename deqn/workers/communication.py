"""Who trains: one process, or several that average gradients. The only file that names a communication library.

    single      one process
    horovod     ranks of horovodrun, mpirun or srun, with Horovod's grouped all-reduce (MPI, gloo or NCCL below it)
    mpi         the same ranks with mpi4py alone, where Horovod will not build

Gradients are averaged inside the update's graph, `average`; all else (weights at the start, errors, decisions) goes as
Python objects from host to host, `broadcast` and `gather`. All are collective: every rank has to call them, in the
same order.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeVar, final

import numpy as np

from deqn.project.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf

Compression = Literal["none", "fp16"]
Value = TypeVar("Value")


class Workers(Protocol):
    """What the engine asks of a group of processes.

    rank: this process, 0..size-1; only rank 0 writes files. local_rank: among those of this host. kind: single, horovod
    or mpi.
    """

    kind: str
    rank: int
    size: int
    local_rank: int

    def average(self, vector: tf.Tensor) -> tf.Tensor:
        """Mean over ranks of a vector [n], inside a graph that is not compiled by XLA."""

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
    """One process: averages are the values themselves."""

    kind, rank, size, local_rank = "single", 0, 1, 0

    def average(self, vector: tf.Tensor) -> tf.Tensor:
        """The vector itself."""
        return vector

    def broadcast(self, value: Value) -> Value:
        """The value itself."""
        return value

    def gather(self, value: Value) -> list[Value]:
        """The value alone."""
        return [value]

    def finish(self) -> None:
        """Nothing to end."""

    def abort(self, status: int) -> None:
        """The caller's exception ends this process."""


@final
class HorovodWorkers:
    """Ranks that Horovod connects (Sergeev & Del Balso 2018); a thread of its own ends the job when a rank stays away.

    Horovod's own stall check ends it, too, but not where a whole process has stopped: over MPI its rank 0 waits for
    that process without looking at the clock. stall_seconds: how long a rank waits in one exchange.
    """

    kind = "horovod"

    def __init__(self, compression: Compression, stall_seconds: float) -> None:
        os.environ.setdefault("HOROVOD_STALL_CHECK_TIME_SECONDS", str(max(1, round(stall_seconds / 2))))
        os.environ.setdefault("HOROVOD_STALL_SHUTDOWN_TIME_SECONDS", str(max(2, round(stall_seconds))))
        os.environ.setdefault("HOROVOD_LOG_LEVEL", "error")
        if "HOROVOD_GLOO_RENDEZVOUS_ADDR" not in os.environ:
            # Before hvd.init: else Horovod owns MPI, and its end finalises it under mpi4py.
            from mpi4py import MPI  # noqa: F401
        import horovod.tensorflow as hvd

        self._hvd = hvd
        hvd.init()
        self.rank, self.size, self.local_rank = hvd.rank(), hvd.size(), hvd.local_rank()
        self._compression = getattr(hvd.Compression, compression)
        self._watchdog = _Watchdog(self.rank, stall_seconds)

    def average(self, vector: tf.Tensor) -> tf.Tensor:
        """One all-reduce, with the watchdog's clock running from when this rank is ready for it."""
        return self._watchdog.around(
            vector,
            lambda ready: self._hvd.allreduce(
                ready, op=self._hvd.Average, compression=self._compression, name="average"
            ),
        )

    def broadcast(self, value: Value) -> Value:
        """Pickled, from rank 0."""
        with self._watchdog:
            return self._hvd.broadcast_object(value, root_rank=0, name="broadcast")

    def gather(self, value: Value) -> list[Value]:
        """Pickled, from all."""
        with self._watchdog:
            return self._hvd.allgather_object(value, name="gather")

    def finish(self) -> None:
        """Horovod's end, which waits for all ranks."""
        with self._watchdog:
            self._hvd.shutdown()
            _finalize_mpi()

    def abort(self, status: int) -> None:
        """Ends this process without waiting for the others, whom the launcher then ends."""
        _leave(status)


@final
class MPIWorkers:
    """Ranks that MPI alone connects, by mpi4py; a thread of its own ends the job when a rank stays away.

    stall_seconds: how long a rank waits in one exchange.
    """

    kind = "mpi"

    def __init__(self, compression: Compression, stall_seconds: float) -> None:
        from mpi4py import MPI

        self._world = MPI.COMM_WORLD
        self.rank, self.size = self._world.Get_rank(), self._world.Get_size()
        self.local_rank = self._world.Split_type(MPI.COMM_TYPE_SHARED).Get_rank()
        self._sum, self._half = MPI.SUM, compression == "fp16"
        self._watchdog = _Watchdog(self.rank, stall_seconds)

    def average(self, vector: tf.Tensor) -> tf.Tensor:
        """One all-reduce; with fp16 each rank rounds what it sends."""
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
        """Pickled, from rank 0."""
        with self._watchdog:
            return self._world.bcast(value, root=0)

    def gather(self, value: Value) -> list[Value]:
        """Pickled, from all."""
        with self._watchdog:
            return self._world.allgather(value)

    def finish(self) -> None:
        """MPI's end, which waits for all ranks."""
        with self._watchdog:
            _finalize_mpi()

    def abort(self, status: int) -> None:
        """Ends this process without waiting for the others, whom the launcher then ends."""
        _leave(status)


class _Watchdog:
    """Ends this process when one exchange has lasted too long: `with watchdog: exchange`.

    In a graph: `watchdog.around(tensor, exchange)`.
    """

    def __init__(self, rank: int, seconds: float) -> None:
        self.rank, self.seconds = rank, seconds
        self._since: float | None = None
        threading.Thread(target=self._watch, daemon=True).start()

    def __enter__(self) -> None:
        self._since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._since = None

    def around(self, tensor: tf.Tensor, exchange: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
        """What an exchange in a graph makes of a tensor, with the clock running from when the tensor is there."""
        import tensorflow as tf

        # Marks without data of their own: what passes through Python is copied.
        with tf.control_dependencies([tensor]):
            started = tf.numpy_function(self._start, [], tf.int32)
        with tf.control_dependencies([started]):
            exchanged = exchange(tf.identity(tensor))
        with tf.control_dependencies([exchanged]):
            ended = tf.numpy_function(self._end, [], tf.int32)
        with tf.control_dependencies([ended]):
            return tf.identity(exchanged)

    def _start(self) -> Any:
        self.__enter__()
        return np.int32(0)

    def _end(self) -> Any:
        self.__exit__()
        return np.int32(0)

    def _watch(self) -> None:
        while True:
            time.sleep(min(1.0, self.seconds / 4))
            since = self._since
            if since is not None and time.monotonic() - since > self.seconds:
                # The exchange itself can't be interrupted, and an exception here would end nothing but this thread.
                print(
                    f"deqn: rank {self.rank}: waited {self.seconds:g} seconds for another rank, which hangs or has "
                    "ended; the job ends here, continue with --resume",
                    file=sys.stderr,
                    flush=True,
                )
                _leave(1)


def _leave(status: int) -> None:
    """Ends the process at once: the usual way would wait in MPI's end for ranks that never come there."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _finalize_mpi() -> None:
    if "mpi4py.MPI" in sys.modules:
        MPI = sys.modules["mpi4py.MPI"]
        if not MPI.Is_finalized():
            MPI.Finalize()


# --- which one -------------------------------------------------------------------------------------------------------


class Launch(NamedTuple):
    """What a launcher's environment says: its name, its ranks, which one this is, and which on its host."""

    launcher: str
    size: int
    rank: int
    local_rank: int


_LAUNCHERS = {  # size, rank, rank on the host; srun last, because mpirun within a job sees SLURM's variables too
    "horovodrun": ("HOROVOD_SIZE", "HOROVOD_RANK", "HOROVOD_LOCAL_RANK"),
    "mpirun": ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK"),
    "mpiexec": ("PMI_SIZE", "PMI_RANK", "MPI_LOCALRANKID"),
    "srun": ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID"),
}


def launch(environment: Mapping[str, str]) -> Launch | None:
    """The launcher of this process and its ranks; None if it was started alone."""
    for launcher, (size, rank, local_rank) in _LAUNCHERS.items():
        if environment.get(size, "").isdigit():
            numbers = (int(environment.get(name, "0")) for name in (rank, local_rank))
            return Launch(launcher, int(environment[size]), *numbers)
    return None


def choose(kind: str, compression: Compression, stall_seconds: float, environment: Mapping[str, str]) -> Workers:
    """The workers of this process. kind: auto, single, horovod or mpi.

    Raises UserError if the launcher started several ranks and they would not know of each other.
    """
    launched = launch(environment)
    started = launched.size if launched else 1
    if kind == "auto":
        kind = "single" if started == 1 else "horovod" if _installed("horovod") else "mpi"
    if kind == "single":
        if launched and started > 1:
            raise UserError(
                f"--workers single: {launched.launcher} started {started} ranks, which would all train the same run; "
                "start one, or leave --workers at auto"
            )
        return SingleWorker()
    for package in ("horovod", "mpi4py")[kind == "mpi" :]:
        if not _installed(package) and not (package == "mpi4py" and "HOROVOD_GLOO_RENDEZVOUS_ADDR" in environment):
            raise UserError(f"--workers {kind}: {package} is not installed; `make cluster` builds it for this machine")
    workers = (HorovodWorkers if kind == "horovod" else MPIWorkers)(compression, stall_seconds)
    if workers.size != started:
        raise UserError(
            f"--workers {kind}: {launched.launcher if launched else 'nothing'} started {started} ranks, but "
            f"{kind} sees {workers.size}: "
            + ("say srun --mpi=pmix" if launched and launched.launcher == "srun" else "start deqn with mpirun -np N")
        )
    return workers


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


# --- what the engine does with them ----------------------------------------------------------------------------------


def on_first(workers: Workers, action: Callable[[], Value]) -> Value:
    """What `action` gives on rank 0, on every rank; a UserError of it is raised on every rank."""
    outcome: tuple[bool, Any] = (True, None)
    if workers.rank == 0:
        try:
            outcome = True, action()
        except UserError as error:
            outcome = False, error
    good, value = workers.broadcast(outcome)
    if not good:
        value.is_common = True
        raise value
    return value


def reduced(workers: Workers, values: Mapping[str, float]) -> dict[str, float]:
    """Scalars by name over all ranks: their mean, or the largest where the name ends in _max."""
    if workers.size == 1:
        return dict(values)
    all_values = workers.gather(dict(values))
    return {
        name: max(each[name] for each in all_values)
        if name.endswith("_max")
        else sum(each[name] for each in all_values) / workers.size
        for name in values
    }


def checksum(arrays: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits that differ if any bit of any array does."""
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted(arrays):
        digest.update(name.encode() + arrays[name].tobytes())
    return digest.hexdigest()
