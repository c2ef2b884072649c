"""What the commands share: the application, their arguments, and how a file or run that is typed is found."""

from __future__ import annotations

import functools
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deqn.project.errors import UserError
from deqn.project.library import named_run
from deqn.project.project import Project
from deqn.project.run import RunFolder

if TYPE_CHECKING:
    from deqn.tasks.parameter_file import ParameterFile

app = typer.Typer(
    name="deqn",
    help="Deep Equilibrium Nets: solve a dynamic stochastic economy on the states that it visits.",
    add_completion=False,
    pretty_exceptions_enable=False,
)

ParameterPath = Annotated[
    Path, typer.Argument(metavar="FILE", help="parameter file, such as models/olg/benchmark60.yaml")
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="runs/STEM/NAME, STEM/NAME, or STEM for its latest run")]
Overrides = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="override a setting, such as parameters.borrowing_limit=-0.5"),
]
AsTrained = Annotated[
    bool, typer.Option("--as-trained", help="with the Python that the run folder keeps, not the present one")
]
Trust = Annotated[
    bool, typer.Option("--trust", help="run the Python of a run outside of your project, which you have read")
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="of weights, sampling and tracks")]


def with_tensorflow(command: Callable[..., Any]) -> Callable[..., Any]:
    """For what needs TensorFlow, imported without its log noise, after the quick checks are done."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        from deqn.workers.devices import import_tensorflow

        import_tensorflow()
        return command(*arguments, **options)

    return run


def project_of(file: Path | None = None) -> Project:
    """The project of the working directory, or, from outside of any, that of a file or folder named there."""
    try:
        return Project.around(Path.cwd())
    except UserError:
        if file is None or not file.exists():
            raise
        return Project.around(file.resolve().parent)


def run_named(name: str) -> RunFolder:
    """The run that is named: by the path of its folder, wherever that is, or as the project or the library knows it."""
    return named_run(name)


def read_file(file: Path, overrides: list[str], seed: int | None) -> ParameterFile:
    from deqn.tasks.parameter_file import read_parameter_file  # pydantic takes longer than most commands

    overrides = [*overrides, *([f"seed={seed}"] if seed is not None else [])]
    return read_parameter_file(file, overrides, project_of(file))


def solved_run(name: str, as_trained: bool, trust: bool) -> RunFolder:
    """A run whose Python is about to be executed; a line on stderr if it has been edited since the training.

    The Python has to lie in the user's project; from outside of any, in that of the run, whose folder was typed.
    """
    from deqn.tasks.parameter_file import edited_since, refuse_strangers

    run = run_named(name)
    if not trust:
        here = Path.cwd()
        refuse_strangers(run, as_trained, here if Project.is_around(here) else run.path)
    edited = None if as_trained else edited_since(run)
    if edited:
        print(
            f"deqn: warning: {edited}, and is used as it is now; --as-trained uses the copy in "
            f"{shown(run.as_trained)}, from which you can also set it back",
            file=sys.stderr,
        )
    return run


def refuse_format(out: str) -> None:
    """Raises UserError for a file of data whose ending is none that can be written."""
    formats = (".npz", ".mat", ".parquet", ".dta", ".csv")
    if Path(out).suffix not in formats:
        raise UserError(f"--out: {out} ends in none of {', '.join(formats)}; choose one of them")
    if not Path(out).parent.is_dir():
        raise UserError(f"--out: {Path(out).parent} is no folder; make it first")


def typed_command() -> str:
    """The command as it can be typed again."""
    if Path(sys.argv[0]).name == "__main__.py":
        return shlex.join(["python", "-m", "deqn", *sys.argv[1:]])
    return shlex.join(["deqn" if shutil.which("deqn") else sys.argv[0], *sys.argv[1:]])


def shown(place: RunFolder | Path) -> Path:
    """A folder or file as the user would type it."""
    here = Path.cwd()
    path = (place.path if isinstance(place, RunFolder) else place).resolve()
    return path.relative_to(here) if path.is_relative_to(here) else path
