"""HMM, Kalman and particle filters against enumeration, against each other, and against hmmlearn."""

import itertools

import keras
import numpy as np
import pytest
from hmmlearn.hmm import CategoricalHMM

from deqn.sequence.hmm import HMM, random_hmm
from deqn.sequence.hmm_cell import HMMCell
from deqn.sequence.hmm_estimation import baum_welch, smooth, viterbi
from deqn.sequence.kalman import LinearGaussian
from deqn.sequence.particles import HMMParticles, LinearGaussianParticles, particle_filter, resample


@pytest.fixture(scope="module")
def hmm():
    return random_hmm(3, 4, np.random.default_rng(1))


@pytest.fixture(scope="module")
def paths(hmm):
    return hmm.sample(20, 6, np.random.default_rng(2))[1]


@pytest.fixture(scope="module")
def system():
    return LinearGaussian([0.3], [[0.7]], [[0.9]], [[0.4]], [[1.2]], [[0.3]])


@pytest.fixture(scope="module")
def plane():
    """Two hidden dimensions, one observed."""
    return LinearGaussian(
        [0.1, -0.2],
        [[1.0, 0.2], [0.2, 0.5]],
        [[0.8, 0.3], [-0.1, 0.9]],
        [[0.3, 0.1], [0.1, 0.2]],
        [[1.0, -0.5]],
        [[0.2]],
    )


def enumerated(hmm, x):
    """P(x_1..x_t) and P(H_t = i | x_1..x_t) of a path, summed over all hidden paths."""
    joint = np.zeros((len(x), hmm.states))
    for t in range(len(x)):
        for hidden in itertools.product(range(hmm.states), repeat=t + 1):
            p = hmm.initial[hidden[0]] * hmm.emission[hidden[0], x[0]]
            for s in range(1, t + 1):
                p *= hmm.transition[hidden[s - 1], hidden[s]] * hmm.emission[hidden[s], x[s]]
            joint[t, hidden[-1]] += p
    return joint.sum(axis=1), joint / joint.sum(axis=1, keepdims=True)


def in_hmmlearn(hmm):
    other = CategoricalHMM(n_components=hmm.states, n_features=hmm.symbols)
    other.startprob_, other.transmat_, other.emissionprob_ = hmm.initial, hmm.transition, hmm.emission
    return other


def test_the_forward_algorithm_is_the_sum_over_all_hidden_paths(hmm, paths):
    found = hmm.filter(paths[:4])
    for n, x in enumerate(paths[:4]):
        p, states = enumerated(hmm, x)
        np.testing.assert_allclose(found.states[n], states, atol=1e-12)
        np.testing.assert_allclose(np.exp(found.log_likelihood[n]), p[-1], rtol=1e-12)
        following = [enumerated(hmm, [*x[:3], symbol])[0][-1] / p[2] for symbol in range(hmm.symbols)]
        np.testing.assert_allclose(found.predictions[n, 2], following, atol=1e-12)


def test_a_filter_does_not_look_ahead_as_smoothed_probabilities_do(hmm, paths):
    changed = paths.copy()
    changed[:, -1] = (changed[:, -1] + 1) % hmm.symbols
    before, after = hmm.filter(paths).states, hmm.filter(changed).states
    np.testing.assert_array_equal(before[:, :-1], after[:, :-1])
    smoothed = np.array([in_hmmlearn(hmm).predict_proba(x[:, None]) for x in paths])
    assert np.abs(smoothed - before).max() > 0.05


def test_ten_thousand_observations_do_not_underflow(hmm):
    x = hmm.sample(1, 10_000, np.random.default_rng(3))[1]
    found = hmm.filter(x)
    np.testing.assert_allclose(found.states.sum(axis=2), 1, atol=1e-12)
    np.testing.assert_allclose(found.log_likelihood[0], in_hmmlearn(hmm).score(x.T), rtol=1e-10)


def test_simulated_paths_have_the_frequencies_of_the_model(hmm):
    hidden, x = hmm.sample(100_000, 3, np.random.default_rng(4))
    for symbols in itertools.product(range(hmm.symbols), repeat=2):
        p = enumerated(hmm, symbols)[0][-1]
        share = (x[:, :2] == symbols).all(axis=1).mean()
        assert abs(share - p) < 4 * np.sqrt(p * (1 - p) / len(x))
    np.testing.assert_allclose(np.bincount(hidden[:, 0]) / len(x), hmm.initial, atol=0.01)


