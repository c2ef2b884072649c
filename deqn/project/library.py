"""What comes with deqn beside its code: the library of models, and the job scripts of SLURM."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def models() -> Path:
    """The library's folder of models: within the installed package, or models/ of a checkout."""
    return _folder("library", "models")


def job_scripts() -> Path:
    """The folder with train.sbatch and sites/: within the installed package, or slurm/ of a checkout."""
    return _folder("job_scripts", "slurm")


def _folder(installed: str, in_checkout: str) -> Path:
    # setup.cfg installs the second under the name of the first.
    folder = _PACKAGE / installed
    return folder if folder.is_dir() else _PACKAGE.parent / in_checkout
