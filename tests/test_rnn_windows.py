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


def windows(series=None, history=5, **more):
    return Windows(np.zeros((20, 3)) if series is None else series, history, **more)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: windows(history=0), "history: got 0, expected 1 row or more"),
        (lambda: windows(horizon=0), "horizon: got 0"),
        (lambda: windows(step=6), "step: got 6, expected at most the history of 5 rows"),
        (lambda: windows(stride=-1), "stride: got -1"),
        (lambda: windows(targets=[3]), r"targets: got \[3\], expected columns from 0 to 2"),
        (lambda: windows(targets=[]), r"targets: got \[\]"),
        (lambda: windows(np.zeros(6), horizon=2), r"got 6 rows, expected at least history \+ horizon = 5 \+ 2 = 7"),
        (lambda: windows([[0, 0], [0, np.nan]], 1), "series: row 1, column 1 is nan"),
        (lambda: windows(np.zeros((2, 2, 2)), 1), r"series: got shape \(2, 2, 2\)"),
        (lambda: split(np.zeros(5), 5), "train_rows: got 5, expected 1 to 4 of 5 rows"),
        (lambda: scale(np.column_stack([np.arange(4.0), np.ones(4)])), "train: column 1 never changes"),
    ],
)
def test_windows_splits_and_scales_that_make_no_sense_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
