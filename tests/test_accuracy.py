"""The statistics of errors.csv, moments.csv and by_age.csv against pandas on made arrays."""

import numpy as np
import pandas as pd
import pytest

from deqn.equilibrium import accuracy
from deqn.report.axes import Axes

RNG = np.random.default_rng(0)
T, AGES = 500, Axes({"age": [21.0, 31.0, 41.0]})
SHOCK = RNG.integers(0, 3, T)
ERROR = RNG.normal(size=(T, 3)) * np.array([1.0, 0.1, 0.0])
BINDING = RNG.uniform(size=(T, 3)) < 0.3
QUANTILES = {"p0.1": 0.001, "p10": 0.1, "p50": 0.5, "p90": 0.9, "p99.9": 0.999}


def table(rows, *index):
    frame = pd.DataFrame(list(rows)).set_index(list(index))
    assert frame.index.is_unique
    return frame


def described(values):
    series = pd.Series(np.ravel(np.abs(values)))
    return {"n": len(series), "mean": series.mean(), "max": series.max()} | {
        name: series.quantile(share) for name, share in QUANTILES.items()
    }


@pytest.fixture(scope="module")
def errors():
    rows = accuracy.error_rows({"euler": ERROR, "kkt": ERROR[:, 0]}, AGES, SHOCK, {"": BINDING}, ["kkt"])
    return table(rows, "condition", "group", "key")


@pytest.mark.parametrize(
    ("group", "key", "values"),
    [
        ("all", "", ERROR),
        ("age", "31", ERROR[:, 1]),
        ("age", "41", ERROR[:, 2]),
        ("shock", 1, ERROR[SHOCK == 0]),
        ("shock", 3, ERROR[SHOCK == 2]),
        ("binding", "binding", ERROR[BINDING]),
        ("binding", "free", ERROR[~BINDING]),
    ],
)
def test_errors_are_pooled_in_absolute_value_within_each_group(errors, group, key, values):
    for name, expected in described(values).items():
        assert errors.loc[("euler", group, key), name] == pytest.approx(expected, rel=1e-12)


def test_every_group_of_errors_is_there_once_and_an_error_without_ages_has_none(errors):
    groups = errors.groupby(level=["condition", "group"]).size()
    assert groups["euler"].to_dict() == {"all": 1, "age": 3, "shock": 3, "binding": 2}
    assert groups["kkt"].to_dict() == {"all": 1, "shock": 3}
    assert errors.loc["euler"].unit.eq("relative").all()
    assert errors.loc["kkt"].unit.eq("product").all()


def test_where_nothing_binds_the_row_counts_zero_and_has_no_statistics():
    rows = list(accuracy.error_rows({"euler": ERROR}, Axes(), None, {"": np.zeros_like(BINDING)}))
    assert [row["n"] for row in rows] == [3 * T, 0, 3 * T]
    assert set(rows[1]) == {"condition", "group", "key", "unit", "n"}


def test_an_error_that_is_not_a_number_is_not_hidden():
    assert np.isnan(accuracy.summary(np.array([0.1, np.nan]))["mean"])


def test_columns_name_what_the_rows_hold(errors):
    assert list(accuracy.summary(ERROR)) == accuracy.ERROR_COLUMNS[4:]
    (row, *_) = accuracy.axis_tables({"c": ERROR}, {}, {}, AGES, None)["age"]
    assert list(row) == ["variable", "unit", "shock", "age", "mean", *QUANTILES]
    row = next(accuracy.moment_rows({"K": ERROR[:, 0]}, None, np.zeros(T)))
    assert list(row) == accuracy.MOMENT_COLUMNS


