"""Forecasts of a made seasonal series against the best possible ones, and of weather from a made file."""

import numpy as np
import pandas as pd
import pytest
from problems import module, problem_of, tables_of

from deqn.project.errors import UserError

series = module("forecasting", "series")
read_weather = module("forecasting", "weather").read_weather


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


HEADER = '"Date Time","p (mbar)","T (degC)","wv (m/s)"\n'
ROWS = [
    "01.01.2009 00:10:00,996.52,-8.02,1.03",
    "01.01.2009 00:20:00,996.57,-8.41,0.72",
    "01.01.2009 00:30:00,996.53,-8.51,0.19",
    "01.01.2009 00:40:00,996.51,-8.31,0.34",
]


def write(folder, rows, header=HEADER):
    (folder / "weather.csv").write_text(header + "\n".join(rows) + "\n")
    return folder / "weather.csv"


def test_weather_is_read_as_it_stands(tmp_path):
    weather = read_weather(write(tmp_path, ROWS))
    assert weather.columns == ("p (mbar)", "T (degC)", "wv (m/s)")
    assert weather.time[0] == np.datetime64("2009-01-01T00:10")
    assert weather.values.shape == (4, 3)
    np.testing.assert_array_equal(weather.values[1], [996.57, -8.41, 0.72])
    assert set(weather.repaired.values()) == {0}
    chosen = read_weather(write(tmp_path, ROWS), ["wv (m/s)", "T (degC)"])
    np.testing.assert_array_equal(chosen.values[2], [0.19, -8.51])
    with pytest.raises(ValueError, match=r"nothing\.csv is no file"):
        read_weather(tmp_path / "nothing.csv")


def test_weather_in_disorder_is_mended_if_asked_and_counted(tmp_path):
    rows = [ROWS[0], ROWS[2], ROWS[1], ROWS[1].replace("-8.41", "99"), ROWS[3].replace("0.34", "-9999.0")]
    weather = read_weather(write(tmp_path, rows), repair=True)
    assert np.all(np.diff(weather.time) == np.timedelta64(10, "m"))
    np.testing.assert_array_equal(weather.values[:, 1], [-8.02, -8.41, -8.51, -8.31])
    np.testing.assert_array_equal(weather.values[:, 2], [1.03, 0.72, 0.19, 0.19])
    assert list(weather.repaired.values()) == [1, 1, 1]


WITHOUT_A_TIME = HEADER.replace("Date Time", "When")
BEGINS_WITHOUT_WIND = [ROWS[0].replace("1.03", "-9999"), *ROWS[1:]]


@pytest.mark.parametrize(
    ("rows", "words", "more"),
    [
        ([ROWS[0], ROWS[2], ROWS[1]], "line 4: time 2009-01-01T00:20:00 follows .*T00:30:00, expected a later", {}),
        ([ROWS[0], ROWS[1], ROWS[1]], "line 4: time 2009-01-01T00:20:00 follows .*T00:20:00, expected a later", {}),
        ([ROWS[0], ROWS[1].replace("0.72", "-9999.00")], r"line 3: wv \(m/s\) is missing \(-9999 or empty\)", {}),
        ([ROWS[0], ROWS[1].replace("-8.41", "")], r"line 3: T \(degC\) is missing", {}),
        ([ROWS[0], ROWS[1].replace("-8.41", "cold")], r"line 3: T \(degC\) is 'cold', expected a number", {}),
        ([ROWS[0], ROWS[1].replace("01.01.", "1-1-")], "line 3: time '1-1-2009 00:20:00', expected such as", {}),
        ([], "holds no row|can't be read", {}),
        (ROWS, r"has no 'rain', only Date Time, p \(mbar\)", {"columns": ["rain"]}),
        (ROWS, "has no 'Date Time'", {"header": WITHOUT_A_TIME}),
        (BEGINS_WITHOUT_WIND, r"'wv \(m/s\)' of .* begins with a missing value", {"repair": True}),
    ],
)
def test_damaged_weather_is_refused_by_line_or_column(tmp_path, rows, words, more):
    path = write(tmp_path, rows, more.get("header", HEADER))
    with pytest.raises(ValueError, match=words):
        read_weather(path, more.get("columns"), more.get("repair", False))


def test_daily_records_have_no_columns_of_a_time_of_day_that_never_changes(tmp_path):
    time = pd.date_range("2009-01-01 12:00", periods=60, freq="1D").strftime("%d.%m.%Y %H:%M:%S")
    pd.DataFrame({"Date Time": time, "T (degC)": np.arange(60) % 7}).to_csv(tmp_path / "daily.csv", index=False)
    small = [f"parameters.file={tmp_path / 'daily.csv'}", "parameters.history=4", "parameters.horizon=1",
             "parameters.period=2"]  # fmt: skip
    problem, _ = problem_of("forecasting/forecasting", *small)
    assert problem.series.values.shape == (60, 3)  # temperature, sine and cosine of the place in the year
    np.testing.assert_allclose(np.hypot(*problem.series.values[:, 1:].T), 1)


@pytest.mark.slow
def test_weather_of_a_file_is_forecast(tmp_path):
    time = pd.date_range("2009-01-01", periods=600, freq="10min")
    celsius = 10 + 5 * np.sin(np.arange(600) * 2 * np.pi / 144)
    table = pd.DataFrame({"Date Time": time.strftime("%d.%m.%Y %H:%M:%S"), "T (degC)": celsius.round(2)})
    table.to_csv(tmp_path / "weather.csv", index=False)
    tiny = [f"parameters.file={tmp_path / 'weather.csv'}", "parameters.history=20", "parameters.horizon=2",
            "parameters.period=6", "parameters.units=[2]", "phases.0.updates=2", "validate_every=2"]  # fmt: skip
    errors = tables_of("forecasting/forecasting", *tiny)["errors"].set_index("forecast")
    assert list(errors.index) == ["network", "persistence", "seasonal naive"]
    # The test is the last 90 rows: persistence computed from the file.
    y = table["T (degC)"].to_numpy()
    expected = [np.abs(y[origin] - y[origin - 1]) for origin in range(510 + 20, 599)]
    assert errors["step_1"]["persistence"] == pytest.approx(np.mean(expected), rel=1e-6)
    with pytest.raises(UserError, match=r"parameters\.file: path: nothing\.csv is no file"):
        problem_of("forecasting/forecasting", "parameters.file=nothing.csv")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_lstm_forecasts_within_a_tenth_of_the_best(seed):
    table = tables_of("forecasting/forecasting", f"seed={seed}")["errors"].set_index("forecast").T
    for row in table.index:  # on average, and at each step ahead
        assert table["network"][row] < table["persistence"][row]
        assert table["network"][row] < table["seasonal naive"][row]
        assert table["network"][row] <= 1.1 * table["conditional mean"][row]
