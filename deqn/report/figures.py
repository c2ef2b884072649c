"""All figures of a run, as far as what it has written allows: `deqn plot` and the end of `deqn train`."""

from collections.abc import Iterator
from pathlib import Path

from deqn.report.bands import by_age, by_shock, stages
from deqn.report.paper import Drawing, paper_style, save
from deqn.report.path import aggregates, decision_rule
from deqn.report.training import training
from deqn.training.errors import UserError


def figures(folder: Path) -> list[Path]:
    """Draw what the run folder has data for, into folder/figures: PNG, PDF and the data behind each as CSV.

    A run in progress has metrics.csv only and gets the figure of training; by_age.csv adds capital, consumption,
    multiplier, Euler and KKT errors by age and the means by shock; stages/ adds the stages of training;
    simulation.npz the path of aggregates and, where the state is a few numbers, the decision rule.
    Returns the paths of the PNG files. Raises UserError if nothing can be drawn, or a file is damaged.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such run folder; `deqn list` names the runs")
    with paper_style():
        made = [save(folder, drawing) for drawing in _drawings(folder)]
    if not made:
        raise UserError(
            f"{folder}: nothing to plot, expected rows in metrics.csv, by_age.csv or stages/; train the run a little"
        )
    return made


def _drawings(folder: Path) -> Iterator[Drawing]:
    yield from by_age(folder)
    yield from (
        drawing for make in (by_shock, stages, aggregates, decision_rule, training) if (drawing := make(folder))
    )