def test_the_hmm_cell_is_the_forward_algorithm(hmm, paths):
    # Proposition 6: a recurrent network with the filter as its hidden state.
    layer = keras.layers.RNN(HMMCell(hmm, dtype="float64"), return_sequences=True, dtype="float64")
    states = layer(np.eye(hmm.symbols)[paths])
    np.testing.assert_allclose(states, hmm.filter(paths).states, atol=1e-6)


GOOD = {"initial": [1.0, 0.0], "transition": [[1.0, 0.0], [0.0, 1.0]], "emission": [[1.0, 0.0], [0.0, 1.0]]}
STUCK = HMM(**GOOD)  # in state 0 for ever, and shows nothing but symbol 0
PATHS = np.array([[0, 0], [0, 1]])


def particles_of(x=PATHS, count=5, **options):
    return list(particle_filter(HMMParticles(STUCK), x, count, np.random.default_rng(0), **options))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: HMM(**GOOD | {"initial": [0.5, 0.6]}), r"initial sums to 1\.1, expected 1"),
        (lambda: HMM(**GOOD | {"transition": [[0.5, 0.5], [0.9, 0.2]]}), r"transition: row 1 sums to 1\.1, expected 1"),
        (lambda: HMM(**GOOD | {"transition": [[1.0]]}), r"transition: shape is \(1, 1\), expected \(2, 2\)"),
        (lambda: HMM(**GOOD | {"emission": [[1.2, -0.2], [0.5, 0.5]]}), r"emission: row 0 holds -0\.2, expected prob"),
        (lambda: HMM(**GOOD | {"emission": [[np.nan, 1], [0.5, 0.5]]}), r"emission: row 0 holds nan"),
        (lambda: HMM(**GOOD | {"emission": [[0.5, 0.5]]}), r"emission: 1 rows, expected 2"),
        (lambda: HMM(**GOOD | {"initial": [[0.5, 0.5]]}), r"initial: shape is \(1, 2\), expected 1 dimension"),
        (lambda: STUCK.filter(np.array([[0, 1, 2]])), r"observations: 2 in path 0 at t = 2, expected symbols from 0"),
        (lambda: STUCK.filter(np.array([[0, -1]])), r"observations: -1 in path 0 at t = 1"),
        (lambda: STUCK.filter(np.array([[0.0, 1.0]])), r"type is float64, expected whole numbers"),
        (lambda: STUCK.filter(np.array([0, 1])), r"shape is \(2,\), expected \[paths, periods\]"),
        (lambda: STUCK.filter(PATHS), r"the one at t = 1 of path 1 has probability 0"),
        (lambda: LinearGaussian([0], [[1]], [[1]], [[1]], [[1, 2]], [[1]]), r"observation: shape is \(1, 2\), exp"),
        (lambda: LinearGaussian([0], [[1]], [[1]], [[1]], [[1]], [[0]]), "observation_noise: smallest eigenvalue 0"),
        (lambda: particles_of(count=0), "particles: got 0, expected 1 or more"),
        (lambda: particles_of(resampling="stratified"), "got 'stratified', expected 'multinomial' or 'systematic'"),
        (lambda: particles_of(threshold=2.0), "threshold: got 2.0"),
        (particles_of, "at t = 1 no particle of path 1 has a weight above 0"),
    ],
)
def test_impossible_models_observations_and_options_are_refused_by_their_place(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def joint_normal(system, x):
    """ln p(x) and E[h_T | x] from the joint normal distribution of all hidden states and observations of a path."""
    T, d = len(x), len(system.initial_mean)
    mean, blocks = [system.initial_mean], [system.initial_covariance]
    for _ in range(T - 1):
        mean.append(system.transition @ mean[-1])
        blocks.append(system.transition @ blocks[-1] @ system.transition.T + system.state_noise)
    covariance = np.zeros((T, d, T, d))
    for t, s in itertools.product(range(T), repeat=2):
        first, power = min(t, s), np.linalg.matrix_power(system.transition, abs(t - s))
        covariance[t, :, s] = power @ blocks[first] if t >= s else blocks[first] @ power.T
    C, G = covariance.reshape(T * d, T * d), np.kron(np.eye(T), system.observation)
    S = G @ C @ G.T + np.kron(np.eye(T), system.observation_noise)
    error = x.ravel() - G @ np.concatenate(mean)
    log_p = -0.5 * (error @ np.linalg.solve(S, error) + np.linalg.slogdet(2 * np.pi * S)[1])
    return log_p, (np.concatenate(mean) + C @ G.T @ np.linalg.solve(S, error))[-d:]


def test_the_kalman_filter_is_conditioning_in_the_joint_normal_distribution(plane):
    x = plane.sample(3, 5, np.random.default_rng(5))[1]
    last = list(plane.forward(x))[-1]
    for n in range(3):
        log_p, mean = joint_normal(plane, x[n])
        np.testing.assert_allclose(plane.log_likelihood(x)[n], log_p, rtol=1e-10)
        np.testing.assert_allclose(last.mean[n], mean, atol=1e-10)


def log_estimates(space, x, count, copies, scheme="systematic", **more):
    """ln p_hat of `copies` independent particle filters on one path."""
    steps = particle_filter(space, np.repeat(x, copies, axis=0), count, np.random.default_rng(6), scheme, **more)
    return np.sum([step.log_norm for step in steps], axis=0)


@pytest.mark.parametrize("scheme", ["multinomial", "systematic"])
@pytest.mark.parametrize("threshold", [1.0, 0.5, 0.0])
def test_the_estimated_likelihood_is_unbiased_with_any_resampling(system, scheme, threshold):
    x = system.sample(1, 8, np.random.default_rng(7))[1]
    ratio = np.exp(
        log_estimates(LinearGaussianParticles(system), x, 32, 8000, scheme, threshold=threshold)
        - system.log_likelihood(x)
    )
    assert abs(ratio.mean() - 1) < 3 * ratio.std() / np.sqrt(len(ratio))


def test_the_gap_to_kalman_shrinks_as_one_over_the_number_of_particles(system):
    x = system.sample(1, 25, np.random.default_rng(8))[1]
    exact, space = system.log_likelihood(x), LinearGaussianParticles(system)
    gap = {n: (exact - log_estimates(space, x, n, 1000)).mean() for n in (16, 64, 256)}
    assert gap[16] > 2.5 * gap[64] > 0
    assert gap[64] > 2.5 * gap[256] > 0


def test_the_filtered_mean_goes_to_kalmans(plane):
    x = plane.sample(2, 10, np.random.default_rng(9))[1]
    found = [p.mean() for p in particle_filter(LinearGaussianParticles(plane), x, 20_000, np.random.default_rng(10))]
    np.testing.assert_allclose(found, [step.mean for step in plane.forward(x)], atol=0.05)


@pytest.fixture(scope="module")
def thousand():
    """Five hidden states as 1,000 particles see them: drawn, with the last state summed out, exact; [n, T, 5] each."""
    hmm = random_hmm(5, 10, np.random.default_rng(11))
    x = hmm.sample(1000, 8, np.random.default_rng(12))[1]
    space = HMMParticles(hmm)
    steps = list(particle_filter(space, x, 1000, np.random.default_rng(13)))
    drawn = np.stack([step.shares(5) for step in steps], axis=1)
    summed = np.stack([space.rao_blackwell(*each) for each in zip([None, *steps[:-1]], x.T, strict=True)], axis=1)
    return drawn, summed, hmm.filter(x).states


def test_a_thousand_particles_agree_with_the_forward_algorithm_but_for_near_ties(thousand):
    # Probabilities have a standard error near .01: of five states the two likeliest are often closer than that.
    drawn, _, exact = thousand
    ordered = np.sort(exact, axis=2)
    is_clear = ordered[..., -1] - ordered[..., -2] > 0.03
    agrees = drawn.argmax(axis=2) == exact.argmax(axis=2)
    assert is_clear.mean() > 0.8 and agrees[is_clear].mean() >= 0.98
    assert np.abs(drawn - exact).mean() < 0.012


def test_summing_out_the_last_state_brings_the_same_particles_closer_to_the_forward_algorithm(thousand):
    drawn, summed, exact = thousand
    np.testing.assert_allclose(summed[:, 0], exact[:, 0], atol=1e-12)
    assert np.abs(summed - exact).mean() < 0.5 * np.abs(drawn - exact).mean()
    assert (summed.argmax(axis=2) == exact.argmax(axis=2)).mean() >= 0.98


@pytest.mark.parametrize("scheme", ["multinomial", "systematic"])
def test_ancestors_come_in_proportion_to_the_weights(scheme):
    weights = np.tile([0.1, 0.0, 0.55, 0.35], (5000, 1))
    drawn = resample(weights, np.random.default_rng(15), scheme)
    shares = np.stack([(drawn == i).sum(axis=1) for i in range(4)], axis=1)
    np.testing.assert_allclose(shares.mean(axis=0), [0.4, 0.0, 2.2, 1.4], atol=0.06)
    if scheme == "systematic":
        assert (np.abs(shares - 4 * weights) < 1).all()


# ---- with hindsight, and estimated


def test_smoothed_states_and_likeliest_paths_are_those_of_hmmlearn(hmm, paths):
    other, (likeliest, log_p) = in_hmmlearn(hmm), viterbi(hmm, paths)
    smoothed = smooth(hmm, paths)
    for n, x in enumerate(paths):
        expected_log_p, expected = other.score_samples(x[:, None])
        np.testing.assert_allclose(smoothed.states[n], expected, atol=1e-10)
        np.testing.assert_allclose(smoothed.log_likelihood[n], expected_log_p, rtol=1e-12)
        expected_best, expected_path = other.decode(x[:, None])
        np.testing.assert_array_equal(likeliest[n], expected_path)
        np.testing.assert_allclose(log_p[n], expected_best, rtol=1e-12)


def test_the_likeliest_path_has_no_move_that_is_impossible():
    # By period the likeliest states are 0, 1 (.4, then .6), but nothing leads from 0 to 1.
    hmm = HMM([0.4, 0.3, 0.3], [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]], [[1.0], [1.0], [1.0]])
    path, log_p = viterbi(hmm, [[0, 0]])
    assert smooth(hmm, [[0, 0]]).states.argmax(axis=2).tolist() == [[0, 1]]
    assert path.tolist() == [[0, 2]] and np.exp(log_p[0]) == pytest.approx(0.4)


