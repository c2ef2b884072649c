"""ELBO, IWAE and FIVO on a linear Gaussian network, whose likelihood the Kalman filter knows exactly; and the VAE."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits
from toys import settings

from deqn.sequence.bounds import elbo, examine, fivo, iwae
from deqn.sequence.gaussian import bernoulli_log_density, mean_and_sigma, normal_divergence, normal_log_density
from deqn.sequence.kalman import LinearGaussian
from deqn.sequence.latent import LatentSequence, Step
from deqn.sequence.vae import VAE
from deqn.sequence.variational import VRNN, Data
from deqn.training.problem import Losses, Problem
from deqn.training.trainer import Trainer

SYSTEM = LinearGaussian([0.0], [[1.0]], [[0.9]], [[0.5]], [[1.0]], [[0.4]])
PERIODS = 10


class LinearGaussianNetwork(LatentSequence):
    """SYSTEM; q is the prior p(z_t | z_{t-1}), or p(z_t | z_{t-1}, x_t)."""

    latent = 1

    def __init__(self, sees_x):
        super().__init__(dtype="float64")
        self.sees_x = sees_x

    def encode(self, x):
        first = tf.one_hot(tf.zeros([x.shape[0]], tf.int32), x.shape[1], dtype=x.dtype)[:, :, None]
        return {"x": x, "first": first}

    def start(self, rows):
        return tf.zeros([rows, 1], tf.float64)

    def step(self, state, seen, noise):
        first = seen["first"]
        mean_p, variance_p = 0.9 * state, first * 1.0 + (1 - first) * 0.5
        gain = variance_p / (variance_p + 0.4) if self.sees_x else tf.zeros_like(variance_p)
        mean, variance = mean_p + gain * (seen["x"] - mean_p), (1 - gain) * variance_p
        z = mean + tf.sqrt(variance) * noise
        log_p = normal_log_density(z, mean_p, tf.sqrt(variance_p))
        log_x = normal_log_density(seen["x"], z, tf.sqrt(tf.constant(0.4, tf.float64)))
        log_q = normal_log_density(z, mean, tf.sqrt(variance))
        divergence = normal_divergence(mean, tf.sqrt(variance), mean_p, tf.sqrt(variance_p))
        return Step(z, log_p + log_x - log_q, divergence, z, tf.fill(z.shape, tf.constant(np.log(0.4), z.dtype)))


@pytest.fixture(scope="module")
def x():
    return SYSTEM.sample(400, PERIODS, np.random.default_rng(0))[1]


@pytest.fixture(scope="module")
def gaps(x):
    """Kalman minus bound, [400], by (bound, particles, whether q sees x_t)."""
    exact, found = SYSTEM.log_likelihood(x), {}
    counts_of = {elbo: [1], iwae: [4, 16, 64], fivo: [4, 16, 64]}
    for sees_x, (bound, counts) in [*itertools.product((False, True), counts_of.items()), (True, (fivo, [256]))]:
        network = LinearGaussianNetwork(sees_x)
        for count in counts:

            @tf.function(autograph=False)
            def compute(key, bound=bound, network=network, count=count):
                return bound(network, tf.constant(x), key, count).log_p

            found[bound.__name__, count, sees_x] = exact - compute(tf.constant([3, count])).numpy()
    return found


def at_least(difference, margin=3.0):
    """Whether the mean is at least 0, up to so many standard errors."""
    return difference.mean() > -margin * difference.std() / np.sqrt(len(difference))


@pytest.mark.parametrize("sees_x", [False, True])
def test_no_bound_is_above_the_exact_likelihood_and_all_rise_with_the_particles(gaps, sees_x):
    for key, gap in gaps.items():
        assert key[2] != sees_x or at_least(gap), key
    for name, counts in {"iwae": [4, 16, 64], "fivo": [4, 16, 64]}.items():
        rising = [gaps["elbo", 1, sees_x], *(gaps[name, count, sees_x] for count in counts)]
        means = [gap.mean() for gap in rising]
        assert means == sorted(means, reverse=True), (name, means)


def test_the_filtering_bound_with_the_true_proposal_goes_to_kalman(gaps):
    gap = gaps["fivo", 256, True]
    assert abs(gap.mean()) < 0.02
    assert gap.mean() < gaps["fivo", 4, True].mean() / 10


def test_what_a_filter_shows_of_the_emission_goes_to_kalmans_mean(x):
    network, few = LinearGaussianNetwork(True), x[:5]
    found = examine(network, tf.constant(few), tf.constant([3, 1]), 300)
    kalman = np.stack([step.mean for step in SYSTEM.forward(few)], axis=1)  # the mean of x_t given h_t is h_t
    assert np.abs(found.mean - kalman).max() < 0.15
    np.testing.assert_allclose(found.log_variance, np.log(0.4))
    again = fivo(network, tf.constant(few), tf.constant([3, 1]), 300)
    np.testing.assert_allclose(found.log_p, again.log_p)
    np.testing.assert_allclose(found.divergence, again.divergence)


def test_filtering_is_tighter_than_importance_weighting_over_a_whole_sequence(gaps):
    assert gaps["fivo", 64, False].mean() < gaps["iwae", 64, False].mean()


def test_with_one_particle_the_three_bounds_are_the_same_bits(x):
    network = LinearGaussianNetwork(True)
    values = [bound(network, tf.constant(x), tf.constant([1, 2]), 1).log_p.numpy() for bound in (elbo, iwae, fivo)]
    np.testing.assert_array_equal(values[0], values[1])
    np.testing.assert_array_equal(values[0], values[2])


@pytest.mark.parametrize("bound", [elbo, iwae, fivo])
def test_padding_changes_nothing(x, bound):
    lengths = tf.constant([PERIODS - 3, *[PERIODS] * 9])
    short, padded = x[:1, : PERIODS - 3], np.pad(x[:1], [(0, 0), (0, 4), (0, 0)])
    padded[:, PERIODS - 3 :] = 77.0
    network, key = LinearGaussianNetwork(True), tf.constant([4, 5])
    alone = bound(network, tf.constant(short), key, 8)
    beside = bound(network, tf.constant(padded), key, 8, lengths[:1])
    np.testing.assert_allclose(beside.log_p, alone.log_p, rtol=1e-12)
    np.testing.assert_allclose(beside.divergence[:, : PERIODS - 3], alone.divergence, rtol=1e-12)
    assert not beside.divergence[:, PERIODS - 3 :].numpy().any()


@pytest.mark.parametrize("bound", [elbo, iwae, fivo])
def test_what_stands_beyond_a_sequences_end_does_not_matter_be_it_nan(bound):
    network, lengths = VRNN(Data(2), 3, 3, 1, 0), tf.constant([5, 3])
    x = np.random.default_rng(0).normal(size=(2, 5, 2)).astype(np.float32)

    def value_and_gradients(beyond):
        x[1, 3:] = beyond
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(bound(network, tf.constant(x), tf.constant([1, 2]), 4, lengths).log_p)
        return [value, *tape.gradient(value, network.live_weights())]

    for with_zero, with_nan in zip(value_and_gradients(0.0), value_and_gradients(np.nan), strict=True):
        assert np.isfinite(with_nan).all()
        np.testing.assert_array_equal(with_zero, with_nan)


def test_the_choice_of_ancestors_has_no_gradient_but_the_weights_have():
    """The gradient of the bound by a shift of all x is that of a filter whose ancestors stay where they are."""
    network, key = LinearGaussianNetwork(False), tf.constant([6, 7])
    x = SYSTEM.sample(1, 6, np.random.default_rng(1))[1]
    shift = tf.Variable(0.0, dtype=tf.float64)

    def value():
        return tf.reduce_sum(fivo(network, tf.constant(x) + shift, key, 16).log_p)

    with tf.GradientTape() as tape:
        bound = value()
    slope, step = float(tape.gradient(bound, shift)), 1e-7  # so small that nobody's ancestor changes
    shift.assign(step)
    above = float(value())
    shift.assign(-step)
    np.testing.assert_allclose(slope, (above - float(value())) / (2 * step), rtol=1e-5)


def test_bounds_refuse_data_without_time_and_no_particles(x):
    with pytest.raises(ValueError, match=r"x: shape is \(400, 10\), expected \[batch, time, features\]"):
        elbo(LinearGaussianNetwork(True), tf.constant(x[:, :, 0]), tf.constant([0, 0]))
    with pytest.raises(ValueError, match="particles: got 0, expected 1 or more"):
        fivo(LinearGaussianNetwork(True), tf.constant(x), tf.constant([0, 0]), 0)


# ---- densities and the variational autoencoder


def test_the_divergence_of_two_normals_is_the_mean_log_ratio():
    mean, sigma, mean_p, sigma_p = tf.constant([[0.3, -1.0], [0.5, 2.0], [0.0, 0.4], [1.5, 0.7]], tf.float64)
    z = mean + sigma * tf.random.stateless_normal([200_000, 2], [1, 1], dtype=tf.float64)
    ratio = (normal_log_density(z, mean, sigma) - normal_log_density(z, mean_p, sigma_p)).numpy()
    exact = float(normal_divergence(mean, sigma, mean_p, sigma_p))
    assert abs(ratio.mean() - exact) < 3 * ratio.std() / np.sqrt(len(ratio))
    assert float(normal_divergence(mean, sigma, mean, sigma)) == 0


def test_a_sigma_at_its_floor_learns_to_leave_it():
    raw = tf.constant([[0.0, -30.0], [0.0, -3.0]], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(raw)
        _, sigma = mean_and_sigma(raw, 0.1, 0.0)
        loss = -tf.reduce_sum(normal_log_density(tf.constant([[2.0], [2.0]], tf.float64), 0.0, sigma))
    np.testing.assert_array_equal(sigma, [[0.1], [0.1]])
    gradient = tape.gradient(loss, raw)[:, 1].numpy()
    # d loss / d sigma = 1/sigma - 4/sigma^3 at the floor, times the slope of softplus
    np.testing.assert_allclose(gradient, (10 - 4000) / (1 + np.exp([30.0, 3.0])), rtol=1e-10)


def test_bernoulli_probabilities_of_all_outcomes_sum_to_one():
    outcomes = tf.constant(list(itertools.product([0.0, 1.0], repeat=3)))
    total = tf.reduce_sum(tf.exp(bernoulli_log_density(outcomes, tf.constant([0.3, -2.0, 40.0]))))
    np.testing.assert_allclose(total, 1, rtol=1e-6)


def linear_vae(shift=0.0):
    """x = A z + N(0, s^2 I) in three dimensions, z in one; q = p(z | x), its mean moved by `shift`."""
    A, s = np.array([[1.0, -0.5, 2.0]]), 0.6
    network = VAE(3, 1, [], "gaussian", seed=0, dtype="float64")
    precision = 1 + (A @ A.T)[0, 0] / s**2

    def raw(sigma):
        return np.log(np.expm1(sigma))

    decoder, encoder = network.decoder.dense[0], network.encoder.dense[0]
    decoder.set_weights([np.hstack([A, np.zeros((1, 3))]), np.array([0, 0, 0, *[raw(s)] * 3])])
    encoder.set_weights(
        [np.hstack([A.T / s**2 / precision, np.zeros((3, 1))]), np.array([shift, raw(precision**-0.5)])]
    )
    return network, A.T @ A + s**2 * np.eye(3)


def test_the_bound_of_a_linear_vae_is_the_likelihood_where_q_is_the_posterior_and_below_elsewhere():
    network, covariance = linear_vae()
    x = np.random.default_rng(2).multivariate_normal(np.zeros(3), covariance, size=2000)
    quadratic = (x @ np.linalg.inv(covariance) * x).sum(axis=1)
    exact = -0.5 * (quadratic + np.linalg.slogdet(2 * np.pi * covariance)[1])
    key = tf.constant([1, 2])
    # ln p(x, z) - ln q(z) is ln p(x) for every z where q is the posterior.
    np.testing.assert_allclose(network.bound(tf.constant(x), key, 1, analytic=False), exact, rtol=1e-9)
    analytic = network.bound(tf.constant(x), key, 20).numpy()
    assert abs((analytic - exact).mean()) < 3 * (analytic - exact).std() / np.sqrt(len(x))
    moved, _ = linear_vae(shift=0.3)
    gap = exact - moved.bound(tf.constant(x), key, 200).numpy()
    # KL of two normals of the same variance: (shift / sigma)^2 / 2
    np.testing.assert_allclose(gap.mean(), 0.5 * 0.3**2 * (1 + 5.25 / 0.36), rtol=0.02)


class Digits(Problem):
    """The bound on batches of 64 images of 8 x 8 pixels, black or white."""

    def __init__(self):
        self.images = (load_digits().images.reshape(-1, 64) > 8).astype("float32")
        self.network = VAE(64, 4, [32], "bernoulli", seed=0)
        self.networks = {"vae": self.network}

    def batches(self, episode):
        yield self.images[np.random.default_rng(episode).choice(len(self.images), 64, replace=False)]

    def losses(self, batch, carry, key):
        return Losses({"vae": -tf.reduce_mean(self.network.bound(batch, key, 1))}, carry)


def test_a_vae_learns_digits():
    problem, losses = Digits(), []
    adam = {"name": "Adam", "learning_rate": 0.005}
    Trainer(problem, settings(400, adam), report=lambda progress: losses.append(progress.loss)).train()
    # Below what independent pixels at their means cost: the latent variables say something.
    mean = np.clip(problem.images.mean(axis=0), 1e-4, 1 - 1e-4)
    independent = -(mean * np.log(mean) + (1 - mean) * np.log(1 - mean)).sum()
    assert np.mean(losses[-50:]) < independent - 3 < np.mean(losses[:5])
