"""The overlapping-generations economy against hand computation, accounting identities and SciPy."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import fsolve
from small import THREE, TINY, constant, economy_of, file_of, olg, randomize, rows, rule_of, states_of

from deqn.equilibrium.expectation import Expectation
from deqn.project.errors import UserError
from deqn.tasks.build import build_problem
from deqn.training.trainer import Trainer

TWO = ["parameters.cohorts=2", "parameters.labour=[0.7, 0.3]", "parameters.discount_factor=0.5"]
TFP, DELTA = [0.85, 1.15, 0.85, 1.15], [0.5, 0.5, 0.9, 0.9]


# ---- two cohorts by hand


def two_cohorts(wanted, *overrides):
    """Two cohorts, k = (0, .4), shock 2 of 4, where the young want to consume `wanted`: (prices, policy, errors)."""
    economy = olg(*TWO, *overrides)
    state = economy.State(tf.constant([[0.0, 0.4]], tf.float64), tf.constant([1]))
    # r and w at K = .4, L = 1 are worked out in the tests; here only the network's output that asks for `wanted`.
    default = constant(economy, 0.0)([state])[0].unconstrained
    policy = economy.policy(wanted / default - 1, state)
    E = Expectation(economy, state, policy, constant(economy, 0.0))  # only the old count tomorrow, who decide nothing
    return tf.concat(economy.prices(state), 1), policy, economy.errors(state, policy, E)


def by_hand(c):
    """The young's budget and Euler equation when they consume c; tomorrow's old consume all they have."""
    r = 0.3 * 1.15 * 0.4**-0.7 + 0.5
    w = 0.7 * 1.15 * 0.4**0.3
    a = 0.7 * w - c
    value = 0.0
    for probability, tfp, depreciation in zip([0.49, 0.49, 0.01, 0.01], TFP, DELTA, strict=True):
        r_next = 0.3 * tfp * a**-0.7 + 1 - depreciation
        w_next = 0.7 * tfp * a**0.3
        value += 0.5 * probability * r_next / (r_next * a + 0.3 * w_next) ** 2
    return r, w, a, value


def test_prices_and_budgets_of_two_cohorts_are_those_worked_out_by_hand():
    prices, policy, _ = two_cohorts(0.25)
    r, w, a, _ = by_hand(0.25)
    np.testing.assert_allclose(prices, [[r, w]], rtol=1e-14)
    np.testing.assert_allclose([r, w], [1.15519, 0.61154], rtol=1e-4)  # on paper
    np.testing.assert_allclose(policy.consumption, [[0.25, r * 0.4 + 0.3 * w]], rtol=1e-14)
    np.testing.assert_allclose(policy.savings, [[a]], rtol=1e-14)


def test_errors_of_two_cohorts_who_are_free_to_save_are_those_worked_out_by_hand():
    _, policy, errors = two_cohorts(0.25)
    _, _, a, value = by_hand(0.25)
    euler = value**-0.5 / 0.25 - 1
    np.testing.assert_allclose(errors["euler"], [[euler]], rtol=1e-12)
    np.testing.assert_allclose(errors["optimality"], [[min(euler, a / 0.25)]], rtol=1e-12)
    assert float(policy.multiplier[0, 0]) == float(errors["kkt"][0, 0]) == 0.0


def test_the_multiplier_of_two_cohorts_at_the_borrowing_limit_is_the_one_worked_out_by_hand():
    _, policy, _ = two_cohorts(0.9, "parameters.borrowing_limit=-0.1")  # would like .9, has .7 w + .1
    cash = 0.7 * 0.7 * 1.15 * 0.4**0.3 + 0.1
    np.testing.assert_allclose(policy.consumption[0, 0], cash, rtol=1e-14)
    np.testing.assert_allclose(policy.savings, [[-0.1]], rtol=1e-14)
    np.testing.assert_allclose(policy.multiplier, [[cash**-2 - 0.9**-2]], rtol=1e-12)


def test_the_error_without_a_multiplier_excuses_a_binding_household_only_if_it_wants_to_borrow():
    economy = olg(*THREE)
    state = states_of(economy, 1)
    policy = rule_of(economy)(state)
    binding = policy._replace(savings=tf.zeros([1, 2], tf.float64))
    for value, expected in ((1e-4, 0.0), (1e4, 1e4**-0.5 / policy.consumption.numpy()[:, :2] - 1)):
        E = lambda f, value=value: tf.fill([1, 2], tf.constant(value / 0.5987369, tf.float64))  # noqa: E731
        np.testing.assert_allclose(economy.errors(state, binding, E)["optimality"], np.broadcast_to(expected, (1, 2)))


# ---- identities at random states


@pytest.fixture(scope="module", params=[0.0, -0.3])
def drawn(request):
    """(economy, states, policies) of six cohorts under a random rule that makes many of them want to borrow."""
    economy = olg(f"parameters.borrowing_limit={request.param}")
    rule, state = rule_of(economy, scale=2.0), states_of(economy, 300)
    return economy, state, rule(state)


def test_every_budget_and_the_goods_market_clear(drawn):
    economy, state, policy = drawn
    k, c = state.capital.numpy(), policy.consumption.numpy()
    a = np.pad(policy.savings, [(0, 0), (0, 1)])
    K, L, labour = k.sum(1), 6.545, np.array([0.78, 1.18, 1.4, 1.4, 1.085, 0.7])
    tfp, delta = np.take(TFP, state.shock), np.take(DELTA, state.shock)
    Y = tfp * K**0.3 * L**0.7
    r, w = 0.3 * Y / K + 1 - delta, 0.7 * Y / L
    affordable = (r[:, None] * k + w[:, None] * labour)[:, -1] > 1e-5
    np.testing.assert_allclose((c + a)[affordable], (r[:, None] * k + w[:, None] * labour)[affordable], rtol=1e-13)
    np.testing.assert_allclose((c + a).sum(1)[affordable], (Y + (1 - delta) * K)[affordable], rtol=1e-13)
    defined = economy.definitions(state, policy)
    np.testing.assert_allclose(defined["Y"], Y, rtol=1e-13)
    np.testing.assert_allclose(defined["C"] + defined["I"], Y, rtol=1e-12)
    assert affordable.mean() > 0.9


def test_the_newborn_hold_nothing_and_savings_are_carried_to_the_next_age(drawn):
    economy, state, policy = drawn
    following = economy.transition(state, policy, state.shock)
    np.testing.assert_array_equal(following.capital[:, 0], 0.0)
    np.testing.assert_array_equal(following.capital[:, 1:], policy.savings)


def test_the_borrowing_limit_holds_and_one_of_multiplier_and_slack_is_zero(drawn):
    economy, _, policy = drawn
    slack, multiplier = policy.savings.numpy() - economy.p.borrowing_limit, policy.multiplier.numpy()
    binding = multiplier > 0
    assert 0.1 < binding.mean() < 0.9
    assert (multiplier >= 0).all()
    np.testing.assert_allclose(slack[binding], 0.0, atol=1e-16 if economy.p.borrowing_limit == 0 else 1e-15)
    assert (slack[~binding] >= 0).all()
    if economy.p.borrowing_limit == 0:  # then to the last bit
        np.testing.assert_array_equal(multiplier * policy.savings, 0.0)


def test_the_multiplier_is_the_gap_of_marginal_utilities_at_the_limit(drawn):
    _, _, policy = drawn
    c, wanted = policy.consumption.numpy()[:, :-1], policy.unconstrained.numpy()
    np.testing.assert_array_equal(c, np.minimum(c, wanted))
    np.testing.assert_allclose(policy.multiplier, c**-2.0 - wanted**-2.0, rtol=1e-9, atol=1e-12)


def test_no_cohort_sees_another_beyond_prices_but_through_the_network():
    economy = olg()
    state = states_of(economy, 4)
    output = tf.constant(np.random.default_rng(0).normal(0, 0.1, (4, 5)))
    swapped = state._replace(capital=tf.gather(state.capital, [0, 2, 1, 3, 4, 5], axis=1))
    one, other = economy.policy(output, state), economy.policy(output, swapped)
    np.testing.assert_allclose(one.consumption[:, 3:], other.consumption[:, 3:], rtol=1e-14)


# ---- the steady state

ONE_SHOCK = ["parameters.transition=[[1.0]]", "parameters.tfp=[1.0]", "parameters.depreciation=[0.5]"]
LABOUR = np.array([0.78, 1.18, 1.4, 1.4, 1.085, 0.7])


def life_cycle_by_scipy(labour=LABOUR):
    """Savings of six cohorts in the steady state with TFP 1 and depreciation .5: five Euler equations at once."""

    def euler(a):
        k = np.concatenate([[0.0], a])
        r = 0.3 * (k.sum() / labour.sum()) ** -0.7 + 0.5
        w = 0.7 * (k.sum() / labour.sum()) ** 0.3
        c = r * k + w * labour - np.append(a, 0.0)
        return 0.5987369 * r * (c[:-1] / c[1:]) ** 2 - 1

    a, _, status, message = fsolve(euler, [0.05, 0.1, 0.15, 0.15, 0.1], full_output=True, xtol=1e-13)
    assert status == 1, message
    return a


def test_the_steady_state_is_the_one_that_scipy_finds_from_the_euler_equations():
    steady = olg(*ONE_SHOCK, "parameters.borrowing_limit=-5").steady
    np.testing.assert_allclose(steady.capital, np.concatenate([[0.0], life_cycle_by_scipy()]), rtol=1e-8, atol=1e-12)


def test_a_household_that_expects_steady_prices_for_ever_solves_its_euler_equations():
    economy = olg(*ONE_SHOCK, "parameters.borrowing_limit=-5")
    state = economy.tensors(economy.State(economy.steady.capital[None], np.zeros(1, int)))
    (policy,) = constant(economy, 0.0)([state])
    E = Expectation(economy, state, policy, constant(economy, 0.0))
    euler = economy.errors(state, policy, E)["euler"]
    np.testing.assert_allclose(euler, 0.0, atol=1e-10)
    np.testing.assert_allclose(policy.savings[0], economy.steady.capital[1:], rtol=1e-9, atol=1e-12)


def test_sixty_cohorts_have_a_steady_state_that_closes_the_capital_market():
    economy = economy_of(TINY.with_name("benchmark60.yaml"))
    capital, c = economy.steady.capital, economy.steady.consumption
    K, labour = capital.sum(), economy.labour
    by_hand = 21 * (0.6 + 1.4) / 2 + 20 * 1.4 + 10 * (1.33 + 0.7) / 2 + 9 * 0.7  # ages 21-41, 42-61, 62-71, 72-80
    assert labour.sum() == pytest.approx(by_hand, rel=1e-12)
    eta, delta = 1.0, (0.5 * 0.25 + 0.9 * 0.02) / 0.27
    r = 0.3 * eta * (K / labour.sum()) ** -0.7 + 1 - delta
    w = 0.7 * eta * (K / labour.sum()) ** 0.3
    np.testing.assert_allclose(c + np.append(capital[1:], 0.0), r * capital + w * labour, rtol=1e-9)
    np.testing.assert_allclose(c[1:] / c[:-1], (0.95 * r) ** 0.5, rtol=1e-9)


@pytest.mark.slow
def test_a_network_trained_without_shocks_settles_where_scipy_does():
    declining = "parameters.labour=[1.4, 1.4, 1.2, 1.0, 0.8, 0.7]"  # all cohorts save: the limit does not bind
    settings = [*ONE_SHOCK, declining, "sampling.every_shock=false", "sampling.resets=0.05", "precision=float64"]
    experiment = file_of(TINY, *settings, "phases.0.updates=1500")
    problem = build_problem(experiment)
    randomize(problem.network, seed=4)  # an output of zero, where this network begins, would be the answer
    problem.copy_to_target()
    outcome = Trainer(problem, experiment.settings).train()
    assert outcome.initial["optimality.mean"] > 0.01
    capital = 1.2 * problem.economy.steady.capital[None]
    for _ in range(60):
        state = problem.economy.State(tf.constant(capital), tf.constant([0]))
        capital = np.pad(problem.policy_rule(state).savings, [(0, 0), (1, 0)])
    expected = life_cycle_by_scipy(np.array([1.4, 1.4, 1.2, 1.0, 0.8, 0.7]))
    assert expected.min() > 0
    np.testing.assert_allclose(capital[0, 1:], expected, rtol=1e-3)


# ---- parameters a user may get wrong


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("parameters.labour=[0, 0, 0, 0, 0, 0]", "labour: .* not all 0"),
        ("parameters.tfp=[1.0]", "tfp: got 1 values, expected 4, one a shock"),
        ("parameters.tfp=[1, 1, 1, 0]", "tfp: .* above 0"),
        ("parameters.depreciation=[0.5, 0.5, 0.9, 1.9]", "depreciation: .* from 0 to 1"),
        ("parameters.borrowing_limit=0.1", "borrowing_limit"),
        ("parameters.labour={knots: [[40, 1.0], [21, 0.5]]}", "increasing ages"),
    ],
)
def test_parameters_out_of_range_are_refused_in_one_line(override, message):
    with pytest.raises(UserError, match=message) as error:
        olg(override)
    assert "\n" not in str(error.value)


def test_labour_is_linear_between_knots():
    knots = "parameters.labour={knots: [[21, 0.6], [41, 1.4], [71, 0.8]]}"
    np.testing.assert_allclose(olg(knots).labour, [0.6, 1.0, 1.4, 1.2, 1.0, 0.8], rtol=1e-14)


def test_residuals_do_not_depend_on_which_states_are_evaluated_together():
    economy = olg(*THREE)
    rule, state = rule_of(economy), states_of(economy, 8)
    policy = rule(state)
    together = economy.residuals(state, policy, rule.expectation(state, policy))["euler"]
    for m in (0, 5):
        alone, its_policy = rows(state, [m]), rows(policy, [m])
        residual = economy.residuals(alone, its_policy, rule.expectation(alone, its_policy))["euler"]
        np.testing.assert_allclose(residual[0], together[m], rtol=1e-11, atol=1e-15)
