"""Pairs of hours with and without an event, after the algorithm of the lecture on CausalTrans (AA and AB groups).

An event that begins at t_1 is set beside the nearest t_0 of the same hour and weekday without it. Before both lie hours
free of any event. The pair is kept if these pasts are alike: in first differences KPSS does not reject that each is
stationary, and a t-test does not reject that their means are equal. The pasts are the *AA group*, in which nothing
should differ; demand at t_0 and t_1 is the *AB group*, whose difference is the effect at the event's first hour.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy import stats
from statsmodels.tsa.stattools import kpss

from .data import Hours

_REJECTS = 0.05


def groups(hours: Hours, names: list[str], before: int) -> list[dict[str, Any]]:
    """Returns a row for each kind of event: pairs, mean differences of both groups with t-statistics and p-values."""
    return [_row(hours, j, name, before) for j, name in enumerate(names)]


def matched(hours: Hours, event: int, before: int) -> tuple[int, np.ndarray]:
    """Returns how many pairs there are before the tests, and [kept, 2] hours t_0, t_1 of those that are alike."""
    events, any_event = hours.events[:, event] > 0, (hours.events > 0).any(axis=1)
    busy = np.concatenate([[0], np.cumsum(any_event)])
    t = np.arange(before, len(events))
    is_free = np.zeros(len(events), bool)
    is_free[t] = busy[t] == busy[t - before]
    begins = np.flatnonzero(is_free & events)
    calm = np.flatnonzero(is_free & ~events)
    found, kept = 0, []
    for t_1 in begins:
        others = np.delete(hours.events, event, axis=1)
        same = calm[(hours.place[calm] == hours.place[t_1]) & (others[calm] == others[t_1]).all(axis=1)]
        if len(same):
            t_0 = same[np.argmin(np.abs(same - t_1))]
            found += 1
            if are_alike(hours.demand[t_0 - before : t_0], hours.demand[t_1 - before : t_1]):
                kept.append((t_0, t_1))
    return found, np.array(kept, int).reshape(-1, 2)


def are_alike(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether KPSS takes both differenced pasts for stationary, and a t-test their means for equal."""
    differences = np.diff(first), np.diff(second)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # p-values beyond the tables are cut off at .01 and .1, which decides nothing
        stationary = all(kpss(each, nlags="auto")[1] > _REJECTS for each in differences)
    return bool(stationary and stats.ttest_ind(*differences).pvalue > _REJECTS)


def _row(hours: Hours, event: int, name: str, before: int) -> dict[str, Any]:
    found, pairs = matched(hours, event, before)
    row: dict[str, Any] = {"event": name, "pairs": found, "alike": len(pairs)}
    past = np.array([[hours.demand[t - before : t].mean() for t in pair] for pair in pairs]).reshape(-1, 2)
    for group, values in {"AA": past, "AB": hours.demand[pairs]}.items():
        test = stats.ttest_1samp(values[:, 1] - values[:, 0], 0.0) if len(pairs) > 1 else None
        row[f"{group} difference"] = float(np.mean(values[:, 1] - values[:, 0])) if len(pairs) else ""
        row[f"{group} t"], row[f"{group} p"] = (float(test.statistic), float(test.pvalue)) if test else ("", "")
    return row
