"""From a validated parameter file to the objects it names: economy, problem, warm start. Top floor."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from deqn.project.errors import UserError, nearest
from deqn.project.schema import validate
from deqn.project.user_code import load_module
from deqn.tasks.parameter_file import Experiment, StudyFile, named_class

if TYPE_CHECKING:
    from deqn.equilibrium.economy import Economy
    from deqn.equilibrium.problem import EquilibriumProblem
    from deqn.training.problem import Problem


def build_economy(experiment: Experiment, dtype: str) -> Economy:
    """The economy of the file, in the precision asked for."""
    from deqn.project.user_code import told_to_the_user

    folder, name = experiment.path.parent, experiment.economy.economy
    economy = named_class(folder, "economy", name)
    with told_to_the_user(folder, "__init__", f"{name.rpartition('.')[0] or 'economy'}.py"):
        return economy(experiment.parameters, dtype)


def build_problem(experiment: Experiment, rank: int = 0, ranks: int = 1) -> EquilibriumProblem | Problem:
    """The problem to train, as this one of `ranks` workers sees it; untrained.

    Raises UserError: the user's Python is mistaken, or a setting does not fit.
    """
    if isinstance(experiment.file, StudyFile):
        return build_study(experiment, rank, ranks)
    return build_equilibrium(experiment, rank, ranks)


def told_in(experiment: Experiment, method: str) -> AbstractContextManager[None]:
    """Within it an exception in the Python beside a file that names a problem is told in one line, as a UserError."""
    from deqn.project.user_code import told_to_the_user

    assert isinstance(experiment.file, StudyFile)
    module = experiment.file.problem.rpartition(".")[0] or "problem"
    return told_to_the_user(experiment.path.parent, method, f"{module}.py")


def build_study(experiment: Experiment, rank: int = 0, ranks: int = 1) -> Problem:
    """The study that the file's `problem:` names; a mistake in its parameters is told as one of the file."""
    file, folder = experiment.file, experiment.path.parent
    assert isinstance(file, StudyFile)
    made = named_class(folder, "problem", file.problem)
    with told_in(experiment, "__init__"):
        return made(experiment.parameters, file, rank, ranks)


def build_equilibrium(experiment: Experiment, rank: int = 0, ranks: int = 1) -> EquilibriumProblem:
    """The equilibrium of the file's economy; its equations are rehearsed first."""
    from deqn.equilibrium.checks.dry_run import rehearse, trace
    from deqn.equilibrium.problem import EquilibriumProblem

    file = experiment.economy
    economy = build_economy(experiment, file.precision)
    conditions = rehearse(economy, file.sampling.every_shock, file.next_period.gradient == "frozen")
    if file.precision != "float64":
        trace(build_economy(experiment, "float64"))  # as solutions are evaluated
    for name in file.weights:
        if name not in conditions:
            raise UserError(f"weights.{name}: not a condition of the economy;{nearest(name, conditions)}")
    sharing = ranks if file.workers.scaling == "strong" else 1
    return EquilibriumProblem(economy, file, file.seed, rank, sharing)


def warm_start(experiment: Experiment) -> Callable[[EquilibriumProblem, Callable[[str], None]], None] | None:
    """The economy's own warm start, ready to be called with (problem, say); None if the file asks for none.

    Raises UserError if the economy has none, or for a mistake in its settings.
    """
    if isinstance(experiment.file, StudyFile) or experiment.file.warm_start is None:
        return None
    folder = experiment.path.parent
    if not (folder / "warm_start.py").is_file():
        raise UserError(f"warm_start: {folder} has no warm_start.py; remove this section of the file")
    module = load_module(folder, "warm_start")
    settings = validate(module.WarmStartSettings, experiment.file.warm_start, "warm_start")

    def start(problem: EquilibriumProblem, say: Callable[[str], None]) -> None:
        module.warm_start(problem, settings, say)
        problem.copy_to_target()

    return start
