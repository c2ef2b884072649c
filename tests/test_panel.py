"""Forecasts of panels: made laws, baselines against statsmodels, measures against closed forms, files of one's own."""

import numpy as np
import pandas as pd
import pytest
from problems import module, problem_of, tables_of
from scipy import stats
from statsmodels.tsa.ar_model import AutoReg

from deqn.project.errors import UserError

baselines, panel_problem = module("panel", "baselines"), module("panel", "problem")
SMALL = ("parameters.count=4", "parameters.tests=30", "parameters.hidden=[4]")
DECILES = [round(0.1 * n, 1) for n in range(1, 10)]


@pytest.mark.parametrize("file", ["panel", "panel_vector", "panel_ahead"])
def test_errors_of_the_known_law_have_the_spread_that_it_says(file):
    problem, _ = problem_of(f"panel/{file}", "parameters.rows=60", "parameters.tests=3000", "parameters.count=8")
    origins = problem.origins["test"]
    truth = problem.panel.values[:, origins[:, None] + np.arange(4)]
    mean, deviation = problem.panel.best(origins, 4)
    standardised = (truth - mean) / deviation
    np.testing.assert_allclose(standardised.std(axis=(0, 1)), 1, atol=0.05)
    first = standardised[:, :, 0]  # one row ahead the errors are the shocks: nothing in them can be foreseen
    assert abs((first[:, 1:] * first[:, :-1]).mean()) < 0.03


def test_an_autoregression_says_what_statsmodels_says_of_the_rows_after_the_last():
    generator = np.random.default_rng(1)
    y = np.cumsum(generator.normal(size=100)) * 0.3 + np.sin(np.arange(100) * 2 * np.pi / 6)
    found = AutoReg(y[:80], 2, trend="c", seasonal=True, period=6).fit()
    said = baselines.autoregressions(y[None, :, None], 80, np.array([80]), 5, 6, 2, [0.025, 0.5, 0.975])[0, 0, :, 0]
    np.testing.assert_allclose(said[:, 1], found.forecast(5), rtol=1e-8)
    interval = found.get_prediction(80, 84).conf_int()
    np.testing.assert_allclose(said[:, [0, 2]], interval, rtol=1e-6)


def test_the_seasonal_naive_forecast_is_the_last_season_and_as_uncertain_as_it_was():
    y = np.random.default_rng(2).normal(size=(1, 200, 1))
    said = baselines.seasonal_naive(y, 150, np.array([150, 160]), 6, 4, [0.1, 0.5, 0.9])[0, :, :, 0]
    np.testing.assert_allclose(said[0, :, 1], y[0, [146, 147, 148, 149, 146, 147], 0])
    off = y[0, 4:150, 0] - y[0, :146, 0]
    np.testing.assert_allclose(np.ptp(said, axis=2), np.quantile(off, 0.9) - np.quantile(off, 0.1))


def test_the_measures_of_a_normal_forecast_are_those_of_its_closed_forms():
    truth = np.random.default_rng(3).normal(size=(2, 5000, 1, 1))
    quantiles = list(np.arange(1, 200) / 200)
    forecast = np.broadcast_to(stats.norm.ppf(quantiles), (*truth.shape, len(quantiles)))
    row = panel_problem.backtest_row("normal", forecast, truth, np.full((2, 1), 2.0), quantiles)
    z = truth.ravel()  # Gneiting and Raftery (2007), eq. 21
    crps = z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi)
    assert row["crps"] == pytest.approx(crps.mean(), rel=0.01)
    assert row["mae"] == pytest.approx(np.abs(z).mean()) and row["mase"] == pytest.approx(row["mae"] / 2)
    assert row["coverage"] == pytest.approx(0.99, abs=0.005)


def test_a_forecast_sees_nothing_that_comes_after_its_origin_but_what_is_known_ahead():
    problem, _ = problem_of("panel/panel_ahead", *SMALL)
    origins = problem.origins["test"][:5]
    before = problem._inputs(origins)
    problem.panel.values[:, origins[-1] :] += 100
    np.testing.assert_array_equal(problem._inputs(origins), before)
    problem.panel.ahead[:, origins[-1] + 3] += 100
    changed = problem._inputs(origins) != before
    assert changed[:, -1, -1].all() and changed[:, -1].sum() == len(before)


