"""The implied policy error of rules that are wrong on purpose, against what they are wrong by."""

from collections import namedtuple

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from oracles import lucas_tree
from oracles.olg_analytic import saving_shares
from small import ROOT, olg, rule_of, states_of, trained_project
from small import economy_of as economy_of_file

from deqn.equilibrium import linearized
from deqn.equilibrium.decision_rule import OutputRule
from deqn.equilibrium.evaluation import simulated_states
from deqn.equilibrium.fixed_point import solve
from deqn.equilibrium.implied import implied_error
from deqn.equilibrium.linearized import Conditions, pseudo_inverse
from deqn.equilibrium.smooth import Coordinates, Regression, Smoothness
from deqn.report.tables import implied_table, text, to_print


class Formula(OutputRule):
    """Decides by a formula for the outputs, [batch, outputs]."""

    def __init__(self, economy, output):
        self.economy, self._output = economy, output

    def output(self, state):
        return self._output(state)


def economy_of(file, *overrides):
    return economy_of_file(ROOT / "models" / file, *overrides)


def visited(rule, periods=600):
    return simulated_states(rule, periods, 100, seed=1, tracks=1)


def mean_and_tail(values):
    sizes = np.abs(values)
    return np.array([sizes.mean(), np.percentile(sizes, 99.9)])


# --- rules whose error is known ------------------------------------------------------------------------------------


def brock_mirman(off):
    """Log consumption off by off(ln k, shock): the formula of the closed form with its error."""
    economy = economy_of("brock_mirman/brock_mirman.yaml")
    share = 1 - economy.p.capital_share * economy.p.discount_factor

    def output(state):
        consumed = share * tf.exp(off(tf.math.log(state.capital), tf.cast(state.shock, tf.float64)))
        return tf.math.log(economy.output(state) * consumed / (1 - consumed))[:, None]

    return Formula(economy, output)


@pytest.fixture(scope="module")
def wrong_consumption():
    rule = brock_mirman(lambda k, z: 0.003 * tf.sin(6 * k) + 0.002 * (z - 1) + 0.004)
    return rule, implied_error(rule, visited(rule))


def test_the_followed_error_of_a_planner_is_by_what_consumption_differs_from_the_closed_form(wrong_consumption):
    _, implied = wrong_consumption
    k, z = np.log(implied.state.capital), implied.state.shock
    off = np.exp(-(0.003 * np.sin(6 * k) + 0.002 * (z - 1) + 0.004)) - 1
    np.testing.assert_allclose(implied.followed["consumption"], off, atol=0.05 * np.abs(off).max())
    assert implied.doubts == ()


def test_consumption_and_savings_change_by_the_same_amount_of_goods(wrong_consumption):
    _, implied = wrong_consumption
    changes = {name: implied.levels[name] * implied.followed[name] for name in ("consumption", "savings")}
    np.testing.assert_allclose(changes["consumption"], -changes["savings"], rtol=1e-9)


def test_one_step_is_what_this_period_is_wrong_by_if_the_next_is_right(wrong_consumption):
    """With next period's rule given, one unknown a state: its exact root, by bisection, without derivatives."""
    rule, implied = wrong_consumption
    economy = rule.economy
    some = tf.nest.map_structure(lambda x: tf.constant(x[:50]), implied.state)
    now = rule.output(some)
    low, high = now - 0.1, now + 0.1

    def residual(output):
        policy = economy.policy(output, some)
        return economy.residuals(some, policy, rule.expectation(some, policy))["euler"][:, None]

    for _ in range(60):
        middle = (low + high) / 2
        above = residual(middle) > 0  # consumption too low
        low, high = tf.where(above, middle, low), tf.where(above, high, middle)
    exact = economy.policy(low, some).consumption / economy.policy(now, some).consumption - 1
    np.testing.assert_allclose(implied.one_step["consumption"][:50], exact, rtol=0.02, atol=1e-5)


def test_the_closed_form_itself_has_no_implied_error():
    rule = brock_mirman(lambda k, z: 0 * k)
    implied = implied_error(rule, visited(rule, 300))
    assert max(np.abs(changes).max() for changes in implied.followed.values()) < 1e-10


