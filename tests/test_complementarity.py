"""Complementarity residuals: zero sets, gradients against finite differences, accuracy against extended precision."""

import numpy as np
import pytest
import tensorflow as tf

from deqn.equilibrium.complementarity import fischer_burmeister, kkt_product, min_residual

FORMS = [fischer_burmeister, min_residual]
DTYPES = [tf.float32, tf.float64]


def value_and_gradients(function, a, b, dtype):
    a, b = tf.constant(a, dtype), tf.constant(b, dtype)
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        value = function(a, b)
    return [x.numpy() for x in (value, *tape.gradient(value, [a, b]))]


def exact(a, b):
    """phi and its gradient in extended precision, by the conjugate wherever the written form would cancel."""
    a, b = np.asarray(a, np.longdouble), np.asarray(b, np.longdouble)
    h = np.hypot(a, b)
    with np.errstate(divide="ignore", invalid="ignore"):  # in the alternative that is not chosen
        value = np.where(a + b > 0, 2 * a * b / (a + b + h), a + b - h)
    slope_a = np.where(a > 0, (b / h) * (b / (h + abs(a))), 1 - a / h)
    slope_b = np.where(b > 0, (a / h) * (a / (h + abs(b))), 1 - b / h)
    return value, slope_a, slope_b


def pairs(seed=0, low=-6, high=6):
    """Both signs and magnitudes from 1e-6 to 1e6 in float32, so that each dtype sees the very same numbers."""
    rng = np.random.default_rng(seed)
    a, b = (10 ** rng.uniform(low, high, 4000) * rng.choice([-1, 1], 4000) for _ in range(2))
    return a.astype(np.float32), b.astype(np.float32)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", FORMS)
def test_zero_where_one_is_zero_and_the_other_is_not_negative(function, dtype):
    x = tf.constant([0, 1e-30, 1e-3, 1, 7, 1e30], dtype)
    np.testing.assert_array_equal(function(x, tf.zeros_like(x)), np.zeros(6))
    np.testing.assert_array_equal(function(tf.zeros_like(x), x), np.zeros(6))


@pytest.mark.parametrize("function", FORMS)
def test_positive_inside_and_negative_outside_and_nowhere_else_zero(function):
    a, b = pairs()
    inside = (a > 0) & (b > 0)
    np.testing.assert_array_equal(np.sign(function(tf.constant(a), tf.constant(b))), np.where(inside, 1, -1))


def test_the_product_is_zero_where_either_factor_is():
    np.testing.assert_array_equal(kkt_product(tf.constant([0.0, 2.0, 3.0]), tf.constant([5.0, 0.0, 0.5])), [0, 0, 1.5])


@pytest.mark.parametrize(("dtype", "tolerance"), [(tf.float32, 5e-7), (tf.float64, 1e-15)])
def test_fischer_burmeister_is_accurate_to_the_last_digits(dtype, tolerance):
    a, b = pairs()
    value, _, _ = value_and_gradients(fischer_burmeister, a, b, dtype)
    np.testing.assert_allclose(value, exact(a, b)[0], rtol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(tf.float32, 2e-6), (tf.float64, 4e-15)])
def test_the_gradient_of_fischer_burmeister_does_not_cancel(dtype, tolerance):
    a, b = pairs()
    _, slope_a, slope_b = value_and_gradients(fischer_burmeister, a, b, dtype)
    np.testing.assert_allclose(slope_a, exact(a, b)[1], rtol=tolerance)
    np.testing.assert_allclose(slope_b, exact(a, b)[2], rtol=tolerance)


def test_the_written_form_would_have_lost_the_digits():
    a, b = np.float32(1.0), np.float32(1e-8)
    assert a + b - np.sqrt(a**2 + b**2) == 0
    np.testing.assert_allclose(fischer_burmeister(tf.constant(a), tf.constant(b)), b, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e20, 1e30])
def test_squares_neither_overflow_nor_underflow_float32(scale):
    a, b = scale * np.array([1.0, 1.0, 0.3]), scale * np.array([1.0, 1e-3, 0.9])
    value, slope_a, slope_b = value_and_gradients(fischer_burmeister, a, b, tf.float32)
    np.testing.assert_allclose(value, exact(a, b)[0].astype(float), rtol=1e-6)
    np.testing.assert_allclose(slope_a, exact(a, b)[1].astype(float), rtol=2e-6)
    np.testing.assert_allclose(slope_b, exact(a, b)[2].astype(float), rtol=2e-6)


@pytest.mark.parametrize("function", FORMS)
def test_gradients_agree_with_finite_differences_off_the_kink(function):
    rng = np.random.default_rng(1)
    a, b = rng.uniform(-2, 2, (2, 500))
    a, b = (x[abs(a - b) > 1e-3] for x in (a, b))
    _, slope_a, slope_b = value_and_gradients(function, a, b, tf.float64)
    step = 1e-6
    np.testing.assert_allclose(slope_a, (function(a + step, b) - function(a - step, b)) / (2 * step), atol=1e-7)
    np.testing.assert_allclose(slope_b, (function(a, b + step) - function(a, b - step)) / (2 * step), atol=1e-7)


def test_fischer_burmeister_is_smooth_along_the_diagonal():
    x = np.array([-3.0, -0.1, 0.1, 3.0])
    _, slope_a, slope_b = value_and_gradients(fischer_burmeister, x, x, tf.float64)
    np.testing.assert_allclose(slope_a, 1 - np.sign(x) / np.sqrt(2), rtol=1e-14)
    np.testing.assert_allclose(slope_b, slope_a, rtol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("compiled", [False, True])
def test_the_gradient_at_the_origin_is_finite_and_symmetric(dtype, compiled):
    function = tf.function(fischer_burmeister, jit_compile=True) if compiled else fischer_burmeister
    tiny = np.nextafter(dtype.as_numpy_dtype(0), dtype.as_numpy_dtype(1))
    x = np.array([0.0, -0.0, tiny, -tiny])
    value, slope_a, slope_b = value_and_gradients(function, x, x[::-1], dtype)
    np.testing.assert_allclose(value, 0, atol=1e-40)
    np.testing.assert_allclose(slope_a, 1 - np.sqrt(0.5), rtol=1e-6)
    np.testing.assert_array_equal(slope_a, slope_b)


def test_the_compiled_function_agrees_with_the_eager_one():
    a, b = (tf.constant(x) for x in pairs(seed=2))
    compiled = tf.function(fischer_burmeister, jit_compile=True)
    np.testing.assert_allclose(compiled(a, b), fischer_burmeister(a, b), rtol=1e-6)


@pytest.mark.parametrize("function", [fischer_burmeister, min_residual])
def test_the_order_of_the_arguments_does_not_matter(function):
    a, b = (tf.constant(x) for x in pairs(seed=3))
    np.testing.assert_array_equal(function(a, b), function(b, a))


@pytest.mark.parametrize("function", [fischer_burmeister, min_residual, kkt_product])
def test_a_nan_is_not_hidden(function):
    nan, values = tf.constant([np.nan] * 3, tf.float32), tf.constant([-1.0, 0.0, 1.0])
    assert np.isnan(function(nan, values)).all()
    assert np.isnan(function(values, nan)).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", [fischer_burmeister, min_residual, kkt_product])
def test_the_dtype_is_kept_and_shapes_broadcast(function, dtype):
    residual = function(tf.ones([5, 3], dtype), tf.constant(0.5, dtype))
    assert residual.dtype == dtype
    assert residual.shape == (5, 3)
