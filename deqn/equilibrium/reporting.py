"""What is written of an evaluated decision rule: tables of errors and moments, distributions along axes, arrays."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deqn.equilibrium import accuracy, implied
from deqn.equilibrium.constraints import binding_of, names_of, products_of
from deqn.equilibrium.decision_rule import DecisionRule, OutputRule
from deqn.equilibrium.economy import Economy, axes_of
from deqn.equilibrium.evaluation import Evaluation, check_finite, evaluate, under_unvisited
from deqn.equilibrium.settings import EvaluationSettings
from deqn.report.tables import worst_row
from deqn.training.problem import Results

_STAGE_PERIODS, _STAGE_BURN_IN, _STAGE_SEED = 1200, 200, 2  # the stages of training need shape, not precision


def results_of(rule: OutputRule, path: EvaluationSettings) -> Results:
    """Errors, moments and distributions along axes, in float64 on the simulated paths that the file asks for."""
    economy = rule.economy
    evaluation = evaluate(rule, path.periods, path.burn_in, path.seed, path.tracks)
    check_finite(evaluation)
    axes, shock, report = axes_of(economy), _shock(economy, evaluation), economy.report
    binding = binding_of(economy, evaluation.policy, evaluation.flags)
    unvisited = under_unvisited(rule, evaluation.state)
    errors = [*accuracy.error_rows(evaluation.errors, axes, shock, binding, products_of(economy), unvisited)]
    tables = {"errors": errors}
    moments = [*accuracy.moment_rows(evaluation.definitions, shock, evaluation.track, report.output)]
    moments += accuracy.mean_rows(_variables(evaluation), axes)
    tables |= {f"by_{axis}": rows for axis, rows in _along_axes(economy, evaluation).items()}
    if moments:
        tables["moments"] = moments
    implied_errors, about = _implied(rule, evaluation)
    archives = {"simulation": arrays_by_letter(economy, evaluation)}
    if implied_errors is not None:
        tables["implied"] = implied.rows(implied_errors)
        archives["implied"] = implied.arrays(implied_errors, report.letters)
    constrained, guards = shares(economy, evaluation)
    lacking = [int(z) + 1 for z in np.unique(unvisited[0])]
    return Results(
        headline=_headline(worst_row([row for row in errors if row["group"] == "all"]), report.condition_names),
        tables=tables,
        archives=archives,
        printed=[name for name in ("errors", "implied") if name in tables],
        description={
            **description_of(economy),
            "aggregates": dict(report.aggregates) or {name: name for name in _series(evaluation)},
            "evaluation": path.model_dump(),
            "shares_at_constraints": constrained,
            "shares_of_active_guards": guards,
            "unvisited_shocks": lacking,
            **({} if implied_errors is None else {"implied_error": about}),
            **_where(rule, evaluation),
        },
        notes=[
            f"measured on {'one path' if path.tracks == 1 else f'{path.tracks} paths'} of {path.periods} periods, the "
            f"first {path.burn_in} dropped, seed {path.seed}",
            *_implied_notes(about),
            f"share of entries at a constraint: {_listed(constrained)}; where a guard was active: {_listed(guards)}",
            *_unvisited_notes(economy, lacking),
            f"share of periods outside the economy's is_inside {np.mean(~evaluation.inside):.4%}, outside the ranges "
            f"where the rule was trained {np.mean(~evaluation.visited):.4%}",
        ],
    )


def _implied(rule: OutputRule, evaluation: Evaluation) -> tuple[implied.ImpliedError | None, dict[str, Any]]:
    """The implied error at a sub-sample of the path's states, and what description.json says of it; or why none."""
    if said := implied.unaffordable(rule.economy):
        return None, {"none": said}
    start = time.process_time()
    found = implied.implied_error(rule, evaluation.state)
    return found, {
        "states": len(found.state[0]),
        "modulus": found.modulus,
        "missed": found.missed,
        "doubts": list(found.doubts),
        "cpu_seconds": round(time.process_time() - start, 1),
    }


def _implied_notes(about: Mapping[str, Any]) -> list[str]:
    if "none" in about:
        return [f"no implied errors: {about['none']}"]
    return [
        "followed: next period's decisions, and those of all periods after it, are corrected too; an error of next "
        f"period's decisions moves today's by {about['modulus']:.3f} times as much where errors die out most slowly",
        *(f"doubtful: {doubt}" for doubt in about["doubts"]),
    ]


