"""What validation says of an economy's conditions, and which figure decides. Without NumPy and TensorFlow.

euler.mean, euler.p99.9 and euler.max are of the absolute error of the condition `euler` on fresh paths; worst.mean,
worst.p99.9 and worst.max are the largest of them over all conditions that what the network says can move.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

STATISTICS = ("mean", "p99.9", "max")
WORST = "worst"


def figures_of(conditions: Iterable[str]) -> list[str]:
    """The names of all figures that validation gives of these conditions."""
    return [f"{condition}.{statistic}" for condition in (WORST, *conditions) for statistic in STATISTICS]


def has_form(name: str) -> bool:
    """Whether this can be the name of a figure: a condition, a dot and a statistic."""
    return any(name.endswith(f".{statistic}") and len(name) > len(statistic) + 1 for statistic in STATISTICS)


def deciding_first(
    errors: Mapping[str, float], counting: Sequence[str], decided_by: str | None = None
) -> dict[str, float]:
    """The figures of all conditions, before them those of the condition that decides, and of the worst one.

    counting: the conditions among which the worst is looked for. decided_by: the one that decides; None: the worst.
    """
    worst = {f"{WORST}.{s}": _largest(errors[f"{each}.{s}"] for each in counting) for s in STATISTICS}
    named = {f"{decided_by}.{s}": errors[f"{decided_by}.{s}"] for s in STATISTICS} if decided_by else {}
    return {**named, **worst, **errors}


def _largest(values: Iterable[float]) -> float:
    """The largest, or NaN if one of them is."""
    return max(values, key=lambda x: math.inf if math.isnan(x) else x)


def in_words(errors: Mapping[str, float], products: Sequence[str]) -> str:
    """The deciding figure with the name of its condition: "mean error on fresh paths 0.12 % (euler)"."""
    name, value = next(iter(errors.items()))
    condition = name.removesuffix(".mean")
    if condition == WORST:
        means = {each.removesuffix(".mean"): x for each, x in errors.items() if each.endswith(".mean") and each != name}
        condition = next(each for each, x in means.items() if x == value or math.isnan(x))
    return f"mean error on fresh paths {100 * abs(value):.3g} {'x1e-2' if condition in products else '%'} ({condition})"