def test_the_implied_error_is_the_same_every_time(wrong_consumption):
    rule, implied = wrong_consumption
    again = implied_error(rule, visited(rule))
    np.testing.assert_array_equal(again.followed["consumption"], implied.followed["consumption"])


def test_overlapping_generations_are_told_by_what_each_cohort_consumes_too_much():
    economy = economy_of("olg_analytic/six.yaml")
    saved = saving_shares(6, economy.p.discount_factor)[:-1]

    def output(state):
        x = economy.cash(state)[:, :-1]
        share = (1 - saved) * tf.exp(0.01 * tf.sin(3 * x / tf.reduce_mean(x, 1, keepdims=True)) + 0.005)
        multiple = share * x / (1 - share) / economy.steady.consumption[:-1]
        return tf.math.log(tf.math.expm1(4 * multiple)) / 4 - 1

    rule = Formula(economy, output)
    implied = implied_error(rule, visited(rule))
    state = economy.tensors(implied.state)
    right = economy.cash(state).numpy()[:, :-1] * (1 - saved)
    true = right / rule(state).consumption[:, :-1] - 1
    found = implied.followed["consumption"][:, :-1]
    np.testing.assert_allclose(mean_and_tail(found), mean_and_tail(true), rtol=0.2)
    assert np.corrcoef(found.ravel(), np.ravel(true))[0, 1] > 0.97


def trades(size):
    """Everybody is right about consumption and the price, but the young borrow and the old lend."""
    economy = economy_of("portfolio/portfolio.yaml")
    p, N = economy.p, economy.p.cohorts
    saved = saving_shares(N, p.discount_factor)[:-1]
    chain, tfp = tf.constant(p.transition, tf.float64), np.asarray(p.tfp)

    def output(state):
        s = economy.wealth(state)[:, :-1] * saved  # spent on capital and bonds
        K = tf.reduce_sum(s, axis=1, keepdims=True)
        inverse_return = K ** (1 - p.capital_share) / (p.capital_share * tfp)  # [batch, S]
        price = tf.reduce_sum(tf.gather(chain, state.shock) * inverse_return, axis=1, keepdims=True)
        odds = np.log(saved / (1 - saved)) - economy.log_odds
        lent = s * size * np.array([-0.2, -0.1, 0.0, 0.1, 0.2])
        bonds = lent - s * tf.reduce_sum(lent, axis=1, keepdims=True) / K  # all together none
        held = price * (bonds + p.collateral * (s - price * bonds)) / s
        return tf.concat(
            [tf.zeros_like(held) + odds, tf.math.log(held / (1 - held)) + 2.0, tf.math.log(price / 0.5)], axis=1
        )

    return Formula(economy, output)


@pytest.fixture(scope="module")
def traded():
    rule = trades(1.0)
    return rule, implied_error(rule, visited(rule))


def test_nobody_wants_to_trade_in_the_closed_form_of_portfolios():
    rule = trades(0.0)
    state = states_of(rule.economy, 50)
    state = state._replace(bonds=tf.zeros_like(state.bonds))
    policy = rule(state)
    for name, residual in rule.economy.residuals(state, policy, rule.expectation(state, policy)).items():
        assert np.abs(residual).max() < 1e-12, name


def test_portfolios_that_nobody_should_hold_are_exposed_where_euler_errors_are_small(traded):
    rule, implied = traded
    state = rule.economy.tensors(implied.state)
    policy = rule(state)
    errors = rule.economy.residuals(state, policy, rule.expectation(state, policy))
    assert np.abs(errors["euler"]).mean() < 2e-3
    assert np.abs(errors["euler_bond"]).mean() < 2e-3
    held = np.asarray(policy.bonds_bought / policy.savings)
    assert np.abs(held).mean() > 0.05
    ratio = mean_and_tail(implied.followed["bonds_bought"]) / mean_and_tail(held)
    assert (ratio > 0.5).all()
    assert (ratio < 2.0).all()
    assert implied.unit["bonds_bought"] == "savings"


