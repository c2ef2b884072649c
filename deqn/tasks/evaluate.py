"""What a run is worth: what its problem finds, written into the run folder as tables and arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from deqn.project.errors import CannotWrite
from deqn.project.run import RunFolder
from deqn.project.writing import write_arrays, write_atomically, write_csv
from deqn.tasks.build import in_user_code, load_problem
from deqn.tasks.parameter_file import ParameterFile, parameter_file_of

if TYPE_CHECKING:
    from deqn.training.problem import Problem, Results


def evaluate_run(run: RunFolder, changes: Mapping[str, Any]) -> Results:
    """Writes what the problem finds: NAME.csv for each table, its arrays, and description.json with the headline.

    changes: of the settings of its evaluation.
    """
    file = parameter_file_of(run).with_evaluation(changes)
    problem = load_problem(run, file)
    with in_user_code(file, "results"):
        results = problem.results()
    for name, rows in results.tables.items():
        write_csv(run.path / f"{name}.csv", list(rows[0]), rows)
    if results.arrays:
        write_arrays(run.path / f"{results.arrays_in}.npz", results.arrays)
    _write_stages(run, file, problem)
    write_atomically(run.path / "description.json", json.dumps(_description(file, results), indent=1) + "\n")
    return results


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


def _write_stages(run: RunFolder, file: ParameterFile, problem: Problem) -> None:
    """The rows that the problem keeps of the weights at each stage of training."""
    from deqn.training import position

    for path in sorted(run.checkpoints.glob("stage-*.npz")):
        position.load_networks(problem, path)
        with in_user_code(file, "at_stage"):
            rows = problem.at_stage()
        if not rows:
            return
        target = run.path / "stages" / f"{path.stem.removeprefix('stage-')}.csv"
        try:
            target.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise CannotWrite(f"{target.parent}: cannot make this folder ({error.strerror})") from error
        write_csv(target, list(rows[0]), rows)
