"""Several ranks behind one command: how they begin, who speaks, how they end together."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import traceback
from collections.abc import Iterator

from deqn.project.errors import Diverged, Stopped, UserError
from deqn.workers.communication import Workers, choose, launch
from deqn.workers.settings import WorkerSettings


@contextlib.contextmanager
def together(kind: str, settings: WorkerSettings) -> Iterator[Workers]:
    """The workers of this command, for as long as they need each other.

    kind: auto, single, horovod or mpi. What all ranks meet alike (Stopped, Diverged, a mistake that rank 0 found) ends
    each of them in order, and rank 0 tells it; what one rank alone meets ends all at once, and that rank tells it.
    """
    workers = choose(kind, settings.compression, settings.stall_seconds, os.environ)
    try:
        yield workers
        workers.finish()
    except BaseException as error:
        if workers.size > 1:
            _end(workers, error)
        raise


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


def refuse_ranks(command: str) -> None:
    """Raises UserError if a launcher started several ranks of a command that is the work of one."""
    launched = launch(os.environ)
    if launched and launched.size > 1:
        raise UserError(
            f"deqn {command}: {launched.launcher} started {launched.size} ranks, expected one: it is no training"
        )
