"""Errors and moments as tables: the statistics that journals print, from the arrays of an evaluation. NumPy only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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


def error_rows(
    errors: Mapping[str, np.ndarray],
    ages: Sequence[float] | None,
    shock: np.ndarray | None,
    binding: np.ndarray | None,
    products: Sequence[str] = (),
    unvisited: tuple[np.ndarray, Mapping[str, np.ndarray]] | None = None,
) -> Iterator[dict[str, Any]]:
    """The rows of errors.csv: each condition over all states, by age, by shock (from 1), where a constraint binds.

    errors: [T, ages] or [T], fractions. shock: int [T] from 0, or None. binding: bool [T, ages], or None.
    products: the conditions that are products of two numbers; the others are relative errors.
    unvisited: shocks that the path lacks, from 0, [n], and the errors there, [n, ...].
    """
    for condition, error in errors.items():
        unit = "product" if condition in products else "relative"

        def row(group: str, key: Any, values: np.ndarray, condition: str = condition, unit: str = unit) -> dict:
            return {"condition": condition, "group": group, "key": key, "unit": unit, **summary(values)}

        yield row("all", "", error)
        if ages is not None and error.ndim == 2:
            for number, age in enumerate(ages[: error.shape[1]]):
                yield row("age", f"{age:g}", error[:, number])
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


def age_mean_rows(variables: Mapping[str, np.ndarray], ages: Sequence[float]) -> Iterator[dict]:
    """The means by age of variables [T, ages], as rows of moments.csv."""
    for name, values in variables.items():
        if values.ndim == 2:
            for number, age in enumerate(ages[: values.shape[1]]):
                value = float(values[:, number].mean())
                yield {"variable": name, "statistic": "mean", "group": "age", "key": f"{age:g}", "value": value}


def age_rows(
    variables: Mapping[str, np.ndarray],
    errors: Mapping[str, np.ndarray],
    units: Mapping[str, str],
    ages: Sequence[float],
    shock: np.ndarray | None,
) -> Iterator[dict[str, Any]]:
    """The rows of by_age.csv: the distribution at each age of variables [T, ages] and of log10 absolute errors.

    The mean of a log10 error is over the errors that are not zero; its percentiles take zeros as 1e-16.
    """
    groups: list[tuple[Any, Any]] = [("all", slice(None))]
    if shock is not None:
        groups += [(int(z) + 1, shock == z) for z in np.unique(shock)]
    logs = {f"log10_{name}": _log10(error) for name, error in errors.items() if error.ndim == 2}
    for name, values in {**variables, **logs}.items():
        if values.ndim != 2:
            continue
        for label, chosen in groups:
            for number, age in enumerate(ages[: values.shape[1]]):
                column = values[chosen, number]
                counted = column[column > SMALLEST_LOG10] if name in logs else column
                yield {
                    "variable": name,
                    "unit": units.get(name, "log10" if name in logs else ""),
                    "shock": label,
                    "age": f"{age:g}",
                    "mean": float(counted.mean()) if counted.size else SMALLEST_LOG10,
                    **_percentiles(column),
                }


def _percentiles(values: np.ndarray) -> dict[str, float]:
    return {f"p{p:g}": float(q) for p, q in zip(PERCENTILES, np.percentile(values, PERCENTILES), strict=True)}


def _log10(error: np.ndarray) -> np.ndarray:
    return np.log10(np.maximum(np.abs(error), 10**SMALLEST_LOG10))


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    if x.size < 2 or x.std() == 0 or y.std() == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])
