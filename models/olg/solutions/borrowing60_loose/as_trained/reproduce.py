"""Azinovic, Gaegauf & Scheidegger (2019), "Deep Equilibrium Nets", working paper: its tables and figures.

`deqn reproduce ags19` sets them beside the runs of this project. Numbers are as printed there, those of Figures 8 and 9
as read off; what the paper shows without numbers has a figure of ours alone. The last figure is that of the lectures on
deep learning, which show the wealth of ages under a looser limit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from deqn.report import files
from deqn.report.bands import by_axis, by_shock_of_runs, profiles, stages
from deqn.report.exhibits import Exhibit, Row
from deqn.report.paper import Drawing
from deqn.report.responses import on_impact, over_time, responses
from deqn.report.tables import STATISTICS, error_rows
from deqn.report.training import training_figure

PAPER = "ags19"
TITLE = "Azinovic, Gaegauf & Scheidegger (2019): published, and found here"
ZERO, HALF, ONE = "limit 0", "limit -0.5", "limit -1"
LETTER = "Algorithm 1 to the letter, limit 0"
RUNS = {
    ZERO: "models/olg/benchmark60.yaml",
    HALF: "models/olg/borrowing60.yaml",
    ONE: "models/olg/borrowing60_loose.yaml",
    LETTER: "models/olg/paper60.yaml",
}
LONG = (LETTER,)  # days on two cores, so that --train leaves it out
RESPONSES = (ZERO, HALF)

# Tables 3 and 4: mean, max, percentiles .1, 10, 50, 90, 99.9, relative errors in %, products in 1e-2.
ERRORS = {
    ZERO: {"euler": (0.06, 1.31, 0.00, 0.01, 0.04, 0.13, 0.54), "kkt": (0.01, 0.25, 0, 0, 0, 0.02, 0.15)},
    HALF: {"euler": (0.04, 3.55, 0.00, 0.00, 0.03, 0.09, 0.47), "kkt": (0.01, 0.42, 0, 0, 0, 0.02, 0.14)},
}
LOSS = -6.9  # log10, Figure 4
EPISODE = 100  # updates: 10 epochs of 10 minibatches, Table 2; metrics.csv counts calls of 50
CONSUMPTION = 0.60  # mean of a household, about
# On impact, in %: aggregate consumption by shock (Figure 8), and that of an age under shock 4 (Figure 9).
IMPACT = {ZERO: {"1": -9.0, "2": 9.6, "3": -17.1, "4": 4.1}, HALF: {"1": -7.8, "2": 8.6, "3": -17.0, "4": 3.6}}
BY_AGE = {ZERO: {"21": 14.4, "32": 12.6}, HALF: {"21": 4.1, "32": 21.6}}
_AGES = (30, 50, 70)  # of the figure without published numbers

Runs = Mapping[str, Path | None]


def exhibits(runs: Runs) -> Iterator[Exhibit]:
    """Tables 3 and 4, Figures 4 to 9, and the lectures' last figure; runs: by limit, None where there is none."""
    for number, limit in enumerate((ZERO, HALF), start=3):
        yield _errors(f"Table {number}: errors, {limit}", limit, runs[limit])
    yield _training(runs[ZERO], runs[LETTER])
    yield Exhibit(
        "Figure 5: capital, multipliers, consumption and errors by age at three stages of training, limit 0",
        drawings=_named("figure5", [stages(runs[ZERO])] if runs[ZERO] else []),
    )
    drawn = [each for each in by_axis(runs[ZERO]) if each.name in ("euler_by_age", "kkt_by_age")] if runs[ZERO] else []
    yield Exhibit("Figure 6: Euler and KKT errors by age, limit 0", drawings=_named("figure6", drawn))
    yield _wealth_income_consumption(runs)
    yield _aggregate_responses(runs)
    yield _responses_by_age(runs)
    yield _wealth(runs)


def _errors(title: str, limit: str, run: Path | None) -> Exhibit:
    found = {row["condition"]: row for row in error_rows(run)} if run else {}
    rows = [
        Row(f"{words}, {statistic}", unit, value, 100 * found[name][statistic] if run else None, decimals=4)
        for name, words, unit in (("euler", "relative Euler error", "%"), ("kkt", "KKT error", "x1e-2"))
        for statistic, value in zip(STATISTICS, ERRORS[limit][name], strict=True)
    ]
    return Exhibit(
        title, rows, note="Both on 10,000 periods after 2,000 dropped. Here the KKT error is 0 by construction."
    )


