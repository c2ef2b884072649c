"""Overlapping generations whose solution is known: equations, policy map, and what training makes of them."""

import numpy as np
import pytest
import tensorflow as tf
from oracles.olg_analytic import saving_shares
from scipy.optimize import minimize
from small import ROOT, constant, economy_of, euler_of, rule_of, states_of, train

from deqn.equilibrium.expectation import Expectation
from deqn.project.errors import UserError

FOLDER = ROOT / "models/olg_analytic"
TFP, DELTA = np.array([0.95, 1.05, 0.95, 1.05]), np.array([0.5, 0.5, 0.9, 0.9])
LASTING = "parameters.transition=[[.7, .1, .1, .1], [.1, .7, .1, .1], [.1, .1, .7, .1], [.1, .1, .1, .7]]"


def analytic(file="six", *overrides):
    return economy_of(FOLDER / f"{file}.yaml", *overrides, dtype="float64")


def cash_of(state):
    """r k^h and w in six.yaml's economy, [M, N]: marginal products of eta K^.3 L^.7 + (1 - delta) K at L = 1."""
    k, tfp, delta = np.asarray(state.capital), TFP[state.shock], DELTA[state.shock]
    K = k.sum(axis=1)
    r, w = 0.3 * tfp * K**-0.7 + 1 - delta, 0.7 * tfp * K**0.3
    return np.concatenate([w[:, None], r[:, None] * k[:, 1:]], axis=1)


def saving(economy, shares):
    """The rule that saves these shares of cash, through the economy's own map from outputs to policies."""

    def decide(states):
        policies = []
        for state in states:
            # 1/c = 1/c_u + 1/x with c = (1 - s) x  <=>  c_u = x (1 - s) / s, and y = ln(1 + e^u)  <=>  u = ln(e^y - 1)
            multiple = economy.cash(state)[:, :-1] * (1 - shares) / shares / economy.steady.consumption[:-1]
            policies.append(economy.policy(tf.math.log(tf.math.expm1(4 * multiple)) / 4 - 1, state))
        return policies

    return decide


# ---- the closed form


@pytest.mark.parametrize(
    ("file", "overrides"),
    [("six", []), ("six", [LASTING]), ("thirty", []), ("thirty", ["parameters.cohorts=2"])],
    ids=["six", "six with lasting shocks", "thirty", "two"],
)
def test_the_closed_form_solves_the_euler_equations(file, overrides):
    economy = analytic(file, *overrides)
    shares = saving_shares(economy.p.cohorts, economy.p.discount_factor)[:-1]
    error, _, policy = euler_of(economy, saving(economy, shares))
    np.testing.assert_allclose(error, 0.0, atol=1e-12)
    saved = policy.savings / (policy.savings + policy.consumption[:, :-1])
    np.testing.assert_allclose(saved, np.broadcast_to(shares, saved.shape), rtol=1e-13)


@pytest.mark.parametrize("share", [0.2, 0.6])
def test_two_cohorts_that_save_another_share_err_by_what_is_found_on_paper(share):
    # The old consume r' s w, so 1 / (beta E[r' / (r' s w)]) / ((1 - s) w) - 1 = s / (beta (1 - s)) - 1.
    economy = analytic("six", "parameters.cohorts=2")
    error, _, _ = euler_of(economy, saving(economy, np.array([share])))
    np.testing.assert_allclose(error, share / (0.7 * (1 - share)) - 1, rtol=1e-12)


@pytest.mark.parametrize("file", ["six", "thirty"])
def test_the_steady_state_is_where_the_closed_form_stays_without_shocks(file):
    economy = analytic(file)
    p, (k, c) = economy.p, economy.steady
    r = 0.3 * k.sum() ** -0.7 + 1 - np.mean(p.depreciation)  # TFP is one on average
    cash = np.append(0.7 * k.sum() ** 0.3, r * k[1:])
    shares = saving_shares(p.cohorts, p.discount_factor)
    np.testing.assert_allclose(k, np.append(0.0, (shares * cash)[:-1]), rtol=1e-10)
    np.testing.assert_allclose(c, (1 - shares) * cash, rtol=1e-10)


# ---- budgets, markets, features


@pytest.mark.parametrize("output", [-40.0, -1.0, 0.0, 5.0, 40.0])
def test_every_output_of_the_network_is_affordable(output):
    economy = analytic()
    state = states_of(economy, 50)
    (policy,) = constant(economy, output)([state])
    assert (policy.consumption.numpy() > 0).all()
    assert (policy.savings.numpy() > 0).all()
    spent = policy.consumption + tf.pad(policy.savings, [[0, 0], [0, 1]])
    np.testing.assert_allclose(spent, cash_of(state), rtol=1e-13)


def test_the_goods_market_clears_and_prices_are_marginal_products():
    economy = analytic()
    state, rule = states_of(economy, 200), rule_of(economy, scale=2.0)
    defined = {name: values.numpy() for name, values in economy.definitions(state, rule(state)).items()}
    K, tfp, delta, step = np.asarray(state.capital).sum(1), TFP[state.shock], DELTA[state.shock], 1e-6

    def goods(K, L):
        return tfp * K**0.3 * L**0.7 + (1 - delta) * K

    np.testing.assert_allclose(defined["r"], (goods(K + step, 1) - goods(K - step, 1)) / (2 * step), rtol=1e-8)
    np.testing.assert_allclose(defined["w"], (goods(K, 1 + step) - goods(K, 1 - step)) / (2 * step), rtol=1e-8)
    np.testing.assert_allclose(defined["C"] + defined["I"] + (1 - delta) * K, goods(K, 1), rtol=1e-12)
    np.testing.assert_allclose(defined["Y"], tfp * K**0.3, rtol=1e-13)


