"""Checks along the simulated path: errors, implied errors, feasibility, and what the errors cost."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from deqn.equilibrium.constraints import products_of
from deqn.equilibrium.evidence.check import Check, at_most, not_applicable
from deqn.equilibrium.evidence.statistics import bands
from deqn.equilibrium.evidence.subject import Subject
from deqn.equilibrium.implied import HARD_TO_FOLLOW, ImpliedError
from deqn.equilibrium.reporting import shares

_OUTSIDE = 0.01  # of the periods, at which inputs of the network may lie where it was not trained
_ROUNDING = 1e-9


def errors(subject: Subject) -> Iterator[Check]:
    """Mean and 99.9th percentile of every condition; the upper end of the bootstrap's band decides."""
    economy, settings = subject.rule.economy, subject.settings
    products = products_of(economy)
    for name, values in subject.path.errors.items():
        words = economy.report.condition_names.get(name, name.replace("_", " "))
        unit, scale = ("x1e-2", "") if name in products else ("%", " %")
        for statistic, threshold, band in zip(
            ("mean", "p99.9"), (settings.mean, settings.tail), bands(values, 99.9), strict=True
        ):
            note = f"{100 * band.estimate:.3g}{scale}, 95 % band {100 * band.low:.3g} to {100 * band.high:.3g}{scale}"
            yield at_most(f"{words}, {statistic}", band.high, threshold, note, unit,
                          estimate=band.estimate, low=band.low, high=band.high)  # fmt: skip


def implied(subject: Subject) -> Iterator[Check]:
    """By how much each decision differs from what the conditions ask for: next period as it is, and followed.

    The multiplier of the report is left out: it is zero at most states and has no size of its own, and the errors show
    what it gets wrong. Followed changes are raised by what could not be followed.
    """
    found, settings = subject.implied, subject.settings
    if not isinstance(found, ImpliedError):
        yield not_applicable("implied errors", str(found))
        return
    others = [doubt for doubt in found.doubts if not doubt.startswith(HARD_TO_FOLLOW)]
    if max(np.abs(values).max() for values in found.one_step.values()) < _ROUNDING:
        others = []  # of a step that is rounding nothing can be said, nor needs to be
    raised = 1 + found.missed / (1 - found.modulus) if found.modulus < 1 else np.inf
    states = len(found.state[0])
    for name in found.unit:
        if name == subject.rule.economy.report.binding:
            continue
        words, unit = f"implied error of {name.replace('_', ' ')}", subject.unit(name)
        for statistic, threshold in (("mean", settings.mean), ("p99.9", settings.tail)):
            yield at_most(f"{words}, {statistic}", _statistic(found.one_step[name], statistic), threshold,
                          f"of {unit}, next period's decisions as they are, {states} states")  # fmt: skip
        if others:
            yield not_applicable(f"{words}, followed", "; ".join(others))
            continue
        for statistic, threshold in (("mean", settings.mean), ("p99.9", settings.tail)):
            followed = _statistic(found.followed[name], statistic)
            note = f"of {unit}; {100 * followed:.3g} % before what could not be followed, modulus {found.modulus:.3f}"
            yield at_most(f"{words}, followed, {statistic}", raised * followed, threshold, note,
                          followed=followed, modulus=found.modulus, missed=found.missed)  # fmt: skip


def _statistic(values: np.ndarray, statistic: str) -> float:
    sizes = np.abs(values)
    return float(sizes.mean() if statistic == "mean" else np.percentile(sizes, 99.9))


def feasibility(subject: Subject) -> Iterator[Check]:
    """Signs of multipliers and slacks, guards, and whether the path stays where the economy and the training are.

    Market clearing is a condition, and stands among the errors.
    """
    economy, path = subject.rule.economy, subject.path
    _, guards = shares(economy, path)
    binding = economy.report.binding
    if binding is not None:
        values = getattr(path.policy, binding)
        below = np.mean(values < -_ROUNDING * max(np.abs(values).max(), 1e-300))
        guards = {f"{binding}_below_zero": float(below), **guards}
    for name, share in guards.items():
        yield at_most(f"feasibility: {name.replace('_', ' ')}", share, 0.0, "share of entries along the path")
    if not guards:
        yield not_applicable("feasibility: signs and guards", "the economy declares neither constraints nor guards")
    yield at_most("feasibility: outside the economy's is_inside", np.mean(~path.inside), 0.0, "share of periods")
    if subject.rule.visited is None:
        yield not_applicable("feasibility: where the rule was not trained", "where it was trained is not known")
    else:
        yield at_most("feasibility: where the rule was not trained", np.mean(~path.visited), _OUTSIDE,
                      "share of periods")  # fmt: skip


def welfare(subject: Subject) -> Iterator[Check]:
    """What the errors cost, to second order: half the risk aversion times the mean squared error of consumption.

    A household that consumes c (1 + e) instead of the best c gives up about risk aversion / 2 times E[e^2] of c
    (Santos 2000, Econometrica 68, for errors of a policy). Risk aversion is the parameter `risk_aversion`, else 1.
    """
    name = "welfare cost of the errors"
    found = subject.implied
    if not isinstance(found, ImpliedError) or "consumption" not in found.unit:
        yield not_applicable(name, "the policy has no field `consumption` with an implied error")
        return
    aversion = getattr(subject.rule.economy.p, "risk_aversion", None)
    curvature = float(aversion) if isinstance(aversion, int | float) else 1.0
    goods = found.followed["consumption"] * found.levels["consumption"]
    relative = goods / np.maximum(np.abs(found.policy["consumption"]), 1e-300)
    said = "the file's risk aversion" if isinstance(aversion, int | float) else "log utility, for want of risk_aversion"
    yield at_most(
        name, curvature / 2 * float(np.mean(relative**2)), subject.settings.welfare,
        f"of consumption: {curvature:g} / 2 times the mean squared implied error of consumption ({said})",
    )  # fmt: skip
