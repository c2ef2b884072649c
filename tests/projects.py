"""Projects in temporary folders, and the command as a user types it there, in a process of its own or in this one."""

import contextlib
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

from deqn.commands.cli import main
from deqn.project.project import Project

ROOT = Path(__file__).resolve().parents[1]


def make_project(folder, *names):
    """A project in `folder` with copies of these folders of models/, or of all of them for "*"; the folder."""
    project = Project.make(folder)
    for name in (
        sorted(path.name for path in (ROOT / "models").iterdir() if path.is_dir()) if names == ("*",) else names
    ):
        shutil.copytree(ROOT / "models" / name, project.models / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def deqn(project, *arguments):
    """Runs the command as a user types it, in a project folder; the finished process."""
    command = [str(Path(sys.executable).with_name("deqn")), *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, env=environment)


def exit_status(*words):
    """Of a command typed here, run within this process: TensorFlow loads once for all of them."""
    before, sys.argv = sys.argv, ["deqn", *map(str, words)]
    try:
        main()
    except SystemExit as left:
        return left.code
    finally:
        sys.argv = before
    return 0


def typed(project, *arguments):
    """As `deqn`, within this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(project), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = exit_status(*arguments)
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


TIMED = """
import sys, time
from deqn.commands.cli import main
sys.argv, status = sys.argv[1:], 0
try:
    main()
except SystemExit as left:
    status = left.code
heavy = [name for name in ("tensorflow", "keras", "pandas", "matplotlib") if name in sys.modules]
print("\\n", time.process_time(), status or 0, *heavy)
"""


def answers_quickly(project, *words):
    """The exit status of a command that takes half a second of processor time at most and loads no large package.

    In a process of its own; the shortest of three counts, because caches may be cold.
    """
    statuses, times = [], []
    while not times or (min(times) > 0.5 and len(times) < 3):
        command = [sys.executable, "-c", TIMED, "deqn", *map(str, words)]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
        seconds, status, *heavy = done.stdout.splitlines()[-1].split()
        assert not heavy
        statuses.append(int(status))
        times.append(float(seconds))
    assert min(times) < 0.5
    return statuses[0]
