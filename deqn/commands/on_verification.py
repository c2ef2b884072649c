"""The commands on what speaks for a solution: its checks, and the folder in which it is shipped."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deqn.commands.arguments import (
    AsTrained,
    RunName,
    Trust,
    app,
    run_named,
    shown,
    solved_run,
    typed_command,
    with_tensorflow,
)
from deqn.project.run import RunFolder
from deqn.workers.ranks import refuse_ranks

if TYPE_CHECKING:
    from deqn.tasks.parameter_file import ParameterFile


@app.command()
def verify(
    run: RunName,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", min=1, help="compare so many other seeds; those that no run has are trained"),
    ] = None,
    as_trained: AsTrained = False,
    trust: Trust = False,
) -> None:
    """Check a solution, one line a check; write certificate.json and verify.md. Exit status 1 if a check fails."""
    refuse_ranks("verify")
    folder = solved_run(run, as_trained, trust)
    if with_tensorflow(_verify)(folder, seeds, as_trained):
        raise typer.Exit(1)


@app.command()
def ship(
    run: RunName,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FOLDER", help="by default models/NAME/solutions/STEM"),
    ] = None,
) -> None:
    """Copy what is needed to use a verified run's solution into a folder of 2 MB at most, which can be shared."""
    from deqn.tasks.ship import ship_run

    folder, size = ship_run(run_named(run), Path(out) if out else None)
    print(f"{size / 1e6:.2f} MB in {shown(folder)}; use it as a run: deqn.load({str(shown(folder))!r})")


def _verify(folder: RunFolder, seeds: int | None, as_trained: bool) -> int:
    """The number of failed checks."""
    from deqn.report import certificate
    from deqn.tasks.verify import other_seeds, verify_run, with_other_seed

    start, others = time.process_time(), other_seeds(folder)
    while seeds is not None and len(others) < seeds:
        others.append(_trained(with_other_seed(folder, as_trained, others), folder))
    failed = count = 0
    for check in verify_run(folder, others[:seeds], typed_command(), as_trained):
        print(certificate.line(check._asdict()), flush=True)
        failed += check.verdict == "fail"
        count += 1
    verdict = f"failed: {failed} of {count} checks" if failed else "verified"
    seconds = time.process_time() - start
    print(f"\n{folder}: {verdict}, in {seconds:.0f} CPU-seconds; certificate.json and verify.md in {shown(folder)}")
    return failed


def _trained(file: ParameterFile, like: RunFolder) -> RunFolder:
    """A new run of the file beside this one, trained here."""
    from deqn.commands.console import Console
    from deqn.tasks.train import Request, choose_run, prepare, train_run
    from deqn.workers.workers import SingleWorker

    request = Request(f"{like.path.name}-seed{file.settings.seed}", True, None, typed_command())
    run, workers = choose_run(file, request), SingleWorker()
    problem = prepare(file, request, workers)
    console = Console(problem.in_words, silent=False)
    console.say(f"trains {run}, with seed {file.settings.seed}")
    train_run(file, request, run, problem, workers, console.say, console.report)
    return run
