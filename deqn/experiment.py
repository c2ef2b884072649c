"""From a parameter file to the problem it names: the economy's schema, the settings, the objects. Top floor."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from deqn.equilibrium.settings import EquilibriumSettings, NextPeriodSettings
from deqn.training import parameters as files
from deqn.training.errors import UserError, nearest
from deqn.training.parameters import Section, setting
from deqn.training.run_folder import RunFolder, project_root
from deqn.training.settings import TrainingSettings

if TYPE_CHECKING:
    from deqn.equilibrium.economy import Economy
    from deqn.equilibrium.problem import EquilibriumProblem

# What may differ between a run and its continuation: how long and how often, not what.
_LENGTHS = ("stop", "validate_every", "checkpoints", "evaluation", "updates_per_call")
_THRESHOLDS = ("error_mean", "error_p999", "error_max")  # what an equilibrium's validation reports


class EconomyFile(TrainingSettings, EquilibriumSettings):
    """A parameter file that names an economy."""

    economy: str = setting(source="a class in economy.py beside this file, or FILE.CLASS for one in FILE.py there")
    parameters: dict[str, Any] = setting({})


class Experiment(NamedTuple):
    """A validated parameter file.

    path: of the file (economy.py stands beside it). file: all settings. parameters: the economist's part, an instance
    of the economy's own schema. changed: what --set changed, (key, value in the file, value now).
    """

    path: Path
    file: EconomyFile
    parameters: Any
    changed: list[tuple[str, Any, Any]]

    @property
    def stem(self) -> str:
        """The file's name without .yaml, which names the folder of its runs."""
        return self.path.stem

    def resolved(self) -> dict[str, Any]:
        """Everything that a run depends on, defaults included, as parameters.yaml holds it."""
        plain = self.file.model_dump(mode="json")
        given = {name: plain.pop(name) for name in ("economy", "parameters")}
        given["parameters"] = self.parameters.model_dump(mode="json")
        return {**given, **plain}


def read_experiment(path: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """Reads and validates a parameter file; TensorFlow is imported only if the economy's schema needs it.

    Raises UserError, one line, for every mistake in it.
    """
    path = Path(path)
    if not path.is_file() and (project_root() / path).is_file():
        path = project_root() / path
    return _validated(path, files.read(path, overrides), files.read(path) if overrides else None)


def _validated(path: Path, mapping: Mapping[str, Any], before: Mapping[str, Any] | None) -> Experiment:
    file = files.validate(EconomyFile, mapping)
    for number, phase in enumerate(file.phases):
        changed_in_phase = {**file.next_period.model_dump(), **phase.problem}
        files.validate(NextPeriodSettings, changed_in_phase, f"phases.{number}.problem")
    for name in file.stop:
        if name not in _THRESHOLDS:
            raise UserError(f"stop.{name}: unknown;{nearest(name, _THRESHOLDS)}")
    parameters = files.validate(_schema(path.parent, file.economy), file.parameters, "parameters")
    changed = files.differences(before, mapping) if before is not None else []
    return Experiment(path, file, parameters, changed)


def _schema(folder: Path, economy: str) -> type[Section]:
    """The economy's `Parameters`: from parameters.py where there is one, so that no TensorFlow is needed."""
    own_file = (folder / "parameters.py").is_file()
    home = files.load_module(folder, "parameters") if own_file else _economy_class(folder, economy)
    schema = getattr(home, "Parameters", None)
    if not (isinstance(schema, type) and issubclass(schema, Section)):
        where = folder / "parameters.py" if own_file else f"{economy} in {folder}"
        raise UserError(f"{where}: no class Parameters(Section); write one with a `setting` for each parameter")
    return schema


def _economy_class(folder: Path, name: str) -> type[Economy]:
    from deqn.quiet import import_tensorflow

    import_tensorflow()
    file, _, class_name = name.rpartition(".")
    module = files.load_module(folder, file or "economy")
    from deqn.equilibrium.economy import Economy

    known = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Economy) and value is not Economy
    }
    if class_name not in known:
        path = folder / f"{file or 'economy'}.py"
        raise UserError(f"economy: {class_name!r} is not a class in {path};{nearest(class_name, known)}")
    return known[class_name]


def build_economy(experiment: Experiment, dtype: str) -> Economy:
    """The economy of the file, in the precision asked for."""
    from deqn.equilibrium.blame import told_to_the_user

    folder, name = experiment.path.parent, experiment.file.economy
    economy = _economy_class(folder, name)
    with told_to_the_user(folder, "__init__", f"{name.rpartition('.')[0] or 'economy'}.py"):
        return economy(experiment.parameters, dtype)


def build_problem(experiment: Experiment, rank: int = 0, ranks: int = 1) -> EquilibriumProblem:
    """The problem to train, as this one of `ranks` workers sees it; its network is untrained until the warm start.

    The economy's equations are rehearsed first. UserError: they are mistaken, or a setting does not fit.
    """
    from deqn.equilibrium.problem import EquilibriumProblem
    from deqn.equilibrium.rehearsal import rehearse, trace

    file = experiment.file
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
    if experiment.file.warm_start is None:
        return None
    folder = experiment.path.parent
    if not (folder / "warm_start.py").is_file():
        raise UserError(f"warm_start: {folder} has no warm_start.py; remove this section of the file")
    module = files.load_module(folder, "warm_start")
    settings = files.validate(module.WarmStartSettings, experiment.file.warm_start, "warm_start")

    def start(problem: EquilibriumProblem, say: Callable[[str], None]) -> None:
        module.warm_start(problem, settings, say)
        problem.copy_to_target()

    return start


def experiment_of(run: RunFolder) -> Experiment:
    """The experiment a run was trained with, from its own parameters.yaml; economy.py is the project's.

    Raises UserError if the run does not name its parameter file, or the economy's folder is not in this project.
    """
    try:
        parameter_file = json.loads(run.provenance.read_text())["parameter_file"]
        path = project_root(run.path) / parameter_file
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{run.provenance}: does not name the run's parameter file; was it edited?") from error
    if not path.parent.is_dir():
        raise UserError(f"{run}: its economy's folder {path.parent} is not there; put it back")
    return _validated(path, files.read(run.parameters), None)


def settings_that_differ(now: Mapping[str, Any], then: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Settings other than lengths in which a run (`then`) differs from what is asked (`now`)."""

    def without_lengths(mapping: Mapping[str, Any]) -> dict[str, Any]:
        kept = {key: value for key, value in mapping.items() if key not in _LENGTHS}
        phases = [{k: v for k, v in phase.items() if k != "updates"} for phase in mapping.get("phases", [])]
        return {**kept, "phases": phases}

    return files.differences(without_lengths(then), without_lengths(now))
