"""Descent as written formulas against Keras's optimisers, on a quadratic and on Rosenbrock's valley."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from deqn.mlp.descent import Adam, GradientDescent, Momentum, adagrad, batches, cosine, descend, inverse_time, rmsprop

A, CENTRE = np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([1.0, -0.5])
RATE = 2.0**-10  # Keras holds rates and betas in float32: here in numbers that lose nothing by it


def quadratic(w):
    """Gradient of (w - c)' A (w - c) / 2."""
    return A @ (w - CENTRE)


def rosenbrock(w):
    """Gradient of (1 - x)^2 + 100 (y - x^2)^2."""
    x, y = w
    return np.array([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])


def kerass(optimizer, gradient, start, steps):
    """The weights after each update by a Keras optimiser."""
    w = keras.Variable(start, dtype="float64")
    path = [np.array(w)]
    for _ in range(steps):
        optimizer.apply([tf.constant(gradient(path[-1]))], [w])
        path.append(np.array(w))
    return np.array(path)


RULES = {
    "gradient descent": (GradientDescent(RATE), lambda: keras.optimizers.SGD(RATE)),
    "decayed rate": (
        GradientDescent(inverse_time(RATE, 0.125)),
        lambda: keras.optimizers.SGD(keras.optimizers.schedules.InverseTimeDecay(RATE, 1, 0.125)),
    ),
    "cosine": (
        GradientDescent(cosine(RATE, 1000)),
        lambda: keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(RATE, 1000)),
    ),
    "momentum": (Momentum(RATE, 0.875), lambda: keras.optimizers.SGD(RATE, momentum=0.875)),
    "AdaGrad": (
        adagrad(16 * RATE),
        lambda: keras.optimizers.Adagrad(16 * RATE, initial_accumulator_value=0.0, epsilon=1e-7),
    ),
    "AdaGrad from .1": (adagrad(16 * RATE, initial=0.1), lambda: keras.optimizers.Adagrad(16 * RATE)),
    "RMSProp": (rmsprop(RATE, 0.875), lambda: keras.optimizers.RMSprop(RATE, rho=0.875)),
    "Adam": (Adam(16 * RATE, 0.875, 1 - RATE), lambda: keras.optimizers.Adam(16 * RATE, 0.875, 1 - RATE)),
}


@pytest.mark.parametrize("gradient", [quadratic, rosenbrock])
@pytest.mark.parametrize("name", RULES)
def test_a_hundred_updates_are_those_of_keras(name, gradient):
    rule, make = RULES[name]
    start = np.array([-1.2, 1.0])
    path = np.array(list(descend(rule, gradient, start, 100)))
    assert np.abs(path[-1] - start).max() > 0.01
    np.testing.assert_allclose(path, kerass(make(), gradient, start, 100), atol=1e-6, rtol=0)


@pytest.mark.parametrize("gradient", [quadratic, rosenbrock])
def test_keras_moves_the_points_at_which_nesterov_takes_gradients(gradient):
    start, mu = np.array([-1.2, 1.0]), 0.875
    w = np.array(list(descend(Momentum(RATE, mu, nesterov=True), gradient, start, 100)))
    v = np.diff(w, axis=0, prepend=w[:1])
    expected = kerass(keras.optimizers.SGD(RATE, momentum=mu, nesterov=True), gradient, start, 100)
    np.testing.assert_allclose(w + mu * v, expected, atol=1e-6, rtol=0)
    momentum = np.array(list(descend(Momentum(RATE, mu), gradient, start, 100)))
    assert np.abs(w - momentum).max() > 1e-3


def test_momentum_is_the_slides_difference_of_the_last_two_weights():
    path = list(descend(Momentum(RATE, 0.9), rosenbrock, np.array([-1.2, 1.0]), 50))
    for before, now, after in zip(path, path[1:], path[2:], strict=False):
        np.testing.assert_allclose(after, now + 0.9 * (now - before) - RATE * rosenbrock(now), rtol=1e-10, atol=1e-14)


def test_a_pass_in_minibatches_sees_every_row_once_in_a_new_order_each_time():
    generator = np.random.default_rng(0)
    first, second = ([*batches(10, 4, generator)] for _ in range(2))
    assert [len(rows) for rows in first] == [4, 4, 2]
    assert sorted(np.concatenate(first)) == sorted(np.concatenate(second)) == list(range(10))
    assert list(np.concatenate(first)) != list(np.concatenate(second))


def test_the_slides_adam_overflows_and_the_corrected_one_does_not():
    w = np.array([-1.2, 1.0])
    m = v = np.zeros(2)
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(1, 201):  # as printed: the moments are divided before they enter their own recursion
            g = quadratic(w)
            m = (0.9 * m + 0.1 * g) / (1 - 0.9**t)
            v = (0.999 * v + 0.001 * g**2) / (1 - 0.999**t)
            w = w - 0.01 * m / np.sqrt(v + 1e-7)
    assert not (v < 1e100).all()
    *_, mended = descend(Adam(0.05), quadratic, np.array([-1.2, 1.0]), 500)
    np.testing.assert_allclose(mended, CENTRE, atol=1e-2)


def test_a_start_is_not_changed_by_what_follows():
    start = np.array([-1.2, 1.0])
    list(descend(Adam(0.1), quadratic, start, 5))
    np.testing.assert_array_equal(start, [-1.2, 1.0])
