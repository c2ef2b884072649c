"""From a validated parameter file to the problem it names, untrained or with the weights of a run."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from deqn.project.errors import UserError
from deqn.project.identity import recorded
from deqn.project.run import RunFolder
from deqn.project.user_code import mistakes_in_user_code
from deqn.tasks.parameter_file import EconomyFile, ParameterFile, named_class, parameter_file_of
from deqn.workers.devices import import_tensorflow
from deqn.workers.memory import memory_there_is, shown

if TYPE_CHECKING:
    from deqn.training.problem import Problem


def class_of(file: ParameterFile) -> type:
    """The class that the file names, an Economy or a Problem. Raises UserError if there is none of that name."""
    import_tensorflow()
    from deqn.equilibrium.economy import Economy
    from deqn.training.problem import Problem

    base = Economy if isinstance(file.settings, EconomyFile) else Problem
    return named_class(file.path.parent, file.settings.names, file.named, base)


def in_user_code(file: ParameterFile, method: str) -> AbstractContextManager[None]:
    """Within it a mistake in the Python beside the file becomes a UserError of one line."""
    return mistakes_in_user_code(file.path.parent, method, f"{file.module}.py")


def build_problem(file: ParameterFile, rank: int = 0, ranks: int = 1) -> Problem:
    """The problem as this one of `ranks` workers sees it, untrained; an economy's equations are checked first.

    Raises UserError: the user's Python is mistaken, or a setting does not fit.
    """
    if isinstance(file.settings, EconomyFile):
        named = class_of(file)
        from deqn.equilibrium.checks.dry_run import check_before_training

        with in_user_code(file, "__init__"):
            check_before_training(named, file.parameters, file.settings)
            _check_memory(file, file.settings, ranks, training=True)
    return _unchecked(file, rank, ranks)


def _check_memory(file: ParameterFile, settings: EconomyFile, ranks: int, training: bool) -> None:
    """Refuses sizes that this machine cannot hold, before anything of such a size is made.

    training: or only its evaluation, perhaps on a smaller machine. Ranks may stand on machines of their own: each is
    asked for its share alone.
    """
    economy = class_of(file)(file.parameters, settings.precision)
    from deqn.equilibrium.network import inputs_of  # TensorFlow's noise has been held back by now

    inputs, outputs = inputs_of(economy), economy.width
    if training:
        number = 8 if settings.precision == "float64" else 4
        needed = settings.bytes_needed(inputs, outputs, economy.shocks.discrete or 1, number)
        if settings.workers.scaling == "strong":
            needed["sampling.tracks"] //= ranks
    else:
        needed = {"evaluation.periods": settings.bytes_of_evaluation(inputs, outputs)}
    there_is, total = memory_there_is(), sum(needed.values())
    if total > there_is:
        key = max(needed, key=lambda each: needed[each])
        raise UserError(
            f"{key}: needs {shown(needed[key])} of memory, {shown(total)} with the rest of the file, and this machine "
            f"has {shown(there_is)}; ask for less, or for a machine with more"
        )


def load_problem(run: RunFolder, file: ParameterFile | None = None) -> Problem:
    """A run's problem with its best weights, or its last ones if it does not validate, and its last host state.

    file: by default the one that the run was trained with. Raises UserError if there is no checkpoint, or it is damaged
    or of another problem.
    """
    if file is not None and isinstance(file.settings, EconomyFile):
        with in_user_code(file, "__init__"):
            _check_memory(file, file.settings, 1, training=False)
    problem = _unchecked(file or parameter_file_of(run), 0, 1)
    from deqn.training import position  # TensorFlow's noise has been held back by now

    position.load_run(problem, run.checkpoints, recorded(run).get("identity"))
    return problem


def _unchecked(file: ParameterFile, rank: int, ranks: int) -> Problem:
    with in_user_code(file, "__init__"):
        return _maker(file)(file.parameters, file.settings, rank, ranks)


def _maker(file: ParameterFile) -> Callable[..., Problem]:
    """What makes the problem from parameters, settings, rank and number of ranks."""
    named = class_of(file)
    if not isinstance(file.settings, EconomyFile):
        return named
    from deqn.equilibrium.problem import Equilibrium

    return functools.partial(Equilibrium, named)
