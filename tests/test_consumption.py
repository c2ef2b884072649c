"""A household with a borrowing limit: its equations, the grid that judges it, and consumption after training."""

import numpy as np
import pytest
from oracles.consumption_grid import Household, mean_one, rouwenhorst, solve
from small import ROOT, economy_of, rule_of, states_of, train

from deqn.project.errors import UserError

FILE = ROOT / "models/consumption/consumption.yaml"
LOG_INCOME, CHAIN = rouwenhorst(7, 0.9, 0.2)
INCOME = mean_one(LOG_INCOME, CHAIN)


def household(limit=0.0):
    return Household(0.96, 2.0, 1.03, INCOME, CHAIN, limit)


def wanted(consumption, saved, shock):
    """u'^-1( beta R E[u'(c')] ), written out anew for the calibration of the file."""
    value = np.zeros(len(saved))
    for z in range(7):
        value += CHAIN[shock, z] * consumption(saved, np.full(len(saved), z)) ** -2.0
    return (0.96 * 1.03 * value) ** -0.5


@pytest.mark.parametrize("limit", [0.0, -1.0])
def test_the_grid_solves_the_euler_equation_between_its_points_and_consumes_all_where_the_limit_binds(limit):
    solution, rng = solve(household(limit), nodes=4000, tolerance=1e-8), np.random.default_rng(0)
    wealth, shock = limit + 60 * rng.uniform(0, 1, 5000) ** 5, rng.integers(0, 7, 5000)
    c, saved = solution.consumption(wealth, shock), solution.savings(wealth, shock)
    free = saved > limit + 1e-9
    assert 0.02 < 1 - free.mean() < 0.5
    np.testing.assert_allclose(c[free], wanted(solution.consumption, saved, shock)[free], rtol=1e-4)
    np.testing.assert_allclose(saved[~free], limit, atol=1e-12)
    assert (wanted(solution.consumption, saved, shock)[~free] > c[~free] * (1 - 1e-9)).all()


def test_a_household_whose_income_is_certain_lives_as_the_closed_form_says():
    """With log utility and income 1 it spends wealth w for n years: c = (R w + sum of R^-i) / sum of beta^i."""
    certain = Household(0.9, 1.0, 1.05, np.ones(1), np.ones((1, 1)))
    solution = solve(certain, nodes=20_000)
    for years in (1, 2, 5, 9):
        ahead = np.arange(years)
        now = (0.9 * 1.05) ** (0.5 - years)  # half way between the kinks of so many years and of one more
        wealth = (now * (0.9**ahead).sum() - (1 / 1.05**ahead).sum()) / 1.05
        assert solution.consumption(np.array([wealth]), np.array([0]))[0] == pytest.approx(now, rel=1e-6)


@pytest.mark.slow
def test_the_grid_is_accurate_to_a_tenth_of_what_is_asked_of_the_network():
    coarse, fine = solve(household(), tolerance=1e-7), solve(household(), nodes=20_000, tolerance=1e-7)
    wealth = np.concatenate([np.linspace(0, 2, 4001), np.linspace(2, 100, 501)])
    for z in range(7):
        shock = np.full(len(wealth), z)
        apart = coarse.consumption(wealth, shock) / fine.consumption(wealth, shock) - 1
        assert np.abs(apart).max() < 0.1 * 0.0005


@pytest.mark.parametrize("limit", [0.0, -1.0])
def test_complementarity_holds_exactly_and_errors_are_those_of_the_printed_equations(limit):
    economy = economy_of(FILE, f"parameters.borrowing_limit={limit}")
    rule, states = rule_of(economy, scale=0.3), states_of(economy, 300)
    policy, E = rule.completed(states)
    wealth, shock = states.wealth.numpy(), states.shock.numpy()
    c, saved, multiplier = (x.numpy() for x in (policy.consumption, policy.savings, policy.multiplier))
    np.testing.assert_allclose(c + saved, 1.03 * wealth + INCOME[shock], rtol=1e-12)
    np.testing.assert_array_equal(multiplier * (saved - limit), 0.0)
    assert (multiplier >= 0).all() and (saved >= limit).all()
    assert 0.02 < (multiplier > 0).mean() < 0.98

    def decided(wealth, shock):
        return rule(economy.tensors(economy.State(wealth, shock.astype(np.int32)))).consumption.numpy()

    asked = wanted(decided, saved, shock)
    expected = np.minimum(asked / c - 1, (saved - limit) / c)
    np.testing.assert_allclose(economy.errors(states, policy, E)["optimality"], expected, rtol=1e-9, atol=1e-12)
    spent, tried = 1.03 * wealth + INCOME[shock] - limit, policy.unconstrained.numpy()
    residual = np.where((asked > spent) & (tried > spent), 0, asked / tried - 1)
    np.testing.assert_allclose(economy.residuals(states, policy, E)["euler"], residual, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("parameters.gross_return=1.05", "expected less than 1: else wealth grows without end"),
        ("parameters.borrowing_limit=-20", "interest on 20 is more than the lowest income of 0.293"),
    ],
)
def test_a_household_without_a_solution_is_refused_in_one_line(setting, words):
    with pytest.raises(UserError, match=words) as told:
        economy_of(FILE, setting)
    assert "\n" not in str(told.value)


@pytest.mark.long
def test_consumption_after_training_is_the_grids_at_all_visited_wealth(tmp_path):
    _, path, _ = train(tmp_path, "consumption/consumption", "phases.0.updates=4000")
    apart = path["c"] / solve(household(), nodes=20_000).consumption(path["w"], path["z"].astype(int)) - 1
    assert np.abs(apart).max() < 2e-3
    assert np.abs(apart).mean() < 2e-4
