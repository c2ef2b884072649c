"""What comes with deqn beside its code: the library of models, with solutions, and the job scripts of SLURM."""

from __future__ import annotations

from pathlib import Path

from deqn.project.project import Project
from deqn.project.run import RunFolder

_PACKAGE = Path(__file__).resolve().parents[1]


def models() -> Path:
    """The library's folder of models: within the installed package, or models/ of a checkout."""
    return _folder("library", "models")


def job_scripts() -> Path:
    """The folder with train.sbatch and sites/: within the installed package, or slurm/ of a checkout."""
    return _folder("job_scripts", "slurm")


def named_run(name: str | Path) -> RunFolder:
    """The run that is named: by the path of its folder, as the project knows it, or a solution of the library.

    A solution that comes with deqn is named models/NAME/solutions/STEM, in a project that has no such folder too.
    Raises UserError if there is none.
    """
    here, parts = Path.cwd(), Path(name).parts
    places = [Path(name), *([Project.around(here).root / name] if Project.is_around(here) else [])]
    places += [models().joinpath(*parts[1:])] if parts[:1] == ("models",) else []
    found = next((run for place in places if (run := RunFolder(place)).is_run), None)
    return found or Project.around(here).run(name)


def is_of_library(place: Path) -> bool:
    """Whether a file or folder belongs to the library's models."""
    return place.resolve().is_relative_to(models().resolve())


def _folder(installed: str, in_checkout: str) -> Path:
    # setup.cfg installs the second under the name of the first.
    folder = _PACKAGE / installed
    return folder if folder.is_dir() else _PACKAGE.parent / in_checkout
