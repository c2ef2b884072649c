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
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deqn.experiment import EconomyFile, Experiment, read_experiment
from deqn.ranks import refuse_ranks, together
from deqn.training.errors import Diverged, Stopped, UserError
from deqn.training.run_folder import RunFolder, find, project_root
from deqn.training.workers import launch, on_first

if TYPE_CHECKING:
    from deqn.equilibrium.settings import EvaluationSettings
    from deqn.train import Request

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
Overrides = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="override a setting, such as parameters.borrowing_limit=-0.5"),
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="of weights, sampling and tracks")]


class WorkersKind(enum.StrEnum):
    """The values of --workers."""

    auto = "auto"
    single = "single"
    horovod = "horovod"
    mpi = "mpi"


def main() -> None:
    """Runs a command. Exit status: 0 done, 2 user's mistake, 3 diverged, 75 stopped with a checkpoint."""
    try:
        app(args=sys.argv[1:] or ["--help"], prog_name="deqn", standalone_mode=False)
    except (UserError, Diverged, Stopped) as error:
        sys.exit(_told(str(error), error.exit_status))
    except _UsageError as error:
        command = error.ctx.command_path if error.ctx else "deqn"
        words = " ".join(error.format_message().split()).rstrip(".")
        sys.exit(_told(f"{words}; see {command} --help", UserError.exit_status))
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(_told("interrupted; what was written before stands", 130))


def _told(message: str, status: int) -> int:
    sys.stdout.flush()
    print(f"deqn: {message}", file=sys.stderr)
    return status


def _with_tensorflow(command: Callable[..., Any]) -> Callable[..., Any]:
    """For what needs TensorFlow, imported without its log noise, after the quick checks are done."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        from deqn.quiet import import_tensorflow

        import_tensorflow()
        return command(*arguments, **options)

    return run


def _experiment(file: Path, overrides: list[str], seed: int | None) -> Experiment:
    return read_experiment(file, [*overrides, *([f"seed={seed}"] if seed is not None else [])])


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
    from deqn.train import Request, choose_folder

    experiment = _experiment(file, overrides, seed)
    request = Request(run, resume, start_from, _command())
    if start_from is not None:
        find(start_from, project_root())  # a mistyped name is told before TensorFlow is imported
    launched = launch(os.environ)
    several = launched is not None and launched.size > 1
    folder = None if several else choose_folder(experiment, request)
    folder = _train(experiment, request, folder, workers.value)
    if folder is not None:
        if isinstance(experiment.file, EconomyFile):
            _evaluate(folder, experiment.file.evaluation)
        else:
            _evaluate_study(folder)
        _plot(folder)


def _command() -> str:
    """The command as it can be typed again."""
    if Path(sys.argv[0]).name == "__main__.py":
        return shlex.join(["python", "-m", "deqn", *sys.argv[1:]])
    return shlex.join(["deqn" if shutil.which("deqn") else sys.argv[0], *sys.argv[1:]])


@_with_tensorflow
def _train(experiment: Experiment, request: Request, folder: RunFolder | None, kind: str) -> RunFolder | None:
    """Trains; the folder, on the one rank that evaluates it. folder: None if all ranks have yet to agree on it."""
    from deqn.console import Console, costs, header
    from deqn.train import choose_folder, prepare
    from deqn.train import train as run_training

    with together(kind, experiment.file.workers) as workers:
        run = folder or on_first(workers, lambda: choose_folder(experiment, request))
        problem = prepare(experiment, request, workers)
        console = Console(silent=workers.rank > 0)
        for line in header(experiment, request.start_from, run, problem, workers):
            console.say(line)
        outcome = run_training(experiment, request, run, problem, workers, console.say, console.report)
        for line in costs(outcome):
            console.say(line)
        if outcome.thresholds is False:
            wanted = ", ".join(f"{name} {value:g}" for name, value in experiment.file.stop.items())
            reached = ", ".join(f"{name} {value:.3g}" for name, value in outcome.best.items())
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
    from deqn import submit as jobs

    root = project_root()
    words = [word for word in options or [] if word != "--resume"]  # the job always resumes
    given = _train_options([str(file), *words])
    experiment = _experiment(file, given["overrides"], given["seed"])
    asked = {
        "nodes": nodes, "ntasks-per-node": ntasks_per_node, "cpus-per-task": cpus_per_task,
        "gpus-per-node": gpus_per_node, "time": time_limit, "mem": mem, "account": account, "partition": partition,
        "qos": qos,
    }  # fmt: skip
    sweep = jobs.read_sweep(array) if array is not None else None
    job = jobs.Job(
        file=jobs.parameter_file(root, experiment), run=given["run"], arguments=words,
        options={name: str(value) for name, value in asked.items() if value is not None},
        site=site or os.environ.get("DEQN_SITE") or "generic", sweep=sweep, command=_command(),
    )  # fmt: skip
    jobs.check(root, job, experiment, given["start_from"])
    for override in sweep.overrides() if sweep else ():
        _experiment(file, [*given["overrides"], override], given["seed"])
    text = jobs.script(root, job)
    if dry_run or not jobs.has_sbatch():
        print(text, end="")
    if not dry_run:
        print(jobs.send(root, job, text))


def _train_options(words: list[str]) -> dict[str, Any]:
    """The options of `deqn train` among these words, by parameter; refuses what it would refuse."""
    command: Any = typer.main.get_command(app)
    return command.commands["train"].make_context("deqn train", words).params


@app.command()
def status() -> None:
    """This project's jobs: state, update and episode reached, Euler error, time left, log file."""
    from deqn.status import status as lines

    for line in lines(project_root()):
        print(line)


