"""The command line. Counts shocks from 1, as the paper does; arrays count from 0."""

from __future__ import annotations

import enum
import functools
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from deqn.project.errors import Diverged, Stopped, UserError
from deqn.project.project import Project
from deqn.project.run import RunFolder, distinct_names
from deqn.tasks.parameter_file import ParameterFile, edited_since, read_parameter_file, refuse_strangers
from deqn.workers.collective import on_first
from deqn.workers.launch import read_launch
from deqn.workers.ranks import refuse_ranks, together

if TYPE_CHECKING:
    from deqn.tasks.train import Request

app = typer.Typer(
    name="deqn",
    help="Deep Equilibrium Nets: solve a dynamic stochastic economy on the states that it visits.",
    add_completion=False,
    pretty_exceptions_enable=False,
)

# What typer raises for a mistyped command or option. Its home has moved between typer's versions; its child has not.
_UsageError: Any = typer.BadParameter.__base__

ParameterPath = Annotated[
    Path, typer.Argument(metavar="FILE", help="parameter file, such as models/olg/benchmark60.yaml")
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="runs/STEM/NAME, STEM/NAME, or STEM for its latest run")]
_INTERRUPTED = 130
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


class WorkersKind(enum.StrEnum):
    """The values of --workers."""

    auto = "auto"
    single = "single"
    horovod = "horovod"
    mpi = "mpi"


def main() -> None:
    """Runs a command.

    Exit status: 0 done, 2 user's mistake, 3 diverged, 75 stopped with a checkpoint, 130 interrupted.
    """
    try:
        status = app(args=sys.argv[1:] or ["--help"], prog_name="deqn", standalone_mode=False)
        sys.stdout.flush()
    except (UserError, Diverged, Stopped) as error:
        _leave(str(error), error.exit_status)
    except _UsageError as error:
        command = error.ctx.command_path if error.ctx else "deqn"
        words = " ".join(error.format_message().split()).rstrip(".")
        _leave(f"{words}; see {command} --help", UserError.exit_status)
    except (KeyboardInterrupt, typer.Abort):
        status = _INTERRUPTED
    except BrokenPipeError:  # the reader, such as head, has seen enough
        _leave("", 0)
    except RecursionError:
        _leave("a file is nested too deeply to be read; was it edited by hand?", UserError.exit_status)
    except MemoryError as error:
        _leave(f"not enough memory ({error or 'nothing is left'}); ask for smaller sizes", UserError.exit_status)
    except OSError as error:  # a name that is too long, a device that is full
        place = f"{error.filename}: " if error.filename else ""
        _leave(f"{place}{error.strerror or error}; choose another file or folder", UserError.exit_status)
    if status == _INTERRUPTED:  # which typer also returns
        _leave("interrupted; what was written before stands", _INTERRUPTED)


def _leave(message: str, status: int) -> NoReturn:
    """Ends the process with a line on stderr; what stdout could not take is dropped."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if message:
        print(f"deqn: {message}", file=sys.stderr)
    sys.exit(status)


def _with_tensorflow(command: Callable[..., Any]) -> Callable[..., Any]:
    """For what needs TensorFlow, imported without its log noise, after the quick checks are done."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        from deqn.workers.devices import import_tensorflow

        import_tensorflow()
        return command(*arguments, **options)

    return run


def _project(file: Path | None = None) -> Project:
    """The project of the working directory, or, from outside of any, that of a file or folder named there."""
    try:
        return Project.around(Path.cwd())
    except UserError:
        if file is None or not file.exists():
            raise
        return Project.around(file.resolve().parent)


def _run(name: str) -> RunFolder:
    """The run that is named: by the path of its folder, wherever that is, or as the project knows it."""
    folder = RunFolder(Path(name))
    return folder if folder.is_run else _project().run(name)


def _solved_run(name: str, as_trained: bool, trust: bool) -> RunFolder:
    """A run whose Python is about to be executed; a line on stderr if it has been edited since the training."""
    run = _run(name)
    if not trust:
        refuse_strangers(run, as_trained)
    _warn_of_edits(run, as_trained)
    return run


def _read(file: Path, overrides: list[str], seed: int | None) -> ParameterFile:
    overrides = [*overrides, *([f"seed={seed}"] if seed is not None else [])]
    return read_parameter_file(file, overrides, _project(file))


