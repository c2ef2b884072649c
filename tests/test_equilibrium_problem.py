"""The loss of an equilibrium, its gradient, and which states it is taken at."""

import numpy as np
import pytest
import tensorflow as tf
from small import CHAIN, THREE, TINY, file_of, randomize

from deqn.project.errors import UserError
from deqn.tasks.build import build_problem

KEY = tf.constant([7, 1])


def problem_of(*overrides, scale=0.1):
    """The three-cohort economy's problem in float64 with a small random perceptron, target equal to it."""
    small = ["precision=float64", "network.kind=mlp", "network.hidden=[4]", "network.own=false", "sampling.tracks=8"]
    problem = build_problem(file_of(TINY, *THREE, *small, *overrides))
    randomize(problem.network, scale)
    problem.copy_to_target()
    return problem


def carry_of(problem):
    """Tracks some periods into a simulation, so that states differ and shocks are of every kind."""
    carry = problem.start(KEY)
    shock = tf.range(len(carry.now.shock)) % 4
    return carry._replace(now=carry.now._replace(shock=shock))


def loss_of(problem, carry=None, key=KEY):
    return problem.losses((), carry or carry_of(problem), key).minimize["policy"]


def gradient_of(problem):
    carry, weights = carry_of(problem), problem.trainable["policy"]
    with tf.GradientTape() as tape:
        loss = loss_of(problem, carry)
    return [np.asarray(each) for each in tape.gradient(loss, list(weights))]


def differences_of(problem, count=12, step=1e-5):
    """(weight, entry, central difference of the loss) at entries spread over all weights."""
    carry, rng = carry_of(problem), np.random.default_rng(0)
    for number in rng.integers(0, len(problem.trainable["policy"]), count):
        weight = problem.trainable["policy"][number]
        value, entry = np.array(weight), tuple(rng.integers(0, weight.shape))
        losses = []
        for sign in (1, -1):
            moved = value.copy()
            moved[entry] += sign * step
            weight.assign(moved)
            losses.append(float(loss_of(problem, carry)))
        weight.assign(value)
        yield number, entry, (losses[0] - losses[1]) / (2 * step)


def test_the_loss_is_the_mean_of_squared_residuals_at_the_tracks():
    problem = problem_of("sampling.every_shock=false", "next_period.gradient=full")
    carry = carry_of(problem)
    state, economy = carry.now, problem.economy
    policy = problem.policy_rule(state)
    value = np.zeros((8, 2))
    for z in range(4):
        capital = np.pad(policy.savings, [(0, 0), (1, 0)])
        following = economy.State(tf.constant(capital), tf.fill([8], z))
        r = 0.3 * [0.85, 1.15][z % 2] * (capital.sum(1) / 2.5) ** -0.7 + [0.5, 0.5, 0.1, 0.1][z]
        c = problem.policy_rule(following).consumption.numpy()[:, 1:]
        value += 0.5987369 * CHAIN[state.shock, z][:, None] * r[:, None] * c**-2.0
    expected = np.mean((value**-0.5 / policy.unconstrained.numpy() - 1) ** 2)
    assert float(loss_of(problem, carry)) == pytest.approx(expected, rel=1e-12)


def test_the_loss_has_every_shock_weighted_by_a_power_of_its_frequency():
    problem = problem_of("sampling.shock_weight=0.5")
    carry, residuals = carry_of(problem), []
    for z in range(4):
        state = carry.now._replace(shock=tf.fill([8], z))
        policy = problem.policy_rule(state)
        E = problem.policy_rule.expectation(state, policy)
        residuals.append(np.mean(problem.economy.residuals(state, policy, E)["euler"].numpy() ** 2))
    weight = np.sqrt(np.array([0.25, 0.25, 0.02, 0.02]) / 0.54)
    assert float(loss_of(problem, carry)) == pytest.approx(np.average(residuals, weights=weight), rel=1e-12)


def test_a_condition_counts_as_much_as_its_weight_says():
    plain, weighted = problem_of(), problem_of("weights.euler=3.0")
    assert float(loss_of(weighted)) == pytest.approx(3 * float(loss_of(plain)), rel=1e-12)


@pytest.mark.parametrize("gradient", ["full", "held"])
def test_the_full_gradient_is_the_derivative_of_the_loss_and_the_held_one_with_the_copy_fixed(gradient):
    problem = problem_of(f"next_period.gradient={gradient}")
    gradient = gradient_of(problem)
    for number, entry, difference in differences_of(problem):
        assert gradient[number][entry] == pytest.approx(difference, rel=1e-5, abs=1e-8)