@app.command()
def evaluate(
    run: RunName,
    periods: Annotated[int | None, typer.Option(min=2, help="periods simulated, the burn-in among them")] = None,
    burn_in: Annotated[int | None, typer.Option("--burn-in", min=0, help="first periods dropped")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="of the path")] = None,
    tracks: Annotated[int | None, typer.Option("--tracks", min=1, help="paths of so many periods each")] = None,
) -> None:
    """Simulate a run's best policy in float64 (of a problem: compute its tables anew); write and print the errors."""
    from deqn.experiment import experiment_of

    refuse_ranks("evaluate")
    folder = find(run, project_root())
    given = {"periods": periods, "burn_in": burn_in, "seed": seed, "tracks": tracks}
    given = {name: value for name, value in given.items() if value is not None}
    experiment = experiment_of(folder)
    if not isinstance(experiment.file, EconomyFile):
        if given:
            option = next(iter(given)).replace("_", "-")
            raise UserError(f"--{option}: {experiment.stem} is no economy and has no path to simulate; leave it out")
        _with_tensorflow(_evaluate_study)(folder)
        return
    chosen = experiment.file.evaluation.model_copy(update=given)
    if chosen.burn_in >= chosen.periods:
        raise UserError(f"--burn-in: got {chosen.burn_in} of {chosen.periods} periods, expected fewer than the periods")
    _with_tensorflow(_evaluate)(folder, chosen)


def _evaluate(folder: RunFolder, path: EvaluationSettings) -> None:
    from deqn.report import tables
    from deqn.report.implied import implied_table, implied_words
    from deqn.results import write_results

    start = time.process_time()
    shares = write_results(folder, path)
    paths = "one path" if path.tracks == 1 else f"{path.tracks} paths"
    print(f"\n{folder}: {paths} of {path.periods} periods, the first {path.burn_in} dropped, seed {path.seed}\n")
    print(tables.text(tables.error_table(folder.path)))
    print(tables.text(tables.where_table(folder.path)))
    above, *below = implied_words(folder.path)
    print(f"{above}\n\n{tables.text(implied_table(folder.path))}")
    print("\n".join([*below, ""]))
    active = ", ".join(f"{name.replace('_', ' ')} {share:.4%}" for name, share in shares.items())
    print(f"share of entries where a constraint or guard was active: {active or 'the economy has none'}")
    print(f"evaluated in {time.process_time() - start:.0f} CPU-seconds; arrays and tables in {_shown(folder)}")


def _evaluate_study(folder: RunFolder) -> None:
    from deqn.report import tables
    from deqn.study import write_results

    start = time.process_time()
    results = write_results(folder)
    print(f"\n{folder}: {results.headline}\n")
    for name, rows in results.tables.items():
        print(f"{name.replace('_', ' ')}\n\n{tables.text(tables.plain(rows))}")
    print(f"evaluated in {time.process_time() - start:.0f} CPU-seconds; arrays and tables in {_shown(folder)}")


