"""`deqn compare`: several solutions of an economy at the same states: errors, policies, moments, cost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deqn.equilibrium import accuracy
from deqn.equilibrium.constraints import products_of
from deqn.equilibrium.economy import axes_of
from deqn.equilibrium.evaluation import at_states, simulated_states
from deqn.equilibrium.memory import AFTER, MEMORY, as_seen_by
from deqn.equilibrium.settings import EvaluationSettings
from deqn.project.errors import CannotWrite, UserError
from deqn.project.json_files import read_json
from deqn.project.parameter_yaml import differences, read_yaml
from deqn.project.run import RunFolder, distinct_names
from deqn.project.writing import write_arrays, write_atomically, write_csv
from deqn.report.axes import Axes
from deqn.tasks.build import load_problem
from deqn.tasks.parameter_file import ParameterFile, parameter_file_of

if TYPE_CHECKING:
    from deqn.equilibrium.decision_rule import DecisionRule

Rows = list[dict[str, Any]]


class Solved(NamedTuple):
    """A run's decision rule in float64, and how many states an update of its training looked at.

    name: what tables and figures call the run.
    """

    run: RunFolder
    name: str
    rule: DecisionRule
    states_per_update: int


class Comparison(NamedTuple):
    """Tables, each a row for each run and what is compared, and the arrays behind them.

    errors: fractions, at the common states. policies: distances from the first run's, as shares of its mean absolute
    value. moments: on each run's own path, of the same shocks. costs: of training. arrays: the common states by letter,
    and for run number n, from 1, "n/letter" of its policy and "n/condition" of its errors.
    """

    errors: Rows
    policies: Rows
    moments: Rows
    costs: Rows
    arrays: dict[str, np.ndarray]


def solved(run: RunFolder, name: str, as_trained: bool = False) -> Solved:
    """The solution of a run. Raises UserError if what it trained decides in no economy."""
    problem = load_problem(run, parameter_file_of(run, as_trained))
    try:
        return Solved(run, name, problem.rule(), problem.states_per_update)
    except UserError as error:
        raise UserError(f"{name}: {error}") from error


def compare_runs(runs: Sequence[RunFolder], folder: Path, path: Mapping[str, int], as_trained: bool = False) -> None:
    """Every run at the states that the first one's path visits; writes tables, arrays and what figures need.

    path: changes to the evaluation settings of the first run's file: periods, burn_in, seed. as_trained: with the
    Python that each run folder keeps.
    Raises UserError for fewer than two runs, one that is named twice, runs whose states or policies are of another kind
    or size, and states, policies or errors that are not finite.
    """
    if len(runs) < 2:
        raise UserError(f"deqn compare: got {len(runs)} run, expected two or more")
    settings = evaluation_of(parameter_file_of(runs[0], as_trained)).model_copy(update=dict(path))
    if settings.burn_in >= settings.periods:
        raise UserError(f"--burn-in: got {settings.burn_in} of {settings.periods} periods, expected fewer")
    names = distinct_names(runs)
    all_solved = [solved(run, name, as_trained) for run, name in zip(runs, names, strict=True)]
    _check_alike(all_solved)
    comparison = compared(all_solved, settings)
    economy = all_solved[0].rule.economy
    letters = economy.report.letters
    description = {
        "runs": names,
        "path": settings.model_dump(),
        "units": {letters.get(name, name): unit for name, unit in economy.report.units.items()},
        "names": {letter: name for name, letter in letters.items()},
        "axes": _by_letter(axes_of(economy), letters)._asdict(),
        "axis_labels": dict(economy.report.axis_labels),
        "condition_names": dict(economy.report.condition_names),
        "aggregates": dict(economy.report.aggregates),
        "parameters": _differing_numbers(runs),
        "seeds": [read_yaml(run.parameters).get("seed", 0) for run in runs],
    }
    _write(comparison, description, folder)


def _by_letter(axes: Axes, letters: Mapping[str, str]) -> Axes:
    """The axes of fields that go by their letters."""
    dims = {letters.get(name, name): along for name, along in axes.dims.items()}
    return axes._replace(dims=dims, oldest=[letters.get(name, name) for name in axes.oldest])


def evaluation_of(file: ParameterFile) -> EvaluationSettings:
    """The path of the file's evaluation; the usual one for a planner's problem, which has no such section."""
    return getattr(file.settings, "evaluation", None) or EvaluationSettings()


def compared(all_solved: Sequence[Solved], path: EvaluationSettings) -> Comparison:
    """Errors, policies, moments and cost of solutions of one kind of economy."""
    first = all_solved[0].rule
    whole = simulated_states(first, path.periods, 0, path.seed, path.tracks)
    states = _after_burn_in(whole, path)
    _check_finite(all_solved[0].name, "its own path", state=states._asdict())
    letters = first.economy.report.letters
    arrays = {letters.get(name, name): value for name, value in states._asdict().items() if name != MEMORY}
    errors, policies, moments, costs = Rows(), Rows(), Rows(), Rows()
    reference: dict[str, np.ndarray] = {}
    for number, each in enumerate(all_solved, start=1):
        seen = states if number == 1 else _after_burn_in(as_seen_by(each.rule, whole, path.tracks), path)
        _, policy, _, conditions, _, _ = at_states(each.rule, seen)
        policy = {name: values for name, values in policy._asdict().items() if name != AFTER}
        _check_finite(each.name, f"the path of {all_solved[0].name}", policy=policy, condition=conditions)
        reference = reference or policy
        errors += _errors(each.name, conditions, products_of(each.rule.economy))
        policies += _distances(each.name, policy, reference)
        moments += _moments(each, path)
        costs.append(_cost(each))
        arrays |= {f"{number}/{letters.get(name, name)}": value for name, value in policy.items()}
        arrays |= {f"{number}/{name}": value for name, value in conditions.items()}
    return Comparison(errors, policies, moments, costs, arrays)


def _path(rule: DecisionRule, path: EvaluationSettings) -> Any:
    return simulated_states(rule, path.periods - path.burn_in, path.burn_in, path.seed, path.tracks)


def _after_burn_in(states: Any, path: EvaluationSettings) -> Any:
    """Of states [tracks * periods] those after the burn-in of each track."""
    shape = (path.tracks, path.periods)
    kept = (x.reshape(*shape, *x.shape[1:])[:, path.burn_in :].reshape(-1, *x.shape[1:]) for x in states)
    return type(states)(*kept)


def differing_parameters(runs: Sequence[RunFolder]) -> Iterator[str]:
    """A line for each parameter of the economy in which a run differs from the first."""
    first, *others = (read_yaml(run.parameters).get("parameters", {}) for run in runs)
    names = distinct_names(runs)
    for name, other in zip(names[1:], others, strict=True):
        for key, then, now in differences(first, other):
            if then is not None and now is not None:
                yield f"{name}: parameters.{key} is {now}, that of {names[0]} {then}"


def _differing_numbers(runs: Sequence[RunFolder]) -> dict[str, list[float]]:
    """The parameters that are one number in every run, and differ between them, each with its value by run."""
    given = [read_yaml(run.parameters).get("parameters") or {} for run in runs]
    found: dict[str, list[Any]] = {name: [each.get(name) for each in given] for name in given[0]}
    return {
        name: values
        for name, values in found.items()
        if len(set(map(str, values))) > 1 and all(type(value) in (int, float) for value in values)
    }


def _write(comparison: Comparison, description: Mapping[str, Any], folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"{folder}: cannot make this folder ({error.strerror}); choose another --out") from error
    for name in ("errors", "policies", "moments", "costs"):
        rows = getattr(comparison, name)
        write_csv(folder / f"{name}.csv", list(rows[0]), rows)
    write_arrays(folder / "comparison.npz", comparison.arrays)
    write_atomically(folder / "comparison.json", json.dumps(description, indent=1) + "\n")


def _check_alike(all_solved: Sequence[Solved]) -> None:
    """Refuses solutions whose states or policies have other names or sizes than the first one's, memories aside."""

    def shapes(each: Solved) -> dict[str, tuple[Any, ...]]:
        economy = each.rule.economy
        state = economy.initial_states(1, np.random.default_rng(0))
        policy, _ = each.rule.completed(economy.tensors(state))
        fields = {**state._asdict(), **policy._asdict()}
        return {name: tuple(x.shape[1:]) for name, x in fields.items() if name not in (MEMORY, AFTER)}

    def words(name: str, found: Mapping[str, tuple[Any, ...]]) -> str:
        if name not in found:
            return f"has no {name}"
        return f"has {' x '.join(map(str, found[name])) or 'one'} {name} in each state"

    first, *others = map(shapes, all_solved)
    for each, other in zip(all_solved[1:], others, strict=True):
        for name in dict.fromkeys([*first, *other]):
            if first.get(name) != other.get(name):
                raise UserError(
                    f"{each.name} {words(name, other)}, {all_solved[0].name} {words(name, first)}; expected solutions "
                    "of one economy"
                )


