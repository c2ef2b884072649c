"""The linear solution about the steady state, against saddle paths known otherwise, and what it refuses."""

import re

import numpy as np
import pytest
import tensorflow as tf
from oracles import irbc
from small import ROOT, TINY, file_of, states_of

from deqn.equilibrium.linear_solution import LinearRule, WithoutShocks, linear_solution
from deqn.project.errors import UserError
from deqn.tasks.build import build_problem, class_of

AR1, IRBC2 = ROOT / "models/growth/growth_ar1.yaml", ROOT / "models/irbc/irbc2.yaml"
TREE = ROOT / "models/asset_pricing/lucas_monthly.yaml"


def of(path, *overrides):
    file = file_of(path, *overrides)
    return linear_solution(class_of(file), file.parameters)


@pytest.mark.parametrize("countries", [2, 5])
def test_the_countries_rule_is_the_log_linear_solution_found_without_the_economys_file(countries):
    solution = of(IRBC2, f"parameters.countries={countries}")
    slopes, eigenvalues = irbc.slopes(countries)
    by_logs = solution.by_state + np.eye(countries, 2 * countries)  # the output is ln k' - ln k, and k = 1
    np.testing.assert_allclose(by_logs, slopes[:countries], atol=1e-8)
    assert solution.modulus == pytest.approx(eigenvalues[-1], abs=1e-8)


def test_the_steady_state_is_where_capital_and_productivity_are_one():
    solution = of(IRBC2, "parameters.countries=3")
    np.testing.assert_allclose(solution.state.capital, np.ones((1, 3)), atol=1e-10)
    np.testing.assert_allclose(solution.output, np.zeros(3), atol=1e-10)


def test_what_growth_adds_to_its_own_saddle_path_is_nothing():
    # Its policy is the linear saddle path, solved by hand, times what the network says.
    solution = of(AR1)
    assert np.abs(solution.output).max() < 1e-10
    assert np.abs(solution.by_state).max() < 1e-8
    assert solution.by_state.shape == (1, 2)


@pytest.mark.parametrize("economy", ["IRBC", "symmetric.SymmetricIRBC"])
def test_a_warm_start_makes_the_network_say_what_the_linear_solution_says(economy):
    """Also of one network over all countries, whose slopes are the same for each."""
    file = file_of(IRBC2, f"economy={economy}", "parameters.countries=3", "warm_start.settling=5", "network.hidden=[4]")
    problem = build_problem(file)
    lines = []
    problem.warm_start(lines.append)
    solution = of(IRBC2, "parameters.countries=3")
    state = states_of(problem.economy, 50)
    expected = LinearRule(build_problem(file_of(IRBC2, "parameters.countries=3")).economy, solution).output(state)
    np.testing.assert_allclose(problem.policy_rule.output(state), expected, atol=1e-6)
    assert np.abs(expected).max() > 1e-3
    assert lines == [
        "linear solution about the steady state: of a deviation from it 0.9856 is left a period later, at most"
    ]


def test_slopes_that_the_network_cannot_have_are_told_before_training(monkeypatch):
    file = file_of(IRBC2, "economy=symmetric.SymmetricIRBC", "warm_start.settling=5", "network.quadratics=0")
    monkeypatch.setattr(class_of(file), "features", lambda self, state: tf.math.log(state.capital)[:, :, None])
    lines = []
    build_problem(file).warm_start(lines.append)
    assert re.search(r"; slopes are up to 0\.\d+ off, as the network does not see what they depend on$", lines[0])


def test_a_constant_guess_is_the_policy_of_the_steady_state_everywhere():
    """Without risk v and p of the tree are constants (`LucasTree.first_guess`), whatever training begins with."""
    file = file_of(TREE, "parameters.first_guess=[3.0, 300.0]", "warm_start={guess: constant, settling: 2}")
    problem = build_problem(file)
    lines = []
    problem.warm_start(lines.append)
    policy = problem.policy_rule(states_of(problem.economy, 50))
    p = file.parameters
    power = 1 - 1 / p.substitution
    grown = p.discount_factor * np.exp(p.mean_growth * power)
    np.testing.assert_allclose(policy.value, ((1 - p.discount_factor) / (1 - grown)) ** (1 / power), rtol=1e-9)
    np.testing.assert_allclose(policy.price, grown / (1 - grown), rtol=1e-9)
    assert lines == ["constant solution about the steady state: no slopes"]


def test_tracks_begin_where_the_linear_solution_goes():
    problem = build_problem(file_of(IRBC2, "warm_start.settling=60", "network.hidden=[4]"))
    before = np.asarray(problem.pool.log_productivity)
    problem.warm_start(lambda line: None)
    after = np.asarray(problem.pool.log_productivity)
    assert not np.array_equal(before, after)
    # ln a is an AR(1) of persistence .95 with innovations of variance 2 x .01^2.
    assert after.std() == pytest.approx(0.01 * np.sqrt(2 / (1 - 0.95**2)), rel=0.1)


def test_a_histogram_too_large_for_derivatives_is_refused_before_memory_is_taken():
    file = file_of(ROOT / "models/krusell_smith/aiyagari.yaml")
    with pytest.raises(UserError, match="a steady state of Aiyagari has 8,680 unknowns, more than 5,000"):
        WithoutShocks(class_of(file), file.parameters).steady_state()


def two_conditions(self, state, policy, E):
    euler = E(lambda s, q: 1 / q.consumption) * policy.consumption - 1
    return {"euler": euler, "again": euler}


def far_from_one(self, state, policy, E):
    return {"euler": E(lambda s, q: policy.consumption / q.consumption) * 2 - 1}


@pytest.mark.parametrize(
    ("residuals", "message"),
    [
        (two_conditions, "GrowthAR1 has 2 conditions and 1 outputs, expected as many"),
        (
            far_from_one,
            "no steady state of GrowthAR1 found from the first initial state; the conditions are off by 1 at",
        ),
    ],
)
def test_equations_without_a_linear_solution_are_refused(monkeypatch, residuals, message):
    file = file_of(AR1)
    economy_type = class_of(file)
    monkeypatch.setattr(economy_type, "residuals", residuals)
    with pytest.raises(UserError, match=f"linear solution: {message}"):
        linear_solution(economy_type, file.parameters)


def test_a_discrete_shock_and_a_network_without_a_wide_part_are_refused():
    with pytest.raises(UserError, match="linear solution: OLG has a discrete shock, expected normal ones"):
        of(TINY)
    problem = build_problem(file_of(IRBC2, "network={kind: mlp, hidden: [4]}"))
    with pytest.raises(UserError, match=r"needs network\.kind: wide_and_deep, got mlp"):
        problem.warm_start(print)
