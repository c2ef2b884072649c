"""What training makes of two and ten countries: Euler errors and slopes at the steady state."""

import numpy as np
import pytest
from oracles import irbc
from small import train

from deqn.equilibrium.decision_rule import NetworkRule
from deqn.equilibrium.evaluation import at_states
from deqn.tasks.solution import load

pytestmark = pytest.mark.slow
STEP = 0.01


def slopes(policy, countries):
    """d ln k' by d ln k and d ln a at the steady state, by central differences of what a policy of states gives."""
    away = STEP * np.concatenate([np.eye(2 * countries), -np.eye(2 * countries)])
    k_next = policy(capital=np.exp(away[:, :countries]), log_productivity=away[:, countries:]).next_capital
    ahead, back = np.split(np.log(k_next), 2)
    return (ahead - back).T / (2 * STEP)


def test_two_countries_are_accurate_and_their_rule_has_the_slopes_of_the_log_linear_solution(tmp_path):
    errors, _, run = train(tmp_path, "irbc/irbc2", seed=3)
    assert errors.loc["euler", "mean"] < 1e-5 and errors.loc["euler", "p99.9"] < 1e-4
    assert errors.loc["resources", "max"] < 1e-12
    exact, _ = irbc.slopes(2)
    np.testing.assert_allclose(slopes(load(run, trust=True).policy, 2), exact[:2], atol=1e-3)


def test_ten_countries_are_as_accurate_where_expectations_are_exact_to_a_higher_degree(tmp_path):
    errors, path, run = train(tmp_path, "irbc/irbc10", seed=3)
    assert errors.loc["euler", "mean"] < 5e-5 and errors.loc["euler", "p99.9"] < 5e-4
    solution = load(run, trust=True)
    finer = type(solution.economy)(solution.economy.p.model_copy(update={"degree": 5}), "float64")
    rule = NetworkRule(finer, solution.rule.network, heads=False)
    state = finer.State(path["k"][::100], path["ln_a"][::100])
    assert np.abs(at_states(rule, state)[3]["euler"]).mean() < 5e-5
    exact, _ = irbc.slopes(10)
    np.testing.assert_allclose(slopes(solution.policy, 10), exact[:10], atol=1e-3)


def test_one_network_for_all_countries_is_as_accurate_as_one_with_an_output_for_each(tmp_path):
    errors, _, run = train(tmp_path, "irbc/irbc50", "parameters.countries=5", "evaluation.periods=4000", seed=3)
    assert errors.loc["euler", "mean"] < 2e-5 and errors.loc["euler", "p99.9"] < 2e-4
    assert errors.loc["resources", "max"] < 1e-12
    exact, _ = irbc.slopes(5)
    np.testing.assert_allclose(slopes(load(run, trust=True).policy, 5), exact[:5], atol=1e-3)


def test_irreversible_investment_that_never_comes_to_zero_has_the_rule_of_free_investment(tmp_path):
    errors, path, run = train(tmp_path, "irbc/irbc2_irreversible", seed=3)
    assert errors.loc["euler", "mean"] < 1e-4 and errors.loc["euler", "p99.9"] < 2e-3
    assert not path["mu"].any()
    exact, _ = irbc.slopes(2)
    np.testing.assert_allclose(slopes(load(run, trust=True).policy, 2), exact[:2], atol=1e-3)
