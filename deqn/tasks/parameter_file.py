"""A parameter file, read and checked against the schema of the economy or problem that it names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from deqn.equilibrium import judging
from deqn.equilibrium.settings import EquilibriumSettings, NextPeriodSettings
from deqn.project import library
from deqn.project.errors import UserError, nearest
from deqn.project.identity import changed_python, check_whole, recorded, without_lengths
from deqn.project.parameter_yaml import differences, read_yaml
from deqn.project.project import Project
from deqn.project.run import RunFolder
from deqn.project.schema import Section, setting, validate
from deqn.project.user_code import load_module
from deqn.training.settings import TrainingSettings


class ProblemFile(TrainingSettings):
    """A parameter file that names a problem: a regression, a sequence network, an agent."""

    names: ClassVar[str] = "problem"  # the setting that names the class, and the file in which it stands
    problem: str = setting(source="a class in problem.py beside this file, or FILE.CLASS for one in FILE.py there")
    parameters: dict[str, Any] = setting({})


class EconomyFile(TrainingSettings, EquilibriumSettings):
    """A parameter file that names an economy: short for the problem of its equilibrium."""

    names: ClassVar[str] = "economy"
    economy: str = setting(source="a class in economy.py beside this file, or FILE.CLASS for one in FILE.py there")
    parameters: dict[str, Any] = setting({})


class ParameterFile(NamedTuple):
    """A validated parameter file.

    path: of the file; economy.py or problem.py stands beside it. settings: all of it. parameters: the user's part, an
    instance of the economy's or problem's own schema. changed: what --set changed, (key, value before, value now).
    project: where its runs go.
    """

    path: Path
    settings: EconomyFile | ProblemFile
    parameters: Any
    changed: list[tuple[str, Any, Any]]
    project: Project

    @property
    def stem(self) -> str:
        """The file's name without .yaml, which names the folder of its runs."""
        return self.path.stem

    @property
    def named(self) -> str:
        """The class that the file names, with the module before it if it stands in another file."""
        return str(getattr(self.settings, self.settings.names))

    @property
    def module(self) -> str:
        """The Python file beside this one in which that class stands, without .py."""
        return self.named.rpartition(".")[0] or self.settings.names

    def resolved(self) -> dict[str, Any]:
        """Everything that a run depends on, defaults included, as parameters.yaml holds it."""
        plain: dict[str, Any] = self.settings.model_dump(mode="json")
        first = {self.settings.names: plain.pop(self.settings.names), "parameters": None}
        return {**first, **plain, "parameters": self.parameters.model_dump(mode="json")}

    def with_evaluation(self, changes: Mapping[str, Any]) -> ParameterFile:
        """The file with other settings of its evaluation. Raises UserError if they do not fit, or there are none."""
        if not changes:
            return self
        option = next(iter(changes)).replace("_", "-")
        now = getattr(self.settings, "evaluation", None)
        if now is None:
            raise UserError(f"--{option}: {self.stem} is no economy and has no path to simulate; leave it out")
        now = now.model_copy(update=dict(changes))
        if now.burn_in >= now.periods:
            raise UserError(f"--burn-in: got {now.burn_in} of {now.periods} periods, expected fewer than the periods")
        return self._replace(settings=self.settings.model_copy(update={"evaluation": now}))


def read_parameter_file(path: str | Path, overrides: Sequence[str], project: Project) -> ParameterFile:
    """Reads and validates a parameter file; TensorFlow is imported only if the economy's schema needs it.

    path: as seen from the working directory, or else from the project. Raises UserError for every mistake in the file.
    """
    path, known = Path(path), project.parameter_files()
    if not path.is_file() and (project.root / path).is_file():
        path = project.root / path
    file = _validated(path, read_yaml(path, overrides, known), project)
    for other in known:
        if other.stem == path.stem and path.resolve().is_relative_to(project.models) and not other.samefile(path):
            raise UserError(
                f"{path}: {project.shown(other)} has the same name, and both would share runs/{path.stem}; rename one"
            )
    return file._replace(changed=_changed(file, read_yaml(path))) if overrides else file


