"""A run's folder: runs/<stem>/<run>/ with parameters, provenance, metrics and checkpoints; one trainer at a time.

Whatever is written here survives a kill: files are replaced whole (`write_atomically`), rows of metrics.csv are
appended whole (`Metrics`).
"""

import contextlib
import csv
import errno
import fcntl
import importlib.metadata
import io
import json
import os
import platform
import re
import resource
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

from deqn.training.errors import CannotWrite, UserError, nearest


def project_root(start: Path | None = None) -> Path:
    """The nearest folder at or above `start` (default: the current one) with models/ and runs/, or deqn's setup.cfg.

    `start` itself if there is none.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "models").is_dir() and (folder / "runs").is_dir():
            return folder
        setup = folder / "setup.cfg"
        if setup.is_file() and re.search(r"^name\s*=\s*deqn\s*$", setup.read_text(errors="replace"), re.MULTILINE):
            return folder
    return start


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
        self.by_age = self.path / "by_age.csv"
        self.figures = self.path / "figures"

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
            return datetime.fromisoformat(json.loads(self.provenance.read_text())["start"]).timestamp()
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


def _slurm_job() -> str | None:
    """SLURM's job id, with the task's number in a job array; None outside a job."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID") or None


def new(root: Path, stem: str, name: str | None, resume: bool) -> RunFolder:
    """The folder root/runs/stem/name of a run about to be trained; writes nothing.

    name: None for SLURM's job id, else the time (UTC).
    resume: the run may exist already.
    Raises UserError for a name that is no plain file name, a run that exists, a folder that is no run.
    """
    if name is None:
        name = _slurm_job() or datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    if not re.fullmatch(r"\w[\w.,+=@-]{0,99}", name):
        raise UserError(f"--run {name!r}: expected a name of letters, digits and ._,+=@- without blanks or slashes")
    run = RunFolder(Path(root) / "runs" / stem / name)
    if run.path.exists() and not resume:
        raise UserError(f"run {run} exists; continue it with --resume or choose another name with --run")
    strangers = [each.name for each in run.path.iterdir() if each.name != ".lock"] if run.path.is_dir() else []
    if run.path.is_file() or (strangers and not run.is_run):
        raise UserError(f"{run.path}: not a run (it has no parameters.yaml); choose another name with --run")
    return run


def find(name: str, root: Path) -> RunFolder:
    """The run a user names: the path of its folder, stem/run, or stem for the latest run of that parameter file.

    Raises UserError with the nearest names if there is none, or if the folder holds no run.
    """
    runs = Path(root) / "runs"
    foreign = None
    for path in (Path(name), Path(root) / name, runs / name):
        if not path.is_dir():
            continue
        if RunFolder(path).is_run:
            return RunFolder(path)
        within = [run for each in path.iterdir() if (run := RunFolder(each)).is_run]
        if within:
            return max(within, key=lambda run: (run.start, run.path.name))
        foreign = foreign or path
    if foreign is not None:
        raise UserError(f"{foreign}: not a run (it has no parameters.yaml); expected a folder that deqn train wrote")
    known = [str(RunFolder(each.parent)) for each in sorted(runs.glob("*/*/parameters.yaml"))]
    stems = [each.partition("/")[0] for each in known]
    hint = nearest(name.removeprefix("runs/").rstrip("/"), stems + known) or " train one first: deqn train FILE.yaml"
    raise UserError(f"{name}: no such run;{hint}")


def _cannot_write(path: Path, error: OSError) -> CannotWrite:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    advice = "free space there" if full else "make it writable"
    kept = "what was written before is intact" if path.exists() else "nothing was written"
    return CannotWrite(f"{path}: cannot write ({error.strerror}); {kept}; {advice}, then continue with --resume")


