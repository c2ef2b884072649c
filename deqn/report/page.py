"""`deqn report`: one HTML page about some runs, and its tables as LaTeX and CSV. Reads run folders; no TensorFlow."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from deqn.project.errors import UserError
from deqn.project.identity import recorded
from deqn.project.parameter_yaml import read_yaml
from deqn.project.run import RunFolder, distinct_names
from deqn.project.writing import write_atomically
from deqn.report import certificate, files, findings, origin, tables
from deqn.report.latex import write
from deqn.report.sheets import Section, Sheet, of_rows, templates


class Chapter(NamedTuple):
    """What is said of one run."""

    name: str
    key: str
    standing: str
    headline: str
    sections: Sequence[Section]


def write_report(runs: Sequence[RunFolder], folder: Path, command: str) -> tuple[Path, list[str]]:
    """Writes report.html and tables/ into the folder; the page's path and the names of the tables.

    Raises UserError for a run that has not been evaluated, or whose files are damaged.
    """
    names = distinct_names(runs)
    chapters = [_chapter(run, name, prefixed=len(runs) > 1) for run, name in zip(runs, names, strict=True)]
    beside = _beside(runs, names) if len(runs) > 1 else []
    every = [sheet for chapter in chapters for section in chapter.sections for sheet in section.sheets]
    written = write([*beside, *every], folder / "tables")
    html = (
        templates()
        .get_template("page.html")
        .render(title=", ".join(names), chapters=chapters, beside=beside, command=command)
    )
    write_atomically(folder / "report.html", html)
    return folder / "report.html", written


def _chapter(run: RunFolder, name: str, prefixed: bool) -> Chapter:
    described = files.description(run.path)
    if not described:
        raise UserError(f"{run}: has no description.json; {files.EVALUATE}")
    files.check_evaluation(run.path)
    record, settings = recorded(run), read_yaml(run.parameters)
    key = re.sub(r"\W+", "_", name)
    prefix = f"{key}_" if prefixed else ""
    sections = [
        origin.what(run, described, record, settings),
        origin.how(run, record, settings),
        findings.errors_of(run, described),
        findings.evidence_of(run),
        findings.moments_of(run, described, settings),
        findings.figures_of(run),
        findings.responses_of(run, name),
        origin.again(run, record),
    ]
    kept = [each._replace(key=f"{key}-{each.key}", sheets=[_under(prefix, sheet) for sheet in each.sheets])
            for each in sections if each.html or each.sheets or each.pictures]  # fmt: skip
    return Chapter(name, key, certificate.standing(run), described.get("headline", ""), kept)


def _under(prefix: str, sheet: Sheet) -> Sheet:
    return sheet._replace(name=f"{prefix}{sheet.name}")


def _beside(runs: Sequence[RunFolder], names: Sequence[str]) -> list[Sheet]:
    """Several runs in one table: errors, cost, evidence; the parameters in which they differ; means of aggregates."""
    rows = []
    for run, name in zip(runs, names, strict=True):
        record, described = recorded(run), files.description(run.path)
        worst = tables.worst_row(tables.error_rows(run.path)) if run.errors.exists() else None
        rows.append({
            "run": name,
            "error": tables.condition_name(worst["condition"], described) if worst else described.get("headline", ""),
            **{f"{s} %": tables.digits(100 * worst[s]) if worst else "" for s in ("mean", "p99.9", "max")},
            "seed": record.get("seed", ""), "CPU-seconds": f"{record.get('training_cpu_seconds', math.nan):.0f}",
            "evidence": certificate.standing(run),
        })  # fmt: skip
    sheets = [of_rows("runs", "The runs", rows)]
    given = [read_yaml(run.parameters).get("parameters") or {} for run in runs]
    words = [{key: origin.in_words(value) for key, value in each.items()} for each in given]
    keys = [key for key in dict.fromkeys(itertools.chain(*words)) if len({each.get(key) for each in words}) > 1]
    differ = [
        {"parameter": key, **{name: each.get(key, "") for name, each in zip(names, words, strict=True)}} for key in keys
    ]
    return [*sheets, *([of_rows("differences", "Parameters that differ", differ)] if differ else [])]
