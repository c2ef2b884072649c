"""Azinovic, Gaegauf & Scheidegger: the economies with capital and a bond, published and found here.

`deqn reproduce ags_bond` sets Table 7 and the responses of section 7 of the working paper (2019) beside the run of
`ags19.yaml`, and tells the same of the benchmark of the published paper (2022), of which no numbers are at hand.
What the papers show without numbers has a figure of ours alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from deqn.report.bands import by_axis, by_shock_of_runs, profiles
from deqn.report.exhibits import Exhibit, Row
from deqn.report.paper import Drawing
from deqn.report.responses import on_impact, over_time, responses
from deqn.report.tables import STATISTICS, error_rows
from deqn.report.training import training_figure

PAPER = "ags_bond"
TITLE = "Capital and a bond, Azinovic, Gaegauf & Scheidegger (2019, 2022): published, and found here"
FIRST, SECOND = "working paper, 60 cohorts", "published paper, 56 cohorts"
RUNS = {FIRST: "models/olg_bond/ags19.yaml", SECOND: "models/olg_bond/ags22.yaml"}
RESPONSES = (FIRST, SECOND)

# Table 7: mean, max, percentiles 10, 50, 90, 99.9; relative errors in %, products in 1e-2.
ERRORS = {
    "euler": ("Euler error, capital", "%", (0.05, 2.97, 0.01, 0.03, 0.11, 0.64)),
    "euler_bond": ("Euler error, bond", "%", (0.05, 4.25, 0.00, 0.03, 0.10, 0.67)),
    "kkt": ("KKT error, capital", "x1e-2", (0.01, 0.77, 0, 0, 0, 0)),
    "kkt_bond": ("KKT error, bond", "x1e-2", (0.03, 1.04, 0, 0, 0.02, 0.18)),
}
PRINTED = ("mean", "max", "p10", "p50", "p90", "p99.9")
CLEARING = (0.04, 0.76)  # mean and largest size of the sum of bonds, in 1e-2
IMPACT = {"1": -10.7, "2": 11.6, "3": -24.4, "4": 2.7}  # % of aggregate consumption, working paper
PREMIUM = 4.0  # % a year, "about"
_BY_AGE = ("euler_by_age", "euler_bond_by_age", "portfolio_by_age")
_AGES = 5  # years between the ages that are told
_MOMENTS = {"K": "capital", "r": "gross return", "w": "wage", "K_over_Y": "capital over output"}

Runs = Mapping[str, Path | None]


def exhibits(runs: Runs) -> Iterator[Exhibit]:
    """Table 7, figures of both papers; runs: by paper, None where there is none."""
    yield _errors(runs[FIRST])
    drawn = [figure for run in runs.values() if run and (figure := training_figure(run))]
    yield Exhibit("Loss and errors during training", drawings=[_as(f"training_{n}", x) for n, x in enumerate(drawn, 1)])
    there = {name: run for name, run in runs.items() if run is not None}
    for number, (name, run) in enumerate(there.items(), start=1):
        drawn = [_as(f"{each.name}_{number}", each) for each in by_axis(run) if each.name in _BY_AGE]
        yield Exhibit(f"Errors by asset and age, {name}", drawings=drawn)
        drawn = by_shock_of_runs({name: run}, ["capital", "bonds", "consumption", "bond_share"], f"holdings_{number}")
        yield Exhibit(f"Capital, bonds, consumption and the bond's share by age, {name}", drawings=[drawn])
        yield _by_age(name, run)
    tables = {name: responses(run).set_index(["variable", "shock", "entry", "horizon"]) for name, run in there.items()}
    rows = [
        _response(f"shock {shock}, {name}", IMPACT[shock] if name == FIRST else None, tables.get(name), shock)
        for name in RUNS
        for shock in IMPACT
    ]
    published = {(FIRST, shock, 0.0): value for shock, value in IMPACT.items() if FIRST in there}
    drawn = [over_time(there, {"C": "aggregate consumption"}, "response", published)] if there else []
    drawn += [on_impact(there, "age", ["consumption"], "response_by_age", {})] if there else []
    yield Exhibit("Response of aggregate consumption, on impact", rows, drawn)
    yield _premium(there)


def _errors(run: Path | None) -> Exhibit:
    found = {row["condition"]: row for row in error_rows(run)} if run else {}
    rows = [
        Row(f"{words}, {statistic}", unit, value, 100 * found[name][statistic] if run else None, decimals=4)
        for name, (words, unit, values) in ERRORS.items()
        for statistic, value in zip(PRINTED, values, strict=True)
    ]
    clearing = 100 * np.abs(_path(run)["clearing"] * _path(run)["Y"]) if run else None
    for words, value, of in zip(("mean", "max"), CLEARING, (np.mean, np.max), strict=True):
        found_here = None if clearing is None else float(of(clearing))
        rows.append(Row(f"sum of bonds, {words}", "x1e-2", value, found_here, decimals=4))
    more = [name for name in ("excess", "portfolio") if name in found]
    rows += [
        Row(f"{words}, {statistic}", "%", None, 100 * found[name][statistic], decimals=4)
        for name, words in (("excess", "excess-return error"), ("portfolio", "share of cash in the wrong asset"))
        for statistic in STATISTICS
        if name in more
    ]
    return Exhibit("Table 7: errors, working paper", rows, note="KKT and clearing are zero here up to rounding.")


def _by_age(name: str, run: Path) -> Exhibit:
    """Moments of aggregates and of holdings at every fifth age, and how often each limit binds there."""
    path = _path(run)
    rows = [
        Row(f"{words}, {what}", "", None, float(of(path[letter])), decimals=4)
        for letter, words in _MOMENTS.items()
        for what, of in (("mean", np.mean), ("standard deviation", np.std))
    ]
    ages = sorted(profiles(run / "by_age.csv").query("variable == 'savings'")["age"].unique())
    for place, age in list(enumerate(ages))[::_AGES]:
        rows += [
            Row(
                f"{words} at age {age:g}, {what}",
                "units of the good",
                None,
                float(of(path[letter][:, place])),
                decimals=4,
            )
            for letter, words in (("k", "capital"), ("b", "bonds"))
            for what, of in (("mean", np.mean), ("standard deviation", np.std))
        ]
        rows += [
            Row(f"{words} at age {age:g}", "% of periods", None, 100 * float(np.mean(path[letter][:, place] > 0)))
            for letter, words in (("m_a", "limit of capital binds"), ("m_v", "collateral binds"))
        ]
    return Exhibit(f"Moments, holdings by age and limits, {name}", rows)


def _premium(there: Mapping[str, Path]) -> Exhibit:
    rows = [
        Row(f"expected return on capital less the bond's, {name}", "% a year", PREMIUM if name == FIRST else None,
            100 * float(np.mean(_path(run)["premium"])), decimals=2)
        for name, run in there.items()
    ]  # fmt: skip
    return Exhibit("Equity premium", rows, note='The working paper says "about 4 %".')


def _path(run: Path) -> Mapping[str, np.ndarray]:
    with np.load(run / "simulation.npz") as arrays:
        return {name: arrays[name] for name in arrays.files if not name.endswith("_next")}


def _response(what: str, published: float | None, table, shock: str) -> Row:
    if table is None:
        return Row(what, "%", published, None)
    value, error = 100 * table.loc[("C", shock, "", 0.0), ["value", "standard_error"]].to_numpy(float)
    return Row(what, "%", published, value, error)


def _as(name: str, drawing: Drawing) -> Drawing:
    return Drawing(name, drawing.figure, drawing.data)
