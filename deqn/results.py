"""What a run is worth: the evaluation written into its folder as arrays, tables and by-age distributions. Top floor."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deqn.equilibrium import accuracy
from deqn.equilibrium import implied as implied_errors
from deqn.equilibrium.evaluation import Evaluation, evaluate
from deqn.equilibrium.settings import EvaluationSettings
from deqn.solution import Solution, load_run
from deqn.training.errors import UserError
from deqn.training.run_folder import RunFolder, write_atomically
from deqn.writing import write_arrays, write_csv

_STAGE_PERIODS, _STAGE_BURN_IN = 1200, 200  # figure 5's early stages need shape, not precision


def write_results(run: RunFolder, path: EvaluationSettings) -> Mapping[str, float]:
    """Evaluates a run's best weights on simulated paths and writes the arrays and tables of the evaluation:

    simulation.npz, errors.csv, moments.csv, by_age.csv, implied.csv and implied.npz.

    Returns the shares of states in which a floor or guard was active, by name.
    """
    solution = load_run(run)
    evaluation = evaluate(solution.rule, path.periods, path.burn_in, path.seed, path.tracks)
    economy = solution.economy
    shock = evaluation.state.shock if economy.shocks.discrete else None
    write_arrays(run.simulation, solution.arrays(evaluation))
    binding = evaluation.policy.multiplier > 0 if "multiplier" in evaluation.policy._fields else None
    ages = None if economy.ages is None else [float(age) for age in economy.ages]
    rows = accuracy.error_rows(evaluation.errors, ages, shock, binding)
    write_csv(run.errors, accuracy.ERROR_COLUMNS, rows)
    variables = {**evaluation.state._asdict(), **evaluation.policy._asdict(), **evaluation.definitions}
    moments = [*accuracy.moment_rows(evaluation.definitions, shock, evaluation.track)]
    if ages is not None:
        moments += accuracy.age_mean_rows(variables, ages)
        write_csv(run.by_age, accuracy.AGE_COLUMNS, _age_rows(solution, evaluation, ages))
        _write_stages(run, ages)
    write_csv(run.moments, accuracy.MOMENT_COLUMNS, moments)
    shares = {name: float(np.mean(flag)) for name, flag in evaluation.flags.items()}
    description = {
        "economy": type(economy).__name__,
        "parameter_file": solution.experiment.stem,
        "shock_names": list(economy.describe_shocks()),
        "ages": ages,
        "age_label": economy.age_label,
        "units": dict(economy.units),
        "letters": dict(economy.letters),
        "states": list(economy.State._fields),
        "policies": list(economy.Policy._fields),
        "evaluation": path.model_dump(),
        "shares_of_active_guards": shares,
        "implied_error": _write_implied(run, solution, evaluation),
    }
    write_atomically(run.path / "description.json", json.dumps(description, indent=1) + "\n")
    return shares


def _write_implied(run: RunFolder, solution: Solution, evaluation: Evaluation) -> dict[str, Any]:
    """Writes implied.csv and implied.npz; what description.json says of them."""
    start = time.process_time()
    implied = implied_errors.implied_error(solution.rule, evaluation.state)
    write_csv(run.path / "implied.csv", implied_errors.COLUMNS, implied_errors.rows(implied))
    write_arrays(run.path / "implied.npz", implied_errors.arrays(implied, solution.economy.letters))
    return {
        "states": len(implied.state[0]),
        "modulus": implied.modulus,
        "missed": implied.missed,
        "doubts": list(implied.doubts),
        "cpu_seconds": round(time.process_time() - start, 1),
    }


def _age_rows(solution: Solution, evaluation: Evaluation, ages: Sequence[float]) -> Iterable[dict[str, Any]]:
    economy = solution.economy
    shock = evaluation.state.shock if economy.shocks.discrete else None
    variables = {**evaluation.state._asdict(), **evaluation.policy._asdict(), **evaluation.definitions}
    return accuracy.age_rows(variables, evaluation.errors, economy.units, ages, shock)


def _write_stages(run: RunFolder, ages: Sequence[float]) -> None:
    """The distributions by age with the weights kept at 1, 5 and 100 % of training, each on its own simulated path."""
    for path in sorted(run.checkpoints.glob("stage-*.npz")):
        solution = load_run(run, path.name)
        evaluation = evaluate(solution.rule, _STAGE_PERIODS, _STAGE_BURN_IN, seed=2)
        rows = (row for row in _age_rows(solution, evaluation, ages) if row["shock"] == "all")
        target = run.path / "stages" / f"{path.stem.removeprefix('stage-')}.csv"
        target.parent.mkdir(exist_ok=True)
        write_csv(target, accuracy.AGE_COLUMNS, rows)


def write_policy(run: RunFolder, states: str, out: str) -> int:
    """`deqn policy`: reads states by their letters (z, k) from an .npz and writes the policy's (a, lam, c).

    Returns their number. Raises UserError for states that are missing, misshapen, not finite or not of this economy.
    """
    solution = load_run(run)
    letters = solution.economy.letters
    given = _read_arrays(states)
    fields = {letters.get(name, name): name for name in solution.economy.State._fields}
    missing = sorted(set(fields) - set(given))
    if missing:
        raise UserError(f"{states}: no array {', '.join(missing)} among {sorted(given)}; expected {', '.join(fields)}")
    policy = solution.policy(**{name: given[letter] for letter, name in fields.items()})
    arrays = {letters[name]: value for name, value in policy._asdict().items() if name in letters}
    write_arrays(Path(out), arrays)
    return len(next(iter(arrays.values())))


def _read_arrays(path: str) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    # TypeError: a single array, .npy, is no archive to open.
    except (OSError, ValueError, TypeError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: cannot be read as an .npz of arrays ({error}); save it with numpy.savez") from error