def test_moments_are_those_of_pandas_and_do_not_reach_from_one_track_into_the_next():
    track = np.repeat([0, 1], T // 2)
    Y = np.cumsum(RNG.normal(size=T)) + 100 * track
    K = 0.5 * Y + RNG.normal(size=T)
    found = table(
        accuracy.moment_rows({"Y": Y, "K": K, "k": ERROR}, SHOCK, track, "Y"), "variable", "group", "statistic", "key"
    )
    frame = pd.DataFrame({"Y": Y, "K": K, "shock": SHOCK, "track": track})
    before = frame.groupby("track").shift(1)
    for name in ("Y", "K"):
        expected = {
            "mean": frame[name].mean(),
            "std": frame[name].std(ddof=0),
            "autocorrelation": frame[name].corr(before[name]),
            "correlation_with_output": frame[name].corr(frame.Y),
        }
        for statistic, value in expected.items():
            assert found.value[name, "all", statistic, ""] == pytest.approx(value, rel=1e-10)
        for z, value in frame.groupby("shock")[name].mean().items():
            assert found.value[name, "shock", "mean", z + 1] == pytest.approx(value, rel=1e-12)
    assert set(found.index.get_level_values("variable")) == {"Y", "K"}


def test_the_correlation_of_a_constant_is_not_a_number():
    rows = list(accuracy.moment_rows({"Y": np.arange(9.0), "r": np.ones(9)}, None, np.zeros(9), "Y"))
    values = {(row["variable"], row["statistic"]): row["value"] for row in rows}
    assert np.isnan(values["r", "autocorrelation"])
    assert np.isnan(values["r", "correlation_with_output"])
    assert values["Y", "autocorrelation"] == pytest.approx(1.0)


def test_means_by_age_are_column_means():
    rows = list(accuracy.mean_rows({"k": ERROR, "a": ERROR[:, :2], "K": SHOCK}, AGES))
    assert [(row["variable"], row["key"]) for row in rows] == [
        ("k", "21"), ("k", "31"), ("k", "41"), ("a", "21"), ("a", "31")
    ]  # fmt: skip
    np.testing.assert_allclose([row["value"] for row in rows[:3]], ERROR.mean(axis=0), rtol=1e-12)


def test_distributions_by_age_keep_the_sign_and_are_made_for_all_states_and_each_shock():
    rows = accuracy.axis_tables({"c": ERROR}, {}, {"c": "goods"}, AGES, SHOCK)["age"]
    found = table(rows, "shock", "age")
    assert len(found) == 4 * 3
    for label, chosen in [("all", SHOCK >= 0), (2, SHOCK == 1)]:
        column = pd.Series(ERROR[chosen, 0])
        row = found.loc[(label, "21")]
        assert row["mean"] == pytest.approx(column.mean(), rel=1e-12)
        assert row["p10"] == pytest.approx(column.quantile(0.1), rel=1e-12)
        assert row.unit == "goods"


def test_the_mean_of_log_errors_is_that_of_the_table_and_percentiles_count_zeros():
    error = np.array([[0.0], [0.0], [0.0], [1e-2], [1e-4]])
    age = Axes({"age": [21.0]})
    (row,) = accuracy.axis_tables({}, {"euler": error}, {}, age, None)["age"]
    assert (row["variable"], row["unit"]) == ("log10_euler", "log10")
    (in_the_table,) = [each for each in accuracy.error_rows({"euler": error}, age, None, {}) if each["key"] == "21"]
    assert 10 ** row["mean"] == pytest.approx(in_the_table["mean"]) == pytest.approx(1.01e-2 / 5)
    assert row["p50"] == pytest.approx(-16)


def test_n_minus_one_numbers_belong_to_the_first_ages_or_as_the_report_says_to_the_oldest():
    decided, held, prices = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), np.ones((1, 5))
    axes = AGES._replace(oldest=["k", "e"], dims={"p": ()})
    rows = accuracy.axis_tables({"a": decided, "k": held, "p": prices}, {"e": held}, {}, axes, None)["age"]
    assert [(row["variable"], row["age"]) for row in rows] == [
        ("a", "21"), ("a", "31"), ("k", "31"), ("k", "41"), ("log10_e", "31"), ("log10_e", "41"),
    ]  # fmt: skip
    means = list(accuracy.mean_rows({"a": decided, "k": held, "p": prices}, axes))
    assert [(row["key"], row["value"]) for row in means] == [("21", 1.0), ("31", 2.0), ("31", 3.0), ("41", 4.0)]
