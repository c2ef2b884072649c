"""What is written of an evaluated decision rule: tables of errors and moments, distributions by age, arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from deqn.equilibrium import accuracy
from deqn.equilibrium.decision_rule import DecisionRule
from deqn.equilibrium.economy import Economy
from deqn.equilibrium.evaluation import Evaluation, evaluate
from deqn.equilibrium.settings import EvaluationSettings
from deqn.training.problem import Results

_STAGE_PERIODS, _STAGE_BURN_IN, _STAGE_SEED = 1200, 200, 2  # the stages of training need shape, not precision


def results_of(rule: DecisionRule, path: EvaluationSettings) -> Results:
    """Errors, moments and distributions by age of a rule in float64 on the simulated paths that the file asks for."""
    economy = rule.economy
    evaluation = evaluate(rule, path.periods, path.burn_in, path.seed, path.tracks)
    ages, shock, report = _ages(economy), _shock(economy, evaluation), economy.report
    binding = getattr(evaluation.policy, report.binding) > 0 if report.binding else None
    errors = [*accuracy.error_rows(evaluation.errors, ages, shock, binding, report.products, report.oldest)]
    tables = {"errors": errors}
    moments = [*accuracy.moment_rows(evaluation.definitions, shock, evaluation.track, report.output)]
    if ages is not None:
        moments += accuracy.age_mean_rows(_variables(evaluation), ages, _oldest(economy))
        tables["by_age"] = [*_age_rows(economy, evaluation, ages)]
    if moments:
        tables["moments"] = moments
    shares = {name: float(np.mean(flag)) for name, flag in evaluation.flags.items()}
    active = ", ".join(f"{name.replace('_', ' ')} {share:.4%}" for name, share in shares.items())
    return Results(
        headline=_headline(errors[0], report.condition_names),
        tables=tables,
        arrays=arrays_by_letter(economy, evaluation),
        arrays_in="simulation",
        printed=("errors",),
        description={
            **_description(economy, ages),
            "aggregates": dict(report.aggregates) or {name: name for name in _series(evaluation)},
            "evaluation": path.model_dump(),
            "shares_of_active_guards": shares,
        },
        notes=[f"share of entries where a constraint or guard was active: {active or 'the economy has none'}"],
    )


def arrays_by_letter(economy: Economy, evaluation: Evaluation) -> dict[str, np.ndarray]:
    """An evaluation as arrays with the letters of the economy's report: what simulation.npz holds."""
    letters = economy.report.letters
    arrays: dict[str, np.ndarray] = {}
    for named in (evaluation.state, evaluation.policy):
        arrays |= {letters[name]: getattr(named, name) for name in named._fields if name in letters}
    arrays |= {f"{letters[name]}_next": value for name, value in evaluation.successors.items()}
    arrays |= {name: value for name, value in evaluation.definitions.items() if value.ndim == 1}
    return {**arrays, "track": evaluation.track}


def by_age_at_stage(rule: DecisionRule) -> list[dict[str, Any]]:
    """The distributions by age over all shocks on a short path; none for an economy without ages."""
    ages = _ages(rule.economy)
    if ages is None:
        return []
    evaluation = evaluate(rule, _STAGE_PERIODS, _STAGE_BURN_IN, _STAGE_SEED)
    return [row for row in _age_rows(rule.economy, evaluation, ages) if row["shock"] == "all"]


def _description(economy: Economy, ages: list[float] | None) -> dict[str, Any]:
    """What tables and figures need to know of the economy; what it does not say is left out."""
    report = economy.report
    letters = report.letters
    said: dict[str, Any] = {
        "axis": report.age_label,
        "figures": report.figures,
        "stage_variables": report.stage_variables,
        "shock_variables": report.shock_variables,
        "condition_names": report.condition_names,
        "binding": dict.fromkeys(report.foreseen, report.binding) if report.binding else {},
    }
    return {
        "shock_names": list(economy.describe_shocks()),
        "ages": ages,
        "units": dict(report.units),
        "letters": dict(letters),
        "states": list(economy.State._fields),
        "policies": list(economy.Policy._fields),
        **{name: value for name, value in said.items() if value},
    }


def _headline(row: dict[str, Any], names: Mapping[str, str]) -> str:
    """The first condition's error over all states, from its row of errors.csv."""
    name = names.get(row["condition"], row["condition"].replace("_", " "))
    percent, scale = ("", 1) if row["unit"] == "product" else (" %", 100)
    return f"{name} mean {scale * row['mean']:.2g}{percent}, p99.9 {scale * row['p99.9']:.2g}{percent}"


def _age_rows(economy: Economy, evaluation: Evaluation, ages: list[float]) -> Iterator[dict[str, Any]]:
    shock, units = _shock(economy, evaluation), economy.report.units
    return accuracy.age_rows(_variables(evaluation), evaluation.errors, units, ages, shock, _oldest(economy))


def _oldest(economy: Economy) -> list[str]:
    """Fields of N-1 numbers that belong to ages 2..N: those of the state, because the newborn hold nothing."""
    return [*economy.State._fields, *economy.report.oldest]


def _variables(evaluation: Evaluation) -> dict[str, np.ndarray]:
    return {**evaluation.state._asdict(), **evaluation.policy._asdict(), **evaluation.definitions}


def _series(evaluation: Evaluation) -> list[str]:
    """The definitions that are one number a period."""
    return [name for name, values in evaluation.definitions.items() if values.ndim == 1]


def _ages(economy: Economy) -> list[float] | None:
    return None if economy.ages is None else [float(age) for age in economy.ages]


def _shock(economy: Economy, evaluation: Evaluation) -> np.ndarray | None:
    return evaluation.state.shock if economy.shocks.discrete else None
