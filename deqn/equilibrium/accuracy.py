"""Errors and moments as tables: the statistics that journals print, from the arrays of an evaluation. NumPy only."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

PERCENTILES = (0.1, 10.0, 50.0, 90.0, 99.9)
ERROR_COLUMNS = ["condition", "group", "key", "unit", "n", "mean", "max", *(f"p{p:g}" for p in PERCENTILES)]
MOMENT_COLUMNS = ["variable", "statistic", "group", "key", "value"]
AGE_COLUMNS = ["variable", "unit", "shock", "age", "mean", *(f"p{p:g}" for p in PERCENTILES)]
SMALLEST_LOG10 = -16.0


def summary(values: np.ndarray) -> dict[str, float]:
    """n, mean, max and percentiles of absolute values, all entries pooled."""
    sizes = np.abs(values).ravel()
    if not sizes.size:
        return {"n": 0}
    return {
        "n": sizes.size,
        "mean": float(sizes.mean()),
        "max": float(sizes.max()),
        **_percentiles(sizes),
    }


def by_age(
    name: str, values: np.ndarray, ages: Sequence[float], oldest: Collection[str] = ()
) -> list[tuple[str, np.ndarray]]:
    """The columns of values [T, N] or [T, N-1], each with its age, for N ages; none for values of another shape.

    N-1 columns belong to ages 1..N-1, as decisions of all but the oldest do, or, if `name` is among `oldest`, to 2..N,
    as what is held by all but the newborn does.
    """
    missing = len(ages) - values.shape[1] if values.ndim == 2 else -1
    if missing not in (0, 1):
        return []
    labels = ages[missing:] if name in oldest else ages[: len(ages) - missing]
    return [(f"{age:g}", column) for age, column in zip(labels, values.T, strict=True)]


def error_rows(
    errors: Mapping[str, np.ndarray],
    ages: Sequence[float] | None,
    shock: np.ndarray | None,
    binding: np.ndarray | None,
    products: Sequence[str] = (),
    oldest: Collection[str] = (),
    unvisited: tuple[np.ndarray, Mapping[str, np.ndarray]] | None = None,
) -> Iterator[dict[str, Any]]:
    """The rows of errors.csv: each condition over all states, by age, by shock (from 1), where a constraint binds.

    errors: [T, ages] or [T], fractions. shock: int [T] from 0, or None. binding: bool [T, ages], or None.
    products: the conditions that are products of two numbers; the others are relative errors. oldest: see `by_age`.
    unvisited: shocks that the path lacks, from 0, [n], and the errors there, [n, ...].
    """
    for condition, error in errors.items():
        unit = "product" if condition in products else "relative"

        def row(group: str, key: Any, values: np.ndarray, condition: str = condition, unit: str = unit) -> dict:
            return {"condition": condition, "group": group, "key": key, "unit": unit, **summary(values)}

        yield row("all", "", error)
        for age, column in by_age(condition, error, ages or (), oldest):
            yield row("age", age, column)
        if shock is not None:
            for z in np.unique(shock):
                yield row("shock", int(z) + 1, error[shock == z])
        if unvisited is not None:
            for z in np.unique(unvisited[0]):
                yield row("unvisited", int(z) + 1, unvisited[1][condition][unvisited[0] == z])
        if binding is not None and binding.shape == error.shape:
            yield row("binding", "binding", error[binding])
            yield row("binding", "free", error[~binding])


def moment_rows(
    variables: Mapping[str, np.ndarray], shock: np.ndarray | None, track: np.ndarray, output_name: str | None = None
) -> Iterator[dict]:
    """The rows of moments.csv for variables [T]: mean, standard deviation, autocorrelation, correlation with output."""
    series = {name: values for name, values in variables.items() if values.ndim == 1}
    output = series.get(output_name) if output_name else None
    within = track[1:] == track[:-1]  # pairs of successive periods of one track
    for name, values in series.items():
        statistics = {"mean": values.mean(), "std": values.std()}
        statistics["autocorrelation"] = _correlation(values[:-1][within], values[1:][within])
        if output is not None:
            statistics["correlation_with_output"] = _correlation(values, output)
        for statistic, value in statistics.items():
            yield {"variable": name, "statistic": statistic, "group": "all", "key": "", "value": float(value)}
        if shock is not None:
            for z in np.unique(shock):
                value = float(values[shock == z].mean())
                yield {"variable": name, "statistic": "mean", "group": "shock", "key": int(z) + 1, "value": value}


def age_mean_rows(
    variables: Mapping[str, np.ndarray], ages: Sequence[float], oldest: Collection[str] = ()
) -> Iterator[dict]:
    """The means by age of variables [T, ages], as rows of moments.csv. oldest: see `by_age`."""
    for name, values in variables.items():
        for age, column in by_age(name, values, ages, oldest):
            yield {"variable": name, "statistic": "mean", "group": "age", "key": age, "value": float(column.mean())}


def age_rows(
    variables: Mapping[str, np.ndarray],
    errors: Mapping[str, np.ndarray],
    units: Mapping[str, str],
    ages: Sequence[float],
    shock: np.ndarray | None,
    oldest: Collection[str] = (),
) -> Iterator[dict[str, Any]]:
    """The rows of by_age.csv: the distribution at each age of variables [T, ages] and of log10 absolute errors.

    The mean of log10_NAME is log10 of the mean absolute error, the number of errors.csv; the mean of the logarithms
    would be lower. Percentiles take zeros as 1e-16. oldest: see `by_age`.
    """
    groups: list[tuple[Any, Any]] = [("all", slice(None))]
    if shock is not None:
        groups += [(int(z) + 1, shock == z) for z in np.unique(shock)]
    kinds = [(name, values, "") for name, values in variables.items()]
    kinds += [(name, np.abs(error), "log10") for name, error in errors.items()]
    for name, values, scale in kinds:
        shown = f"{scale}_{name}" if scale else name
        for label, chosen in groups:
            for age, column in by_age(name, values[chosen], ages, oldest):
                yield {
                    "variable": shown,
                    "unit": units.get(shown, scale),
                    "shock": label,
                    "age": age,
                    "mean": float(_log10(column.mean()) if scale else column.mean()),
                    **_percentiles(_log10(column) if scale else column),
                }


def _percentiles(values: np.ndarray) -> dict[str, float]:
    return {f"p{p:g}": float(q) for p, q in zip(PERCENTILES, np.percentile(values, PERCENTILES), strict=True)}


def _log10(size: np.ndarray) -> np.ndarray:
    return np.log10(np.maximum(size, 10**SMALLEST_LOG10))


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    if x.size < 2 or x.std() == 0 or y.std() == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])
