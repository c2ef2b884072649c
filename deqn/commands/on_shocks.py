"""The commands that show how solutions respond to shocks, and what a paper has published beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from deqn.commands.arguments import AsTrained, Trust, app, project_of, shown, solved_run, with_tensorflow
from deqn.project.errors import UserError
from deqn.project.run import RunFolder, distinct_names
from deqn.workers.ranks import refuse_ranks


@app.command()
def irf(
    runs: Annotated[list[str], typer.Argument(metavar="RUN [RUN...]", help="drawn over each other")],
    shock: Annotated[
        list[str], typer.Option("--shock", metavar="NAME", help="a chain's value from 1, an innovation (e, e.2); all")
    ] = [],  # noqa: B006 - typer reads it, nobody changes it
    period: Annotated[int, typer.Option("--period", min=1, help="in which the shock is set")] = 25,
    periods: Annotated[int, typer.Option("--periods", min=2, help="of a track")] = 50,
    paths: Annotated[int, typer.Option("--paths", min=2, help="tracks under each shock")] = 200_000,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="of the draws")] = 0,
    size: Annotated[float, typer.Option("--size", help="of an innovation, in standard deviations")] = 1.0,
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="FILE.npz", help="where tracks begin; by default the ergodic distribution"),
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", metavar="FOLDER", help="of the figures of several runs; by default runs/irf/")
    ] = None,
    as_trained: AsTrained = False,
    trust: Trust = False,
) -> None:
    """Impulse responses to a shock that is set, with standard errors: aggregates over time, every axis on impact."""
    refuse_ranks("irf")
    folders = [solved_run(run, as_trained, trust) for run in runs]
    names = distinct_names(folders)
    if state is not None and not Path(state).is_file():
        raise UserError(f"--state: {state} not found; expected an .npz with an array for each state variable")
    place = folders[0].path
    if out or len(folders) > 1:
        joined = "_".join(name.replace("/", "-") for name in names)
        place = Path(out) if out else project_of(folders[0].path).runs / "irf" / joined
    asked = {"shocks": shock, "size": size, "states": state, "period": period, "periods": periods, "paths": paths}
    _irf(folders, names, place, {**asked, "seed": seed}, as_trained)


@with_tensorflow
def _irf(folders: list[RunFolder], names: list[str], place: Path, asked: dict[str, Any], as_trained: bool) -> None:
    from deqn.report import responses, tables
    from deqn.tasks.irf import Asked, write_responses

    for folder in folders:
        print(write_responses(folder, Asked(**asked), as_trained))
        print(f"\n{tables.text(responses.table(folder.path))}")
    place.mkdir(parents=True, exist_ok=True)
    drawn = ", ".join(path.stem for path in responses.draw([each.path for each in folders], names, place))
    print(f"responses.csv in {', '.join(str(shown(each)) for each in folders)}; figures ({drawn}) in {shown(place)}")


@app.command()
def reproduce(
    paper: Annotated[str, typer.Argument(metavar="PAPER", help="as a models/*/reproduce.py calls it, such as ags19")],
    runs: Annotated[
        list[str], typer.Argument(metavar="[RUN...]", help="instead of the latest runs of the paper's parameter files")
    ] = [],  # noqa: B006 - typer reads it, nobody changes it
    train: Annotated[bool, typer.Option("--train", help="train the parameter files that have no run")] = False,
    paths: Annotated[int, typer.Option("--paths", min=2, help="tracks of impulse responses not yet there")] = 200_000,
    out: Annotated[
        str | None, typer.Option("--out", metavar="FOLDER", help="by default runs/reproduce/ and the paper's name")
    ] = None,
    trust: Trust = False,
) -> None:
    """A paper's tables and figures beside what runs have found, as Markdown, LaTeX and figures."""
    from deqn.commands.on_files import train as train_file
    from deqn.tasks.reproduce import lacking_responses, paper_of, runs_of, write

    refuse_ranks("reproduce")
    project = project_of()
    module = paper_of(project, paper)
    found = runs_of(project, module, [solved_run(run, True, trust) for run in runs])
    for case in [case for case in module.RUNS if found[case] is None]:
        long = case in getattr(module, "LONG", ())
        if train and not long:
            train_file(project.root / module.RUNS[case])
        else:
            cure = "train it, which takes long" if long else "add --train, or train it"
            print(f"no run of {module.RUNS[case]} ({case}): its numbers are left empty; {cure}")
    found = runs_of(project, module, [run for run in found.values() if run is not None])
    for run in lacking_responses(module, found):
        run = solved_run(str(run.path), True, trust)
        _irf([run], distinct_names([run]), run.path, {"paths": paths}, True)
    folder = Path(out) if out else project.runs / "reproduce" / module.PAPER
    for line in write(module, found, folder):
        print(line)
    print(f"{module.PAPER}.md, {module.PAPER}.tex and figures in {shown(folder)}")
