"""`deqn doctor` looks in a run's files for the causes of a poor or failed training."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from deqn.project.errors import UserError
from deqn.project.json_files import read_json
from deqn.project.parameter_yaml import read_yaml
from deqn.project.run import RunFolder
from deqn.report import files
from deqn.report.symptoms import SYMPTOMS, Evidence, Finding


def diagnosis(run: RunFolder) -> Iterator[str]:
    """Yields the findings on a run as lines to print, or one line if there are none. Raises UserError as `findings`."""
    found = findings(run)
    yield f"{run}: {len(found)} finding{'' if len(found) == 1 else 's'}" if found else f"{run}: nothing conspicuous"
    for finding in found:
        yield f"- {finding.name}: {finding.seen}\n  what helps: {finding.cure}"
    if not (run.errors.is_file() or files.description(run.path)):
        yield f"not evaluated: deqn evaluate {run} would show where the errors sit, by condition, age and shock"


def in_short(run: RunFolder) -> Iterator[str]:
    """Yields the findings as they stand under the tables of a run: one line each, without what helps."""
    try:
        found = findings(run)
    except UserError as error:
        yield f"findings: {error}"
        return
    yield f"findings: {len(found)}; deqn doctor {run} says what helps" if found else "findings: nothing conspicuous"
    for finding in found:
        yield f"- {finding.name}: {finding.seen}"


def findings(run: RunFolder) -> list[Finding]:
    """Returns what is wrong with a run, causes before consequences.

    A file that a run has not written yet says nothing. Raises UserError if none is there, or one is damaged.
    """
    evidence = _read(run)
    if not (evidence.provenance or evidence.metrics):
        raise UserError(f"{run.path}: neither provenance.json nor metrics.csv to read; train the run a little")
    return [finding for symptom in SYMPTOMS if (finding := symptom(evidence))]


def _read(run: RunFolder) -> Evidence:
    errors = []
    if run.errors.is_file() and "condition" in files.header(run.errors):  # a problem's errors.csv has its own columns
        errors = files.rows(run.errors, text=("condition", "group", "key", "unit"), numbers=("n", "mean", "max"))
    return Evidence(
        parameters=read_yaml(run.parameters) if run.is_run else {},
        provenance=_provenance(run.provenance),
        description=files.description(run.path),
        metrics=_metrics(run.metrics),
        errors=errors,
        simulation=_arrays(run.simulation, files.description(run.path)),
    )


def _provenance(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); restore it, or train the run again") from error
    return content if isinstance(content, dict) else {}


def _metrics(path: Path) -> dict[str, np.ndarray]:
    """The columns of metrics.csv, [rows] each; {} before its first row."""
    if not path.is_file():
        return {}
    others = [name for name in files.header(path, files.TRAIN) if name not in ("update", "loss")]
    rows = files.rows(path, numbers=("update", "loss"), optional=others, cure=files.TRAIN)
    return {name: np.array([row[name] for row in rows]) for name in rows[0]} if rows else {}


def _arrays(path: Path, described: dict[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of simulation.npz that findings look at, by their names; {} before the evaluation."""
    if not path.is_file():
        return {}
    files.check_one_evaluation(path)
    letters = described.get("letters", {})
    names = [*described.get("states", ()), *described.get("policies", ())]
    wanted = {"track": "track", **{letters.get(name, name): name for name in names}, **described.get("aggregates", {})}
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[letter] for letter, name in wanted.items() if letter in archive.files}
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: cannot be read ({error}); {files.EVALUATE}") from error