@app.command()
def policy(
    run: RunName,
    states: Annotated[
        str, typer.Option("--states", metavar="FILE.npz", help="arrays by letter: z [M] from 0, k [M, N]")
    ],
    out: Annotated[str, typer.Option("--out", metavar="FILE.npz", help="where the policy goes: a, lam, c")],
) -> None:
    """Evaluate a run's decision rule at states of your own."""
    refuse_ranks("policy")
    folder = find(run, project_root())
    if not Path(states).is_file():
        raise UserError(f"--states: {states} not found; expected an .npz with an array for each state variable")
    if not Path(out).parent.is_dir():
        raise UserError(f"--out: {Path(out).parent} is no folder; make it first")
    _policy(folder, states, out)


@_with_tensorflow
def _policy(folder: RunFolder, states: str, out: str) -> None:
    from deqn.results import write_policy

    count = write_policy(folder, states, out)
    print(f"policy at {count} states written to {out}")


@app.command()
def check(file: ParameterPath, overrides: Overrides = [], seed: Seed = None) -> None:  # noqa: B006
    """Validate a parameter file; say the number of weights, memory and time to expect. Trains nothing."""
    experiment = _experiment(file, overrides, seed)
    _check(experiment)


@_with_tensorflow
def _check(experiment: Experiment) -> None:
    from deqn.estimate import estimate

    for line in estimate(experiment):
        print(line)


@app.command()
def new(
    folder: Annotated[str, typer.Argument(metavar="models/NAME", help="folder to make, such as models/mine")],
) -> None:
    """Make a small economy that trains as it stands, to be changed into your own."""
    from deqn.new import new as make

    economy, parameters = (_shown(path) for path in make(folder))
    print(f"{economy}: the equations, of stochastic growth until you change them")
    print(f"{parameters}: the parameters, and how the economy is solved")
    print(f"next: deqn train {parameters}    (as it stands, under a minute; models/README.md is the guide)")


@app.command()
def plot(run: RunName) -> None:
    """Draw the figures that a run's files allow; also of a run in progress."""
    _plot(find(run, project_root()))


def _plot(folder: RunFolder) -> None:
    from deqn.report.figures import figures

    drawn = figures(folder.path)
    print(f"figures in {_shown(folder)}/figures: {', '.join(path.stem for path in drawn)} (PNG, PDF, CSV)")


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="the others are measured against the first")],
    out: Annotated[
        str | None, typer.Option("--out", metavar="FOLDER", help="by default runs/compare/ and the runs' names")
    ] = None,
    periods: Annotated[int | None, typer.Option(min=2, help="periods simulated, the burn-in among them")] = None,
    burn_in: Annotated[int | None, typer.Option("--burn-in", min=0, help="first periods dropped")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="of the path")] = None,
) -> None:
    """Errors, policies, moments and cost of several solutions of one economy, at the same states, with figures."""
    refuse_ranks("compare")
    folders = [find(run, project_root()) for run in runs]
    given = {"periods": periods, "burn_in": burn_in, "seed": seed}
    folder = Path(out) if out else project_root() / "runs/compare" / "_".join(str(f).replace("/", "-") for f in folders)
    _compare(folders, folder, {name: value for name, value in given.items() if value is not None})


@_with_tensorflow
def _compare(folders: list[RunFolder], folder: Path, given: dict[str, int]) -> None:
    from deqn import compare as comparing
    from deqn.report import comparison, tables

    start = time.process_time()
    for line in comparing.differing_parameters(folders):
        print(line)
    comparing.compare(folders, folder, given)
    for title, table in comparison.tables(folder):
        print(f"\n{title}\n\n{tables.text(table)}", end="")
    drawn = ", ".join(path.stem for path in comparison.figures(folder))
    seconds = time.process_time() - start
    print(f"\ncompared in {seconds:.0f} CPU-seconds; tables, arrays and figures ({drawn}) in {_shown(folder)}")


@app.command("list")
def list_() -> None:
    """Economies and problems, their parameter files, and runs with errors, cost and verdict."""
    from deqn.report.listing import listing

    for line in listing(project_root()):
        print(line)


@app.command()
def doctor(run: RunName) -> None:
    """Say what a poor or failed run suffers from, and what to do; reads its files only."""
    from deqn.report.doctor import diagnosis

    for line in diagnosis(find(run, project_root())):
        print(line)


def _shown(place: RunFolder | Path) -> Path:
    """A folder or file as the user would type it."""
    here = Path.cwd()
    path = (place.path if isinstance(place, RunFolder) else place).resolve()
    return path.relative_to(here) if path.is_relative_to(here) else path
