"""VRNN and VHRNN: weights counted against the published tables, and exact relations between the two."""

import numpy as np
import pytest
import tensorflow as tf

from deqn.sequence.bounds import elbo, fivo
from deqn.sequence.hyper import VHRNN
from deqn.sequence.variational import VRNN, Data

PLANE, CHORDS = Data(2), Data(88, "bernoulli", 0.1)


def test_weights_on_the_synthetic_data_are_as_many_as_in_table_1():
    networks = {(2612, 2068): VRNN(PLANE, 8, 8, 2, 0), (1516, 1204): VRNN(PLANE, 6, 6, 2, 0),
                (1568, 1424): VHRNN(PLANE, 4, 4, 2, 0)}  # fmt: skip
    for (published, live), network in networks.items():
        assert network.count_params() == network.parameters(live=False) == published
        assert network.parameters() == live == sum(int(np.prod(v.shape)) for v in network.live_weights())


@pytest.mark.parametrize(
    ("network", "weights", "thousands"),
    [
        (lambda: VRNN(CHORDS, 24, 24, 1, 0), 23_200, 23),
        (lambda: VRNN(CHORDS, 28, 28, 1, 0), 30_636, 31),
        (lambda: VRNN(CHORDS, 32, 32, 1, 0), 39_096, 39),
        (lambda: VHRNN(CHORDS, 24, 12, 1, 0, omega_width=16), 23_904, 24),
        (lambda: VHRNN(CHORDS, 28, 14, 1, 0, omega_width=18), 30_778, 31),
        (lambda: VHRNN(CHORDS, 32, 16, 1, 0, omega_width=20), 38_524, 39),
        (lambda: VHRNN(CHORDS, 14, 14, 1, 0, omega_width=64), 29_078, 29),  # of figure 5a: 39,096 / 1.345
        (lambda: VRNN(Data(11), 28, 28, 1, 0), 26_566, 27),  # HT sensors: "approximately 26000"
    ],
)
def test_weights_on_music_and_sensors_are_as_many_as_in_table_2(network, weights, thousands):
    assert network().count_params() == weights
    assert round(weights / 1000) == thousands


def test_without_the_unused_lstm_all_weights_are_in_use():
    network = VHRNN(PLANE, 4, 4, 2, 0, build_unused_reverse=False)
    assert network.count_params() == network.parameters() == 1424


@pytest.mark.parametrize("z", [4, 6, 8, 12])
def test_a_vrnn_has_the_weights_of_its_closed_form_as_lstm_and_as_gru(z):
    # With z = h, two layers, two features: 37 z^2 + 30 z + 4; a GRU has three quarters of an LSTM's weights.
    assert VRNN(PLANE, z, z, 2, 0).count_params() == 37 * z**2 + 30 * z + 4
    assert VRNN(PLANE, z, z, 2, 0, cell="gru").count_params() == 32 * z**2 + 28 * z + 4


def twins(cell="lstm"):
    """A VHRNN whose hypernetworks say d = 1, b = 0, and a VRNN with the same weights."""
    hyper = VHRNN(PLANE, 3, 5, 2, 0, dtype="float64", cell=cell)
    plain = VRNN(PLANE, 3, 5, 2, 1, dtype="float64", cell=cell)
    for part in (hyper.head, hyper.omega):
        last = part.dense[-1]
        last.set_weights([np.zeros_like(w) for w in last.get_weights()])
    for name in ("phi_x", "phi_z", "prior", "posterior", "emission"):
        getattr(plain, name).set_weights(getattr(hyper, name).get_weights())
    bias = plain.cell.get_weights()[2]  # as an LSTM starts: 1 on the forget gates
    plain.cell.set_weights([np.asarray(hyper.W), np.asarray(hyper.U), bias])
    return hyper, plain


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_vhrnn_that_changes_nothing_is_the_vrnn_with_the_same_weights(cell):
    x, key = tf.constant(np.random.default_rng(0).normal(size=(4, 7, 2))), tf.constant([1, 2])
    hyper, plain = twins(cell)
    for bound in (elbo, fivo):
        ours, theirs = bound(hyper, x, key, 4), bound(plain, x, key, 4)
        np.testing.assert_allclose(ours.log_p, theirs.log_p, rtol=1e-6)
        np.testing.assert_allclose(ours.divergence, theirs.divergence, rtol=1e-6)


@pytest.mark.parametrize("hyper_inputs", ["both", "latent", "hidden"])
def test_the_gradient_reaches_every_weight_in_use_and_no_other(hyper_inputs):
    x = tf.constant(np.random.default_rng(1).normal(size=(3, 6, 2)), tf.float32)
    for network in (VRNN(PLANE, 3, 4, 2, 0), VHRNN(PLANE, 3, 4, 2, 0, hyper_inputs=hyper_inputs)):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(fivo(network, x, tf.constant([1, 2]), 3).log_p)
        variables = network.trainable_variables
        reached = {v.path for v, g in zip(variables, tape.gradient(loss, variables), strict=True) if g is not None}
        assert reached == {v.path for v in network.live_weights()}
        inputs = {"both": 7, "latent": 3, "hidden": 4}[hyper_inputs]
        if isinstance(network, VHRNN):
            assert network.theta.kernel.shape[0] == network.omega.dense[0].kernel.shape[0] == inputs