def _training(run: Path | None, letter: Path | None) -> Exhibit:
    last, reached = _last(run), _last(letter)
    rows = [
        Row("log10 of the last loss", "", LOSS, math.log10(last["loss"]) if last else None, decimals=1),
        Row(
            f"{LETTER}, log10 of the loss after {reached['update'] / EPISODE:g} episodes" if reached else LETTER,
            "", None, math.log10(reached["loss"]) if reached else None, decimals=1,
        ),
    ]  # fmt: skip
    drawn = [training_figure(run)] if run else []
    if letter and (figure := training_figure(letter)):
        drawn.append(Drawing("algorithm1", figure.figure, figure.data))
    return Exhibit(
        "Figure 4: loss by episode, limit 0",
        rows,
        _named("figure4", drawn),
        "The paper's loss is the squared relative Euler error plus the squared KKT error on its network's own path, as "
        f"in {RUNS[LETTER]}; in {RUNS[ZERO]} it is the squared relative error of unconstrained consumption, under all "
        "shocks. Of the paper's curve only its end is known in numbers.",
    )


def _last(run: Path | None) -> dict[str, float] | None:
    """The last row of metrics.csv."""
    return files.rows(run / "metrics.csv", numbers=("update", "loss"))[-1] if run else None


def _wealth_income_consumption(runs: Runs) -> Exhibit:
    there = _there(runs, ZERO, HALF)
    rows = [
        Row("mean consumption of a household, limit 0, about", "units of the good", CONSUMPTION,
            _mean(there.get(ZERO), "consumption", "all"))
    ]  # fmt: skip
    variables = ["financial_wealth", "total_income", "consumption"]
    return Exhibit(
        "Figure 7: mean financial wealth, total income and consumption by age and shock",
        rows, [by_shock_of_runs(there, variables, "figure7")] if there else [],
    )  # fmt: skip


def _aggregate_responses(runs: Runs) -> Exhibit:
    there = _there(runs, *RESPONSES)
    tables = {
        limit: responses(path).set_index(["variable", "shock", "entry", "horizon"]) for limit, path in there.items()
    }
    rows = [
        _response(f"shock {shock}, {limit}", value, tables.get(limit), ("C", shock, "", 0.0))
        for limit, by_shock in IMPACT.items()
        for shock, value in by_shock.items()
    ]
    published = {(limit, shock, 0.0): value for limit in there for shock, value in IMPACT[limit].items()}
    drawn = [over_time(there, {"C": "aggregate consumption"}, "figure8", published)] if there else []
    return Exhibit("Figure 8: response of aggregate consumption, on impact", rows, drawn)


def _responses_by_age(runs: Runs) -> Exhibit:
    there = _there(runs, *RESPONSES)
    tables = {
        limit: responses(path).set_index(["variable", "shock", "entry", "horizon"]) for limit, path in there.items()
    }
    rows = [
        _response(f"age {age}, {limit}", value, tables.get(limit), ("consumption", "4", age, 0.0))
        for limit, by_age in BY_AGE.items()
        for age, value in by_age.items()
    ]
    published = {(limit, "4", float(age)): value for limit in there for age, value in BY_AGE[limit].items()}
    drawn = [on_impact(there, "age", ["consumption"], "figure9", published)] if there else []
    return Exhibit("Figure 9: response of consumption by age on impact, shock 4", rows, drawn)


def _response(what, published, table, place) -> Row:
    if table is None:
        return Row(what, "%", published, None)
    value, error = 100 * table.loc[place, ["value", "standard_error"]].to_numpy(float)
    return Row(what, "%", published, value, error)


def _wealth(runs: Runs) -> Exhibit:
    there = _there(runs, ZERO, ONE)
    rows = [
        Row(f"age {age}, shock {shock}, {limit}", "units of the good", None,
            _mean(there.get(limit), "financial_wealth", shock, age))
        for limit in (ZERO, ONE)
        for age in _AGES
        for shock in ("1", "4")
    ]  # fmt: skip
    drawn = [by_shock_of_runs(there, ["financial_wealth"], "wealth_by_limit")] if there else []
    return Exhibit("Lectures: mean financial wealth by age and shock, two limits", rows, drawn)


def _mean(run: Path | None, variable: str, shock: str, age: float | None = None) -> float | None:
    """Mean of a variable at an age, or over all ages."""
    if run is None:
        return None
    table = profiles(run / "by_age.csv")
    rows = table[(table["variable"] == variable) & (table["shock"] == shock)]
    return float(rows[(rows["age"] == age) | (age is None)]["mean"].mean())


def _there(runs: Runs, *limits: str) -> dict[str, Path]:
    return {limit: path for limit in limits if (path := runs[limit]) is not None}


def _named(figure: str, drawings) -> list[Drawing]:
    """The drawings there are, under names that begin with that of the paper's figure."""
    return [Drawing(f"{figure}_{each.name}", each.figure, each.data) for each in drawings if each is not None]
