"""What a run is worth: what its problem finds, written into the run folder as tables and arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from deqn.project.errors import CannotWrite
from deqn.project.identity import checksum, identity, python_of, recorded
from deqn.project.json_files import read_json
from deqn.project.parameter_yaml import read_yaml
from deqn.project.run import RunFolder
from deqn.project.writing import write_arrays, write_atomically, write_csv
from deqn.tasks.build import in_user_code, load_problem
from deqn.tasks.parameter_file import ParameterFile, parameter_file_of
from deqn.training import checkpoint

if TYPE_CHECKING:
    from deqn.training.problem import Problem, Results


class Evaluated(NamedTuple):
    """The folder that an evaluation was written into, the run's own or one of its `evaluations`, and what was found."""

    folder: Path
    results: Results


def evaluate_run(run: RunFolder, changes: Mapping[str, Any], as_trained: bool = False) -> Evaluated:
    """Writes what the problem finds: NAME.csv for each table, its arrays, and description.json with the headline.

    changes: of the settings of its evaluation. With settings other than those of its file it goes into a folder of its
    own, runs/STEM/NAME/evaluations/periods3000_seed7, and the run's own evaluation stays.
    as_trained: with the Python that the run folder keeps.
    """
    own = parameter_file_of(run, as_trained)
    file = own.with_evaluation(changes)
    problem = load_problem(run, file)
    with in_user_code(file, "results"):
        results = problem.results()
    folder = _folder(run, own, file)
    written = []
    for name, rows in results.tables.items():
        write_csv(folder / f"{name}.csv", list(rows[0]), rows)
        written.append(f"{name}.csv")
    for name, arrays in {"results": results.arrays, **results.archives}.items():
        if arrays:
            write_arrays(folder / f"{name}.npz", arrays)
            written.append(f"{name}.npz")
    if folder == run.path:
        written += _write_stages(run, file, problem)
    described = {**_description(file, results), **_whole(run, file, folder, written)}
    _remove_of_the_last(folder, written)
    write_atomically(folder / "description.json", json.dumps(described, indent=1) + "\n")
    return Evaluated(folder, results)


def of_earlier_weights(run: RunFolder) -> str | None:
    """A line if the run's tables are those of other weights than it has now; None otherwise."""
    try:
        described = read_json(run.path / "description.json")
        now = checksum(checkpoint.weights_of(run.checkpoints).read_bytes())
        if described["weights"] == now:
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not evaluated yet, or no weights to compare with
    return f"the tables of {run} are those of earlier weights; repeat deqn evaluate {run}"


def _folder(run: RunFolder, own: ParameterFile, file: ParameterFile) -> Path:
    """Where the evaluation goes, made if need be: named by the settings in which it differs from the run's own."""
    if file is own:
        return run.path
    before, now = own.resolved()["evaluation"], file.resolved()["evaluation"]
    short = "_".join(f"{name}{value}" for name, value in now.items() if value != before[name])
    if not short:
        return run.path
    folder = run.evaluations / short
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"{folder}: cannot make this folder ({error.strerror}); make it writable") from error
    return folder


def _whole(run: RunFolder, file: ParameterFile, folder: Path, written: Sequence[str]) -> dict[str, Any]:
    """What makes the files of an evaluation one whole, and says of which equations and weights they are."""
    files = {name: checksum((folder / name).read_bytes()) for name in written}
    equations = identity(read_yaml(run.parameters), python_of(file.path.parent, file.module))
    weights = checksum(checkpoint.weights_of(run.checkpoints).read_bytes())
    whole = json.dumps([equations, weights, files], sort_keys=True)
    return {"id": checksum(whole.encode()), "identity": equations, "weights": weights, "files": files}


def _remove_of_the_last(folder: Path, written: Sequence[str]) -> None:
    """Files of the evaluation before this one that it did not write again would be read as if they were its own."""
    try:
        before = read_json(folder / "description.json")["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    for name in set(before) - set(written):
        if (folder / name).resolve().is_relative_to(folder.resolve()):
            (folder / name).unlink(missing_ok=True)


def _description(file: ParameterFile, results: Results) -> dict[str, Any]:
    tables = list(results.tables)
    return {
        file.settings.names: file.named,
        "parameter_file": file.stem,
        "headline": results.headline,
        "tables": tables,
        "printed": tables if results.printed is None else list(results.printed),
        **results.description,
    }


def _write_stages(run: RunFolder, file: ParameterFile, problem: Problem) -> list[str]:
    """Writes the rows that the problem keeps of the weights at each stage of training; the names of the files."""
    from deqn.training import position

    written = []
    for path in sorted(run.checkpoints.glob("stage-*.npz")):
        position.load_networks(problem, path, recorded(run).get("identity"))
        with in_user_code(file, "at_stage"):
            rows = problem.at_stage()
        if not rows:
            break
        name = f"stages/{path.stem.removeprefix('stage-')}.csv"
        try:
            (run.path / name).parent.mkdir(exist_ok=True)
        except OSError as error:
            raise CannotWrite(f"{run.path / name}: cannot make its folder ({error.strerror})") from error
        write_csv(run.path / name, list(rows[0]), rows)
        written.append(name)
    return written
