"""Errors and moments as tables: the statistics that journals print, from the arrays of an evaluation. NumPy only."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from deqn.report.axes import Axes, text

PERCENTILES = (0.1, 10.0, 50.0, 90.0, 99.9)
ERROR_COLUMNS = ["condition", "group", "key", "unit", "n", "mean", "max", *(f"p{p:g}" for p in PERCENTILES)]
MOMENT_COLUMNS = ["variable", "statistic", "group", "key", "value"]
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


def entries(name: str, values: np.ndarray, axes: Axes) -> Iterator[tuple[dict[str, str], np.ndarray]]:
    """Each entry of values [T, ...], [T], with its label on every axis; none for values that have no axis."""
    labels = axes.of(name, values.shape[1:])
    if labels:
        columns = values.reshape(len(values), -1).T
        for place, column in zip(itertools.product(*labels.values()), columns, strict=True):
            yield dict(zip(labels, map(text, place), strict=True)), column


def error_rows(
    errors: Mapping[str, np.ndarray],
    axes: Axes,
    shock: np.ndarray | None,
    binding: Mapping[str, np.ndarray],
    products: Sequence[str] = (),
    unvisited: tuple[np.ndarray, Mapping[str, np.ndarray]] | None = None,
) -> Iterator[dict[str, Any]]:
    """The rows of errors.csv: each condition over all states, along axes, by shock (from 1), where one binds.

    errors: [T, ...] or [T], fractions; along an axis those of all others are pooled. shock: int [T] from 0, or None.
    binding: by constraint, "" if there is one alone, bool as a condition's errors: where it binds.
    products: the conditions that are products of two numbers; the others are relative errors.
    unvisited: shocks that the path lacks, from 0, [n], and the errors there, [n, ...].
    """
    for condition, error in errors.items():
        unit = "product" if condition in products else "relative"

        def row(group: str, key: Any, values: np.ndarray, condition: str = condition, unit: str = unit) -> dict:
            return {"condition": condition, "group": group, "key": key, "unit": unit, **summary(values)}

        yield row("all", "", error)
        for position, (axis, along) in enumerate(axes.of(condition, error.shape[1:]).items(), start=1):
            for number, label in enumerate(along):
                yield row(axis, text(label), np.take(error, number, axis=position))
        if shock is not None:
            for z in np.unique(shock):
                yield row("shock", int(z) + 1, error[shock == z])
        if unvisited is not None:
            for z in np.unique(unvisited[0]):
                yield row("unvisited", int(z) + 1, unvisited[1][condition][unvisited[0] == z])
        for constraint, binds in binding.items():
            if binds.shape == error.shape:
                yield row("binding", f"{constraint}binding", error[binds])
                yield row("binding", f"{constraint}free", error[~binds])


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


def mean_rows(variables: Mapping[str, np.ndarray], axes: Axes) -> Iterator[dict]:
    """The means of the entries of variables [T, ...], as rows of moments.csv: age 21, or age/asset 21/bond."""
    for name, values in variables.items():
        for labels, column in entries(name, values, axes):
            place = {"group": "/".join(labels), "key": "/".join(labels.values())}
            yield {"variable": name, "statistic": "mean", **place, "value": float(column.mean())}


def axis_tables(
    variables: Mapping[str, np.ndarray],
    errors: Mapping[str, np.ndarray],
    units: Mapping[str, str],
    axes: Axes,
    shock: np.ndarray | None,
) -> dict[str, list[dict[str, Any]]]:
    """The rows of by_AXIS.csv for each axis that is the first of some variables [T, ...] or errors.

    A row is the distribution at one entry of a variable, or of log10 absolute errors; a variable with a second axis has
    its label there in a column of that name, which is empty for others. The mean of log10_NAME is log10 of the mean
    absolute error, the number of errors.csv; the mean of the logarithms would be lower. Percentiles take zeros as
    1e-16.
    """
    groups: list[tuple[Any, Any]] = [("all", slice(None))]
    if shock is not None:
        groups += [(int(z) + 1, shock == z) for z in np.unique(shock)]
    kinds = [(name, name, values, "") for name, values in variables.items()]
    kinds += [(name, f"log10_{name}", np.abs(error), "log10") for name, error in errors.items()]
    dims = [[*axes.of(name, values.shape[1:])] for name, _, values, _ in kinds]
    tables: dict[str, list[dict[str, Any]]] = {
        axis: [] for axis in axes.labels if any(axis in each[:1] for each in dims)
    }
    for (name, shown, values, scale), mine in zip(kinds, dims, strict=True):
        columns = dict.fromkeys((axis for each in dims if each[:1] == mine[:1] for axis in each), "")
        for label, chosen in groups:
            for labels, column in entries(name, values[chosen], axes):
                tables[mine[0]].append({
                    "variable": shown,
                    "unit": units.get(shown, scale),
                    "shock": label,
                    **columns,
                    **labels,
                    "mean": float(_log10(column.mean()) if scale else column.mean()),
                    **_percentiles(_log10(column) if scale else column),
                })  # fmt: skip
    return tables


def _percentiles(values: np.ndarray) -> dict[str, float]:
    return {f"p{p:g}": float(q) for p, q in zip(PERCENTILES, np.percentile(values, PERCENTILES), strict=True)}


def _log10(size: np.ndarray) -> np.ndarray:
    return np.log10(np.maximum(size, 10**SMALLEST_LOG10))


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    if x.size < 2 or x.std() == 0 or y.std() == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])
