"""The economy whose solution is known: its Euler equation, its policy map, and what training makes of it."""

import numpy as np
import pytest
import tensorflow as tf
from projects import ROOT, typed
from small import constant, economy_of, euler_of, file_of, states_of, train

from deqn.project.errors import UserError

FILE = ROOT / "models/brock_mirman/brock_mirman.yaml"
ALPHA, BETA = 0.36, 0.96
Z = np.exp([-0.1, 0.0, 0.1])


@pytest.fixture(scope="module")
def economy():
    return economy_of(FILE, dtype="float64")


def output_of(k, z):
    return Z[z] * np.asarray(k) ** ALPHA


def saving(economy, share):
    """The policy rule that saves this share of output, through the economy's own map from outputs to policies."""

    def decide(states):
        y = [output_of(s.capital, s.shock) for s in states]
        # 1/c = 1/c_u + 1/y with c = (1 - share) y  <=>  c_u = y (1 - share) / share
        outputs = [tf.constant(np.log(each * (1 - share) / share)[:, None]) for each in y]
        return [economy.policy(o, s) for o, s in zip(outputs, states, strict=True)]

    return decide


def test_the_closed_form_solves_the_euler_equation(economy):
    error, state, policy = euler_of(economy, saving(economy, ALPHA * BETA))
    np.testing.assert_allclose(error, 0.0, atol=1e-14)
    np.testing.assert_allclose(policy.savings, ALPHA * BETA * output_of(state.capital, state.shock), rtol=1e-13)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_saving_another_share_for_ever_errs_by_its_ratio_to_the_right_one(economy, share):
    # beta E[alpha z' a^(alpha-1) / ((1-s) z' a^alpha)] = alpha beta / ((1-s) a), and a = s y, c = (1-s) y.
    error, _, _ = euler_of(economy, saving(economy, share))
    np.testing.assert_allclose(error, share / (ALPHA * BETA) - 1, rtol=1e-12)


def test_no_constant_output_of_the_network_comes_near_the_solution(economy):
    errors = [np.abs(euler_of(economy, constant(economy, output))[0]).mean() for output in np.linspace(-3, 1, 201)]
    assert 0.04 < min(errors) < 0.05


@pytest.mark.parametrize("output", [-40.0, -1.0, 0.0, 5.0, 40.0])
def test_every_output_of_the_network_is_affordable(economy, output):
    state = states_of(economy, 50)
    policy = economy.policy(tf.fill([50, 1], tf.constant(output, tf.float64)), state)
    y = output_of(state.capital, state.shock)
    np.testing.assert_allclose(policy.consumption + policy.savings, y, rtol=1e-14)
    assert (policy.consumption.numpy() > 0).all()
    assert (policy.savings.numpy() > 0).all()


def test_savings_are_next_periods_capital_and_prices_are_marginal_products(economy):
    state, step = states_of(economy, 20), 1e-6
    (policy,) = saving(economy, 0.3)([state])
    np.testing.assert_array_equal(economy.transition(state, policy, state.shock).capital, policy.savings)
    up, down = (output_of(state.capital + move, state.shock) for move in (step, -step))
    np.testing.assert_allclose(economy.gross_return(state), (up - down) / (2 * step), rtol=1e-8)


def test_simulations_begin_where_capital_stays_under_the_first_shock(economy):
    first = economy.initial_states(1, np.random.default_rng(3))
    assert ALPHA * BETA * output_of(first.capital[0], 0) == pytest.approx(first.capital[0], rel=1e-12)
    assert first.shock[0] == 0


def test_states_without_capital_are_refused(economy):
    with pytest.raises(UserError, match=r"^states: capital\[1\] is -0.1, expected above 0$"):
        economy.check_states({"capital": [0.2, -0.1], "shock": [0, 2]})


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("parameters.log_productivity=[0.0]", "log_productivity: got 1 values, expected 3, one a shock"),
        ("parameters.discount_factor=1.0", "parameters.discount_factor"),
        ("parameters.transition=[[0.5, 0.6], [0.5, 0.5]]", "row 1 sums to 1.1, expected 1"),
    ],
)
def test_parameters_out_of_range_are_refused(override, message):
    with pytest.raises(UserError, match=message):
        file_of(FILE, override)


def trained(folder, *settings, **options):
    """(closed-form errors, Euler errors) in % on the reported path of a run."""
    errors, path, _ = train(folder, "brock_mirman/brock_mirman", *settings, **options)
    closed_form = (1 - ALPHA * BETA) * output_of(path["k"], path["z"].astype(int))
    return 100 * np.abs(path["c"] / closed_form - 1), 100 * errors.loc["euler", ["mean", "p99.9"]].astype(float)


@pytest.mark.slow
def test_a_short_training_comes_within_a_thousandth_of_the_closed_form(tmp_path):
    short = ["phases.0.updates=1500", "evaluation.periods=1200", "evaluation.burn_in=200", "validate_every=500"]
    consumption, euler = trained(tmp_path, *short, command=typed)
    assert consumption.shape == (1000,)
    assert consumption.max() < 0.1
    assert euler["mean"] < 0.05


@pytest.mark.slow
def test_the_shipped_parameter_file_reaches_the_figures_of_its_readme(tmp_path):
    consumption, euler = trained(tmp_path, seed=3)
    assert consumption.mean() < 0.0005
    assert np.percentile(consumption, 99.9) < 0.005
    assert euler["mean"] < 0.0005
    assert euler["p99.9"] < 0.005