def test_savings_are_the_capital_of_the_next_cohort_and_the_newborn_hold_nothing():
    economy = analytic()
    state = states_of(economy, 20)
    policy = rule_of(economy)(state)
    following = economy.transition(state, policy, state.shock).capital
    np.testing.assert_array_equal(following[:, 1:], policy.savings)
    np.testing.assert_array_equal(following[:, 0], 0.0)


def test_the_network_sees_capital_of_each_cohort_beside_the_output_it_belongs_to():
    economy = analytic()
    state = states_of(economy, 20)
    features, steady = economy.features(state).numpy(), economy.steady.capital
    own = features[:, economy.own]  # [M, N-1], as the network multiplies it
    k = np.asarray(state.capital)
    np.testing.assert_allclose(own[:, 0], k.sum(1) / steady.sum(), rtol=1e-14)
    np.testing.assert_allclose(own[:, 1:], k[:, 1:-1] / steady[1:-1], rtol=1e-14)
    np.testing.assert_allclose(features[:, 4], k[:, 5] / steady[5], rtol=1e-14)


@pytest.mark.parametrize("file", ["six", "thirty"])
def test_no_constant_output_of_the_network_comes_near_the_solution(file):
    economy = analytic(file)
    shares = saving_shares(economy.p.cohorts, economy.p.discount_factor)[:-1]
    state, rng = states_of(economy, 200), np.random.default_rng(1)
    for _ in range(2 * economy.p.cohorts):  # to states that the solution visits
        (policy,) = saving(economy, shares)([state])
        state = economy.transition(state, policy, tf.constant(rng.integers(0, 4, 200), tf.int32))

    @tf.function
    def error(constants):  # [S, N-1], one number for each shock and cohort
        def decide(states):
            return [economy.policy(tf.one_hot(s.shock, 4, dtype=tf.float64) @ constants, s) for s in states]

        (policy,) = decide([state])
        return economy.residuals(state, policy, Expectation(economy, state, policy, decide))["euler"]

    def loss(x):
        constants = tf.constant(x.reshape(4, -1))
        with tf.GradientTape() as tape:
            tape.watch(constants)
            value = tf.reduce_mean(error(constants) ** 2)
        return float(value), tape.gradient(value, constants).numpy().ravel()

    best = minimize(loss, np.zeros(4 * economy.outputs), jac=True, method="L-BFGS-B", options={"maxiter": 1000})
    left = np.abs(error(tf.constant(best.x.reshape(4, -1))).numpy()).mean()
    assert left > (0.1 if file == "six" else 0.005)


def test_a_rule_that_ruins_cohorts_does_so_without_infinite_errors():
    # Where cash is far below c_u, savings are cash squared over c_u: unfloored, single precision soon calls them zero.
    economy = economy_of(FOLDER / "thirty.yaml", dtype="float32")
    state = states_of(economy, 50)

    def decide(states):
        return [economy.policy(tf.zeros([50, 29]), each) for each in states]

    for _ in range(60):
        (policy,) = decide([state])
        state = economy.transition(state, policy, state.shock)
    (policy,) = decide([state])
    assert economy.flags(state, policy)["cash_floor"].numpy().any()
    assert not economy.is_inside(state).numpy().all()
    errors = economy.residuals(state, policy, Expectation(economy, state, policy, decide))["euler"]
    assert np.isfinite(errors).all()


# ---- what a user may get wrong


@pytest.mark.parametrize(
    ("capital", "message"),
    [
        ([0.1, 0.4, 0.2, 0.1, 0.1, 0.1], r"capital\[1, 0\] is 0.1, expected 0: nobody is born rich"),
        ([0.0, 0.4, 0.2, -0.1, 0.1, 0.1], r"capital\[1, 3\] is -0.1, expected above 0"),
    ],
)
def test_states_in_which_somebody_could_not_live_are_refused(capital, message):
    good = [0.0, 0.4, 0.2, 0.1, 0.1, 0.1]
    with pytest.raises(UserError, match=message):
        analytic().check_states({"capital": [good, capital], "shock": [0, 3]})


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("parameters.tfp=[1.0]", "tfp: got 1 values, expected 4, one a shock"),
        ("parameters.tfp=[1, 1, 1, 0]", "tfp: .* above 0"),
        ("parameters.depreciation=[0.5, 0.5, 0.9, 1.9]", "depreciation: .* from 0 to 1"),
        ("parameters.discount_factor=1.0", "parameters.discount_factor"),
    ],
)
def test_parameters_out_of_range_are_refused_in_one_line(override, message):
    with pytest.raises(UserError, match=message) as error:
        analytic("six", override)
    assert "\n" not in str(error.value)


# ---- training


def trained(folder, *settings, **options):
    """(savings against the closed form in % of cash [M, N-1], Euler errors in %) on the reported path of a run."""
    errors, path, _ = train(folder, "olg_analytic/six", *settings, **options)
    cash = np.concatenate([path["w"][:, None], path["r"][:, None] * path["k"][:, 1:]], axis=1)[:, :-1]
    saved = path["a"] / cash - saving_shares(6, 0.7)[:-1]
    return 100 * np.abs(saved), 100 * errors.loc["euler", ["mean", "p99.9"]].astype(float)


@pytest.mark.slow
def test_the_shipped_parameter_file_reaches_the_figures_of_its_readme(tmp_path):
    saved, euler = trained(tmp_path, seed=3)
    assert saved.mean() < 0.005
    assert np.percentile(saved, 99.9) < 0.05
    assert euler["mean"] < 0.005
    assert euler["p99.9"] < 0.05