def wrong_tree(*overrides, off=(1.17, 1.069)):
    """v and p 17 and 7 % above the solution, everywhere."""
    economy = economy_of("asset_pricing/lucas_monthly.yaml", *overrides)
    solved = lucas_tree.solve(lucas_tree.Tree())

    def polynomial(coefficients, x):
        powers = np.polynomial.chebyshev.cheb2poly(coefficients)
        return tf.add_n([c * (x / solved.edge) ** n for n, c in enumerate(powers)])

    def output(state):
        wanted = [polynomial(each, state.expected) for each in (solved.log_value, solved.log_price)]
        guesses = zip(wanted, off, economy.first_guess, strict=True)
        return tf.stack([w + np.log(o / g) for w, o, g in guesses], axis=1)

    return Formula(economy, output)


def test_the_collocated_tree_meets_the_definitions_of_value_and_price():
    """Of the economy's file, with nine nodes of quadrature as the oracle has."""
    rule = wrong_tree("parameters.nodes=9", off=(1.0, 1.0))
    state = states_of(rule.economy, 50)
    policy = rule(state)
    for name, residual in rule.economy.residuals(state, policy, rule.expectation(state, policy)).items():
        assert np.abs(residual).max() < 1e-9, name


def test_the_collocated_price_is_the_closed_form_where_growth_is_independent_and_utility_separable():
    tree = lucas_tree.Tree(gamma=2.0, psi=0.5, rho=0.0, phi=0.0)
    paid = tree.beta * np.exp(-tree.mu + tree.sigma**2 / 2)
    assert lucas_tree.solve(tree).price([0.0]) == pytest.approx(paid / (1 - paid), rel=1e-9)


def test_a_network_that_sees_nothing_that_varies_is_told_its_error_too():
    """Growth is independent over time: v and p are constants, here off by 1 and 2 %."""
    economy = economy_of("asset_pricing/lucas_iid.yaml")
    beta, mu, sigma, power = 0.98, 0.018, 0.027, 1 - 1 / 0.5  # gamma = 1 / psi = 2
    worth = beta * np.exp(power * mu + (power * sigma) ** 2 / 2)
    right = np.array([((1 - beta) / (1 - worth)) ** (1 / power), worth / (1 - worth)])
    wrong = np.log(np.array([1.01, 1.02]) * right / economy.first_guess)
    rule = Formula(economy, lambda state: tf.tile(tf.constant(wrong)[None], [tf.shape(state.expected)[0], 1]))
    implied = implied_error(rule, visited(rule))
    np.testing.assert_allclose(implied.followed["value"], -0.01, rtol=0.03)
    np.testing.assert_allclose(implied.followed["price"], -0.02, rtol=0.03)


def test_values_and_prices_far_off_are_exposed_where_residuals_are_a_few_hundredths_of_a_percent():
    rule = wrong_tree()
    implied = implied_error(rule, visited(rule))
    state = rule.economy.tensors(implied.state)
    policy = rule(state)
    errors = rule.economy.residuals(state, policy, rule.expectation(state, policy))
    assert max(np.abs(error).max() for error in errors.values()) < 6e-4
    assert np.abs(implied.one_step["value"]).max() < 6e-4  # next period's values are as far off
    for name, off in (("value", 1 / 1.17 - 1), ("price", 1 / 1.069 - 1)):
        ratio = mean_and_tail(implied.followed[name]) / abs(off)
        assert (ratio > 0.5).all(), name
        assert (ratio < 2.0).all(), name
    assert 0.99 < implied.modulus < 1


@pytest.mark.slow
def test_what_is_wrong_where_states_are_hardly_ever_visited_is_followed_to_where_they_are():
    """v and p are off by a constant, and by more the farther expected growth is below two and a half deviations."""
    exact, spread = wrong_tree(off=(1.0, 1.0)), wrong_tree().economy.spread

    def log_off(state):
        return 0.0005 + 0.003 * tf.nn.relu(-state.expected / spread - 2.5) ** 2

    rule = Formula(exact.economy, lambda state: exact.output(state) + log_off(state)[:, None])
    implied = implied_error(rule, visited(rule))
    true = np.exp(-log_off(implied.state)) - 1
    for name in ("value", "price"):
        assert 0.5 < implied.followed[name].mean() / np.mean(true) < 2, name


