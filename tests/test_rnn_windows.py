"""Windows against a loop and without leakage; the reader of weather records on made files."""

import numpy as np
import pytest

from deqn.rnn.windows import Windows, scale, split


def brute_force(series, history, horizon, step, stride, targets):
    """Row by row, as a person would copy them."""
    inputs, outputs = [], []
    for origin in range(history, len(series), stride):
        if origin + horizon > len(series):
            break
        inputs.append(
            [[series[row][c] for c in range(series.shape[1])] for row in range(origin - history, origin, step)]
        )
        outputs.append([[series[origin + ahead][c] for c in targets] for ahead in range(horizon)])
    return np.array(inputs), np.array(outputs)


@pytest.mark.parametrize(
    ("history", "horizon", "step", "stride", "targets"),
    [(20, 1, 1, 1, [1]), (12, 4, 6, 1, [0, 2]), (7, 3, 2, 5, [2, 0]), (30, 10, 1, 1, [0]), (1, 1, 1, 1, [0, 1, 2])],
)
def test_windows_are_those_of_a_loop(history, horizon, step, stride, targets):
    series = np.arange(120.0).reshape(40, 3) ** 1.5
    windows = Windows(series, history, horizon, step, stride, targets)
    inputs, outputs = windows.take(slice(None))
    expected_inputs, expected_outputs = brute_force(series, history, horizon, step, stride, targets)
    np.testing.assert_array_equal(inputs, expected_inputs)
    np.testing.assert_array_equal(outputs, expected_outputs)
    assert len(windows) == len(expected_inputs)


def test_the_windows_of_the_course_have_its_sizes():
    series = np.zeros((2000, 3))
    assert Windows(series, 20).take(np.array([0]))[0].shape == (1, 20, 3)
    inputs, outputs = Windows(series, 720, 72, step=6, targets=[1]).take(np.array([0, 5]))
    assert inputs.shape == (2, 120, 3)
    assert outputs.shape == (2, 72, 1)


def test_no_row_of_a_training_window_is_validated_on_or_comes_later():
    rows = np.arange(200.0)
    train, validation = (Windows(part, 10, 5) for part in split(rows, 140))
    last = max(part.max() for part in train.take(slice(None)))
    first = min(part.min() for part in validation.take(slice(None)))
    assert last == 139
    assert first == 140
    for windows in (train, validation):
        inputs, outputs = windows.take(slice(None))
        assert np.all(inputs.max(axis=(1, 2)) < outputs.min(axis=(1, 2)))


def test_values_scaled_by_the_rows_for_training_come_back():
    values = np.random.default_rng(0).normal(3.0, 7.0, (50, 3))
    by = scale(values[:30])
    np.testing.assert_allclose(by.of(values[:30]).mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(by.of(values[:30]).std(axis=0), 1.0, rtol=1e-12)
    np.testing.assert_allclose(by.back(by.of(values)[:, [2, 0]], [2, 0]), values[:, [2, 0]], rtol=1e-12)


def test_a_series_that_is_too_short_or_not_finite_is_refused():
    with pytest.raises(ValueError, match=r"series: got 11 rows, expected at least history \+ horizon = 10 \+ 2 = 12"):
        Windows(np.zeros(11), 10, 2)
    broken = np.zeros((20, 2))
    broken[7, 1] = np.nan
    with pytest.raises(ValueError, match="series: row 7, column 1 is nan"):
        Windows(broken, 5)
    with pytest.raises(ValueError, match=r"series: got shape \(2, 2, 2\)"):
        Windows(np.zeros((2, 2, 2)), 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"history": 0}, "history: got 0, expected 1 row or more"),
        ({"horizon": 0}, "horizon: got 0"),
        ({"step": 6}, "step: got 6, expected at most the history of 5 rows"),
        ({"stride": -1}, "stride: got -1"),
        ({"targets": [3]}, r"targets: got \[3\], expected columns from 0 to 2"),
        ({"targets": []}, r"targets: got \[\]"),
    ],
)
def test_windows_that_make_no_sense_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        Windows(np.zeros((20, 3)), **({"history": 5} | arguments))


def test_splits_and_scales_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="train_rows: got 5, expected 1 to 4 of 5 rows"):
        split(np.zeros(5), 5)
    with pytest.raises(ValueError, match="train: column 1 never changes"):
        scale(np.column_stack([np.arange(4.0), np.ones(4)]))


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


def test_weather_in_disorder_is_mended_if_asked_and_counted(tmp_path):
    rows = [ROWS[0], ROWS[2], ROWS[1], ROWS[1].replace("-8.41", "99"), ROWS[3].replace("0.34", "-9999.0")]
    weather = read_weather(write(tmp_path, rows), repair=True)
    assert np.all(np.diff(weather.time) == np.timedelta64(10, "m"))
    np.testing.assert_array_equal(weather.values[:, 1], [-8.02, -8.41, -8.51, -8.31])
    np.testing.assert_array_equal(weather.values[:, 2], [1.03, 0.72, 0.19, 0.19])
    assert list(weather.repaired.values()) == [1, 1, 1]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([ROWS[0], ROWS[2], ROWS[1]], "line 4: time 2009-01-01T00:20:00 follows 2009-01-01T00:30:00, expected a later"),
        ([ROWS[0], ROWS[1], ROWS[1]], "line 4: time 2009-01-01T00:20:00 follows 2009-01-01T00:20:00, expected a later"),
        ([ROWS[0], ROWS[1].replace("0.72", "-9999.00")], r"line 3: wv \(m/s\) is missing \(-9999 or empty\)"),
        ([ROWS[0], ROWS[1].replace("-8.41", "")], r"line 3: T \(degC\) is missing"),
        ([ROWS[0], ROWS[1].replace("-8.41", "cold")], r"line 3: T \(degC\) is 'cold', expected a number"),
        (
            [ROWS[0], ROWS[1].replace("01.01.2009", "2009-01-01")],
            "line 3: time '2009-01-01 00:20:00', expected such as",
        ),
        ([], "holds no row|can't be read"),
    ],
)
def test_damaged_weather_is_refused_with_the_line(tmp_path, rows, words):
    with pytest.raises(ValueError, match=words):
        read_weather(write(tmp_path, rows))


def test_files_and_columns_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"nothing\.csv is no file"):
        read_weather(tmp_path / "nothing.csv")
    with pytest.raises(ValueError, match=r"has no 'rain', only Date Time, p \(mbar\)"):
        read_weather(write(tmp_path, ROWS), ["rain"])
    with pytest.raises(ValueError, match="has no 'Date Time'"):
        read_weather(write(tmp_path, ROWS, HEADER.replace("Date Time", "When")))
    first = [ROWS[0].replace("1.03", "-9999"), *ROWS[1:]]
    with pytest.raises(ValueError, match=r"'wv \(m/s\)' of .* begins with a missing value"):
        read_weather(write(tmp_path, first), repair=True)
