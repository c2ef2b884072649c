"""Forecasts of a made seasonal series against the best possible ones, and of series of a file."""

import numpy as np
import pandas as pd
import pytest
from problems import module, problem_of, tables_of

from deqn.project.errors import UserError

series = module("forecasting", "series")


def law():
    return series.SeasonalAR2(10.0, 5.0, 24, (1.2, -0.4), 1.0)


def test_the_best_forecast_is_what_the_series_does_without_further_chance():
    # From any two values on, with e = 0, the recursion itself written out.
    y, t = law().sample(50, np.random.default_rng(1)), 30
    u = list(y[:t] - law().season(np.arange(t)))
    for _ in range(4):
        u.append(1.2 * u[-1] - 0.4 * u[-2])
    expected = np.array(u[t:]) + law().season(np.arange(t, t + 4))
    np.testing.assert_allclose(law().conditional_mean(y, np.array([t]), 4)[0], expected, rtol=1e-12)


def test_a_series_that_explodes_is_refused():
    with pytest.raises(ValueError, match=r"phi: got 1\.2, -0\.1 with a root of 1\.110, expected roots below 1"):
        series.SeasonalAR2(0.0, 1.0, 24, (1.2, -0.1), 1.0)


def test_daily_records_have_no_columns_of_a_time_of_day_that_never_changes(tmp_path):
    time = pd.date_range("2009-01-01 12:00", periods=60, freq="1D").strftime("%d.%m.%Y %H:%M:%S")
    pd.DataFrame({"Date Time": time, "T (degC)": np.arange(60) % 7}).to_csv(tmp_path / "daily.csv", index=False)
    small = [f"parameters.file={tmp_path / 'daily.csv'}", "parameters.history=4", "parameters.horizon=1",
             "parameters.period=2"]  # fmt: skip
    problem, _ = problem_of("forecasting/forecasting", *small)
    assert problem.series.values.shape == (60, 3)  # temperature, sine and cosine of the place in the year
    np.testing.assert_allclose(np.hypot(*problem.series.values[:, 1:].T), 1)


def test_a_file_of_weather_is_forecast(tmp_path):
    time = pd.date_range("2009-01-01", periods=600, freq="10min")
    celsius = 10 + 5 * np.sin(np.arange(600) * 2 * np.pi / 144)
    table = pd.DataFrame({"Date Time": time.strftime("%d.%m.%Y %H:%M:%S"), "T (degC)": celsius.round(2)})
    table.to_csv(tmp_path / "weather.csv", index=False)
    tiny = [f"parameters.file={tmp_path / 'weather.csv'}", "parameters.history=20", "parameters.horizon=2",
            "parameters.period=6"]  # fmt: skip
    problem, _ = problem_of("forecasting/forecasting", *tiny)
    errors = pd.DataFrame(problem.results().tables["errors"]).set_index("forecast")
    assert list(errors.index) == ["network", "persistence", "seasonal naive"]
    # The test is the last 90 rows: persistence computed from the file.
    y = table["T (degC)"].to_numpy()
    expected = [np.abs(y[origin] - y[origin - 1]) for origin in range(510 + 20, 599)]
    assert errors["step_1"]["persistence"] == pytest.approx(np.mean(expected), rel=1e-6)


@pytest.mark.parametrize(("frequency", "columns"), [("10min", 5), ("D", 3), ("ME", 3), ("YS", 1)])
def test_the_calendar_has_what_the_frequency_of_the_rows_can_show(tmp_path, frequency, columns):
    dates = pd.date_range("1900-01-01 12:00", periods=120, freq=frequency)
    pd.DataFrame({"date": dates, "y": np.arange(120) % 7}).to_csv(tmp_path / "own.csv", index=False)
    small = [f"parameters.file={tmp_path / 'own.csv'}", "parameters.history=4", "parameters.horizon=1"]
    values = problem_of("forecasting/forecasting", *small, "parameters.period=2")[0].series.values
    assert values.shape == (120, columns)
    np.testing.assert_allclose(np.hypot(values[:, 1::2], values[:, 2::2]), 1)


def test_what_is_missing_is_a_zero_with_a_mask_for_the_network_and_no_error_of_a_forecast(tmp_path):
    y = np.random.default_rng(1).normal(size=200)
    y[np.arange(0, 200, 3)] = np.nan
    dates = pd.date_range("2000-01-01", periods=200)
    pd.DataFrame({"date": dates, "y": y}).to_csv(tmp_path / "gaps.csv", index=False)
    small = [f"parameters.file={tmp_path / 'gaps.csv'}", "parameters.history=4", "parameters.horizon=1",
             "parameters.period=2"]  # fmt: skip
    with pytest.raises(UserError, match=r"gaps\.csv, line 2: y is missing .*, expected a number"):
        problem_of("forecasting/forecasting", *small)
    problem, _ = problem_of("forecasting/forecasting", *small, "parameters.missing=mask")
    inputs, outputs = problem.test.take(slice(0, 30))
    there = ~np.isnan(y[170 + problem.test.origins])
    np.testing.assert_array_equal(outputs[:, 0, 1], there[:30])
    assert (inputs[..., 0][inputs[..., 3] == 0] == 0).all() and 0.6 < inputs[..., 3].mean() < 0.7
    filled = pd.Series(y).ffill().bfill().to_numpy()
    expected = np.abs(y - np.concatenate([[0.0], filled[:-1]]))[170 + problem.test.origins][there].mean()
    errors = pd.DataFrame(problem.results().tables["errors"]).set_index("forecast")["mean_absolute_error"]
    assert errors["persistence"] == pytest.approx(expected)
    batch = next(problem.batches(0))
    hidden = batch[1][:, :, 0] + 100 * (1 - batch[1][:, :, 1])  # what is missing does not matter
    changed = (batch[0], np.stack([hidden, batch[1][:, :, 1]], axis=2))
    key = np.zeros(2, np.int32)
    np.testing.assert_allclose(*(problem.losses(b, (), key).minimize["forecast"] for b in (batch, changed)), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_lstm_forecasts_within_a_tenth_of_the_best(seed):
    table = tables_of("forecasting/forecasting", f"seed={seed}")["errors"].set_index("forecast").T
    for row in table.index:  # on average, and at each step ahead
        assert table["network"][row] < table["persistence"][row]
        assert table["network"][row] < table["seasonal naive"][row]
        assert table["network"][row] <= 1.1 * table["conditional mean"][row]
