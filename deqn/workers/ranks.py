"""Several ranks behind one command: who trains, who speaks, how all of them end together."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import sys
import traceback
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from deqn.project.errors import Diverged, Stopped, UserError
from deqn.workers.launch import read_launch
from deqn.workers.workers import SingleWorker, Workers

if TYPE_CHECKING:
    from deqn.workers.settings import WorkerSettings


@contextlib.contextmanager
def together(kind: str, settings: WorkerSettings) -> Iterator[Workers]:
    """The workers of this command, for as long as they need each other.

    kind: auto, single, horovod or mpi. What all ranks meet alike (Stopped, Diverged, a mistake that rank 0 found) ends
    each of them in order, and rank 0 tells it; what one rank alone meets ends all at once, and that rank tells it.
    """
    workers = choose_workers(kind, settings, os.environ)
    try:
        yield workers
        workers.finish()
    except BaseException as error:
        if workers.size > 1:
            _end(workers, error)
        raise


def choose_workers(kind: str, settings: WorkerSettings, environment: Mapping[str, str]) -> Workers:
    """The workers of this process. kind: auto, single, horovod or mpi.

    Raises UserError if the launcher started several ranks and they would not know of each other.
    """
    launched = read_launch(environment)
    started = launched.size if launched else 1
    if kind == "auto":
        kind = "single" if started == 1 else "horovod" if _is_installed("horovod") else "mpi"
    if kind == "single":
        if launched and started > 1:
            raise UserError(
                f"--workers single: {launched.launcher} started {started} ranks, which would all train the same run; "
                "start one, or leave --workers at auto"
            )
        return SingleWorker()
    for package in ("horovod", "mpi4py")[kind == "mpi" :]:
        needed = package == "horovod" or "HOROVOD_GLOO_RENDEZVOUS_ADDR" not in environment
        if needed and not _is_installed(package):
            raise UserError(f"--workers {kind}: {package} is not installed; slurm/README.md says how")
    # Only here, because they import NumPy, for which a command on one process need not wait.
    from deqn.workers.horovod import HorovodWorkers
    from deqn.workers.mpi import MPIWorkers

    workers = (HorovodWorkers if kind == "horovod" else MPIWorkers)(settings)
    if workers.size != started:
        raise UserError(
            f"--workers {kind}: {launched.launcher if launched else 'nothing'} started {started} ranks, but "
            f"{kind} sees {workers.size}: "
            + ("say srun --mpi=pmix" if launched and launched.launcher == "srun" else "start deqn with mpirun -np N")
        )
    return workers


def refuse_ranks(command: str) -> None:
    """Raises UserError if a launcher started several ranks of a command that is the work of one."""
    launched = read_launch(os.environ)
    if launched and launched.size > 1:
        raise UserError(
            f"deqn {command}: {launched.launcher} started {launched.size} ranks, expected one: it is no training"
        )


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _end(workers: Workers, error: BaseException) -> None:
    """Returns for rank 0 where all ranks meet the same; else does not return."""
    status = getattr(error, "exit_status", 130 if isinstance(error, KeyboardInterrupt) else 1)
    if isinstance(error, Stopped | Diverged) or getattr(error, "is_common", False):
        workers.finish()
        if workers.rank:
            sys.exit(status)
        return
    if not isinstance(error, UserError | KeyboardInterrupt):
        traceback.print_exception(error)
    print(f"deqn: rank {workers.rank} on {socket.gethostname()}: {error or type(error).__name__}", file=sys.stderr)
    workers.abort(status)
