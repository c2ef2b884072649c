"""The commands on parameter files: train here or under SLURM, check a file, make a new economy."""

from __future__ import annotations

import enum
import os
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
from deqn.project.run import RunFolder
from deqn.workers.collective import on_first
from deqn.workers.launch import read_launch
from deqn.workers.ranks import together

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

    asked = read_file(file, overrides, seed)
    request = Request(run, resume, start_from, typed_command())
    if start_from is not None:
        asked.project.run(start_from)  # a mistyped name is told before TensorFlow is imported
    launched = read_launch(os.environ)
    several = launched is not None and launched.size > 1
    folder = _train(asked, request, None if several else choose_run(asked, request), workers.value)
    if folder is not None:
        evaluate_and_draw(folder, {}, as_trained=False)


@with_tensorflow
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
    asked = read_file(file, given["overrides"], given["seed"])
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
        site=site or os.environ.get("DEQN_SITE") or "generic", sweep=sweep, command=typed_command(),
    )  # fmt: skip
    jobs.check(job, asked, given["start_from"])
    for override in sweep.overrides() if sweep else ():
        read_file(file, [*given["overrides"], override], given["seed"])
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
