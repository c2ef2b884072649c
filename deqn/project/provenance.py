"""Where a run comes from: command, commit, versions, machine, and what it used."""

import contextlib
import importlib.metadata
import os
import platform
import resource
import shlex
import socket
import subprocess
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def slurm_job() -> str | None:
    """SLURM's job id, with the task's number in a job array; None outside a job."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID") or None


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says about a folder; None without git or outside a repository."""
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
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


def _processor() -> str | None:
    """What Linux calls the processor."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or None


def record_of_start(command: str, seed: int, workers: int, folder: Path) -> dict[str, Any]:
    """What it takes to repeat a run, as provenance.json holds it; None where something cannot be known.

    folder: of the project, whose commit is recorded.
    """
    status = _git(folder, "status", "--porcelain")
    return {
        "command": command,
        "seed": seed,
        "workers": workers,
        "commit": _git(folder, "rev-parse", "--verify", "HEAD"),
        "dirty": None if status is None else bool(status),
        "versions": {
            "python": platform.python_version(),
            "tensorflow": _version("tensorflow", "tensorflow-cpu"),
            "keras": _version("keras"),
            "numpy": _version("numpy"),
            "deqn": _version("deqn"),
        },
        "processor": _processor(),
        "host": socket.gethostname(),
        "cores": len(os.sched_getaffinity(0)),
        "slurm_job": slurm_job(),
        "start": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }


def resume_command(command: str, run: str) -> str:
    """The command that continues the run of this name, from the one that began it."""
    try:
        words = [word for word in shlex.split(command) if word != "--resume"]
    except ValueError:  # a record that was edited by hand
        words = ["deqn", "train", "FILE"]
    named = [] if any(word.partition("=")[0] == "--run" for word in words) else ["--run", run]
    return shlex.join([*words, *named, "--resume"])


def record_of_end(record: Mapping[str, Any], status: int | str) -> dict[str, Any]:
    """The record of a run with how it ended and what this process used (children excluded).

    cpu_seconds: user and system time of all threads since the process began. peak_memory_mb: MiB.
    """
    return {
        **record,
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