def test_five_iterations_of_baum_and_welch_are_those_of_hmmlearn(hmm):
    x = hmm.sample(50, 12, np.random.default_rng(3))[1]
    start = random_hmm(3, 4, np.random.default_rng(4))
    other = CategoricalHMM(n_components=3, n_features=4, n_iter=5, tol=-np.inf, init_params="")
    other.startprob_, other.transmat_, other.emissionprob_ = start.initial, start.transition, start.emission
    other.fit(x.reshape(-1, 1), [12] * 50)
    found = baum_welch(start, x, iterations=5, tolerance=-np.inf)
    for ours, theirs in (("initial", "startprob_"), ("transition", "transmat_"), ("emission", "emissionprob_")):
        np.testing.assert_allclose(getattr(found.hmm, ours), getattr(other, theirs), atol=1e-10)
    np.testing.assert_allclose(found.log_likelihoods[:5], other.monitor_.history, rtol=1e-12)


def test_an_estimate_is_at_least_as_likely_as_the_model_that_made_the_data(hmm):
    x = hmm.sample(400, 20, np.random.default_rng(5))[1]
    found = baum_welch(hmm, x, iterations=200, tolerance=1e-4)
    assert (np.diff(found.log_likelihoods) > -1e-9).all()
    assert found.log_likelihoods[0] == pytest.approx(hmm.filter(x).log_likelihood.sum())
    # Twice the gain is about chi-squared with 2 + 6 + 9 degrees of freedom: 40.8 is the 99.9th percentile.
    assert 0 < 2 * (found.log_likelihoods[-1] - found.log_likelihoods[0]) < 40.8


def test_a_kalman_filter_takes_as_many_shocks_as_an_economy_has():
    # One shock moves three states: Q = g g' has rank one, and an eigenvalue of -1.6e-16 where it is 0.
    g = np.array([[0.9], [0.7], [0.1]])
    system = LinearGaussian(np.zeros(3), 1e3 * g @ g.T, np.diag([0.9, 0.5, 0.2]), g @ g.T, [[1.0, 1.0, 0.0]], [[0.1]])
    assert np.linalg.eigvalsh(system.state_noise)[0] < 0
    x = system.sample(3, 6, np.random.default_rng(7))[1]
    for n in range(3):
        np.testing.assert_allclose(system.log_likelihood(x)[n], joint_normal(system, x[n])[0], rtol=1e-6)
    with pytest.raises(ValueError, match=r"state_noise: smallest eigenvalue -0\.01, expected a symmetric covariance"):
        LinearGaussian([0, 0], np.eye(2), np.eye(2), np.diag([1.0, -0.01]), [[1, 0]], [[1]])
