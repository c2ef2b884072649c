"""Simulated paths: keys, frequencies, burn-in, draws; chunks of an evaluation."""

import numpy as np
import pytest
import tensorflow as tf
from small import CHAIN, THREE, olg, rule_of, states_of
from test_expectation import RHO, SD, Point, Walk
from test_joint import Regimes

from deqn.equilibrium import Gaussian, MarkovChain, simulation
from deqn.equilibrium.evaluation import evaluate, map_chunks, simulated_states
from deqn.project.errors import UserError


@pytest.fixture(scope="module")
def rule():
    return rule_of(olg(*THREE))


def path_of(rule, periods, key=(3, 4), burn_in=0, tracks=6):
    state = states_of(rule.economy, tracks)

    simulate = tf.function(simulation.simulate)
    return simulate(rule.economy, rule.economy.shocks, rule, state, periods, tf.constant(key), burn_in)


def test_the_same_key_gives_the_same_path_and_another_key_another(rule):
    (one, _), (again, _), (other, _) = path_of(rule, 20), path_of(rule, 20), path_of(rule, 20, key=(3, 5))
    np.testing.assert_array_equal(one.capital, again.capital)
    np.testing.assert_array_equal(one.shock, again.shock)
    assert (one.shock.numpy() != other.shock.numpy()).any()


def test_a_path_begins_where_it_is_told_and_each_state_follows_from_the_one_before(rule):
    path, following = path_of(rule, 12)
    np.testing.assert_array_equal(path.capital[0], states_of(rule.economy, 6).capital)
    for t in range(12):
        now = tf.nest.map_structure(lambda x, t=t: x[t], path)
        after = following.capital if t == 11 else path.capital[t + 1]
        np.testing.assert_allclose(after[:, 1:], rule(now).savings, rtol=1e-12, atol=1e-15)
        np.testing.assert_array_equal(after[:, 0], 0.0)


def test_the_burn_in_drops_what_a_longer_path_shows(rule):
    (long, end), (short, same_end) = path_of(rule, 25), path_of(rule, 15, burn_in=10)
    np.testing.assert_allclose(short.capital, long.capital[10:], rtol=1e-13)
    np.testing.assert_array_equal(short.shock, long.shock[10:])
    np.testing.assert_allclose(same_end.capital, end.capital, rtol=1e-13)


def test_tracks_have_their_own_draws(rule):
    shock = path_of(rule, 40)[0].shock.numpy()
    assert all((shock[:, i] != shock[:, j]).any() for i in range(6) for j in range(i))


def test_transitions_have_the_frequencies_of_the_chain():
    chain = MarkovChain(CHAIN)
    state = olg(*THREE).State(tf.zeros([4000, 3]), tf.zeros([4000], tf.int32))
    count = np.zeros((4, 4))
    for t in range(100):
        following = chain.draw(state, tf.constant([5, t]))
        if t >= 50:  # independent of where all began: the second eigenvalue is .73
            np.add.at(count, (state.shock.numpy(), following.numpy()), 1)
        state = state._replace(shock=following)
    visits = count.sum(axis=1)
    # Transitions out of a state are independent draws; visits are correlated over time, so 5 sd of (1+.73)/(1-.73).
    sd = np.sqrt(CHAIN * (1 - CHAIN) / visits[:, None])
    assert (np.abs(count / visits[:, None] - CHAIN) < 5 * sd).all()
    share = np.array([0.25, 0.25, 0.02, 0.02]) / 0.54
    assert (np.abs(visits / visits.sum() - share) < 5 * np.sqrt(share * 6.4 / visits.sum())).all()


def test_a_draw_inverts_the_cumulative_probabilities():
    chain, rng = MarkovChain(CHAIN), np.random.default_rng(0)
    shock, uniform = rng.integers(0, 4, 500), rng.uniform(size=500)
    expected = [np.searchsorted(np.cumsum(CHAIN[z]), u, side="right") for z, u in zip(shock, uniform)]  # noqa: B905
    np.testing.assert_array_equal(chain.draw_from(tf.constant(shock), tf.constant(uniform)), expected)


def test_a_successor_of_probability_zero_is_never_drawn():
    chain = MarkovChain([[0.0, 1.0, 0.0], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0]])
    ends = tf.constant([0.0, np.nextafter(1.0, 0.0)], tf.float64)
    np.testing.assert_array_equal(chain.draw_from(tf.constant([0, 0]), ends), [1, 1])
    np.testing.assert_array_equal(chain.draw_from(tf.constant([2, 2]), ends), [0, 0])


def test_normal_innovations_are_standard_and_independent():
    draws = Gaussian(2).draw((tf.zeros([200_000, 1], tf.float64),), tf.constant([1, 2])).numpy()
    assert draws.shape == (200_000, 2)
    np.testing.assert_allclose(draws.mean(axis=0), 0, atol=5 / np.sqrt(200_000))
    np.testing.assert_allclose(np.cov(draws.T), np.eye(2), atol=5 * np.sqrt(2 / 200_000))


