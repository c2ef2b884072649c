"""Quantile losses and risks against their definitions, sorted data and one another."""

import numpy as np
import pytest
import tensorflow as tf

from deqn.sequence.quantiles import coverage, crossings, mean_quantile_loss, quantile_loss, risk, without_crossings

GENERATOR = np.random.default_rng(0)
X = GENERATOR.gamma(2.0, size=501)
FORECASTS = GENERATOR.normal(2.0, 1.0, size=(501, 3))


def test_the_loss_is_the_definitions_and_never_negative():
    loss = quantile_loss(X, FORECASTS)
    for q, column in zip((0.1, 0.5, 0.9), range(3), strict=True):
        for x, f, found in zip(X, FORECASTS[:, column], loss[:, column], strict=True):
            assert found == pytest.approx((q - (1.0 if x <= f else 0.0)) * (x - f))
    assert (loss >= 0).all()


def test_the_risk_of_the_median_is_the_absolute_error_relative_to_the_series():
    np.testing.assert_allclose(risk(X, FORECASTS)[1], np.abs(X - FORECASTS[:, 1]).sum() / np.abs(X).sum(), rtol=1e-12)


def test_the_constant_of_least_loss_is_the_empirical_quantile():
    for q in (0.1, 0.5, 0.9):
        candidates = np.sort(X)
        losses = [quantile_loss(X, np.full((501, 1), c), [q]).sum() for c in candidates]
        assert candidates[np.argmin(losses)] == np.quantile(X, q, method="inverted_cdf")


def test_coverage_of_the_empirical_quantiles_is_the_quantiles():
    q = np.array([0.1, 0.5, 0.9])
    forecasts = np.tile(np.quantile(X, q), (501, 1))
    np.testing.assert_allclose(coverage(X, forecasts), q, atol=1 / 501)


def test_forecasts_that_cross_are_counted_and_ascending_outputs_never_do():
    assert crossings([[1.0, 2.0, 3.0], [1.0, 3.0, 2.0]]) == 0.5
    assert crossings(FORECASTS) > 0.5
    ascending = without_crossings(tf.constant(FORECASTS)).numpy()
    assert crossings(ascending) == 0
    np.testing.assert_array_equal(ascending[:, 0], FORECASTS[:, 0])


def test_what_is_minimised_is_the_loss_and_its_gradient_counts_who_is_below():
    x, f = tf.constant(X), tf.Variable(FORECASTS)
    with tf.GradientTape() as tape:
        loss = mean_quantile_loss(x, f)
    np.testing.assert_allclose(loss, quantile_loss(X, FORECASTS).sum(axis=1).mean(), rtol=1e-12)
    q = np.array([0.1, 0.5, 0.9])
    np.testing.assert_allclose(tape.gradient(loss, f), ((X[:, None] <= FORECASTS) - q) / len(X), rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: risk(np.zeros(3), np.ones((3, 3))), r"x: the sum of \|x\| is 0"),
        (lambda: quantile_loss(X, FORECASTS[:, :2]), r"forecasts: shape is \(501, 2\), expected \(501, 3\)"),
        (lambda: quantile_loss(X, FORECASTS, [0.5, 0.1, 0.9]), r"quantiles: got \[0.5, 0.1, 0.9\], expected ascending"),
        (lambda: quantile_loss(X, FORECASTS, [0.0, 0.5, 0.9]), r"between 0 and 1"),
    ],
)
def test_what_has_no_quantiles_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