def _changed(file: ParameterFile, mapping: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """What --set has changed in the file, defaults included: (key, value before, value now)."""
    try:
        before = _validated(file.path, mapping, file.project).resolved()
    except UserError:  # the file needs what --set says
        before = dict(mapping)
    return differences(before, file.resolved())


def parameter_file_of(run: RunFolder, as_trained: bool = False) -> ParameterFile:
    """The file that a run was trained with, from its own parameters.yaml; the Python beside it is the project's.

    as_trained: the Python is the run folder's own copy.
    Raises UserError if the run does not name its parameter file, the economy's folder is not in this project, or
    parameters.yaml has been edited.
    """
    project, path = _project_of(run), file_named_by(run)
    if as_trained:
        if not run.as_trained.is_dir():
            raise UserError(f"{run}: has no copy of its Python in {run.as_trained}; leave --as-trained out")
        path = run.as_trained / path.name
    if not path.parent.is_dir():
        raise UserError(f"{run}: its economy's folder {path.parent} is not there; put it back, or use --as-trained")
    settings = read_yaml(run.parameters)
    check_whole(run, settings)
    return _validated(path, settings, project)


def _project_of(run: RunFolder) -> Project:
    """The project around a run; a run that keeps its Python and lies in none, as a shipped one may, is its own."""
    alone = run.as_trained.is_dir() and not Project.is_around(run.path)
    return Project(run.path) if alone else Project.around(run.path)


def file_named_by(run: RunFolder) -> Path:
    """The parameter file that a run names, in the project around it. Raises UserError if it names none."""
    try:
        return _project_of(run).root / recorded(run)["parameter_file"]
    except (KeyError, TypeError) as error:
        raise UserError(f"{run.provenance}: does not name the run's parameter file; was it edited?") from error


def refuse_strangers(run: RunFolder, as_trained: bool, place: Path) -> None:
    """Raises UserError if the Python of a run lies outside the project around `place`, where the user is.

    as_trained: the Python is the run folder's own copy. A run that names no Python has none that could be executed.
    """
    try:
        home = run.as_trained if as_trained else file_named_by(run).parent
    except UserError:
        return  # who needs the file says what is wrong with it
    if library.is_of_library(home):
        return  # it came with deqn
    root = Project.around(place).root if Project.is_around(place) else None
    files = [home, *home.rglob("*.py")]
    if root is None or not all(path.resolve().is_relative_to(root) for path in files):
        raise UserError(
            f"{run.path}: its equations are Python in {home.resolve()}, outside the project of the working directory; "
            "read them, then say that you trust them (--trust, in Python trust=True), or go to that project"
        )


def edited_since(run: RunFolder) -> str | None:
    """A line that names the Python edited since a run was trained and how to go back; None if all is as it was."""
    try:
        path = file_named_by(run)
        named = read_yaml(run.parameters)
        kind = ProblemFile.names if ProblemFile.names in named else EconomyFile.names
        module = str(named[kind]).rpartition(".")[0] or kind
    except (UserError, KeyError):
        return None  # who needs the file says what is wrong with it
    changed = changed_python(run, path.parent, module)
    if not changed:
        return None
    shown = _project_of(run).shown(path.parent / changed[0])
    more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
    return f"{shown}{more} has changed since {run} was trained"


def settings_that_differ(now: Mapping[str, Any], then: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Settings other than lengths in which a run (`then`) differs from what is asked (`now`)."""
    return differences(without_lengths(then), without_lengths(now))


def named_class(folder: Path, kind: str, name: str, base: type) -> type:
    """The class that a parameter file names as `economy:` or `problem:` (its kind), a subclass of `base`.

    name: CLASS in economy.py or problem.py of the folder, or FILE.CLASS. Raises UserError if there is none such.
    """
    file, _, class_name = name.rpartition(".")
    known = {
        key: value
        for key, value in vars(load_module(folder, file or kind)).items()
        if isinstance(value, type) and issubclass(value, base) and value is not base
    }
    if class_name not in known:
        path = folder / f"{file or kind}.py"
        raise UserError(f"{kind}: {class_name!r} is not a class in {path};{nearest(class_name, known)}")
    return known[class_name]


def _validated(path: Path, mapping: Mapping[str, Any], project: Project) -> ParameterFile:
    kind: type[EconomyFile] | type[ProblemFile] = ProblemFile if ProblemFile.names in mapping else EconomyFile
    _check_place(path, mapping, kind)
    settings = validate(kind, mapping)
    if isinstance(settings, EconomyFile):
        _check_equilibrium(settings)
    file = ParameterFile(path, settings, None, [], project)
    schema = _schema(file)
    for number, phase in enumerate(settings.phases):
        if phase.parameters:
            validate(schema, {**settings.parameters, **phase.parameters}, f"phases.{number}.parameters")
    return file._replace(parameters=validate(schema, settings.parameters, "parameters"))


def _check_place(path: Path, mapping: Mapping[str, Any], kind: type[Section]) -> None:
    """A parameter of the economy that stands at the top of the file, or was given to --set so, is told its place."""
    unknown = [key for key in mapping if key not in kind.model_fields]
    name = mapping.get(getattr(kind, "names", ""))
    if not unknown or not isinstance(name, str) or not (path.parent / "parameters.py").is_file():
        return
    known = _schema_of(path.parent, name, load_module(path.parent, "parameters")).model_fields
    for key in unknown:
        if key in known:
            raise UserError(f"{key}: unknown here; it is one of the parameters, write parameters.{key}")


def _check_equilibrium(settings: EconomyFile) -> None:
    settings.further()
    for number, phase in enumerate(settings.phases):
        changed_in_phase = {**settings.next_period.model_dump(), **phase.problem}
        validate(NextPeriodSettings, changed_in_phase, f"phases.{number}.problem")
    for name in settings.stop:
        if not judging.has_form(name):  # which conditions there are, only the economy's equations can say
            raise UserError(
                f"stop.{name}: unknown; expected a condition and .mean, .p99.9 or .max after it, such as euler.mean or "
                "worst.max"
            )


def _schema(file: ParameterFile) -> type[Section]:
    """The schema of the user's parameters, without TensorFlow where it has a file of its own.

    Of a class in FILE.py it is sought in FILE_parameters.py, then in parameters.py, then in the class itself.
    """
    folder = file.path.parent
    _check_class(file)
    for module in (f"{file.module}_parameters", "parameters"):
        if (folder / f"{module}.py").is_file():
            return _schema_of(folder, file.named, load_module(folder, module))
    return _schema_of(folder, file.named, _beside_tensorflow(file))


def _schema_of(folder: Path, name: str, home: Any) -> type[Section]:
    """CLASSParameters, else Parameters, of a module or class."""
    wanted = f"{name.rpartition('.')[2]}Parameters"
    schema = getattr(home, wanted, None) or getattr(home, "Parameters", None)
    if not (isinstance(schema, type) and issubclass(schema, Section)):
        where = folder / "parameters.py" if (folder / "parameters.py").is_file() else f"{name} in {folder}"
        raise UserError(
            f"{where}: no class Parameters(Section) or {wanted}(Section); write one with a `setting` for each parameter"
        )
    return schema


def _check_class(file: ParameterFile) -> None:
    """Refuses a class that its file never mentions, without running that file: also for a job that runs later."""
    path = file.path.parent / f"{file.module}.py"
    name = file.named.rpartition(".")[2]
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
    if text is not None and not re.search(rf"\b{re.escape(name)}\b", text):
        known = re.findall(r"^class (\w+)", text, re.MULTILINE)
        raise UserError(f"{file.settings.names}: {name!r} is not a class in {path};{nearest(name, known)}")


def _beside_tensorflow(file: ParameterFile) -> type:
    from deqn.tasks.build import class_of

    return class_of(file)