def test_an_evaluation_lists_the_tracks_one_after_the_other(rule):
    result = evaluate(rule, periods=30, burn_in=10, seed=1, tracks=3)
    np.testing.assert_array_equal(result.track, np.repeat([0, 1, 2], 20))
    within = result.track[1:] == result.track[:-1]
    np.testing.assert_allclose(result.state.capital[1:, 1:][within], result.policy.savings[:-1][within], rtol=1e-12)
    assert (np.abs(result.state.capital[1:, 1:] - result.policy.savings[:-1])[~within] > 1e-6).any(axis=1).all()


def test_paths_of_an_evaluation_start_at_the_first_initial_states(rule):
    state = simulated_states(rule, periods=3, burn_in=0, seed=9, tracks=2)
    first = rule.economy.initial_states(2, np.random.default_rng(0))
    np.testing.assert_allclose(state.capital[[0, 3]], first.capital, rtol=1e-15)
    np.testing.assert_array_equal(state.shock[[0, 3]], first.shock)


def test_initial_states_may_come_in_any_numeric_type(rule):
    economy = olg(*THREE)
    exact = economy.initial_states
    economy.initial_states = lambda count, generator: economy.State(
        exact(count, generator).capital.astype(np.float32), exact(count, generator).shock.astype(np.int64)
    )
    found = simulated_states(type(rule)(economy, rule.network, heads=True), 5, 0, seed=1, tracks=1)
    assert found.capital.dtype == np.float64
    np.testing.assert_allclose(found.capital, simulated_states(rule, 5, 0, seed=1, tracks=1).capital, rtol=1e-6)


@pytest.mark.parametrize("count", [1, 3, 999, 1024, 1025, 2500])
def test_chunks_do_not_show(count):
    x = np.random.default_rng(0).normal(size=(count, 2))
    total, pair = map_chunks(tf.function(lambda s: (s[0][:, 0] + s[0][:, 1], s[0] ** 2)), (x,))
    np.testing.assert_allclose(total, x.sum(axis=1), rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(pair, x**2, rtol=1e-14)


@pytest.mark.parametrize("burn_in", [10, 11, -1])
def test_a_burn_in_that_leaves_nothing_is_refused(rule, burn_in):
    with pytest.raises(UserError, match=rf"burn-in: got {burn_in} of 10 periods, expected fewer"):
        evaluate(rule, periods=10, burn_in=burn_in, seed=1)


# ---- given states and given shocks


def test_given_shocks_of_a_chain_lead_from_given_states_along_the_law_of_motion(rule):
    start = rows_of(rule, 2)
    shocks = np.array([[3, 0], [1, 1], [0, 2]])
    path = evaluate(rule, 4, 0, 0, start=start, shocks=shocks).state
    for track in range(2):
        k, z = np.asarray(start.capital)[track], int(start.shock[track])
        for t in range(4):
            row = 4 * track + t
            np.testing.assert_allclose(path.capital[row], k, rtol=1e-12)
            assert path.shock[row] == z
            now = rule.economy.tensors(rule.economy.State(k[None], np.array([z])))
            k, z = np.append(0.0, rule(now).savings[0]), shocks[t, track] if t < 3 else None


def rows_of(rule, count):
    return tf.nest.map_structure(lambda x: x.numpy(), states_of(rule.economy, count))


def test_given_normal_shocks_have_their_closed_form_and_one_path_of_them_serves_all_tracks():
    rule = rule_of(Walk(), heads=False)
    shocks, start = np.random.default_rng(3).normal(size=(5, 2)), Point(np.array([[1.0, 0.0], [0.0, -1.0]]))
    path = evaluate(rule, 6, 0, 0, start=start, shocks=shocks).state.logs.reshape(2, 6, 2)
    for t in range(6):
        summed = sum(RHO ** (t - 1 - s) * SD * shocks[s] for s in range(t))
        np.testing.assert_allclose(path[:, t], RHO**t * start.logs + summed, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("shocks", "words"),
    [
        (np.zeros(5), r"shocks have shape \[5\], expected \[3\] or \[3, 2\]: of 4 periods, each but the last"),
        ([0, 4, 0], r"shocks hold 4, expected whole numbers from 0 to 3 \(arrays count from 0\)"),
        ([0, 0.5, 0], r"shocks hold 0.5, expected whole numbers from 0 to 3"),
        (["a", 0, 0], "shocks are no array of numbers"),
    ],
)
def test_shocks_that_do_not_fit_are_refused(rule, shocks, words):
    with pytest.raises(UserError, match=words):
        evaluate(rule, 4, 0, 0, start=rows_of(rule, 2), shocks=shocks)


def test_shocks_of_a_joint_process_are_given_by_name():
    rule = rule_of(Regimes())
    start = rows_of(rule, 1)
    given = {"z": [1, 0], "e": [[0.5], [-1.0]]}
    path = evaluate(rule, 3, 0, 0, start=start, shocks=given).state
    np.testing.assert_array_equal(path.shock, [start.shock[0], 1, 0])
    np.testing.assert_allclose(path.x[1:], [0.8 * start.x[0] + 0.025, 0.64 * start.x[0] + 0.02 - 0.05], rtol=1e-12)
    with pytest.raises(UserError, match="shocks: got z, expected an array by name for each of e, z"):
        evaluate(rule, 3, 0, 0, start=start, shocks={"z": [1, 0]})
