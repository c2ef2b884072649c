"""The commands on parameter files: train here or under SLURM, check a file, make a new economy."""

from __future__ import annotations

import enum
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deqn.commands.arguments import (
    Overrides,
    ParameterPath,
    Seed,
    app,
    project_of,
    read_file,
    shown,
    typed_command,
    with_tensorflow,
)
from deqn.project.errors import Diverged, UserError
from deqn.project.run import RunFolder
from deqn.tasks.sweep import is_done, tasks
from deqn.workers.collective import on_first
from deqn.workers.launch import read_launch
from deqn.workers.ranks import refuse_ranks, together

if TYPE_CHECKING:
    from deqn.tasks.parameter_file import ParameterFile
    from deqn.tasks.train import Request


class WorkersKind(enum.StrEnum):
    """The values of --workers."""

    auto = "auto"
    single = "single"
    horovod = "horovod"
    mpi = "mpi"


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
    from deqn.commands.on_runs import evaluate_and_draw
    from deqn.tasks.train import Request, choose_run
    from deqn.workers.devices import import_tensorflow

    asked = read_file(file, overrides, seed)
    request = Request(run, resume, start_from, typed_command())
    if start_from is not None:
        asked.project.run(start_from)  # a mistyped name is told before TensorFlow is imported
    launched = read_launch(os.environ)
    several = launched is not None and launched.size > 1
    folder = None if several else choose_run(asked, request)
    import_tensorflow(asked.settings.workers.threads)
    folder = _train(asked, request, folder, workers.value)
    if folder is not None:
        evaluate_and_draw(folder, {}, as_trained=False)


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


Grid = Annotated[
    list[str], typer.Option("--grid", metavar="KEY=V1,V2,...", help="values of a setting; several make combinations")
]
Seeds = Annotated[int | None, typer.Option("--seeds", min=1, help="train each point with the seeds 0, 1, ...")]
Continued = Annotated[bool, typer.Option("--continue", help="each from the weights of the point before it")]


@app.command()
def sweep(
    file: ParameterPath,
    grid: Grid,
    seeds: Seeds = None,
    continued: Continued = False,
    name: Annotated[str, typer.Option("--name", help="with which the runs' names begin")] = "sweep",
    overrides: Overrides = [],  # noqa: B006 - typer reads it, nobody changes it
) -> None:
    """Train along a grid, one run after the other, here; deqn submit takes the same options for a SLURM array.

    Runs that are there and done are left alone, so that the same command goes on where it was stopped. `deqn compare`
    of all of them draws comparative statics.
    """
    refuse_ranks("sweep")
    project, points = project_of(file), tasks(grid, seeds, name, continued)
    stem = read_file(file, overrides, None).stem
    for task in points:
        read_file(file, [*overrides, *task.overrides], None)
    ended_badly: set[int] = set()
    for number, task in enumerate(points):
        run = RunFolder(project.runs / stem / task.name)
        if is_done(run):
            print(f"{run} is done")
            continue
        words = ["train", str(file), "--run", task.name, "--resume"]
        words += [word for each in (*overrides, *task.overrides) for word in ("--set", each)]
        if task.after is not None and task.after not in ended_badly:
            words += ["--from", f"{stem}/{points[task.after].name}"]
        print(f"{number + 1} of {len(points)}: deqn {shlex.join(words)}", flush=True)
        # A process each: costs are those of one training, and what one leaves behind does not reach the next.
        status = subprocess.run([sys.executable, "-m", "deqn", *words], check=False).returncode
        if status == Diverged.exit_status:
            ended_badly.add(number)
        elif status:
            raise typer.Exit(status if status > 0 else 128 - status)
    together = " ".join(f"{stem}/{task.name}" for n, task in enumerate(points) if n not in ended_badly)
    print(f"next: deqn compare {together}")
    if ended_badly:
        print(f"diverged: {', '.join(points[n].name for n in sorted(ended_badly))}", file=sys.stderr)
        raise typer.Exit(Diverged.exit_status)


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
    grid: Grid = [],  # noqa: B006 - typer reads it, nobody changes it
    seeds: Seeds = None,
    continued: Continued = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the script, submit nothing")] = False,
) -> None:
    """Train under SLURM: checks everything, then gives slurm/train.sbatch to sbatch with what is asked for here.

    What is not asked for stays as in slurm/train.sbatch. The job goes on by itself after its time limit.
    """
    from deqn.slurm import submit as jobs

    words = [word for word in options or [] if word != "--resume"]  # the job always resumes
    given = _train_options([str(file), *words])
    asked = read_file(file, given["overrides"], given["seed"])
    project = asked.project
    options_of_sbatch = {
        "nodes": nodes, "ntasks-per-node": ntasks_per_node, "cpus-per-task": cpus_per_task,
        "gpus-per-node": gpus_per_node, "time": time_limit, "mem": mem, "account": account, "partition": partition,
        "qos": qos,
    }  # fmt: skip
    sweep = jobs.read_sweep(array) if array is not None else None
    if grid or seeds or continued:
        if array is not None or not grid:
            raise UserError("--grid, --seeds and --continue go together, and --array alone; see deqn submit --help")
        if seeds and given["seed"] is not None:
            raise UserError(f"--seeds {seeds} with --seed {given['seed']}: leave one of them out")
        if continued and given["start_from"] is not None:
            raise UserError("--continue with --from: each begins with its neighbour's weights; leave --from out")
        points = tasks(grid, seeds, "sweep", continued)
        sweep = jobs.Sweep([task.overrides for task in points], (seeds or 1) if continued else 0)
    job = jobs.Job(
        file=project.shown(asked.path), run=given["run"], arguments=words,
        options={name: str(value) for name, value in options_of_sbatch.items() if value is not None},
        site=site or os.environ.get("DEQN_SITE") or "generic", sweep=sweep, command=typed_command(),
    )  # fmt: skip
    jobs.check(job, asked, given["start_from"])
    for overrides in sweep.tasks if sweep else ():
        read_file(file, [*given["overrides"], *overrides], given["seed"])
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

    for line in lines_of_jobs(project_of()):
        print(line)


@app.command()
def check(file: ParameterPath, overrides: Overrides = [], seed: Seed = None) -> None:  # noqa: B006
    """Validate a parameter file; say the number of weights, memory and time to expect. Trains nothing."""
    _check(read_file(file, overrides, seed))


@with_tensorflow
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
    print(f"made {', '.join(str(shown(path)) for path in made)}")
    print(f"next: deqn train {shown(parameters[0])}    (models/README.md is the guide)")
