"""A parameter file, read and checked against the schema of the economy or problem that it names. Top floor."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from deqn.equilibrium.settings import EquilibriumSettings, NextPeriodSettings
from deqn.project.errors import UserError, nearest
from deqn.project.parameter_yaml import differences, read_yaml
from deqn.project.project import project_root
from deqn.project.run import RunFolder
from deqn.project.schema import Section, setting, validate
from deqn.project.user_code import load_module
from deqn.training.settings import TrainingSettings

# What may differ between a run and its continuation: how long and how often, not what.
_LENGTHS = ("stop", "patience", "validate_every", "checkpoints", "evaluation", "updates_per_call")
_THRESHOLDS = ("error_mean", "error_p999", "error_max")  # what an equilibrium's validation reports


class EconomyFile(TrainingSettings, EquilibriumSettings):
    """A parameter file that names an economy."""

    economy: str = setting(source="a class in economy.py beside this file, or FILE.CLASS for one in FILE.py there")
    parameters: dict[str, Any] = setting({})


class StudyFile(TrainingSettings):
    """A parameter file that names a problem of its own: a regression, a sequence network, an agent."""

    problem: str = setting(source="a class in problem.py beside this file, or FILE.CLASS for one in FILE.py there")
    parameters: dict[str, Any] = setting({})


class Experiment(NamedTuple):
    """A validated parameter file.

    path: of the file (economy.py or problem.py stands beside it). file: all settings. parameters: the user's part, an
    instance of the economy's or problem's own schema. changed: what --set changed, (key, value in the file, value now).
    """

    path: Path
    file: EconomyFile | StudyFile
    parameters: Any
    changed: list[tuple[str, Any, Any]]

    @property
    def stem(self) -> str:
        """The file's name without .yaml, which names the folder of its runs."""
        return self.path.stem

    @property
    def economy(self) -> EconomyFile:
        """The settings of a file that names an economy. Raises UserError if it names a problem."""
        if isinstance(self.file, EconomyFile):
            return self.file
        raise UserError(
            f"{self.stem} is the problem {self.file.problem}, which has no states and no decision rule; expected an "
            "economy"
        )

    def resolved(self) -> dict[str, Any]:
        """Everything that a run depends on, defaults included, as parameters.yaml holds it."""
        plain: dict[str, Any] = self.file.model_dump(mode="json")
        given: dict[str, Any] = {
            name: plain.pop(name) for name in ("economy", "problem", "parameters") if name in plain
        }
        given["parameters"] = self.parameters.model_dump(mode="json")
        return {**given, **plain}


def read_experiment(path: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """Reads and validates a parameter file; TensorFlow is imported only if the economy's schema needs it.

    Raises UserError, one line, for every mistake in it.
    """
    path = Path(path)
    if not path.is_file() and (project_root() / path).is_file():
        path = project_root() / path
    return _validated(path, read_yaml(path, overrides), read_yaml(path) if overrides else None)


def _validated(path: Path, mapping: Mapping[str, Any], before: Mapping[str, Any] | None) -> Experiment:
    file: EconomyFile | StudyFile
    if "problem" in mapping:
        file = validate(StudyFile, mapping)
        schema = _schema(path.parent, "problem", file.problem)
    else:
        file = validate(EconomyFile, mapping)
        _check_equilibrium(file)
        schema = _schema(path.parent, "economy", file.economy)
    parameters = validate(schema, file.parameters, "parameters")
    changed = differences(before, mapping) if before is not None else []
    return Experiment(path, file, parameters, changed)


def _check_equilibrium(file: EconomyFile) -> None:
    for number, phase in enumerate(file.phases):
        changed_in_phase = {**file.next_period.model_dump(), **phase.problem}
        validate(NextPeriodSettings, changed_in_phase, f"phases.{number}.problem")
    for name in file.stop:
        if name not in _THRESHOLDS:
            raise UserError(f"stop.{name}: unknown;{nearest(name, _THRESHOLDS)}")


def _schema(folder: Path, kind: str, name: str) -> type[Section]:
    """The schema CLASSParameters, else Parameters: from parameters.py where there is one, so without TensorFlow."""
    own_file = (folder / "parameters.py").is_file()
    home = load_module(folder, "parameters") if own_file else named_class(folder, kind, name)
    wanted = f"{name.rpartition('.')[2]}Parameters"
    schema = getattr(home, wanted, None) or getattr(home, "Parameters", None)
    if not (isinstance(schema, type) and issubclass(schema, Section)):
        where = folder / "parameters.py" if own_file else f"{name} in {folder}"
        raise UserError(
            f"{where}: no class Parameters(Section) or {wanted}(Section); write one with a `setting` for each parameter"
        )
    return schema


def named_class(folder: Path, kind: str, name: str) -> type:
    """The class that a parameter file names as `economy:` or `problem:` (its kind); imports TensorFlow.

    name: CLASS in economy.py or problem.py of the folder, or FILE.CLASS. Raises UserError if there is none such.
    """
    from deqn.workers.devices import import_tensorflow

    import_tensorflow()
    file, _, class_name = name.rpartition(".")
    module = load_module(folder, file or kind)
    from deqn.equilibrium.economy import Economy
    from deqn.training.problem import Problem

    base: type = Economy if kind == "economy" else Problem
    known = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, base) and value is not base
    }
    if class_name not in known:
        path = folder / f"{file or kind}.py"
        raise UserError(f"{kind}: {class_name!r} is not a class in {path};{nearest(class_name, known)}")
    return known[class_name]


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
    return _validated(path, read_yaml(run.parameters), None)


def settings_that_differ(now: Mapping[str, Any], then: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Settings other than lengths in which a run (`then`) differs from what is asked (`now`)."""

    def without_lengths(mapping: Mapping[str, Any]) -> dict[str, Any]:
        kept = {key: value for key, value in mapping.items() if key not in _LENGTHS}
        phases = [{k: v for k, v in phase.items() if k != "updates"} for phase in mapping.get("phases", [])]
        return {**kept, "phases": phases}

    return differences(without_lengths(then), without_lengths(now))
