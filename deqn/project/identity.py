"""The identity of a run: one hash of its settings and of the Python that its economy or problem is written in.

It stands in provenance.json, in every checkpoint and in the description of every evaluation, so that weights, equations
and tables of different trainings cannot be taken for one run. The run folder keeps a copy of the Python, `as_trained/`.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deqn.project.errors import CannotWrite, UserError
from deqn.project.json_files import read_json
from deqn.project.run import SOLUTIONS, RunFolder
from deqn.project.writing import write_atomically

# What may differ between a run and its continuation: how long and how often, not what.
_LENGTHS = ("stop", "patience", "validate_every", "checkpoints", "evaluation", "verify", "updates_per_call")


def without_lengths(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a parameter file that must not differ between a run and its continuation."""
    kept = {key: value for key, value in settings.items() if key not in _LENGTHS}
    phases = [{k: v for k, v in phase.items() if k != "updates"} for phase in settings.get("phases", [])]
    return {**kept, "phases": phases}


def identity(settings: Mapping[str, Any], python: Mapping[str, str]) -> str:
    """The hash of resolved settings without lengths, and of the checksums that `python_of` gives."""
    text = json.dumps([without_lengths(settings), dict(python)], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def python_of(folder: Path, module: str) -> dict[str, str]:
    """Checksums, by file name, of the Python that a class in folder/module.py is written in.

    These are module.py, parameters.py if it is there, and what they import of the folder (`from .steady_state import
    ...`), also at second hand. Other files, such as figures.py or the economy of another parameter file, may change
    without changing the solution.
    """
    found: dict[str, str] = {}
    waiting = [path for name in (module, "parameters") if (path := folder / f"{name}.py").is_file()]
    while waiting:
        path = waiting.pop()
        name = path.relative_to(folder).as_posix()
        if name not in found:
            content = path.read_bytes()
            found[name] = checksum(content)
            waiting += _imported(content, path)
    return dict(sorted(found.items()))


def checksum(content: bytes) -> str:
    """BLAKE2b of a file's content."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _imported(content: bytes, path: Path) -> Iterator[Path]:
    """The files that a file imports with `from .name import ...` or `from . import name`."""
    try:
        nodes = list(ast.walk(ast.parse(content)))
    except (SyntaxError, ValueError):  # the error is told, with its line, where the file is loaded
        return
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.level:
            home = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            candidates = [home.with_suffix(".py")] if node.module else []
            candidates += [home / "__init__.py", *(home / f"{alias.name}.py" for alias in node.names)]
            yield from (candidate for candidate in candidates if candidate.is_file())


# --- of a run ---------------------------------------------------------------------------------------------------------


def recorded(run: RunFolder) -> dict[str, Any]:
    """What provenance.json says of a run; {} where there is none that can be read."""
    try:
        record = read_json(run.provenance)
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def changed_python(run: RunFolder, folder: Path, module: str) -> list[str]:
    """The files of the economy's folder that are not as the run was trained with them, added and removed ones too.

    Empty for a run that does not know them.
    """
    then = recorded(run).get("python")
    if not isinstance(then, dict):
        return []
    now = python_of(folder, module)
    return [name for name in {**then, **now} if then.get(name) != now.get(name)]


def keep_python(folder: Path, run: RunFolder) -> None:
    """Copies all Python of the economy's folder into the run's `as_trained/`. Raises CannotWrite."""
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder)
        if any(part.startswith((".", "__pycache__")) or part == SOLUTIONS for part in name.parts):
            continue
        target = run.as_trained / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            content = path.read_bytes()
        except OSError as error:
            raise CannotWrite(f"{target}: cannot be copied ({error.strerror})") from error
        write_atomically(target, content)


def check_whole(run: RunFolder, settings: Mapping[str, Any]) -> str | None:
    """The identity of a run, None if it has none; `settings` are those of its parameters.yaml.

    Raises UserError if these have been edited since the training.
    """
    record = recorded(run)
    wanted = record.get("identity")
    if wanted is not None and identity(settings, record.get("python", {})) != wanted:
        raise UserError(
            f"{run.parameters}: is not what {run} was trained with; restore it, or train a new run with the settings "
            "that you want"
        )
    return wanted