def _check_finite(run: str, where: str, **found: Mapping[str, np.ndarray]) -> None:
    """Raises UserError if one of these arrays [T, ...], by their kind and name, is NaN or infinite."""
    for kind, arrays in found.items():
        for name, values in arrays.items():
            bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
            if bad.any():
                raise UserError(
                    f"{run}: the {kind} {name} is not finite at {bad.sum()} of {len(bad)} states of {where}; nothing "
                    "was written; leave this run out, or train it longer"
                )


def _errors(run: str, conditions: dict[str, np.ndarray], products: Sequence[str]) -> Rows:
    return [
        {"run": run, "condition": name, "unit": "product" if name in products else "relative",
         "mean": figures["mean"], "p99.9": figures["p99.9"], "max": figures["max"]}
        for name, values in conditions.items()
        for figures in [accuracy.summary(values)]
    ]  # fmt: skip


def _distances(run: str, policy: dict[str, np.ndarray], reference: dict[str, np.ndarray]) -> Rows:
    rows = []
    for name, values in policy.items():
        scale = float(np.abs(reference[name]).mean())
        if scale > 0:  # a multiplier that is nowhere positive has no scale
            distance = np.abs(values - reference[name]) / scale
            rows.append({"run": run, "policy": name, "mean": float(distance.mean()), "max": float(distance.max())})
    return rows


def _moments(each: Solved, path: EvaluationSettings) -> Rows:
    state, policy, _, _, definitions, _ = at_states(each.rule, _path(each.rule, path))
    _check_finite(each.name, "its own path", state=state._asdict(), policy=policy._asdict())
    return [
        {"run": each.name, "variable": name, "mean": float(values.mean()), "std": float(values.std())}
        for name, values in definitions.items()
        if values.ndim == 1
    ]


def _cost(each: Solved) -> dict[str, Any]:
    try:
        record = read_json(each.run.provenance)
    except (OSError, ValueError):
        record = {}
    updates = record.get("updates", 0)
    return {
        "run": each.name,
        "CPU-seconds": record.get("training_cpu_seconds", ""),
        "updates": updates,
        "states": updates * each.states_per_update,
    }
