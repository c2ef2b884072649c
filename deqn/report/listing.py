"""`deqn list`: economies, parameter files, runs with errors, cost, evidence and verdict. Without NumPy."""

import math
import os
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from deqn.project.errors import UserError
from deqn.project.json_files import read_json
from deqn.project.project import Project
from deqn.project.provenance import resume_command
from deqn.project.run import RunFolder
from deqn.report import certificate, files, tables

_FAR = 0.02  # mean relative error above which a finished run is not called done: twenty dollars in a thousand


def lines_of_list(project: Project) -> Iterator[str]:
    """Yields the lines to print for a project: its parameter files by economy, then its runs, newest first.

    Files that cannot be read are passed over or shown as such; nothing is raised.
    """
    known = list(_parameter_files(project))
    yield f"economies, problems and parameter files in {project.models}"
    yield tables.text(_files_table(project, known)) if known else "none\n"
    found = (RunFolder(path.parent) for path in project.runs.glob("*/*/parameters.yaml"))
    runs = sorted(found, key=lambda run: run.start, reverse=True)
    yield f"runs in {project.runs}"
    yield tables.text(_runs_table(runs)) if runs else "none; train one: deqn train FILE\n"


def _parameter_files(project: Project) -> Iterator[tuple[Path, str, str]]:
    """Path, economy or problem, first comment of every parameter file. Read by pattern: YAML would take too long."""
    for path in project.parameter_files():
        text = path.read_text(encoding="utf-8", errors="replace")
        named = re.search(r"^(?:economy|problem):\s*([\w.]+)", text, re.MULTILINE)
        comment = re.match(r"#\s*(.*)", text)
        if named:
            yield path, named[1], comment[1] if comment else ""


def _files_table(project: Project, known: list[tuple[Path, str, str]]) -> Table:
    table = Table("economy or problem", "parameter file", "what it is", box=box.SIMPLE_HEAD)
    for path, named, comment in known:
        table.add_row(named, project.shown(path), comment)
    return table


def _runs_table(runs: list[RunFolder]) -> Table:
    """Errors are those of the worst condition in errors.csv, over all states of the evaluation's path."""
    table = Table("run", "error", box=box.SIMPLE_HEAD)
    for name in ("mean %", "p99.9 %", "max %", "CPU-seconds", "updates"):
        table.add_column(name, justify="right")
    table.add_column("evidence")
    table.add_column("verdict")
    for run in runs:
        record = _provenance(run)
        table.add_row(str(run), *_errors(run), *_cost(record), certificate.standing(run), verdict(run, record))
    return table


def _provenance(run: RunFolder) -> dict[str, Any]:
    try:
        record = read_json(run.provenance)
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _worst_row(run: RunFolder) -> dict[str, Any] | None:
    """The worst condition's errors over all states; None where they cannot be read."""
    try:
        return tables.worst_row(tables.error_rows(run.path))
    except (UserError, ValueError):
        return None


def _mean_error(run: RunFolder) -> float:
    """The worst condition's mean error; infinite if that is not a number, and 0 where there is none."""
    row = _worst_row(run)
    if row is None:
        return 0.0
    return math.inf if math.isnan(row["mean"]) else float(row["mean"])


def _errors(run: RunFolder) -> list[str]:
    row = _worst_row(run)
    if row is None:
        return [_headline(run), "", "", ""]
    name = tables.condition_name(row["condition"], files.description(run.path))
    name += "" if row["unit"] == "relative" else f" ({tables.SCALES[row['unit']]})"
    return [name, *(tables.digits(100 * row[s]) for s in ("mean", "p99.9", "max"))]


def _headline(run: RunFolder) -> str:
    """What a problem that is no economy has found; empty where it has not been evaluated."""
    try:
        return str(files.description(run.path).get("headline", ""))
    except UserError:
        return ""


def _cost(record: Mapping[str, Any]) -> list[str]:
    seconds, updates = record.get("training_cpu_seconds", math.nan), record.get("updates", "")
    return ["" if math.isnan(seconds) else f"{seconds:.0f}", str(updates)]


def verdict(run: RunFolder, record: Mapping[str, Any]) -> str:
    """Says in a few words how a run stands.

    record: its provenance.json; a status is written when a training ends, so that a run without one is in progress or
    was killed.
    """
    status = record.get("status")
    if status is None:
        return _in_progress(run) or f"killed; continue with: {_again(run, record)}"
    if status == "stopped":
        return f"stopped; continue with: {_again(run, record)}"
    if status in ("diverged", "failed"):
        return f"{status}; see deqn doctor {run}"
    if record.get("thresholds_reached") is False:
        return f"thresholds not reached; see deqn doctor {run}"
    if _mean_error(run) > _FAR:
        return f"far from an equilibrium; see deqn doctor {run}"
    evaluated = "" if run.errors.is_file() or _headline(run) else ", not evaluated"
    return f"{'thresholds reached' if record.get('thresholds_reached') else 'done'}{evaluated}"


def _again(run: RunFolder, record: Mapping[str, Any]) -> str:
    """The whole command that continues the run, with every --set it was begun with."""
    command = record.get("command")
    return resume_command(command if isinstance(command, str) else "deqn train FILE", run.path.name)


def _in_progress(run: RunFolder) -> str:
    """Who trains the run, as its lock file says, if that process can be alive; looking takes no lock from anybody."""
    try:
        owner = re.fullmatch(r"process (\d+) on (\S+)\s*", (run.path / ".lock").read_text())
    except OSError:
        return ""
    if owner is None:
        return ""
    if owner[2] != socket.gethostname():
        return f"unfinished: last trained on {owner[2]}"
    try:
        os.kill(int(owner[1]), 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return f"training now, process {owner[1]}"
