"""`deqn reproduce PAPER`: what a paper has published beside what the runs of this project have found.

A folder of models/ reproduces a paper if it holds a file reproduce.py with

PAPER                  its name, as it is typed
TITLE                  the heading of what is written
RUNS                   parameter files by what the paper calls the case: {"a >= 0": "models/olg/benchmark60.yaml"}
RESPONSES              the cases of which it needs impulse responses
LONG                   the cases that --train leaves out because they take too long, if there are any
exhibits(runs)         yields an `Exhibit` for each table and figure; runs: by case the run's folder, or None
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from deqn.project.errors import UserError, nearest
from deqn.project.identity import checksum
from deqn.project.project import Project
from deqn.project.run import RunFolder
from deqn.project.user_code import load_module, mistakes_in_user_code
from deqn.report import exhibits, responses
from deqn.report.paper import paper_style
from deqn.training.checkpoint import weights_of

_NAMED = re.compile(r"^PAPER = [\"'](\w+)[\"']", re.MULTILINE)


def paper_of(project: Project, name: str) -> ModuleType:
    """The reproduce.py of a paper. Raises UserError, with the papers there are, if it is none or of two folders."""
    found: dict[str, list[Path]] = {}
    for path in sorted(project.models.glob("*/reproduce.py")):
        named = _NAMED.search(path.read_text(encoding="utf-8"))
        if named:
            found.setdefault(named[1], []).append(path.parent)
    if name not in found:
        copy = " copy one of the library, such as: deqn new models/olg60 --like olg"
        hint = nearest(name, found) if found else copy
        raise UserError(f"{name}: no models/*/reproduce.py has PAPER = {name!r};{hint or copy}")
    if len(found[name]) > 1:
        folders = " and ".join(project.shown(each) for each in found[name])
        raise UserError(f"{name}: reproduced by {folders}; give one of them another PAPER")
    return load_module(found[name][0], "reproduce")


def runs_of(project: Project, paper: ModuleType, named: Sequence[RunFolder]) -> dict[str, RunFolder | None]:
    """By case the run that was named, else the latest one of its parameter file, else None.

    Raises UserError for a run of another parameter file.
    """
    stems = {Path(file).stem: case for case, file in paper.RUNS.items()}
    for run in named:
        if run.path.resolve().parent.name not in stems:
            raise UserError(f"{run}: no run of {', '.join(paper.RUNS.values())}; name runs of these files only")
    chosen = {stems[run.path.resolve().parent.name]: run for run in named}
    return {case: chosen.get(case) or _latest(project, stem) for stem, case in stems.items()}


def _latest(project: Project, stem: str) -> RunFolder | None:
    """The latest run that has been evaluated."""
    found = [RunFolder(path.parent) for path in (project.runs / stem).glob("*/errors.csv")]
    return max((run for run in found if run.is_run), key=lambda run: (run.start, run.path.name), default=None)


def lacking_responses(paper: ModuleType, runs: Mapping[str, RunFolder | None]) -> list[RunFolder]:
    """The runs whose impulse responses are needed and are not there, or are those of other weights."""
    return [run for case in paper.RESPONSES if (run := runs[case]) is not None and not _has_responses(run)]


def _has_responses(run: RunFolder) -> bool:
    try:
        described = responses.described(run.path)
        weights = checksum(weights_of(run.checkpoints).read_bytes())
        return described["weights"] == weights and described["start"] == responses.ERGODIC
    except (UserError, OSError, KeyError, TypeError):
        return False


def write(paper: ModuleType, runs: Mapping[str, RunFolder | None], folder: Path) -> Iterator[str]:
    """Writes PAPER.md, PAPER.tex and the figures; yields the lines of the first."""
    home = Path(str(paper.__file__)).parent
    folders = {case: None if run is None else run.path for case, run in runs.items()}
    with mistakes_in_user_code(home, "exhibits", "reproduce.py"), paper_style():
        found = list(paper.exhibits(folders))
    return exhibits.write(paper.TITLE, found, folder, paper.PAPER)