def test_the_frozen_gradient_holds_the_euler_target_fixed():
    problem, full = problem_of(), problem_of("next_period.gradient=full")
    carry, economy = carry_of(problem), problem.economy
    state, policy = problem.policy_rule.under_every_shock(carry.now)
    target = tf.constant(
        economy.u_prime_inverse(economy.euler_value(problem.policy_rule.expectation(state, policy))).numpy()
    )
    weight = np.repeat(np.sqrt([0.25, 0.25, 0.02, 0.02]), 8)[:, None] / np.sqrt([0.25, 0.02]).mean()
    with tf.GradientTape() as tape:
        unconstrained = problem.policy_rule.under_every_shock(carry.now)[1].unconstrained
        by_hand = tf.reduce_mean(weight * (target / unconstrained - 1) ** 2)
    expected = tape.gradient(by_hand, list(problem.trainable["policy"]))
    found = gradient_of(problem)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-14)
    assert float(loss_of(problem)) == pytest.approx(float(loss_of(full)), rel=1e-12)  # the value is the same
    assert any(np.abs(one - other).max() > 1e-4 for one, other in zip(found, gradient_of(full), strict=True))


@pytest.mark.parametrize("gradient", ["frozen", "held"])
def test_frozen_and_held_ask_the_averaged_copy_about_the_next_period(gradient):
    problem = problem_of(f"next_period.gradient={gradient}")
    before = float(loss_of(problem))
    randomize(problem.target, scale=0.1, seed=5)
    assert abs(float(loss_of(problem)) / before - 1) > 1e-3
    problem.copy_to_target()
    assert float(loss_of(problem)) == before


def test_after_an_update_the_copy_keeps_its_share_and_takes_the_rest():
    problem = problem_of("next_period.average=0.9")
    old = [np.array(weight) for weight in problem.target.trainable_variables]
    randomize(problem.network, seed=3)
    problem.after_update()
    for kept, target, live in zip(old, problem.target.trainable_variables, problem.trainable["policy"], strict=True):
        np.testing.assert_allclose(target, 0.9 * kept + 0.1 * np.array(live), rtol=1e-14)


@pytest.mark.parametrize("heads", ["shock", "none"])
def test_the_order_of_the_tracks_does_not_matter(heads):
    problem = problem_of(f"network.heads={heads}", "sampling.every_shock=false")
    carry = carry_of(problem)
    order = np.random.default_rng(0).permutation(8)
    permuted = carry._replace(now=tf.nest.map_structure(lambda x: tf.gather(x, order), carry.now))
    one, other = (problem.losses((), each, KEY) for each in (carry, permuted))
    np.testing.assert_allclose(other.detail["euler"], one.detail["euler"].numpy()[order], rtol=1e-11, atol=1e-15)
    assert float(other.minimize["policy"]) == pytest.approx(float(one.minimize["policy"]), rel=1e-13)


def test_the_tracks_move_on_by_the_policy_and_the_loss_sees_where_they_were():
    problem = problem_of("sampling.resets=0.0")
    carry = carry_of(problem)
    after = problem.losses((), carry, KEY).carry
    np.testing.assert_array_equal(after.episode.capital, carry.now.capital)
    np.testing.assert_allclose(after.now.capital[:, 1:], problem.policy_rule(carry.now).savings, rtol=1e-13)


def test_the_sampling_chain_draws_and_the_true_chain_is_expected():
    always_last = "sampling.chain=[[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1]]"
    tilted, true = (problem_of("sampling.every_shock=false", *extra) for extra in ([always_last], []))
    carry = carry_of(true)
    one, other = (problem.losses((), carry, KEY) for problem in (tilted, true))
    np.testing.assert_array_equal(one.carry.now.shock, 3)
    assert (other.carry.now.shock.numpy() != 3).any()
    np.testing.assert_array_equal(one.detail["euler"], other.detail["euler"])


def test_an_episode_of_several_periods_holds_the_path_and_visits_each_state_once_an_epoch():
    problem = problem_of(
        "sampling.periods=3", "sampling.minibatch=6", "sampling.epochs=2", "sampling.every_shock=false"
    )
    carry, seen = carry_of(problem), []
    start = carry.now.capital.numpy()
    for update in range(8):
        key = tf.constant([7, update])
        carry = problem.losses((), carry, key).carry
        seen.append(problem.sampler.states_of_update(carry._replace(position=carry.position - 1)).capital.numpy())
        episode = carry.episode.capital.numpy()
    np.testing.assert_array_equal(episode[:8], start)
    for epoch in (seen[:4], seen[4:]):
        np.testing.assert_array_equal(np.unique(np.concatenate(epoch), axis=0), np.unique(episode, axis=0))
    assert (np.concatenate(seen[:4]) != np.concatenate(seen[4:])).any()  # in another order
    renewed = problem.losses((), carry, KEY).carry
    np.testing.assert_array_equal(renewed.episode.capital[:8], carry.now.capital)


