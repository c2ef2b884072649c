"""Networks that Keras makes: options of the builder, dropout, batch normalisation, many networks side by side."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from deqn.mlp.backpropagation import HandWrittenMLP
from deqn.mlp.ensemble import Ensemble
from deqn.mlp.networks import MLP, dense_layers, dropped

KEY = tf.constant([3, 1])


def mlp(**changes):
    options = {"heads": 1, "hidden": [8, 6], "activation": "swish", "seed": 2, "dtype": "float32"}
    return MLP(5, 3, **(options | changes))


def inputs(rows=40, columns=5):
    return tf.constant(np.random.default_rng(0).normal(size=(rows, columns)), tf.float32)


# ---- the builder


@pytest.mark.parametrize(("name", "variance"), [("glorot", 2 / (300 + 500)), ("he", 2 / 300)])
def test_kernels_have_the_variance_of_their_initialisation(name, variance):
    network = MLP(300, 1, 1, [500], "relu", 0, "float32", initialization=name)
    assert abs(np.array(network.layers_hidden[0].kernel).var() / variance - 1) < 0.05


@pytest.mark.parametrize(("name", "g"), [("glorot", "tanh"), ("he", "relu")])
def test_the_right_initial_weights_carry_a_signal_through_twenty_layers_and_others_do_not(name, g):
    def spread(initialization):
        x = inputs(200, 256)
        for layer in dense_layers([256] * 20, g, 0, "float32", initialization):
            x = layer(x)
        return float(tf.math.reduce_std(x))

    assert 0.1 < spread(name) < 10
    assert spread("normal") < 0.1


def test_without_its_options_a_builder_gives_the_weights_it_always_gave():
    plain = keras.Sequential(
        [
            keras.Input([5]),
            keras.layers.Dense(8, "silu", kernel_initializer=keras.initializers.GlorotUniform(seed=2000)),
            keras.layers.Dense(6, "silu", kernel_initializer=keras.initializers.GlorotUniform(seed=2001)),
            keras.layers.Dense(3, kernel_initializer=keras.initializers.GlorotUniform(seed=2002)),
        ]
    )
    network, x = mlp(), inputs()
    np.testing.assert_array_equal(network(x)[:, 0, :], plain(x))
    np.testing.assert_array_equal(network(x, key=KEY), network(x))
    names = ["mean", "scale", *2 * ["kernel", "bias"], "kernel", "bias"]
    assert [v.path.split("/")[-1] for v in network.weights] == names


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: mlp(activation="swich"), "activation: got 'swich', expected one of .* did you mean 'swish'"),
        (lambda: mlp(initialization="xavier"), "initialization: got 'xavier', expected one of glorot, he, normal"),
        (lambda: mlp(dropout=1.0), "dropout: got 1.0, expected a number of at least 0 and below 1"),
        (lambda: mlp(dropout=-0.1), "dropout: got -0.1"),
        (lambda: Ensemble(0, 2, 1, [5], "tanh", 0, "float32"), "members: got 0, expected 1 or more"),
    ],
)
def test_an_option_that_does_not_exist_is_refused_by_name(make, words):
    with pytest.raises(ValueError, match=words):
        make()


# ---- dropout


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_dropout_keeps_the_mean_and_sets_the_share_asked_for_to_zero(rate):
    x = tf.ones([100_000])
    found = np.asarray(dropped(x, rate, KEY))
    standard_error = np.sqrt(rate / (1 - rate) / len(x))
    assert abs(found.mean() - 1) < 3 * standard_error
    np.testing.assert_allclose(np.unique(found), [0, 1 / (1 - rate)], rtol=1e-6)


def test_a_network_with_dropout_is_deterministic_without_a_key_and_follows_its_key():
    network, x = mlp(dropout=0.5), inputs()
    plain = mlp()
    np.testing.assert_array_equal(network(x), plain(x))
    np.testing.assert_array_equal(network(x, key=KEY), network(x, key=KEY))
    assert np.abs(network(x, key=KEY) - network(x, key=KEY + 1)).max() > 0.01


# ---- batch normalisation


def test_batch_normalisation_is_off_by_default_and_makes_mean_zero_and_deviation_one_in_training():
    assert not mlp().normalizations
    network, x = mlp(batch_normalization=True, hidden=[8]), inputs(500)
    hidden = network.normalizations[0](network.layers_hidden[0](x), training=True)
    np.testing.assert_allclose(tf.reduce_mean(hidden, axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(tf.math.reduce_std(hidden, axis=0), 1, atol=0.05)  # Keras's epsilon is .001


def test_with_batch_normalisation_a_row_depends_on_its_batch_in_training_only():
    network, x = mlp(batch_normalization=True), inputs()
    np.testing.assert_allclose(network(x)[:10], network(x[:10]), atol=1e-6)
    assert np.abs(network(x, key=KEY)[:10] - network(x[:10], key=KEY)).max() > 0.1
    moved = np.array(network(x))
    np.testing.assert_array_equal(network(x), moved)  # without a key nothing moves


# ---- many networks side by side


def test_members_of_an_ensemble_are_the_networks_that_their_weights_say():
    x = np.random.default_rng(1).normal(size=(4, 7, 2))
    hand = [HandWrittenMLP([2, 5, 3, 1], "linear", np.random.default_rng(n), "tanh") for n in range(4)]
    ensemble = Ensemble(4, 2, 1, [5, 3], "tanh", 0, "float64")
    for member, network in enumerate(hand):
        ensemble.assign_layers(member, network.layers())
    expected = np.stack([network(rows) for network, rows in zip(hand, x, strict=True)])
    np.testing.assert_allclose(ensemble(x), expected, rtol=1e-12)
    for ours, theirs in zip(ensemble.layers_of(2), hand[2].layers(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_gradient_of_the_sum_of_losses_is_each_members_own():
    x, t = (np.random.default_rng(1).normal(size=(3, 7, n)) for n in (2, 1))
    ensemble = Ensemble(3, 2, 1, [5], "sigmoid", 0, "float64")
    variables = [v.value for v in ensemble.trainable_variables]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.reduce_mean((ensemble(x) - t) ** 2, axis=[1, 2]) / 2)
    kernel, bias, head_kernel, head_bias = tape.gradient(loss, variables)
    for member in range(3):
        network = HandWrittenMLP([2, 5, 1], "linear", np.random.default_rng(0))
        network.weights = np.concatenate([each.ravel() for each in ensemble.layers_of(member)])
        first, second = network.layers(network.gradient(x[member], t[member]))
        np.testing.assert_allclose(kernel[member], first[:-1], rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(bias[member], -first[-1:], rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(head_kernel[member], second[:-1], rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(head_bias[member], -second[-1:], rtol=1e-9, atol=1e-14)


def test_members_begin_differently_and_each_glorot_uniform():
    ensemble = Ensemble(40, 30, 1, [50], "swish", 0, "float32")
    kernel = np.array(ensemble.layers_dense[0].kernel)
    assert abs(kernel.var() / (2 / 80) - 1) < 0.05
    assert np.abs(kernel).max() <= np.sqrt(6 / 80)
    assert np.abs(kernel[0] - kernel[1]).max() > 0.01
    again = Ensemble(40, 30, 1, [50], "swish", 0, "float32")
    np.testing.assert_array_equal(again.layers_dense[0].kernel, kernel)