# --- the parts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [False, True])
def test_derivatives_of_the_conditions_are_those_of_finite_differences(monkeypatch, compiled):
    monkeypatch.setattr(linearized, "_COMPILED", 0 if compiled else 1000)
    rule = rule_of(olg("parameters.cohorts=3", "parameters.labour=[0.6, 1.4, 0.5]"))
    state = tf.nest.map_structure(np.asarray, states_of(rule.economy, 20))
    conditions = Conditions(rule)
    output = conditions.seen(state).output
    slopes = conditions.slopes(state, output)
    generator = np.random.default_rng(0)
    direction, later = generator.standard_normal(output.shape), generator.standard_normal((20, 4, 2))
    slope = np.einsum("mco,mo->mc", slopes.today, direction) + np.einsum("mcjo,mjo->mc", slopes.tomorrow, later)
    ahead, behind = (conditions.residuals(state, output + t * direction, t * later) for t in (1e-6, -1e-6))
    np.testing.assert_allclose(slope, (ahead - behind) / 2e-6, rtol=1e-5, atol=1e-7)


def test_an_output_that_no_condition_notices_makes_the_state_singular_and_gets_no_step():
    slope = np.array([np.diag([2.0, 3.0]), [[2.0, 0.0], [4.0, 0.0]]])
    inverse, singular = pseudo_inverse(slope)
    np.testing.assert_array_equal(singular, [False, True])
    np.testing.assert_allclose(inverse, [np.diag([1 / 2, 1 / 3]), [[0.1, 0.2], [0.0, 0.0]]], atol=1e-12)


def test_more_conditions_than_outputs_are_met_in_least_squares():
    slope = np.random.default_rng(0).standard_normal((5, 4, 2))
    inverse, singular = pseudo_inverse(slope)
    np.testing.assert_allclose(inverse, [np.linalg.lstsq(each, np.eye(4), rcond=None)[0] for each in slope], atol=1e-12)
    assert not singular.any()


@pytest.mark.parametrize("modulus", [0.5, 0.99, 0.9999])
def test_the_linear_equation_is_solved_and_its_modulus_told(modulus):
    generator = np.random.default_rng(0)
    values = modulus * np.array([1.0, 0.9, 0.5, 0.2, 0.1, 0.0])
    directions = np.linalg.qr(generator.standard_normal((6, 6)))[0]
    T = directions * values @ directions.T
    step = generator.standard_normal((3, 2))
    found, told, _ = solve(lambda y: (T @ y.ravel()).reshape(3, 2), step)
    exact = np.linalg.solve(np.eye(6) - T, step.ravel())
    np.testing.assert_allclose(found.ravel(), exact, rtol=0.01, atol=0.01 * np.abs(exact).max())
    assert told == pytest.approx(modulus, rel=1e-3)


def test_a_part_of_the_step_that_dies_out_slowly_is_followed_though_it_is_a_thousandth_of_it():
    rates = np.array([0.98, 0.6, 0.5, 0.4, 0.3, 0.2])
    directions = np.linalg.qr(np.column_stack([np.ones(6), np.random.default_rng(1).standard_normal((6, 5))]))[0]
    T = directions * rates @ directions.T
    step = directions @ [1e-3, 1.0, -1.0, 1.0, 1.0, -1.0]
    found, modulus, _ = solve(lambda y: (T @ y.ravel()).reshape(3, 2), step.reshape(3, 2))
    assert directions[:, 0] @ found.ravel() == pytest.approx(1e-3 / (1 - 0.98), rel=0.1)
    assert modulus == pytest.approx(0.98, rel=1e-3)


def test_a_linear_function_is_carried_to_a_hundredth_and_beyond_the_sample_too():
    generator = np.random.default_rng(0)
    coordinates = Coordinates(generator.standard_normal((300, 4)) * [1, 2, 3, 4])
    points, to = (coordinates(generator.standard_normal((n, 4)) * s) for n, s in ((200, [1, 2, 3, 4]), (50, 8)))
    slope = np.array([1.0, -2.0, 0.5, 3.0])
    regression = Regression(points, Smoothness(2.0, 1e-6))
    np.testing.assert_allclose(
        regression.to(to) @ (1 + points @ slope), 1 + to @ slope, atol=0.01 * abs(to @ slope).max()
    )


