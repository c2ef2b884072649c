"""A run's folder: runs/<stem>/<run>/ with parameters, provenance, metrics and checkpoints; one trainer at a time."""

import contextlib
import errno
import fcntl
import io
import os
import socket
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import final

from deqn.project.errors import CannotWrite, UserError
from deqn.project.json_files import read_json

SOLUTIONS = "solutions"  # the folder of a model in which runs are shipped; no parameter files and no Python of its own


@final
class RunFolder:
    """The files of one run, by name; making one touches nothing on disk."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.parameters = self.path / "parameters.yaml"  # the resolved parameter file
        self.provenance = self.path / "provenance.json"
        self.metrics = self.path / "metrics.csv"
        self.checkpoints = self.path / "checkpoints"
        self.simulation = self.path / "simulation.npz"
        self.errors = self.path / "errors.csv"
        self.moments = self.path / "moments.csv"
        self.figures = self.path / "figures"
        self.as_trained = self.path / "as_trained"  # the Python beside the parameter file when the run was trained
        self.evaluations = self.path / "evaluations"  # with other settings than those of the parameter file

    def __str__(self) -> str:
        """stem/run, as a command takes it."""
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def is_run(self) -> bool:
        """Whether a run wrote here: its first file is parameters.yaml."""
        return self.parameters.is_file()

    @property
    def start(self) -> float:
        """When training began, seconds since the epoch: from provenance.json, else the folder's modification time."""
        try:
            return datetime.fromisoformat(read_json(self.provenance)["start"]).timestamp()
        except (OSError, ValueError, KeyError, TypeError):
            return self.path.stat().st_mtime

    @contextlib.contextmanager
    def open(self) -> Iterator["RunFolder"]:
        """Makes the folder and holds its lock, so that two processes never train into one run.

        The lock ends with the process, however it ends. Leftovers of a killed process are removed. A file system
        without locks (some Lustre mounts) is used without one.
        Raises UserError naming the other process, or if the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if not os.access(self.path, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "no permission to write")
            descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            advice = "make it writable or run from another project folder"
            raise CannotWrite(f"{self.path}: cannot write here ({error.strerror}); {advice}") from error
        with os.fdopen(descriptor, "r+") as lock:
            self._take(lock)
            for leftover in (*self.path.glob(".*.tmp"), *self.checkpoints.glob(".*.tmp")):
                leftover.unlink(missing_ok=True)
            yield self

    def _take(self, lock: io.TextIOBase) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = lock.read().strip() or "another process"
            raise UserError(f"{self} is being trained by {owner}; wait for it or choose another --run") from error
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise CannotWrite(f"{self.path / '.lock'}: cannot be locked ({error.strerror})") from error
        with contextlib.suppress(OSError):  # on a full disk the lock holds all the same, only without a name
            lock.truncate(0)
            lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            lock.flush()


def distinct_names(runs: Sequence[RunFolder]) -> list[str]:
    """stem/run of each; where several share it, as those of two projects may, as much of their paths as differs.

    Raises UserError for a run that is named twice.
    """
    parts = [run.path.resolve().parts for run in runs]
    for run, each in zip(runs, parts, strict=True):
        if parts.count(each) > 1:
            raise UserError(f"{run}: is named twice; name every run once")
    names = []
    for each in parts:
        alike = [other for other in parts if other != each and other[-2:] == each[-2:]]
        count = next(n for n in range(2, len(each) + 1) if all(other[-n:] != each[-n:] for other in alike))
        names.append("/".join(each[-count:]))
    return names
