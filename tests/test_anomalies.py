"""Densities and samples of the next step from a variational network, and the search for unusual steps."""

import numpy as np
import pytest
import tensorflow as tf
from problems import module, tables_of
from sklearn.metrics import roc_auc_score

from deqn.sequence.bounds import fivo
from deqn.sequence.prediction import follow, sample_ahead
from deqn.sequence.variational import VRNN, Data

anomalies, synthetic = module("vhrnn", "anomalies"), module("vhrnn", "synthetic")


@pytest.fixture(scope="module")
def network():
    """Untrained, of one number a step, with weights large enough that the past matters."""
    network = VRNN(Data(1, "gaussian", 0.3, 1.5), 2, 3, 1, 4, dtype="float64")
    for weight in network.trainable_variables:
        weight.assign(1.2 * weight)
    return network


def test_log_densities_of_the_steps_add_up_to_the_bound(network):
    x, key = tf.constant(np.random.default_rng(1).normal(size=(3, 6, 1))), tf.constant([1, 2])
    steps = follow(network, x, key, 8).log_densities
    np.testing.assert_allclose(tf.reduce_sum(steps, axis=1), fivo(network, x, key, 8).log_p, rtol=1e-10)


def test_samples_of_the_next_step_have_the_density_that_the_network_says(network):
    past = np.array([[0.5], [-1.0]])
    grid = np.linspace(-14, 14, 141)
    x = np.concatenate([np.tile(past[None], (len(grid), 1, 1)), grid[:, None, None]], axis=1)
    density = np.exp(follow(network, tf.constant(x), tf.constant([3, 4]), 500).log_densities[:, -1].numpy())
    width = grid[1] - grid[0]
    assert density.sum() * width == pytest.approx(1, abs=0.03)
    drawn = sample_ahead(network, past[None], 2, 4000, 5)
    assert drawn.shape == (1, 4000, 2, 1)
    mean = (density * grid).sum() * width
    sd = np.sqrt((density * (grid - mean) ** 2).sum() * width)
    assert drawn[0, :, 0, 0].mean() == pytest.approx(mean, abs=0.1 * sd)
    assert drawn[0, :, 0, 0].std() == pytest.approx(sd, rel=0.08)


def test_densities_of_the_ideal_observer_add_up_to_its_likelihood():
    generator = np.random.default_rng(2)
    matrices = synthetic.random_matrices((0.5, 1.0), generator)
    x = synthetic.training_sequences(5, 8, matrices, generator).x
    steps = anomalies.ideal_log_densities(x, matrices)
    np.testing.assert_allclose(steps.sum(axis=1), synthetic.exact_log_likelihood(x, matrices), rtol=1e-10)


def test_the_area_under_the_curve_is_that_of_scikit_learn():
    generator = np.random.default_rng(3)
    positive = generator.uniform(size=(20, 30)) < 0.1
    scores = np.round(generator.normal(size=(20, 30)) + positive, 1)  # with ties
    assert anomalies.auc(scores, positive) == pytest.approx(roc_auc_score(positive.ravel(), scores.ravel()))


def test_replaced_steps_are_marked_and_the_others_are_as_they_were():
    x = np.random.default_rng(4).normal(size=(200, 30, 2))
    found, replaced = anomalies.with_outliers(x, 0.05, 12.0, np.random.default_rng(5))
    np.testing.assert_array_equal((found != x).any(axis=2), replaced)
    assert replaced.mean() == pytest.approx(0.05, abs=0.01) and not replaced[:, 0].any()
    assert found[replaced].std() == pytest.approx(12, rel=0.1)


@pytest.mark.long
def test_a_network_finds_replaced_steps_nearly_as_well_as_the_ideal_observer_and_its_intervals_cover():
    found = tables_of("vhrnn/anomalies")
    auc = found["anomalies"].set_index("score")["auc"]
    assert auc["network"] >= auc["ideal observer"] - 0.03
    assert auc["network"] > auc["size of the change"]
    coverage = found["intervals"].set_index("steps ahead")["coverage"]
    assert 0.75 <= coverage["all"] <= 0.85
