"""Parity: the network made by hand is exact, a trained LSTM learns it at any length, a window can't."""

import keras
import numpy as np
import pytest
from problems import module, problem_of, tables_of

by_hand = module("parity", "by_hand")


def strings(digits, count=500, seed=0):
    return np.random.default_rng(seed).integers(0, 2, (count, digits))


def parity_by_counting(digits):
    return np.array([[sum(row[: t + 1]) % 2 == 0 for t in range(len(row))] for row in digits.tolist()])


@pytest.mark.parametrize("length", [5, 20, 200])
def test_two_relu_units_set_by_hand_are_always_right(length):
    digits = strings(length, 200)
    np.testing.assert_array_equal(by_hand.even(digits), parity_by_counting(digits))


def test_a_keras_layer_with_the_weights_by_hand_is_right_too():
    layer = keras.layers.SimpleRNN(2, activation="relu", return_sequences=True)
    layer.build((None, None, 1))
    layer.set_weights([by_hand.W, by_hand.U, by_hand.b])
    digits = strings(200)
    h = np.asarray(layer(digits[:, :, None].astype("float32")))
    np.testing.assert_array_equal(h @ by_hand.READOUT == 0, by_hand.even(digits))


def test_a_window_sees_the_last_digits_with_nothing_before_the_first():
    small = ["cells=[rnn]", "strings=10", "digits=6", "window=3", "test_strings=10"]
    problem, _ = problem_of("parity/parity", *(f"parameters.{each}" for each in small))
    digits = strings(6, 4).astype(np.float32)
    logits = np.asarray(problem.logits("window", digits))
    for t in range(6):
        window = [[row[i] if i >= 0 else 0.0 for i in range(t - 2, t + 1)] for row in digits]
        expected = np.asarray(problem.networks["window"](np.array(window, np.float32))).ravel()
        np.testing.assert_allclose(logits[:, t], expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_trained_lstm_knows_parity_beyond_the_length_it_has_seen(seed):
    right = tables_of("parity/parity", f"seed={seed}")["accuracy"].set_index(["network", "digits"])
    for length in (12, 50):
        assert right["answers_right"]["lstm", length] >= 0.99
        assert right["all_right"]["lstm", length] >= 0.99
    assert right["answers_right"]["rnn", 12] >= 0.95  # .978 to 1 over sixteen seeds
    for length in (12, 50, 200):
        assert right["answers_right"]["by hand", length] == 1
        # 2,000 strings answered by chance: a standard error of .011.
        assert 0.45 <= right["answers_right"]["window", length] <= 0.55
