"""The synthetic sequences satisfy their recurrences, and the ideal observer sums over all that may be."""

import itertools

import numpy as np
import pytest
from problems import module

synthetic = module("vhrnn", "synthetic")
LEVELS = synthetic.LEVELS
PERIODS = 40


@pytest.fixture(scope="module")
def matrices():
    generator = np.random.default_rng(0)
    return synthetic.random_matrices((0.55, 1.1), generator), synthetic.random_matrices((0.55, 1.1), generator)


def made(name, matrices, count=60, periods=PERIODS):
    return synthetic.setting(name, count, periods, *matrices, np.random.default_rng(1))


def changes(sigma):
    return (np.diff(sigma, axis=1) != 0).sum(axis=1)


def in_set(W, matrices):
    return np.abs(W[:, None] - matrices[None]).max(axis=(2, 3)).min(axis=1) == 0


def test_matrices_have_the_spectral_radii_asked_for(matrices):
    for each in matrices:
        radius = np.abs(np.linalg.eigvals(each)).max(axis=1)
        assert each.shape == (10, 2, 2) and radius.min() >= 0.55 and radius.max() <= 1.1
    with pytest.raises(ValueError, match=r"radius: got \[1.1, 0.5\], expected 0 < lowest <= highest"):
        synthetic.random_matrices((1.1, 0.5), np.random.default_rng(0))


def test_noise_changes_exactly_twice_and_takes_all_levels_alike(matrices):
    sequences = made("test", matrices, count=3000)
    assert (changes(sequences.sigma) == 2).all()
    for level in LEVELS:
        assert abs((sequences.sigma == level).mean() - 1 / 3) < 0.02
    where = np.argwhere(np.diff(sequences.sigma, axis=1) != 0)[:, 1]
    assert np.bincount(where, minlength=PERIODS - 1).min() > 100  # of 154 expected in each period


def test_the_errors_of_the_recurrence_are_the_noise(matrices):
    x, W, sigma = made("test", matrices, count=2000)
    eps = (x[:, 1:] - np.einsum("ntij,ntj->nti", W[:, 1:], x[:, :-1])) / sigma[:, 1:, None]
    assert abs(eps.mean()) < 0.01 and abs(eps.std() - 1) < 0.01
    assert np.abs(x[:, 0]).max() <= 1 and in_set(W[:, 0], matrices[0]).all()


@pytest.mark.parametrize("name", ["noiseless", "long", "zero_shot"])
def test_without_noise_the_recurrence_holds_exactly(matrices, name):
    x, W, sigma = made(name, matrices)
    np.testing.assert_array_equal(x[:, 1:], np.einsum("ntij,ntj->nti", W[:, 1:], x[:, :-1]))
    assert not sigma.any() and x.shape[1] == (2 * PERIODS if name == "long" else PERIODS)
    assert in_set(W[:, 0], matrices[name == "zero_shot"]).all()


def test_switch_joins_three_noiseless_sequences(matrices):
    x, W, _ = made("switch", matrices)
    assert x.shape[1] == 3 * PERIODS
    for piece, V in zip(np.split(x, 3, axis=1), np.split(W, 3, axis=1), strict=True):
        np.testing.assert_array_equal(piece[:, 1:], np.einsum("ntij,ntj->nti", V[:, 1:], piece[:, :-1]))


def test_rand_is_a_random_walk_whose_noise_changes_at_most_three_times(matrices):
    x, _, sigma = made("rand", matrices, count=2000)
    steps = (x[:, 1:] - x[:, :-1]) / sigma[:, 1:, None]
    assert set(changes(sigma)) == {0, 1, 2, 3}
    assert abs(steps.std() - 1) < 0.01


def test_add_moves_by_the_same_step(matrices):
    x = made("add", matrices).x
    steps = np.diff(x, axis=1)
    np.testing.assert_allclose(steps, np.broadcast_to(steps[:, :1], steps.shape), atol=1e-12)
    assert x[:, 0].min() >= 0 and x[:, 0].max() <= 1 and steps.min() >= 0 and steps.max() <= 1


def test_someone_told_everything_has_minus_2_838_nats_a_step_on_average(matrices):
    sequences = made("test", matrices, count=3000)
    found = (synthetic.oracle_log_likelihood(sequences) + 2 * np.log(2)) / (PERIODS - 1)
    assert abs(found.mean() - (-np.log(2 * np.pi) - 1 - 2 * np.mean(np.log(LEVELS)))) < 0.03


def test_the_ideal_observers_likelihood_is_the_sum_over_matrices_and_paths_of_the_noise(matrices):
    periods, few = 5, matrices[0][:2]
    x = synthetic.training_sequences(3, periods, few, np.random.default_rng(2)).x
    paths = [s for s in itertools.product(LEVELS, repeat=periods) if np.count_nonzero(np.diff(s)) == 2]
    assert len(paths) == 3 * 6 * 4  # first level, places of two changes, where each leads
    total = np.zeros(3)
    for W, path in itertools.product(few, paths):
        sequences = synthetic.Sequences(x, np.broadcast_to(W, (3, periods, 2, 2)), np.tile(path, (3, 1)))
        total += np.exp(synthetic.oracle_log_likelihood(sequences)) / len(few) / len(paths)
    np.testing.assert_allclose(synthetic.exact_log_likelihood(x, few), np.log(total), rtol=1e-10)


def test_an_ideal_observer_has_no_more_than_someone_told_everything(matrices):
    sequences = made("test", matrices, count=500)
    gap = synthetic.oracle_log_likelihood(sequences) - synthetic.exact_log_likelihood(sequences.x, matrices[0])
    assert gap.mean() > 3 * gap.std() / np.sqrt(len(gap))
    assert np.isfinite(gap).all()


def test_seeds_are_disjoint_and_equal_seeds_equal(matrices):
    one, same, other = (
        synthetic.training_sequences(20, PERIODS, matrices[0], np.random.default_rng(seed)).x for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.isin(one.ravel(), other.ravel()).any()


def test_impossible_sequences_are_refused(matrices):
    with pytest.raises(ValueError, match="name: got 'noise', expected one of test, noiseless"):
        made("noise", matrices)
    with pytest.raises(ValueError, match="periods: got 2, expected more than the 2 changes"):
        made("test", matrices, periods=2)
    with pytest.raises(ValueError, match="sigma is 0, expected noise"):
        synthetic.oracle_log_likelihood(made("noiseless", matrices))
