"""The project: a folder with models/ (parameter files and their Python) and runs/ (what they gave)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import final

from deqn.project.errors import CannotWrite, UserError, nearest
from deqn.project.provenance import slurm_job
from deqn.project.run import SOLUTIONS, RunFolder

MARKER = ".deqn-project"  # a file of this name makes a folder a project, and a project's subfolders part of it
_MARKED = "This file makes the folder a project of deqn: models/ holds parameter files, runs/ holds what they gave.\n"


@final
class Project:
    """The folders of a project and the files in them, by name; making one touches nothing on disk.

    root: the folder with the marker, an absolute path. models, runs: its two folders. logs: of SLURM's jobs.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root).resolve()
        self.models = self.root / "models"
        self.runs = self.root / "runs"
        self.logs = self.runs / "logs"

    def __str__(self) -> str:
        """The path of the project."""
        return str(self.root)

    @classmethod
    def around(cls, place: Path) -> Project:
        """The project of the nearest folder at or above `place` that has the marker. Raises UserError without one."""
        place = Path(place).resolve()
        for folder in (place, *place.parents):
            if (folder / MARKER).is_file():
                return cls(folder)
        raise UserError(
            f"{place}: not in a project of deqn (there is no file {MARKER} here or above); go to your project, or make "
            "one here: deqn new models/mine"
        )

    @classmethod
    def is_around(cls, place: Path) -> bool:
        """Whether `place` lies in a project."""
        try:
            cls.around(place)
        except UserError:
            return False
        return True

    @classmethod
    def make(cls, root: Path) -> Project:
        """Makes the marker, models/ and runs/ where they are missing. Raises CannotWrite."""
        project = cls(root)
        try:
            for folder in (project.models, project.runs):
                folder.mkdir(parents=True, exist_ok=True)
            if not (project.root / MARKER).is_file():
                (project.root / MARKER).write_text(_MARKED)
        except OSError as error:
            raise CannotWrite(f"{project.root}: cannot make a project here ({error.strerror})") from error
        return project

    def parameter_files(self) -> list[Path]:
        """All parameter files in models/, in the order of their names."""
        found = (path for path in self.models.rglob("*.y*ml") if path.suffix in (".yaml", ".yml"))
        return sorted(path for path in found if SOLUTIONS not in path.relative_to(self.models).parts)

    def shown(self, path: Path) -> str:
        """A path as seen from the project, so that a copied project finds it; a path elsewhere as a whole."""
        for each in (Path(path).absolute(), Path(path).resolve()):
            if each.is_relative_to(self.root):
                return str(each.relative_to(self.root))
        return str(Path(path).resolve())

    def new_run(self, stem: str, name: str | None, resume: bool) -> RunFolder:
        """The folder runs/stem/name of a run about to be trained; writes nothing.

        name: None for SLURM's job id, else the time (UTC). resume: the run may exist already.
        Raises UserError for a name that is no plain file name, a run that exists, a folder that is no run.
        """
        if name is None:
            name = slurm_job() or datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
        if not re.fullmatch(r"\w[\w.,+=@-]{0,99}", name):
            raise UserError(
                f"--run {name!r}: expected a name of letters, digits and ._,+=@- without blanks or slashes, 100 at most"
            )
        run = RunFolder(self.runs / stem / name)
        if run.path.exists() and not resume:
            raise UserError(f"run {run} exists; continue it with --resume or choose another name with --run")
        strangers = [each.name for each in run.path.iterdir() if each.name != ".lock"] if run.path.is_dir() else []
        if run.path.is_file() or (strangers and not run.is_run):
            raise UserError(f"{run.path}: not a run (it has no parameters.yaml); choose another name with --run")
        return run

    def run(self, name: str | Path) -> RunFolder:
        """The run a user names: the path of its folder, stem/run, or stem for the latest run of that parameter file.

        Raises UserError with the nearest names if there is none, or if the folder holds no run.
        """
        name, foreign = str(name), None
        for path in (Path(name), self.root / name, self.runs / name):
            if not path.is_dir():
                continue
            if RunFolder(path).is_run:
                return RunFolder(path)
            within = [run for each in path.iterdir() if (run := RunFolder(each)).is_run]
            if within:
                return max(within, key=lambda run: (run.start, run.path.name))
            foreign = foreign or path
        if foreign is not None:
            raise UserError(
                f"{foreign}: not a run (it has no parameters.yaml); expected a folder that deqn train wrote"
            )
        known = [str(RunFolder(each.parent)) for each in sorted(self.runs.glob("*/*/parameters.yaml"))]
        stems = [each.partition("/")[0] for each in known]
        hint = nearest(name.removeprefix("runs/").rstrip("/"), stems + known)
        raise UserError(f"{name}: no such run;{hint or ' train one first: deqn train FILE.yaml'}")