def arrays_by_letter(economy: Economy, evaluation: Evaluation) -> dict[str, np.ndarray]:
    """An evaluation as arrays with the letters of the economy's report: what simulation.npz holds."""
    letters = economy.report.letters
    arrays: dict[str, np.ndarray] = {}
    for named in (evaluation.state, evaluation.policy):
        arrays |= {letters[name]: getattr(named, name) for name in named._fields if name in letters}
    arrays |= {f"{letters[name]}_next": value for name, value in evaluation.successors.items()}
    arrays |= {name: value for name, value in evaluation.definitions.items() if value.ndim == 1}
    return {**arrays, "track": evaluation.track, "inside": evaluation.inside & evaluation.visited}


def at_stage(rule: DecisionRule) -> list[dict[str, Any]]:
    """The distributions along the first axis over all shocks on a short path; none for an economy without axes."""
    if not rule.economy.axes:
        return []
    tables = _along_axes(rule.economy, evaluate(rule, _STAGE_PERIODS, _STAGE_BURN_IN, _STAGE_SEED))
    return [row for row in next(iter(tables.values()), []) if row["shock"] == "all"]


def description_of(economy: Economy) -> dict[str, Any]:
    """What tables, figures and data frames need to know of the economy; what it does not say is left out."""
    report = economy.report
    letters = report.letters
    said: dict[str, Any] = {
        "axes": axes_of(economy)._asdict() if economy.axes else {},
        "axis_labels": report.axis_labels,
        "figures": report.figures,
        "stage_variables": report.stage_variables,
        "shock_variables": report.shock_variables,
        "condition_names": report.condition_names,
        "output": report.output,
        "binding": dict.fromkeys(report.foreseen, report.binding) if report.binding else {},
    }
    return {
        "shock_names": list(economy.describe_shocks()),
        "units": dict(report.units),
        "letters": dict(letters),
        "states": list(economy.State._fields),
        "policies": list(economy.Policy._fields),
        **{name: value for name, value in said.items() if value},
    }


def _where(rule: DecisionRule, evaluation: Evaluation) -> dict[str, Any]:
    """The shares of periods at which the rule's answer deserves doubt, and the ranges where it was trained."""
    shares = {"is_inside": float(np.mean(~evaluation.inside)), "visited": float(np.mean(~evaluation.visited))}
    ranges = None if rule.visited is None else {name: x.tolist() for name, x in rule.visited._asdict().items()}
    return {"shares_outside": shares, "visited": ranges}


def shares(economy: Economy, evaluation: Evaluation) -> tuple[dict[str, float], dict[str, float]]:
    """The shares of entries at a constraint, and of those where a guard was active, by name."""
    report = economy.report
    guards = {name: float(np.mean(flag)) for name, flag in evaluation.flags.items()}
    constrained = {name: guards.pop(name) for name in (*report.constraints, *names_of(economy))}
    if not constrained and report.binding:
        binds = getattr(evaluation.policy, report.binding) > 0
        constrained = {f"{report.binding} above 0": float(np.mean(binds))}
    return constrained, guards


def _listed(shares: Mapping[str, float]) -> str:
    named = (f"{name.replace('_', ' ')} {share:.4%}" for name, share in shares.items())
    return ", ".join(named) or "the economy has none"


def _unvisited_notes(economy: Economy, lacking: Sequence[int]) -> list[str]:
    if not lacking:
        return []
    names = economy.describe_shocks()
    default = [f"shock {number}" for number in range(1, len(names) + 1)]
    named = ", ".join(str(z) if names[z - 1] == default[z - 1] else f"{z} ({names[z - 1]})" for z in lacking)
    return [
        f"shocks that the path never visited: {named}; the errors there are of the states that follow the path's own "
        "under such a shock"
    ]


def _headline(row: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """The worst condition's error over all states, from its row of errors.csv."""
    name = names.get(row["condition"], row["condition"].replace("_", " "))
    percent, scale = ("", 1) if row["unit"] == "product" else (" %", 100)
    return f"{name} mean {scale * row['mean']:.2g}{percent}, p99.9 {scale * row['p99.9']:.2g}{percent}"


def _along_axes(economy: Economy, evaluation: Evaluation) -> dict[str, list[dict[str, Any]]]:
    shock, units = _shock(economy, evaluation), economy.report.units
    return accuracy.axis_tables(_variables(evaluation), evaluation.errors, units, axes_of(economy), shock)


def _variables(evaluation: Evaluation) -> dict[str, np.ndarray]:
    return {**evaluation.state._asdict(), **evaluation.policy._asdict(), **evaluation.definitions}


def _series(evaluation: Evaluation) -> list[str]:
    """The definitions that are one number a period."""
    return [name for name, values in evaluation.definitions.items() if values.ndim == 1]


def _shock(economy: Economy, evaluation: Evaluation) -> np.ndarray | None:
    return evaluation.state.shock if economy.shocks.discrete else None