def test_tracks_that_left_are_reset_to_the_pool_and_counted():
    problem = problem_of("sampling.resets=0.0")
    carry = carry_of(problem)
    mass = np.ones((8, 1))
    mass[:3] = 300.0  # aggregate capital of three tracks is beyond any reason
    carry = carry._replace(now=carry.now._replace(capital=carry.now.capital * mass))
    after = problem.losses((), carry, KEY).carry
    np.testing.assert_array_equal(after.resets, [3, 0])
    pool = {tuple(row) for row in after.pool.capital.numpy()}
    assert [tuple(row) in pool for row in after.now.capital.numpy()] == [True] * 3 + [False] * 5


def test_tracks_are_reset_at_random_as_often_as_asked_and_counted():
    problem = problem_of("sampling.resets=0.2", "sampling.tracks=4000")
    after = problem.losses((), problem.start(KEY), KEY).carry
    pool = {tuple(row) for row in after.pool.capital.numpy()}
    reset = sum(tuple(row) in pool for row in after.now.capital.numpy())
    assert int(after.resets[1]) == reset
    assert abs(reset - 800) < 5 * np.sqrt(4000 * 0.2 * 0.8)
    problem = problem_of("sampling.resets=0.0", "sampling.tracks=4000")
    np.testing.assert_array_equal(problem.losses((), problem.start(KEY), KEY).carry.resets, [0, 0])


def test_validation_is_the_same_twice_and_sees_the_present_weights():
    problem = problem_of("validation.tracks=4", "validation.periods=5", "validation.burn_in=3")
    first = problem.validate()
    assert problem.validate() == first
    assert 0 < first["euler.mean"] < first["euler.p99.9"] <= first["euler.max"]
    randomize(problem.network, seed=3)
    assert problem.validate() != first


def test_the_rule_is_that_of_the_present_weights_in_float64():
    problem = problem_of("precision=float32")
    rule, state = problem.rule(), carry_of(problem).now
    exact = state._replace(capital=tf.cast(state.capital, tf.float64))
    assert rule.economy.dtype == "float64"
    np.testing.assert_allclose(rule(exact).consumption, problem.policy_rule(state).consumption, rtol=1e-5)


def test_results_are_tables_and_arrays_of_the_files_evaluation():
    results = problem_of("evaluation.periods=30", "evaluation.burn_in=10").results()
    assert results.headline.startswith("relative Euler error mean ")
    assert set(results.tables) == {"errors", "moments", "by_age", "implied"} and set(results.archives) == {
        "simulation",
        "implied",
    }
    assert results.archives["simulation"]["a_next"].shape == (20, 4, 2)
    assert results.description["shares_of_active_guards"].keys() == {
        "consumption_floor", "unconstrained_floor", "capital_floor"
    }  # fmt: skip
    assert results.notes[0] == "measured on one path of 30 periods, the first 10 dropped, seed 1"
    assert any(note.startswith("share of entries at a constraint: multiplier above 0 ") for note in results.notes)


def test_what_begins_with_another_runs_networks_takes_its_pool_and_copies_its_policy():
    problem, other = problem_of(), problem_of("seed=5")
    randomize(problem.network, seed=3)
    problem.start_from(other.host_state())
    np.testing.assert_array_equal(problem.pool.capital, other.pool.capital)
    for target, live in zip(problem.target.weights, problem.network.weights, strict=True):
        np.testing.assert_array_equal(target, live)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("network.heads=none", r"sampling.every_shock: needs network.heads: shock, got none"),
        ("network.components=59", r"network\.components: got 59, expected at most the 7 inputs there are"),
    ],
)
def test_settings_that_do_not_fit_the_economy_are_refused(override, message):
    with pytest.raises(UserError, match=message):
        build_problem(file_of(TINY, override))


def test_states_of_a_checkpoint_whose_fields_have_changed_are_refused():
    problem = build_problem(file_of(TINY))
    with pytest.raises(UserError, match="states are made of capital, tfp, those of the economy of capital, shock"):
        problem.restore({"capital": np.zeros((3, 6)), "tfp": np.zeros(3)})