def test_a_constant_is_carried_exactly_however_far():
    points = np.random.default_rng(0).standard_normal((100, 3))
    regression = Regression(points, Smoothness(1.0, 0.1))
    np.testing.assert_allclose(regression.to(50.0 * points) @ np.full(100, 7.0), 7.0, rtol=1e-8)


def test_what_is_left_out_is_what_a_regression_without_the_state_misses():
    generator = np.random.default_rng(0)
    points, values = generator.standard_normal((30, 2)), generator.standard_normal((30, 3))
    smoothness = Smoothness(1.0, 0.1)
    left_out = Regression(points, smoothness).left_out(values)
    for row in (0, 7):
        others = np.arange(30) != row
        told = Regression(points[others], smoothness).to(points[[row]]) @ values[others]
        np.testing.assert_allclose(left_out[row], values[row] - told[0], rtol=1e-7)


# --- doubts ---------------------------------------------------------------------------------------------------------


def test_a_value_that_never_dies_out_is_doubted():
    """The tree's dividends are discounted by less than they grow."""
    rule = wrong_tree("parameters.discount_factor=0.99999", "parameters.first_guess=[1.1, 500.0]")
    implied = implied_error(rule, visited(rule, 300))
    assert any("do not die out" in doubt for doubt in implied.doubts)


def test_a_condition_that_is_no_number_at_some_states_is_told_and_not_averaged_away():
    rule = brock_mirman(lambda k, z: tf.where(z > 1, tf.constant(np.nan, tf.float64), 0.001 * k))
    state = visited(brock_mirman(lambda k, z: 0 * k), 300)
    implied = implied_error(rule, state)
    assert any("no finite number" in doubt for doubt in implied.doubts)
    assert np.isnan(implied.followed["consumption"]).any()


@pytest.mark.parametrize("traded", [True, False])
def test_a_decision_is_doubted_that_no_condition_asks_for_but_not_an_output_that_decides_nothing(traded):
    rule = brock_mirman(lambda k, z: 0.003 * tf.sin(6 * k))
    fields = namedtuple("Policy", [*rule.economy.Policy._fields, "bond"])

    class WithBond(type(rule.economy)):
        outputs, Policy = 2, fields

        def policy(self, output, state):
            bond = tf.exp(output[:, 1]) if traded else tf.ones_like(output[:, 1])
            return fields(*super().policy(output[:, :1], state), bond)

    economy = WithBond(rule.economy.p, "float64")
    economy.outputs = 2
    also = Formula(economy, lambda state: tf.repeat(rule.output(state), 2, axis=1))
    implied = implied_error(also, visited(rule, 300))
    assert [doubt for doubt in implied.doubts if "do not determine some decision" in doubt] == (
        ["at 100.0% of the states the conditions do not determine some decision to first order"] if traded else []
    )


# --- what a run holds -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run():
    return trained_project() / "runs/tiny/one"


def test_the_statistics_of_a_run_are_those_of_its_arrays(run):
    arrays, table = np.load(run / "implied.npz"), pd.read_csv(run / "implied.csv").set_index("policy")
    letters = {"savings": "a", "consumption": "c", "multiplier": "lam", "unconstrained": "unconstrained"}
    for name, letter in letters.items():
        for column, ending in (("one_step", "step"), ("followed", "implied")):
            sizes = np.abs(arrays[f"{letter}_{ending}"])
            expected = [sizes.mean(), np.percentile(sizes, 99.9), sizes.max()]
            found = table.loc[name, [f"{column}_{s}" for s in ("mean", "p99.9", "max")]].astype(float)
            np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_the_states_of_the_implied_error_are_states_of_the_simulation(run):
    implied, path = np.load(run / "implied.npz"), np.load(run / "simulation.npz")
    known = {row.tobytes() for row in path["k"]}
    assert all(row.tobytes() in known for row in implied["k"])
    assert len(implied["z"]) == 300


def test_the_table_and_the_words_name_every_decision(run):
    table = text(implied_table(run))
    for name in ("savings", "multiplier", "consumption", "unconstrained"):
        assert f"| {name} " in table
    assert any("implied policy error at 300 of these states" in title for title, _ in to_print(run))
