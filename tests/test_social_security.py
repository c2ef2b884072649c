"""Overlapping generations with pensions: budgets, the closed form of two cohorts, and what a reform gives to whom."""

import numpy as np
import pandas as pd
import pytest
from projects import make_project, typed
from small import ROOT, economy_of, file_of, rule_of, states_of

from deqn.project.errors import UserError
from deqn.project.user_code import load_module
from deqn.tasks import welfare
from deqn.tasks.build import build_problem

SIXTY, TWO = (ROOT / f"models/olg/social_security{cohorts}.yaml" for cohorts in (60, 2))


def test_everybody_earns_the_wage_after_contributions_and_the_retired_share_them_all():
    economy = economy_of(SIXTY)
    gross = np.interp(np.arange(21, 81), [21, 41, 61, 71, 80], [0.6, 1.4, 1.4, 0.7, 0.7])
    rule, state = rule_of(economy, scale=0.2), states_of(economy, 20)
    policy = rule(state)
    r, w = (x.numpy() for x in economy.prices(state))
    b = economy.definitions(state, policy, None)["b"].numpy()
    np.testing.assert_allclose(15 * b, 0.1 * w[:, 0] * gross.sum(), rtol=1e-12)  # ages 66 to 80: contributions
    income = r * state.capital.numpy() + 0.9 * w * gross + b[:, None] * (np.arange(21, 81) >= 66)
    spent = policy.consumption.numpy().copy()
    spent[:, :-1] += policy.savings.numpy()
    unguarded = policy.consumption.numpy()[:, -1] > economy.p.floor
    np.testing.assert_allclose(spent[unguarded], income[unguarded], rtol=1e-12)


def test_without_contributions_it_is_the_benchmark_bit_for_bit():
    plain = economy_of(ROOT / "models/olg/benchmark60.yaml")
    without = economy_of(SIXTY, "parameters.contribution_rate=0")
    state = states_of(plain, 20)
    ours, theirs = (rule_of(each, scale=0.2)(state) for each in (without, plain))
    for name in theirs._fields:
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


def test_two_cohorts_satisfy_their_conditions_at_the_closed_form_and_not_at_that_of_other_contributions():
    problem = build_problem(file_of(TWO))  # untrained: c is what it would be at steady-state prices for ever
    economy, rule = problem.economy, problem.policy_rule
    state = states_of(economy, 50)
    policy = rule(state)
    errors = economy.errors(state, policy, rule.expectation(state, policy))
    evidence = load_module(ROOT / "models/olg", "social_security_evidence")
    known = evidence.closed_form(economy.p, state)
    assert np.abs(errors["optimality"]).max() < 1e-12
    np.testing.assert_allclose(policy.savings, known["savings"], rtol=1e-12)
    np.testing.assert_allclose(policy.consumption, known["consumption"], rtol=1e-12)
    other = evidence.closed_form(economy.p.model_copy(update={"contribution_rate": 0.11}), state)
    assert np.abs(other["savings"] / policy.savings - 1).min() > 0.01


def test_more_contributions_mean_less_capital_in_the_steady_state():
    capital = [
        economy_of(SIXTY, f"parameters.contribution_rate={rate}").steady.capital.sum() for rate in (0, 0.05, 0.1, 0.2)
    ]
    assert np.all(np.diff(capital) < 0)


def test_a_pension_for_nobody_is_refused_in_one_line():
    with pytest.raises(UserError, match=r"retirement_age: got 90, expected above 21 and at most 80") as error:
        file_of(SIXTY, "parameters.retirement_age=90")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("risk_aversion", [1.0, 2.0])
def test_who_consumes_a_share_more_in_all_years_that_are_left_gains_this_share(risk_aversion):
    economy = economy_of(ROOT / "models/olg/tiny.yaml", f"parameters.risk_aversion={risk_aversion}")
    N, born = economy.p.cohorts, 5
    c = np.random.default_rng(0).uniform(0.5, 1.5, (40, born + N, N))
    more = c.copy()
    for cohort in range(N):  # those born at -2 or later have 3 % more for the rest of their lives
        more[:, max(0, cohort - 2):, cohort] *= 1.03  # fmt: skip
    tastes = welfare.Tastes(economy.p.discount_factor, risk_aversion)
    table = pd.DataFrame(welfare.gains(economy.p.ages(), tastes, welfare.Paths(c, {}), welfare.Paths(more, {})))
    assert list(table["birth"]) == list(range(1 - N, born + 1))
    young = table["birth"] >= -2
    np.testing.assert_allclose(table.loc[young, "gain %"], 3, rtol=1e-9)
    np.testing.assert_allclose(table.loc[~young, "gain %"], 0, atol=1e-9)
    np.testing.assert_allclose(table["standard error"], 0, atol=1e-9)


@pytest.mark.long
def test_the_gains_of_a_reform_that_changes_nothing_are_none_and_of_pensions_those_of_the_old(tmp_path):
    make_project(tmp_path, "olg")
    for name, rate in (("none", 0.0), ("again", 0.0), ("some", 0.1)):
        done = typed(tmp_path, "train", "models/olg/social_security60.yaml", "--run", name, "--set",
                     f"parameters.contribution_rate={rate}", "--set", "phases.0.updates=100", "--set",
                     "evaluation.periods=400", "--set", "evaluation.burn_in=100")  # fmt: skip
        assert done.returncode == 0, done.stderr
    tables = {}
    for name in ("again", "some"):
        words = ["social_security60/none", f"social_security60/{name}", "--tracks", 40, "--births", 3, "--out", name]
        done = typed(tmp_path, "welfare", *words)
        assert done.returncode == 0, done.stderr
        tables[name] = pd.read_csv(tmp_path / name / "welfare.csv").set_index("birth")
        assert (tmp_path / name / "figures/transition.pdf").stat().st_size > 1000
    assert list(tables["some"].index) == list(range(-59, 4))
    np.testing.assert_allclose(tables["again"]["gain %"], 0, atol=1e-9)
    assert tables["some"].loc[-58:-46, "gain %"].min() > 1  # retired already: they pay little and receive at once


@pytest.mark.parametrize("gamma", [1.0, 3.0])
def test_who_lives_for_ever_gains_from_the_end_of_risk_what_lucas_says(gamma):
    # Consumption is exp(sd e - sd^2/2), independent over time, and then its mean: 1 + g = exp(gamma sd^2 / 2).
    sd, tastes = 0.2, welfare.Tastes(0.9, gamma)
    risky = np.exp(sd * np.random.default_rng(0).standard_normal((4_000, 200, 2)) - sd**2 / 2)
    with_and_without = welfare.Paths(risky, {}), welfare.Paths(np.ones_like(risky), {})
    rows = welfare.gains_for_ever({"country": ["home", "abroad"]}, tastes, *with_and_without)
    assert [row["country"] for row in rows] == ["home", "abroad"]
    for row in rows:
        assert abs(row["gain %"] - 100 * np.expm1(gamma * sd**2 / 2)) < 4 * row["standard error"] < 0.5


def test_the_horizon_leaves_a_ten_thousandth_of_the_weights():
    beta = 0.95
    weights = beta ** np.arange(100_000)
    T = welfare.horizon(welfare.Tastes(beta, 2.0))
    assert weights[T:].sum() / weights.sum() < 1e-4 < weights[T - 2 :].sum() / weights.sum()