@app.command()
def train(
    file: ParameterPath,
    run: Annotated[
        str | None, typer.Option("--run", help="name of the run; by default SLURM's job id or the time")
    ] = None,
    seed: Seed = None,
    overrides: Overrides = [],  # noqa: B006 - typer reads it, nobody changes it
    resume: Annotated[bool, typer.Option("--resume", help="continue if there is a checkpoint, else start")] = False,
    start_from: Annotated[
        str | None, typer.Option("--from", metavar="RUN", help="start from this run's network")
    ] = None,
    workers: Annotated[
        WorkersKind, typer.Option("--workers", help="how ranks of horovodrun, mpirun or srun exchange gradients")
    ] = WorkersKind.auto,
) -> None:
    """Solve the economy, or train the problem, of a parameter file; write tables and figures into a run folder."""
    from deqn.tasks.train import Request, choose_run

    asked = _read(file, overrides, seed)
    request = Request(run, resume, start_from, _command())
    if start_from is not None:
        asked.project.run(start_from)  # a mistyped name is told before TensorFlow is imported
    launched = read_launch(os.environ)
    several = launched is not None and launched.size > 1
    folder = _train(asked, request, None if several else choose_run(asked, request), workers.value)
    if folder is not None:
        _evaluate(folder, {}, as_trained=False)


def _command() -> str:
    """The command as it can be typed again."""
    if Path(sys.argv[0]).name == "__main__.py":
        return shlex.join(["python", "-m", "deqn", *sys.argv[1:]])
    return shlex.join(["deqn" if shutil.which("deqn") else sys.argv[0], *sys.argv[1:]])


@_with_tensorflow
def _train(file: ParameterFile, request: Request, folder: RunFolder | None, kind: str) -> RunFolder | None:
    """Trains; the folder, on the one rank that evaluates it. folder: None if all ranks have yet to agree on it."""
    from deqn.commands.console import Console, costs, header
    from deqn.tasks.train import choose_run, prepare, train_run

    with together(kind, file.settings.workers) as workers:
        run = folder or on_first(workers, lambda: choose_run(file, request))
        problem = prepare(file, request, workers)
        console = Console(problem.in_words, silent=workers.rank > 0)
        for line in header(file, request.start_from, run, problem, workers):
            console.say(line)
        outcome = train_run(file, request, run, problem, workers, console.say, console.report)
        for line in costs(outcome, problem.in_words):
            console.say(line)
        if outcome.thresholds is False:
            wanted = ", ".join(f"{name} {value:g}" for name, value in file.settings.stop.items())
            reached = ", ".join(f"{name} {outcome.best.get(name, float('nan')):.3g}" for name in file.settings.stop)
            console.say(f"thresholds not reached: asked for {wanted}; best {reached}; deqn doctor {run} says more")
    return run if workers.rank == 0 else None


