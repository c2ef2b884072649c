"""The certificate of a run: reading it, whether it still holds, and its text. Standard library and rich only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table

from deqn.project.identity import checksum
from deqn.project.json_files import read_json
from deqn.project.run import RunFolder
from deqn.report import tables

FILE = "certificate.json"


def standing(run: RunFolder) -> str:
    """Whether a run is verified, in a few words: verified, failed with the first check, stale, or not verified."""
    path = run.path / FILE
    try:
        said = read_json(path)
        verdict, failed = said["verdict"], [str(name) for name in said["failed"]]
        weights, evaluation = said["weights"], said["evaluation"]
        now = checksum((run.path / said["weights_file"]).read_bytes())
    except FileNotFoundError:
        return "not verified" if not path.exists() else "stale: its weights are gone"
    except (OSError, ValueError, KeyError, TypeError):
        return "certificate damaged"
    if now != weights:
        return "stale: of earlier weights"
    if evaluation != _evaluation(run):
        return "stale: of an earlier evaluation"
    if failed:
        return f"failed: {failed[0]}" + (f" (and {len(failed) - 1} more)" if len(failed) > 1 else "")
    return "verified" if verdict == "verified" else "failed"


def _evaluation(run: RunFolder) -> Any:
    try:
        return read_json(run.path / "description.json").get("id")
    except (OSError, ValueError, AttributeError):
        return None


def line(check: Mapping[str, Any]) -> str:
    """A check in one line."""
    number, bound = _numbers(check)
    measured = f"{number} ({bound})" if number else ""
    return f"{check['verdict']:14} {check['name']}: {'; '.join(each for each in (measured, check['note']) if each)}"


def markdown(said: Mapping[str, Any]) -> str:
    """verify.md: the verdict, the checks, and where and when they were made."""
    failed = said["failed"]
    verdict = f"failed: {len(failed)} of {len(said['checks'])} checks" if failed else "verified"
    table = Table("verdict", "check", "number", "threshold", "what was measured", box=box.SIMPLE_HEAD)
    for verdict_of_check, *cells, note in rows(said):
        shown = f"**{verdict_of_check}**" if verdict_of_check == "fail" else verdict_of_check
        table.add_row(shown, *cells, note.replace("|", "/"))
    parts = [f"# {said['run']}: {verdict}", tables.text(table).rstrip()]
    parts += [f"Failed: {', '.join(failed)}."] if failed else []
    parts.append("A check that is not applicable says nothing for the solution, and nothing against it.")
    parts.append("\n".join(f"- {name}: {text}" for name, text in _origin(said)))
    return "\n\n".join(parts) + "\n"


def rows(said: Mapping[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """Verdict, name, number, threshold and note of each check, as they are printed."""
    return [(each["verdict"], each["name"], *_numbers(each), each["note"]) for each in said["checks"]]


def _numbers(check: Mapping[str, Any]) -> tuple[str, str]:
    """Number and threshold as they are printed; both empty where there are none."""
    if check["number"] is None:
        return "", ""
    unit, number, bound = check["unit"], float(check["number"]), float(check["threshold"])
    if unit == "p-value":
        return f"p-value {number:.2g}", f"at least {bound:g}"
    words = " %" if unit == "%" else f" {unit}"
    shown = f"{number}" if math.isinf(number) else tables.digits(100 * number)
    return f"{shown}{words}", f"at most {tables.digits(100 * bound)}{words}"


def _origin(said: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where the solution and the certificate come from, in words."""
    lines = []
    for what in ("trained", "verified"):
        record = said.get(what, {})
        commit = f"{record.get('commit') or 'unknown'}{' with changes' if record.get('dirty') else ''}"
        versions = ", ".join(f"{name} {version}" for name, version in record.get("versions", {}).items())
        machine = f"{record.get('cores', '?')} cores of {record.get('processor') or 'an unknown processor'}"
        seconds = record.get("training_cpu_seconds", record.get("cpu_seconds", "?"))
        when = record.get("end", record.get("start", ""))
        lines.append((what, f"`{record.get('command', '')}`, commit {commit}, {versions}, {machine}, {seconds} "
                      f"CPU-seconds, {when}"))  # fmt: skip
    lines.append(("seed", f"{said.get('trained', {}).get('seed')} of the training, {said['path']['seed']} of the path"))
    lines.append(("weights", f"{said['weights_file']}, checksum {said['weights']}"))
    lines.append(("evaluation", f"{said['evaluation'] or 'none'}; settings and equations {said['identity']}"))
    return lines