def test_a_vhrnn_of_grus_scales_what_the_candidate_sees_of_the_past():
    hyper, _ = twins("gru")
    hyper.head.dense[-1].bias.assign(np.random.default_rng(5).normal(size=hyper.head.dense[-1].bias.shape))
    generator = np.random.default_rng(6)
    h, latent, previous = (generator.normal(size=(2, size)) for size in (5, 3, 3))
    found, _ = hyper.recur({"h": h, "latent": latent, "hyper_h": np.zeros((2, 5))}, previous)
    d_i, d_h, b = np.split(np.asarray(hyper.head.dense[-1].bias), 3)
    W, U = np.asarray(hyper.W), np.asarray(hyper.U)
    of_inputs = (1 + d_i) * (np.concatenate([previous, latent], axis=1) @ W) + b
    z, r = (1 / (1 + np.exp(-(of_inputs + (1 + d_h) * (h @ U))[:, at : at + 5])) for at in (0, 5))
    g = np.tanh(of_inputs[:, 10:] + (1 + d_h[10:]) * ((r * h) @ U[:, 10:]))
    np.testing.assert_allclose(found, z * h + (1 - z) * g, atol=1e-12)


def test_the_network_does_not_look_ahead():
    x = np.random.default_rng(2).normal(size=(2, 8, 2)).astype("float32")
    changed = x.copy()
    changed[:, 5:] += 1
    for network in (VRNN(PLANE, 3, 4, 1, 0), VHRNN(PLANE, 3, 4, 1, 0)):
        before, after = (elbo(network, tf.constant(each), tf.constant([3, 4])).divergence for each in (x, changed))
        np.testing.assert_allclose(before[:, :5], after[:, :5], rtol=1e-6)
        assert np.abs(before[:, 5:] - after[:, 5:]).max() > 1e-6


def test_a_gaussian_emission_counts_the_scale_of_the_data():
    # The density of 10 x is that of x, divided by 10 for each coordinate.
    x = np.random.default_rng(3).normal(size=(2, 5, 2))
    small, large = (VRNN(Data(2, "gaussian", s * 0.5, s), 3, 3, 1, 0, dtype="float64") for s in (1.0, 10.0))
    values = [elbo(net, tf.constant(s * x), tf.constant([5, 6])).log_p for net, s in ((small, 1), (large, 10))]
    np.testing.assert_allclose(values[1], values[0] - 5 * 2 * np.log(10), rtol=1e-9)


def test_a_binary_emission_starts_near_the_mean_of_the_training_data():
    mean = np.array([0.02, 0.5, 0.0])
    network = VRNN(Data(3, "bernoulli", mean), 4, 4, 1, 0, dtype="float64")
    for layer in network.emission.dense:
        layer.set_weights([np.zeros_like(w) for w in layer.get_weights()])
    shown = network.log_density(tf.zeros([1, 3], tf.float64), tf.constant([[1.0, 0.0, 0.0]], tf.float64))
    np.testing.assert_allclose(shown, np.log(0.02) + np.log(0.5) + np.log(0.9999), rtol=1e-9)


def test_the_same_seed_gives_the_same_weights_and_another_gives_others():
    one, same, other = (VHRNN(PLANE, 3, 3, 1, seed).get_weights() for seed in (4, 4, 5))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one[0], other[0])


def test_saved_weights_give_the_same_bound(tmp_path):
    x, key = tf.constant(np.random.default_rng(4).normal(size=(2, 5, 2)), tf.float32), tf.constant([7, 8])
    one, other = VHRNN(PLANE, 3, 3, 1, 0), VHRNN(PLANE, 3, 3, 1, 1)
    one.save_weights(tmp_path / "w.weights.h5")
    other.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(elbo(one, x, key).log_p, elbo(other, x, key).log_p)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VRNN(PLANE, 0, 4, 1, 0), "latent: got 0, expected 1 or more"),
        (lambda: VRNN(PLANE, 4, 4, 0, 0), "layers: got 0, expected 1 or more"),
        (lambda: VHRNN(PLANE, 4, 4, 1, 0, hyper_inputs="x"), "hyper_inputs: got 'x', expected 'both', 'latent' or"),
        (lambda: VHRNN(PLANE, 4, 4, 1, 0, omega_width=0), "omega_width: got 0, expected 1 or more"),
    ],
)
def test_sizes_that_make_no_network_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