def write_atomically(path: Path, data: bytes | str) -> None:
    """Writes a file so that a reader, or a process started after a crash, finds the old or the new one, never half.

    A temporary file in the same folder, synced and renamed; it is removed if anything fails.
    Raises CannotWrite (full disk, no permission); the old file is intact.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:  # not tempfile, whose files only their owner may read
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - the tests replace this very call
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # or a power cut could undo the renaming
        finally:
            os.close(folder)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise _cannot_write(path, error) from error
        raise


@final
class Metrics:
    """metrics.csv: one row per report; the first row fixes the columns, "update" among them.

    keep_through: drop the rows beyond this update, so that a resumed run's file equals the uninterrupted one's.
    An unfinished last row (machine lost power) is dropped too. Raises UserError for a file that is no such table.
    """

    def __init__(self, path: Path, keep_through: int | None = None) -> None:
        self.path = Path(path)
        self.columns: list[str] = []
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        lines = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
        table = list(csv.reader(lines))
        try:
            updates = [int(row[table[0].index("update")]) for row in table[1:]]
        except (ValueError, IndexError) as error:
            raise UserError(f"{self.path}: not a table with an 'update' a row; move it away and resume") from error
        kept = [line for line, at in zip(lines[1:], updates, strict=True) if keep_through is None or at <= keep_through]
        if kept:  # without a row left, a run that starts afresh names its columns anew
            self.columns = table[0]
        content = "".join([lines[0], *kept]) if kept else ""
        if content != text:
            write_atomically(self.path, content)

    def append(self, row: Mapping[str, Any]) -> None:
        """Adds one row, at once on disk; a column without a value stays empty.

        Raises CannotWrite (full disk): the rows before are intact, the row is lost, and a later append may succeed,
        so a trainer can go on. Raises ValueError for a column the first row did not have.
        """
        lines = [] if self.columns else [list(row)]
        columns = self.columns or list(row)
        if "update" not in row or not set(row) <= set(columns):
            raise ValueError(f"metrics row has columns {list(row)}, expected 'update' and any of {columns}")
        lines.append([row.get(column, "") for column in columns])
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(lines)
        try:
            with self.path.open("ab", buffering=0) as file:
                before = os.fstat(file.fileno()).st_size
                data = text.getvalue().encode()
                try:
                    # A nearly full disk takes a part and says so by its count; the rest names the error.
                    while written := file.write(data):
                        data = data[written:]
                except OSError:
                    os.ftruncate(file.fileno(), before)
                    raise
        except OSError as error:
            raise _cannot_write(self.path, error) from error
        self.columns = columns


def _git(*arguments: str) -> str | None:
    """What git says about the project; None without git or outside a repository."""
    command = ["git", "--no-optional-locks", "-C", str(project_root()), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _version(*names: str) -> str | None:
    """The installed version of the first of these packages that is there, without importing it."""
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(name)
    return None


def provenance(command: Sequence[str] | str, seed: int, workers: int) -> dict[str, Any]:
    """What it takes to repeat a run, as provenance.json holds it; None where something cannot be known."""
    status = _git("status", "--porcelain")
    return {
        "command": command if isinstance(command, str) else shlex.join(command),
        "seed": seed,
        "workers": workers,
        "commit": _git("rev-parse", "--verify", "HEAD"),
        "dirty": None if status is None else bool(status),
        "versions": {
            "python": platform.python_version(),
            "tensorflow": _version("tensorflow", "tensorflow-cpu"),
            "keras": _version("keras"),
            "numpy": _version("numpy"),
            "deqn": _version("deqn"),
        },
        "host": socket.gethostname(),
        "cores": len(os.sched_getaffinity(0)),
        "slurm_job": _slurm_job(),
        "start": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }


def finish(provenance: Mapping[str, Any], status: int | str) -> dict[str, Any]:
    """The provenance with how the run ended and what this process used (children excluded).

    cpu_seconds: user and system time of all threads since the process began. peak_memory_mb: MiB.
    """
    return {
        **provenance,
        "status": status,
        "end": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "cpu_seconds": round(time.process_time(), 3),
        "peak_memory_mb": round(_peak_memory(), 1),
    }


def _peak_memory() -> float:
    """Largest resident set of this process, MiB; getrusage's would count the parent's at the time of the fork."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