@app.command()
def submit(
    file: ParameterPath,
    options: Annotated[
        list[str] | None, typer.Argument(metavar="-- [OPTIONS]", help="of deqn train, after two dashes: -- --set ...")
    ] = None,
    nodes: Annotated[int | None, typer.Option("--nodes", min=1)] = None,
    ntasks_per_node: Annotated[int | None, typer.Option("--ntasks-per-node", min=1, help="ranks on each node")] = None,
    cpus_per_task: Annotated[int | None, typer.Option("--cpus-per-task", min=1, help="cores of each rank")] = None,
    gpus_per_node: Annotated[int | None, typer.Option("--gpus-per-node", min=1, help="by default none")] = None,
    time_limit: Annotated[
        str | None, typer.Option("--time", metavar="TIME", help="90 (minutes), 08:00:00, 2-12 (days-hours)")
    ] = None,
    mem: Annotated[str | None, typer.Option("--mem", help="memory of each node, such as 60G")] = None,
    account: Annotated[str | None, typer.Option("--account", help="who pays")] = None,
    partition: Annotated[str | None, typer.Option("--partition", help="which queue")] = None,
    qos: Annotated[str | None, typer.Option("--qos", help="quality of service")] = None,
    site: Annotated[str | None, typer.Option("--site", help="a file of slurm/sites; by default $DEQN_SITE")] = None,
    array: Annotated[
        str | None, typer.Option("--array", metavar="KEY=V1,V2,...", help="a job array, one run for each value")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the script, submit nothing")] = False,
) -> None:
    """Train under SLURM: checks everything, then gives slurm/train.sbatch to sbatch with what is asked for here.

    What is not asked for stays as in slurm/train.sbatch. The job goes on by itself after its time limit.
    """
    from deqn.slurm import submit as jobs

    words = [word for word in options or [] if word != "--resume"]  # the job always resumes
    given = _train_options([str(file), *words])
    asked = _read(file, given["overrides"], given["seed"])
    project = asked.project
    options_of_sbatch = {
        "nodes": nodes, "ntasks-per-node": ntasks_per_node, "cpus-per-task": cpus_per_task,
        "gpus-per-node": gpus_per_node, "time": time_limit, "mem": mem, "account": account, "partition": partition,
        "qos": qos,
    }  # fmt: skip
    sweep = jobs.read_sweep(array) if array is not None else None
    job = jobs.Job(
        file=project.shown(asked.path), run=given["run"], arguments=words,
        options={name: str(value) for name, value in options_of_sbatch.items() if value is not None},
        site=site or os.environ.get("DEQN_SITE") or "generic", sweep=sweep, command=_command(),
    )  # fmt: skip
    jobs.check(job, asked, given["start_from"])
    for override in sweep.overrides() if sweep else ():
        _read(file, [*given["overrides"], override], given["seed"])
    text = jobs.script(project, job)
    if dry_run or not jobs.has_sbatch():
        print(text, end="")
    if not dry_run:
        print(jobs.send(project, job, text))


def _train_options(words: list[str]) -> dict[str, Any]:
    """The options of `deqn train` among these words, by parameter; refuses what it would refuse."""
    command: Any = typer.main.get_command(app)
    return command.commands["train"].make_context("deqn train", words).params


@app.command()
def status() -> None:
    """This project's jobs: state, update and episode reached, Euler error, time left, log file."""
    from deqn.slurm.status import lines_of_jobs

    for line in lines_of_jobs(_project()):
        print(line)


@app.command()
def evaluate(
    run: RunName,
    periods: Annotated[int | None, typer.Option(min=2, help="periods simulated, the burn-in among them")] = None,
    burn_in: Annotated[int | None, typer.Option("--burn-in", min=0, help="first periods dropped")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="of the path")] = None,
    tracks: Annotated[int | None, typer.Option("--tracks", min=1, help="paths of so many periods each")] = None,
    as_trained: AsTrained = False,
    trust: Trust = False,
) -> None:
    """Simulate a run's best policy in float64 (of a problem: compute its tables anew); write and print the errors."""
    refuse_ranks("evaluate")
    given = {"periods": periods, "burn_in": burn_in, "seed": seed, "tracks": tracks}
    folder = _solved_run(run, as_trained, trust)
    changes = {name: value for name, value in given.items() if value is not None}
    _with_tensorflow(_evaluate)(folder, changes, as_trained)


def _warn_of_edits(run: RunFolder, as_trained: bool) -> None:
    """One line on stderr if the economy's Python is not what the run was trained with, and is used all the same."""
    edited = None if as_trained else edited_since(run)
    if edited:
        print(
            f"deqn: warning: {edited}, and is used as it is now; --as-trained uses the copy in "
            f"{_shown(run.as_trained)}, from which you can also set it back",
            file=sys.stderr,
        )


def _evaluate(folder: RunFolder, changes: dict[str, int], as_trained: bool) -> None:
    from deqn.report.doctor import in_short
    from deqn.report.tables import text, to_print
    from deqn.tasks.evaluate import evaluate_run

    start = time.process_time()
    place, results = evaluate_run(folder, changes, as_trained)
    print(f"\n{folder}: {results.headline}\n")
    for title, table in to_print(place):
        print(f"{title}\n\n{text(table)}")
    for line in (*results.notes, *in_short(RunFolder(place))):
        print(line)
    print(f"evaluated in {time.process_time() - start:.0f} CPU-seconds; arrays and tables in {_shown(place)}")
    _draw(folder, place, as_trained)


@app.command()
def policy(
    run: RunName,
    states: Annotated[
        str, typer.Option("--states", metavar="FILE.npz", help="arrays by letter: z [M] from 0, k [M, N]")
    ],
    out: Annotated[str, typer.Option("--out", metavar="FILE.npz", help="where the policy goes: a, lam, c")],
    as_trained: AsTrained = False,
    trust: Trust = False,
) -> None:
    """Evaluate a run's decision rule at states of your own."""
    refuse_ranks("policy")
    _run(run)  # a mistyped name is told before all else
    if Path(states).exists() and not Path(states).is_file():
        raise UserError(f"--states: {states} is no plain file; expected an .npz with an array for each state variable")
    if not Path(states).is_file():
        raise UserError(f"--states: {states} not found; expected an .npz with an array for each state variable")
    if not Path(out).parent.is_dir():
        raise UserError(f"--out: {Path(out).parent} is no folder; make it first")
    _policy(_solved_run(run, as_trained, trust), states, out, as_trained)


@_with_tensorflow
def _policy(folder: RunFolder, states: str, out: str, as_trained: bool) -> None:
    from deqn.tasks.solution import write_policy

    print(write_policy(folder, states, out, as_trained))


