"""All figures of a run for which it has written the data: `deqn plot`, and the end of `deqn train`."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from deqn.project.errors import UserError
from deqn.project.identity import recorded
from deqn.project.project import Project
from deqn.project.run import RunFolder
from deqn.project.user_code import load_module
from deqn.report import files, inequality, responses
from deqn.report.bands import by_axis, by_shock, stages
from deqn.report.paper import Drawing, for_journal, paper_style, save
from deqn.report.path import aggregates, decision_rule
from deqn.report.training import training_figure


def draw_all(folder: Path, as_trained: bool = False, run: Path | None = None, journal: bool = False) -> list[Path]:
    """Draws what the run folder has data for, into folder/figures: PNG, PDF and the data behind each as CSV.

    A run in progress has metrics.csv only and gets the figure of training; by_age.csv, or that of another axis, adds
    variables and errors along it and the means by shock; stages/ adds the stages of training; simulation.npz the path
    of aggregates, Lorenz curves, shares and lives along an axis, and, where the state is a few numbers, the decision
    rule. What `drawings(folder)` of a figures.py beside the parameter file draws comes on top.

    as_trained: figures.py is the copy that the run keeps. run: whose evaluation the folder holds, if it is none itself.
    journal: in the sizes of a journal, into folder/journal/figures, with the impulse responses if they are there.
    Returns the paths of the PNG files. Raises UserError if nothing can be drawn, or a file is damaged.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such run folder; `deqn list` names the runs")
    files.check_evaluation(folder)
    own = _own_figures(RunFolder(run or folder), as_trained)
    with paper_style():
        drawings = itertools.chain(drawings_of_library(folder), own(folder))
        if journal:
            has_responses = (folder / "responses.csv").exists()
            more = responses.drawings([folder], [folder.name]) if has_responses else ()
            made = [save(folder / "journal", for_journal(drawing)) for drawing in itertools.chain(drawings, more)]
        else:
            made = [save(folder, drawing) for drawing in drawings]
    if not made:
        raise UserError(
            f"{folder}: nothing to plot, expected rows in metrics.csv, by_age.csv or stages/; train the run a little"
        )
    return made


def _own_figures(run: RunFolder, as_trained: bool) -> Callable[[Path], Iterable[Drawing]]:
    """The function `drawings` of figures.py beside the run's parameter file; draws nothing where there is none."""
    try:
        home = (Project.around(run.path).root / recorded(run)["parameter_file"]).parent
    except (UserError, KeyError, TypeError):
        return lambda folder: ()
    if as_trained:
        home = run.as_trained
    if not (home / "figures.py").is_file():
        return lambda folder: ()
    module = load_module(home, "figures")
    if not callable(getattr(module, "drawings", None)):
        raise UserError(f"{home / 'figures.py'}: no function drawings(folder); expected one that yields Drawings")
    return module.drawings


def drawings_of_library(folder: Path) -> Iterator[Drawing]:
    """Yields the figures that need no figures.py of the economy's own, of whatever the folder has data for."""
    yield from by_axis(folder)
    yield from inequality.drawings(folder)
    yield from (
        drawing for make in (by_shock, stages, aggregates, decision_rule, training_figure) if (drawing := make(folder))
    )
