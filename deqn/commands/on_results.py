"""The commands for what is shown to others: a report, data for other programs, welfare between runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deqn.commands.arguments import RunName, app, project_of, refuse_format, run_named, shown, typed_command
from deqn.project.run import distinct_names
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
