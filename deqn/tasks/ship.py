"""`deqn ship`: what of a run folder is enough to use its solution, copied into a folder that is shipped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from deqn.project.errors import CannotWrite, UserError
from deqn.project.run import SOLUTIONS, RunFolder
from deqn.project.writing import write_atomically
from deqn.report import certificate, files
from deqn.tasks.parameter_file import file_named_by
from deqn.training import checkpoint

LARGEST = 2_000_000  # bytes of a shipped solution
_FILES = ("parameters.yaml", "provenance.json", "errors.csv", "implied.csv", "moments.csv", certificate.FILE,
          "verify.md")  # fmt: skip
_FIGURES = ("capital_by_age", "euler_by_age", "policies", "path", "training")  # as far as there is room
_ENOUGH = 4


def ship_run(run: RunFolder, folder: Path | None) -> tuple[Path, int]:
    """Copies what is shipped of a run; the folder, models/NAME/solutions/STEM by default, and its size in bytes.

    Weights, settings, Python, provenance, tables, certificate and a few figures, in as many bytes as 2 MB hold. What
    was in the folder before goes. Raises UserError for a run that is not verified, a folder that is no solution, or
    weights that are too large.
    """
    standing = certificate.standing(run)
    if standing in ("not verified", "certificate damaged") or standing.startswith("stale"):
        raise UserError(f"{run}: {standing}; run deqn verify {run} first, whose certificate is shipped, failed or not")
    parameter_file = file_named_by(run)
    target = folder or parameter_file.parent / SOLUTIONS / parameter_file.stem
    if target.exists() and not RunFolder(target).is_run:
        raise UserError(f"{target}: exists and is no solution; choose another folder")
    wanted = list(_wanted(run))
    size = sum(path.stat().st_size for path, _ in wanted)
    if size > LARGEST:
        raise UserError(f"{run}: {size:,} bytes are to be shipped, expected at most {LARGEST:,}; train fewer weights")
    try:
        if target.exists():
            shutil.rmtree(target)
        for path, name in wanted:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(target / name, path.read_bytes())
    except OSError as error:
        raise CannotWrite(f"{target}: cannot be written ({error.strerror})") from error
    _describe(run, target)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    return target, size


def _wanted(run: RunFolder) -> Iterator[tuple[Path, str]]:
    """Each file to copy, and its name in the shipped folder; figures as far as there is room."""
    weights = checkpoint.weights_of(run.checkpoints)
    fixed = [(weights, f"checkpoints/{weights.name}")]
    fixed += [(run.path / name, name) for name in _FILES if (run.path / name).is_file()]
    fixed += [(path, path.relative_to(run.path).as_posix()) for path in sorted(run.path.glob("by_*.csv"))]
    fixed += [(path, path.relative_to(run.path).as_posix()) for path in sorted(run.as_trained.rglob("*.py"))]
    yield from fixed
    room = LARGEST - sum(path.stat().st_size for path, _ in fixed) - _size(run.path / "description.json")
    drawn = {path.stem: path for path in sorted(run.figures.glob("*.png"))}
    chosen = [name for name in (*_FIGURES, *drawn) if name in drawn]
    for name in list(dict.fromkeys(chosen))[:_ENOUGH]:
        if (size := _size(drawn[name])) < room:
            room -= size
            yield drawn[name], f"figures/{name}.png"


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _describe(run: RunFolder, target: Path) -> None:
    """description.json, which lists only the files that are shipped: tables that are missing would be told."""
    described = files.description(run.path)
    if described:
        listed = described.get("files", {})
        described["files"] = {name: check for name, check in listed.items() if (target / name).is_file()}
        write_atomically(target / "description.json", json.dumps(described, indent=1) + "\n")
