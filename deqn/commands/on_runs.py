"""The commands on runs: errors, policies, figures, comparisons, lists."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from deqn.commands.arguments import (
    AsTrained,
    RunName,
    Trust,
    app,
    project_of,
    refuse_format,
    run_named,
    shown,
    solved_run,
    with_tensorflow,
)
from deqn.project.errors import UserError
from deqn.project.run import RunFolder, distinct_names
from deqn.workers.ranks import refuse_ranks


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
    folder = solved_run(run, as_trained, trust)
    changes = {name: value for name, value in given.items() if value is not None}
    with_tensorflow(evaluate_and_draw)(folder, changes, as_trained)


def evaluate_and_draw(folder: RunFolder, changes: dict[str, int], as_trained: bool) -> None:
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
    print(f"evaluated in {time.process_time() - start:.0f} CPU-seconds; arrays and tables in {shown(place)}")
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
    run_named(run)  # a mistyped name is told before all else
    if Path(states).exists() and not Path(states).is_file():
        raise UserError(f"--states: {states} is no plain file; expected an .npz with an array for each state variable")
    if not Path(states).is_file():
        raise UserError(f"--states: {states} not found; expected an .npz with an array for each state variable")
    if not Path(out).parent.is_dir():
        raise UserError(f"--out: {Path(out).parent} is no folder; make it first")
    _policy(solved_run(run, as_trained, trust), states, out, as_trained)


@with_tensorflow
def _policy(folder: RunFolder, states: str, out: str, as_trained: bool) -> None:
    from deqn.tasks.solution import write_policy

    print(write_policy(folder, states, out, as_trained))


@app.command()
def simulate(
    run: RunName,
    out: Annotated[
        str, typer.Option("--out", metavar="FILE", help="arrays by letter: .npz, .mat; data: .parquet, .dta, .csv")
    ],
    periods: Annotated[int, typer.Option(min=1, help="of each path")] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="of the draws")] = 0,
    states: Annotated[
        str | None, typer.Option("--states", metavar="FILE.npz", help="where paths begin: arrays by letter, [M, ...]")
    ] = None,
    shocks: Annotated[
        str | None, typer.Option("--shocks", metavar="FILE.npz", help="what happens: shock [periods - 1, ...], from 0")
    ] = None,
    as_trained: AsTrained = False,
    trust: Trust = False,
) -> None:
    """Simulate a run's economy, from states and along shocks of your own if you give them."""
    refuse_ranks("simulate")
    run_named(run)  # a mistyped name is told before all else
    refuse_format(out)
    for option, file in (("--states", states), ("--shocks", shocks)):
        if file is not None and not Path(file).is_file():
            raise UserError(f"{option}: {file} not found; expected an .npz")
    if not Path(out).parent.is_dir():
        raise UserError(f"--out: {Path(out).parent} is no folder; make it first")
    _simulate(solved_run(run, as_trained, trust), out, periods, seed, states, shocks, as_trained)


@with_tensorflow
def _simulate(
    folder: RunFolder, out: str, periods: int, seed: int, states: str | None, shocks: str | None, as_trained: bool
) -> None:
    from deqn.tasks.solution import write_simulation

    print(write_simulation(folder, out, periods, seed, states, shocks, as_trained))


@app.command()
def plot(
    run: RunName,
    journal: Annotated[
        bool, typer.Option("--journal", help="90 or 190 mm wide with letters of 7 pt, into RUN/journal/figures")
    ] = False,
    as_trained: AsTrained = False,
    trust: Trust = False,
) -> None:
    """Draw the figures that a run's files allow, its further evaluations too; also of a run in progress."""
    from deqn.tasks.evaluate import of_earlier_weights

    folder = solved_run(run, as_trained, trust)
    if earlier := of_earlier_weights(folder):
        print(f"deqn: warning: {earlier}", file=sys.stderr)
    for place in (folder.path, *sorted(each.parent for each in folder.evaluations.glob("*/description.json"))):
        _draw(folder, place, as_trained, journal)


def _draw(folder: RunFolder, place: Path, as_trained: bool, journal: bool = False) -> None:
    """Draws into the run's folder or that of one of its evaluations, `place`."""
    from deqn.report.figures import draw_all

    drawn = draw_all(place, as_trained, folder.path, journal)
    print(f"figures in {shown(drawn[0].parent)}: {', '.join(path.stem for path in drawn)} (PNG, PDF, CSV)")


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
    folders = [solved_run(run, as_trained, trust) for run in runs]
    given = {"periods": periods, "burn_in": burn_in, "seed": seed}
    names = "_".join(name.replace("/", "-") for name in distinct_names(folders))
    folder = Path(out) if out else project_of(folders[0].path).runs / "compare" / names
    changes = {name: value for name, value in given.items() if value is not None}
    _compare(folders, folder, changes, as_trained)


@with_tensorflow
def _compare(folders: list[RunFolder], folder: Path, given: dict[str, int], as_trained: bool) -> None:
    from deqn.report import certificate, comparison, tables
    from deqn.tasks.compare import compare_runs, differing_parameters

    start = time.process_time()
    for line in differing_parameters(folders):
        print(line)
    compare_runs(folders, folder, given, as_trained)
    for title, table in comparison.tables(folder):
        print(f"\n{title}\n\n{tables.text(table)}", end="")
    print()
    for name, run in zip(distinct_names(folders), folders, strict=True):
        print(f"{name}: {certificate.standing(run)}")
    drawn = ", ".join(path.stem for path in comparison.figures(folder))
    seconds = time.process_time() - start
    print(f"\ncompared in {seconds:.0f} CPU-seconds; tables, arrays and figures ({drawn}) in {shown(folder)}")


@app.command("list")
def list_() -> None:
    """Economies and problems, their parameter files, and runs with errors, cost, evidence and verdict."""
    from deqn.report.listing import lines_of_list

    for line in lines_of_list(project_of()):
        print(line)


@app.command()
def doctor(run: RunName) -> None:
    """Say what a poor or failed run suffers from, and what to do; reads its files only."""
    from deqn.report.doctor import diagnosis

    for line in diagnosis(run_named(run)):
        print(line)
