"""The commands for what is shown to others: a report, data for other programs, welfare between runs."""

from __future__ import annotations

import math
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
    typed_command,
    with_tensorflow,
)
from deqn.project.errors import UserError
from deqn.project.run import RunFolder, distinct_names
from deqn.workers.ranks import refuse_ranks


@app.command()
def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN [RUN...]", help="a chapter each, and a table of all")],
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FOLDER", help="by default the run's folder, of several runs runs/report/"),
    ] = None,
) -> None:
    """One HTML page that needs nothing else: equations, parameters, training, errors, certificate, moments, figures.

    Its tables stand beside it as LaTeX (booktabs) and CSV. Reads run folders only.
    """
    refuse_ranks("report")
    folders = [run_named(run) for run in runs]
    names = "_".join(name.replace("/", "-") for name in distinct_names(folders))
    place = folders[0].path if len(folders) == 1 else project_of(folders[0].path).runs / "report" / names
    from deqn.report.page import write_report

    page, tables = write_report(folders, Path(out) if out else place, typed_command())
    print(f"{shown(page)}: {page.stat().st_size / 1e6:.1f} MB, needs no other file")
    print(f"{len(tables)} tables as .tex and .csv in {shown(page.parent / 'tables')}")


@app.command()
def export(
    run: RunName,
    out: Annotated[str, typer.Option("--out", metavar="FILE", help="ends in .parquet, .dta, .mat, .csv or .npz")],
    wide: Annotated[bool, typer.Option("--wide", help="a row for each period, a column for each age")] = False,
    variables: Annotated[
        str, typer.Option("--variables", metavar="K,c,...", help="letters; all but next period's decisions")
    ] = "",
) -> None:
    """Write a run's simulated path for Stata, R, MATLAB or pandas, with units and named axes. Reads its files only."""
    folder = run_named(run)
    refuse_format(out)
    from deqn.report.tidy import of_run

    letters = [letter.strip() for letter in variables.split(",") if letter.strip()]
    path = of_run(folder).export(out, "wide" if wide else "long", letters)
    print(f"{shown(path)}: {path.stat().st_size / 1e6:.1f} MB")


@app.command()
def welfare(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help="a run of the economy without the change")],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="a run of the economy with it")],
    tracks: Annotated[int, typer.Option("--tracks", help="states in which the change comes, a multiple of 20")] = 1000,
    births: Annotated[int, typer.Option("--births", min=1, help="generations born after the change")] = 60,
    risk_aversion: Annotated[
        str | None,
        typer.Option("--risk-aversion", help="where the economy has no such parameter; 1 is log; 4,1 by country"),
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", metavar="FOLDER", help="by default runs/welfare/ and the runs' names")
    ] = None,
    as_trained: AsTrained = False,
    trust: Trust = False,
) -> None:
    """What a change of the economy is worth, in consumption: by generation, with the transition, and standard errors.

    The change comes by surprise, in states of the first economy; after it both go on under the same shocks.
    """
    refuse_ranks("welfare")
    if tracks < 20 or tracks % 20:
        raise UserError(f"--tracks {tracks}: expected a multiple of 20, whose batches give standard errors")
    folders = [solved_run(run, as_trained, trust) for run in (before, after)]
    names = "_".join(name.replace("/", "-") for name in distinct_names(folders))
    place = Path(out) if out else project_of(folders[0].path).runs / "welfare" / names
    _welfare(folders, place, tracks, births, _gammas(risk_aversion), as_trained)


def _gammas(text: str | None) -> float | tuple[float, ...] | None:
    """A number, or one for each member of the axis of consumption. Raises UserError."""
    try:
        found = tuple(map(float, text.split(","))) if text is not None else ()
    except ValueError:
        found = (-1.0,)
    if not all(0 <= gamma < math.inf for gamma in found):
        raise UserError(f"--risk-aversion {text}: expected a number from 0, or several with commas between them")
    return found if len(found) > 1 else found[0] if found else None


@with_tensorflow
def _welfare(
    folders: list[RunFolder],
    place: Path,
    tracks: int,
    births: int,
    risk_aversion: float | tuple[float, ...] | None,
    as_trained: bool,
) -> None:
    from deqn.project.writing import write_csv
    from deqn.report.latex import write
    from deqn.report.sheets import of_rows
    from deqn.report.welfare import draw
    from deqn.tasks.welfare import welfare as compute

    start = time.process_time()
    found = compute(folders[0], folders[1], tracks, births, risk_aversion, as_trained)
    draw(found.gains, found.transition, place)
    write_csv(place / "welfare.csv", list(found.gains[0]), found.gains)
    if found.transition:
        write_csv(place / "transition.csv", list(found.transition[0]), found.transition)
    rows = [{key: f"{x:.2f}" if "%" in key or "error" in key else x for key, x in row.items()} for row in found.gains]
    chosen = rows if len(rows) <= 20 else [rows[round(n * (len(rows) - 1) / 12)] for n in range(13)]
    words = f"{shown(folders[0])} to {shown(folders[1])}"
    write([of_rows("welfare", f"Gains in consumption, {words}", chosen)], place / "tables")
    for row in chosen:
        print("  ".join(f"{key} {value}" for key, value in row.items() if value != ""))
    given = found.tastes.risk_aversion
    gammas = ", ".join(f"{gamma:g}" for gamma in (given if isinstance(given, tuple) else [given]))
    print(f"beta {found.tastes.discount_factor:g}, gamma {gammas}, {tracks} states at date 0; "
          f"{time.process_time() - start:.0f} CPU-seconds")  # fmt: skip
    print(f"welfare.csv, transition.csv, tables and figures (welfare, transition) in {shown(place)}")
