"""Projects in temporary folders, and the command as a user types it there, in a process of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

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
