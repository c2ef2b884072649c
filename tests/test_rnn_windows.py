"""Windows against a loop, and without leakage."""

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
