"""One check of a solution: its number, the threshold and the verdict. Without NumPy and TensorFlow."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

PASS, FAIL, NOT_APPLICABLE = "pass", "fail", "not applicable"


class Check(NamedTuple):
    """A line of `deqn verify`.

    number, threshold: fractions in the unit "%", products in "x1e-2", probabilities in "p-value"; None where there is
    none. note: what was measured, or why the check does not apply. figures: further numbers, by name.
    """

    name: str
    verdict: str
    number: float | None
    threshold: float | None
    unit: str
    note: str
    figures: dict[str, Any]


def at_most(name: str, number: float, threshold: float, note: str, unit: str = "%", **figures: Any) -> Check:
    """Passes if the number is not above the threshold; what is no number fails."""
    verdict = PASS if number <= threshold else FAIL
    return Check(name, verdict, float(number), threshold, unit, note, figures)


def not_rejected(name: str, p_value: float, threshold: float, note: str, **figures: Any) -> Check:
    """Passes if the p-value of a test is not below the threshold; what is no number fails."""
    verdict = PASS if p_value >= threshold else FAIL
    return Check(name, verdict, float(p_value), threshold, "p-value", note, figures)


def not_applicable(name: str, reason: str, **figures: Any) -> Check:
    """A check that says nothing of this solution, and why."""
    return Check(name, NOT_APPLICABLE, None, None, "", reason, figures)


def plain(check: Check) -> dict[str, Any]:
    """A check as JSON holds it, which knows neither NaN nor infinity."""
    return {name: _plain(value) for name, value in check._asdict().items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
