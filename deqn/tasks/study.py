"""What a study has found, from the weights of its run: tables, arrays and a headline in the run folder. Top floor."""

from __future__ import annotations

import json

from deqn.project.errors import UserError
from deqn.project.run import RunFolder
from deqn.project.writing import write_arrays, write_atomically, write_csv
from deqn.tasks.build import build_study, told_in
from deqn.tasks.parameter_file import Experiment, StudyFile, experiment_of
from deqn.training import checkpoint
from deqn.training import position as snapshot
from deqn.training.problem import Problem, Results


def load_study(run: RunFolder) -> tuple[Experiment, Problem]:
    """A run's study with its best weights, or its last ones if it does not validate, and its last host state.

    Raises UserError if there is no checkpoint, or it is damaged or of another problem.
    """
    experiment = experiment_of(run)
    study = build_study(experiment)
    last, _ = checkpoint.load(run.checkpoints / checkpoint.LAST)
    best = run.checkpoints / checkpoint.BEST
    weights = checkpoint.load(best)[0] if best.is_file() else last
    networks = {f"networks/{name}": list(network.weights) for name, network in study.networks.items()}
    try:
        snapshot.assign(networks, weights)
    except UserError as error:
        raise UserError(f"{run.checkpoints}: {error}") from error
    if host := {k.removeprefix("host/"): v for k, v in last.items() if k.startswith("host/")}:
        study.restore(host)
    return experiment, study


def write_results(run: RunFolder) -> Results:
    """Writes what the study finds: TABLE.csv for each table, results.npz, and description.json with the headline."""
    experiment, study = load_study(run)
    assert isinstance(experiment.file, StudyFile)
    with told_in(experiment, "results"):
        results = study.results()
    for name, rows in results.tables.items():
        write_csv(run.path / f"{name}.csv", list(rows[0]), rows)
    if results.arrays:
        write_arrays(run.path / "results.npz", results.arrays)
    description = {
        "problem": experiment.file.problem,
        "parameter_file": experiment.stem,
        "headline": results.headline,
        "tables": list(results.tables),
    }
    write_atomically(run.path / "description.json", json.dumps(description, indent=1) + "\n")
    return results
