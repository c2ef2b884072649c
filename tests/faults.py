"""Faults brought about on purpose, in processes of their own."""

import functools
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIMIT = 64 * 1024  # bytes that a full disk takes


def run(code: str, *arguments: object, before: Callable[[], None] | None = None, wrap: tuple[str, ...] = ()) -> str:
    """What a Python process prints that runs `code` with these arguments; an error of its own fails the test."""
    command = [*wrap, sys.executable, "-c", code, *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, preexec_fn=before, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def by_file_size(code: str, folder: Path) -> str:
    """Runs `code` where no file can grow beyond LIMIT: works for every user on every system."""
    return run(code, folder, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT)))


def by_small_disk(code: str, folder: Path) -> str:
    """Runs `code` with a file system of LIMIT bytes on `folder`, mounted for this process alone."""
    mount = f'mount -t tmpfs -o size={LIMIT} tmpfs "$0" && exec "$@"'
    return run(code, folder, wrap=("unshare", "--mount", "sh", "-c", mount, str(folder)))


@functools.cache
def can_mount() -> bool:
    try:
        return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def processes():
    """Process id, command and environment of every process of this machine that may be read."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = dict(each.split("=", 1) for each in (folder / "environ").read_text().split("\0") if "=" in each)
            command = (folder / "cmdline").read_text().split("\0")
        except (OSError, ValueError):
            continue
        yield int(folder.name), command, variables


# Where mounting is not allowed the size limit alone stands for the full disk; nothing is skipped.
FULL_DISKS = [by_file_size, by_small_disk] if can_mount() else [by_file_size]
