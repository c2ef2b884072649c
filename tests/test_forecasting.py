"""Forecasts of a made seasonal series against the best possible ones, and of weather from a made file."""

import shutil

import numpy as np
import pandas as pd
import pytest
from small import ROOT, deqn

from deqn.project.user_code import load_module

FOLDER = ROOT / "models/forecasting"
series = load_module(FOLDER, "series")


def law():
    return series.SeasonalAR2(10.0, 5.0, 24, (1.2, -0.4), 1.0)


@pytest.fixture
def project(tmp_path):
    (tmp_path / "runs").mkdir()
    shutil.copytree(FOLDER, tmp_path / "models/forecasting", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_best_forecast_is_as_good_as_the_theory_of_autoregressions_says():
    y = law().sample(60_000, np.random.default_rng(0))
    origins = np.arange(2, len(y) - 6)
    errors = y[origins[:, None] + np.arange(6)] - law().conditional_mean(y, origins, 6)
    np.testing.assert_allclose(np.abs(errors).mean(axis=0), law().mean_absolute_errors(6), rtol=0.03)


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


@pytest.mark.slow
def test_weather_of_a_file_is_forecast_from_the_command_line(project):
    time = pd.date_range("2009-01-01", periods=600, freq="10min")
    celsius = 10 + 5 * np.sin(np.arange(600) * 2 * np.pi / 144)
    table = pd.DataFrame({"Date Time": time.strftime("%d.%m.%Y %H:%M:%S"), "T (degC)": celsius.round(2)})
    table.to_csv(project / "weather.csv", index=False)
    tiny = ["parameters.file=weather.csv", "parameters.history=20", "parameters.horizon=2", "parameters.period=6",
            "parameters.units=[2]", "phases.0.updates=2", "validate_every=2"]  # fmt: skip
    words = [word for each in tiny for word in ("--set", each)]
    done = deqn(project, "train", "models/forecasting/forecasting.yaml", "--run", "one", *words)
    assert done.returncode == 0, done.stderr
    errors = pd.read_csv(project / "runs/forecasting/one/errors.csv").set_index("forecast")
    assert list(errors.index) == ["network", "persistence", "seasonal naive"]
    # The test is the last 90 rows: persistence computed from the file.
    y = table["T (degC)"].to_numpy()
    expected = [np.abs(y[origin] - y[origin - 1]) for origin in range(510 + 20, 599)]
    assert errors["step_1"]["persistence"] == pytest.approx(np.mean(expected), rel=1e-6)
    again = deqn(project, "train", "models/forecasting/forecasting.yaml", "--set", "parameters.file=nothing.csv")
    assert again.returncode == 2
    assert "parameters.file: path: nothing.csv is no file" in again.stderr


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_lstm_forecasts_within_a_tenth_of_the_best(project, seed):
    done = deqn(project, "train", "models/forecasting/forecasting.yaml", "--run", "one", "--seed", str(seed))
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(project / "runs/forecasting/one/errors.csv").set_index("forecast").T
    for row in table.index:  # on average, and at each step ahead
        assert table["network"][row] < table["persistence"][row]
        assert table["network"][row] < table["seasonal naive"][row]
        assert table["network"][row] <= 1.1 * table["conditional mean"][row]