@app.command()
def check(file: ParameterPath, overrides: Overrides = [], seed: Seed = None) -> None:  # noqa: B006
    """Validate a parameter file; say the number of weights, memory and time to expect. Trains nothing."""
    _check(_read(file, overrides, seed))


@_with_tensorflow
def _check(file: ParameterFile) -> None:
    from deqn.tasks.check import estimate

    for line in estimate(file):
        print(line)


@app.command()
def new(
    folder: Annotated[str, typer.Argument(metavar="models/NAME", help="folder to make, such as models/mine")],
    like: Annotated[
        str | None, typer.Option("--like", metavar="FOLDER", help="copy this folder of the library, such as olg")
    ] = None,
) -> None:
    """Make an economy that trains as it stands, to be changed into your own; outside a project, make that too."""
    from deqn.commands.new import make_economy

    project, files = make_economy(folder, Path.cwd(), like)
    made = [path for path in files if path.parent.name == Path(folder).name]
    if len(files) > len(made):
        print(f"{project.root} is now a project: models/ with the guide, runs/, and slurm/ with the job scripts")
    parameters = [path for path in made if path.suffix == ".yaml"]
    print(f"made {', '.join(str(_shown(path)) for path in made)}")
    print(f"next: deqn train {_shown(parameters[0])}    (models/README.md is the guide)")


@app.command()
def plot(run: RunName, as_trained: AsTrained = False, trust: Trust = False) -> None:
    """Draw the figures that a run's files allow, its further evaluations too; also of a run in progress."""
    from deqn.tasks.evaluate import of_earlier_weights

    folder = _solved_run(run, as_trained, trust)
    if earlier := of_earlier_weights(folder):
        print(f"deqn: warning: {earlier}", file=sys.stderr)
    for place in (folder.path, *sorted(each.parent for each in folder.evaluations.glob("*/description.json"))):
        _draw(folder, place, as_trained)


def _draw(folder: RunFolder, place: Path, as_trained: bool) -> None:
    """Draws into the run's folder or that of one of its evaluations, `place`."""
    from deqn.report.figures import draw_all

    drawn = draw_all(place, as_trained, folder.path)
    print(f"figures in {_shown(place)}/figures: {', '.join(path.stem for path in drawn)} (PNG, PDF, CSV)")


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="the others are measured against the first")],
    out: Annotated[
        str | None, typer.Option("--out", metavar="FOLDER", help="by default runs/compare/ and the runs' names")
    ] = None,
    periods: Annotated[int | None, typer.Option(min=2, help="periods simulated, the burn-in among them")] = None,
    burn_in: Annotated[int | None, typer.Option("--burn-in", min=0, help="first periods dropped")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="of the path")] = None,
    as_trained: AsTrained = False,
    trust: Trust = False,
) -> None:
    """Errors, policies, moments and cost of several solutions of one economy, at the same states, with figures."""
    refuse_ranks("compare")
    folders = [_solved_run(run, as_trained, trust) for run in runs]
    given = {"periods": periods, "burn_in": burn_in, "seed": seed}
    names = "_".join(name.replace("/", "-") for name in distinct_names(folders))
    folder = Path(out) if out else _project(folders[0].path).runs / "compare" / names
    changes = {name: value for name, value in given.items() if value is not None}
    _compare(folders, folder, changes, as_trained)


@_with_tensorflow
def _compare(folders: list[RunFolder], folder: Path, given: dict[str, int], as_trained: bool) -> None:
    from deqn.report import comparison, tables
    from deqn.tasks.compare import compare_runs, differing_parameters

    start = time.process_time()
    for line in differing_parameters(folders):
        print(line)
    compare_runs(folders, folder, given, as_trained)
    for title, table in comparison.tables(folder):
        print(f"\n{title}\n\n{tables.text(table)}", end="")
    drawn = ", ".join(path.stem for path in comparison.figures(folder))
    seconds = time.process_time() - start
    print(f"\ncompared in {seconds:.0f} CPU-seconds; tables, arrays and figures ({drawn}) in {_shown(folder)}")


@app.command("list")
def list_() -> None:
    """Economies and problems, their parameter files, and runs with errors, cost and verdict."""
    from deqn.report.listing import lines_of_list

    for line in lines_of_list(_project()):
        print(line)


@app.command()
def doctor(run: RunName) -> None:
    """Say what a poor or failed run suffers from, and what to do; reads its files only."""
    from deqn.report.doctor import diagnosis

    for line in diagnosis(_run(run)):
        print(line)


def _shown(place: RunFolder | Path) -> Path:
    """A folder or file as the user would type it."""
    here = Path.cwd()
    path = (place.path if isinstance(place, RunFolder) else place).resolve()
    return path.relative_to(here) if path.is_relative_to(here) else path