def test_local_networks_learn_from_their_own_series_alone():
    problem, _ = problem_of("panel/panel", *SMALL, "parameters.network=local", "parameters.batch=10")
    x, y = next(problem.batches(0))
    assert x.shape[0] == 4 and y.shape[:2] == (4, 10)
    rows = {tuple(row) for row in problem.inputs["train"][2]}
    assert all(tuple(row) in rows for row in x[2]) and not any(tuple(row) in rows for row in x[1])


def test_every_forecast_stands_in_the_table_and_scaling_by_series_changes_units_only():
    found = problem_of("panel/panel_vector", "parameters.rows=200", *SMALL[1:])[0].results().tables
    names = ["network", "seasonal naive", "AR", "VAR", "known law"]
    assert [row["forecast"] for row in found["backtest"]] == names
    best = min(found["backtest"], key=lambda row: row["crps"])
    assert best["forecast"] in ("known law", "VAR")
    problem, _ = problem_of("panel/panel", *SMALL, "parameters.scale=series")
    train = round(60 * 0.8)
    scaled = (problem.panel.values - problem.centre) / problem.spread
    np.testing.assert_allclose(scaled[:, :train].mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(scaled[:, :train].std(axis=1), 1)


def table():
    dates = [f"2010-{month:02d}" for month in range(1, 13)] + [f"2011-{month:02d}" for month in range(1, 13)] * 1
    rows = [(shop, date, float(n % 5), 1.0 * len(shop)) for shop in ("a", "bb") for n, date in enumerate(dates * 1)]
    return pd.DataFrame(rows, columns=["shop", "month", "sales", "size"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t, None),
        (lambda t: t.drop(index=30), r"'bb' has 23 dates, 'a' has 24 or others; expected the same dates"),
        (lambda t: t.iloc[::-1], r"line 3: month 2011-11-01 .* follows 2011-12-01 .* of 'bb', expected a later"),
        (lambda t: t.assign(size=range(48)), r"size of 'a' changes, expected one value"),
        (lambda t: t.assign(sales=1.0), r"a series never changes where it is trained on"),
        (lambda t: t[t["month"] < "2010-05"], r"of 4 rows none is left to train"),
    ],
)
def test_a_panel_in_long_form_is_read_or_its_mistake_told(tmp_path, change, words):
    change(table()).to_csv(tmp_path / "own.csv", index=False)
    own = [f"parameters.file={tmp_path / 'own.csv'}", "parameters.series=shop", "parameters.date=month",
           "parameters.targets=[sales]", "parameters.static=[size]", "parameters.period=2", "parameters.horizon=1",
           "parameters.history=2"]  # fmt: skip
    if words is None:
        panel = problem_of("panel/panel", *own)[0].panel
        assert panel.values.shape == (2, 24, 1) and panel.names == ["a", "bb"]
        np.testing.assert_array_equal(panel.static, [[1.0], [2.0]])
    else:
        with pytest.raises(UserError, match=words):
            problem_of("panel/panel", *own)


def ratios(file, *overrides):
    found = tables_of(f"panel/{file}", *overrides)
    rows = pd.DataFrame(found["backtest"]).set_index("forecast")
    coverage = pd.DataFrame(found["coverage"])
    return rows["mae"] / rows.loc["known law", "mae"], np.abs(coverage["coverage"] - coverage["quantile"]).max()


@pytest.mark.slow
def test_one_network_for_all_series_forecasts_nearly_as_well_as_the_law_and_local_ones_do_not():
    mae, off = ratios("panel")
    assert mae["network"] <= 1.03 and off <= 0.03
    assert ratios("panel", "parameters.network=local")[0]["network"] >= 1.15


@pytest.mark.slow
def test_several_series_at_once_are_forecast_nearly_as_well_as_by_the_law():
    mae, off = ratios("panel_vector")
    assert mae["network"] <= 1.05 and off <= 0.03
    assert mae["network"] < mae["AR"] < mae["seasonal naive"]


@pytest.mark.slow
def test_what_is_known_ahead_is_used():
    assert ratios("panel_ahead")[0]["network"] <= 1.05
    assert ratios("panel_ahead", "parameters.use_ahead=false")[0]["network"] >= 1.5
