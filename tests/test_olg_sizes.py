"""Other numbers of cohorts: three and four, whose solution a grid finds, and 20 and 120 cohorts from 21 to 80."""

import json

import numpy as np
import pytest
from oracles import olg_grid
from small import CHAIN, ROOT, TINY, file_of, olg, rule_of, states_of, train

from deqn.equilibrium.network import build_network
from deqn.equilibrium.warm_start import stages_of
from deqn.project.errors import UserError
from deqn.tasks.build import build_problem, class_of

SIZES = {"three": 3, "four": 4, "twenty": 20, "onetwenty": 120, "twoforty": 240}
LABOUR = {3: [0.6, 1.4, 0.5], 4: [0.5, 0.88, 2.2, 0.7]}
ETA, DELTA = [0.85, 1.15, 0.85, 1.15], [0.5, 0.5, 0.9, 0.9]


def file_named(name, *overrides):
    return file_of(ROOT / f"models/olg/{name}.yaml", *overrides)


# ---- the parameter files


@pytest.mark.parametrize(("name", "cohorts"), SIZES.items())
def test_every_size_can_be_built_with_its_labour_and_the_benchmarks_technology_and_preferences(name, cohorts):
    file = file_named(name)
    p, benchmark = file.parameters, file_named("benchmark60").parameters
    assert p.cohorts == cohorts
    for same in ("tfp", "depreciation", "transition", "risk_aversion", "capital_share", "borrowing_limit", "floor"):
        assert getattr(p, same) == getattr(benchmark, same)
    if cohorts in LABOUR:  # as published
        np.testing.assert_array_equal(p.labour_endowments(), LABOUR[cohorts])
        assert p.discount_factor == 0.95
    problem = build_problem(file)
    state = problem.economy.tensors(problem.economy.initial_states(8, np.random.default_rng(0)))
    assert problem.policy_rule(state).savings.shape == (8, cohorts - 1)


def test_twenty_cohorts_live_three_years_a_period_with_the_benchmarks_labour_at_their_ages():
    p = file_named("twenty").parameters
    rising = [0.60, 0.72, 0.84, 0.96, 1.08, 1.20, 1.32]  # ages 21, 24, ..., 39: four hundredths a year
    falling = [1.26, 1.05, 0.84]  # ages 63, 66, 69: seven hundredths a year
    np.testing.assert_allclose(p.labour_endowments(), rising + 7 * [1.4] + falling + 3 * [0.7], rtol=1e-12)
    np.testing.assert_allclose(p.ages()[[0, -1]], [21, 78])
    assert p.discount_factor == pytest.approx(0.95**3, rel=1e-6)


def test_120_cohorts_live_half_a_year_a_period_with_the_benchmarks_labour_at_their_ages():
    p = file_named("onetwenty").parameters
    labour = dict(zip(p.ages(), p.labour_endowments(), strict=True))
    by_hand = {21: 0.6, 21.5: 0.62, 40.5: 1.38, 41: 1.4, 61: 1.4, 61.5: 1.365, 70.5: 0.735, 71: 0.7, 80.5: 0.7}
    np.testing.assert_allclose([labour[age] for age in by_hand], list(by_hand.values()), rtol=1e-12)
    assert len(labour) == 120
    assert p.discount_factor == pytest.approx(0.95**0.5, rel=1e-6)


def test_240_cohorts_begin_with_as_much_capital_as_in_the_steady_state_in_which_the_young_owe_most_of_it():
    economy = class_of(file := file_named("twoforty"))(file.parameters, "float64")
    start = economy.initial_states(500, np.random.default_rng(0)).capital
    assert np.maximum(economy.steady.capital, 0).sum() > 4 * economy.steady.capital.sum()
    assert start[0].sum() == pytest.approx(economy.steady.capital.sum(), rel=1e-12)
    assert (start >= 0).all()
    assert file.parameters.discount_factor == pytest.approx(0.95**0.25, rel=1e-6)


# ---- equations of three and four cohorts, cohort by cohort and shock by shock


def consumption_by_hand(rule, k, z):
    """One state's consumption by age: the network gives the share by which c_u exceeds the yardstick's."""
    labour, economy = LABOUR[len(k)], rule.economy
    K, L = sum(k), sum(labour)
    r = 0.3 * ETA[z] * (K / L) ** -0.7 + 1 - DELTA[z]
    w = 0.7 * ETA[z] * (K / L) ** 0.3
    output = rule.network(np.array([[*k, K]])).numpy()[0, z]
    consumed = []
    for h, endowment in enumerate(labour):
        cash = r * k[h] + w * endowment
        if h + 1 < len(k):
            unconstrained = economy.propensity[h] * (cash + w * economy.human_wealth[h]) * (1 + output[h])
            consumed.append((min(unconstrained, cash), cash, unconstrained))
        else:
            consumed.append((cash, cash, cash))
    return r, consumed


@pytest.mark.parametrize("cohorts", LABOUR)
def test_errors_of_few_cohorts_are_those_of_the_printed_equations(cohorts):
    economy = olg(f"parameters.cohorts={cohorts}", f"parameters.labour={LABOUR[cohorts]}")
    rule, states = rule_of(economy, scale=0.2), states_of(economy, 20)
    policy = rule(states)
    errors = economy.errors(states, policy, rule.expectation(states, policy))
    residual = economy.residuals(states, policy, rule.expectation(states, policy))["euler"]
    binding = 0
    for m, (k, z) in enumerate(zip(states.capital.numpy(), states.shock.numpy(), strict=True)):
        _, now = consumption_by_hand(rule, k, z)
        savings = [cash - c for c, cash, _ in now[:-1]]
        value = np.zeros(cohorts - 1)
        for following in range(4):
            r, then = consumption_by_hand(rule, [0.0, *savings], following)
            value += [0.5987369 * CHAIN[z, following] * r / then[h + 1][0] ** 2 for h in range(cohorts - 1)]
        for h, (c, _, unconstrained) in enumerate(now[:-1]):
            expected = min(value[h] ** -0.5 / c - 1, savings[h] / c)
            np.testing.assert_allclose(errors["optimality"][m, h], expected, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(residual[m, h], value[h] ** -0.5 / unconstrained - 1, rtol=1e-9)
            binding += savings[h] == 0
    assert binding > 0


def test_output_is_a_number_where_debts_exceed_what_the_others_hold():
    economy = olg("parameters.borrowing_limit=-1")
    state = states_of(economy, 4)
    state = state._replace(capital=-0.1 * state.capital)
    defined = economy.definitions(state, rule_of(economy)(state), None)
    for name, value in defined.items():
        assert np.isfinite(value).all(), name


# ---- the warm start says what it cannot do


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["network.kind=mlp", "network.own=false"], "warm_start: needs network.kind: wide_and_deep, got mlp; change"),
        (["warm_start.stages=[[2, 0], [6, 0]]"], r"stages\.1: asks for 6 components, expected 0 to 5, as network\.com"),
        (["network.quadratics=2"], r"stages\.2: asks for 5 quadratics, expected 0 to 2, as network\.quadratics has"),
        (["network.quadratics=0"], r"stages\.2: asks for 5 quadratics, expected 0 to 0, as network\.quadratics has"),
        (["network.heads=none", "sampling.every_shock=false"], "warm_start: needs network.heads: shock, got none"),
        (["network.own=false", "network.kinks=4"], "network.kinks: .* got wide_and_deep and false; change these or"),
    ],
)
def test_a_warm_start_or_a_network_that_does_not_fit_is_refused_in_one_line(overrides, message):
    with pytest.raises(UserError, match=message) as error:
        build_problem(file_of(TINY, *overrides)).warm_start(print)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("benchmark60", [(4, 0), (12, 0), (59, 0), (59, 3)]),
        ("onetwenty", [(4, 0), (12, 0), (59, 0), (59, 3)]),
        ("twenty", [(4, 0), (12, 0), (19, 0), (19, 3)]),
        ("three", [(2, 0), (2, 2)]),
        ("four", [(2, 0), (3, 0), (3, 3)]),
    ],
)
def test_stages_of_the_warm_start_follow_from_the_number_of_components(name, stages):
    file = file_named(name)
    network = build_network(class_of(file)(file.parameters), file.settings.network, seed=0)
    assert stages_of(file.settings.warm_start, network) == stages


# ---- trained


@pytest.mark.slow
def test_three_cohorts_consume_what_the_solution_on_a_grid_says(tmp_path):
    errors, path, run = train(tmp_path, "olg/three", "phases.0.updates=8000")
    grid = olg_grid.solve(olg_grid.Economy((0.6, 1.4, 0.5)), nodes=(120, 80))
    apart = np.abs(path["c"] / grid.consumption(path["k"], path["z"]) - 1)[:, :-1]
    assert 0.2 < (path["a"][:, 0] == 0).mean() < 0.4  # the kink is not beside the path
    assert apart.mean() < 1e-4
    assert apart.max() < 2e-3
    assert errors.loc["optimality", "mean"] < 1e-4
    assert json.loads((run / "provenance.json").read_text())["training_cpu_seconds"] < 60


@pytest.mark.slow
def test_four_cohorts_consume_what_the_solution_on_a_coarser_grid_says(tmp_path):
    _, path, _ = train(tmp_path, "olg/four", "phases.0.updates=8000", "evaluation.periods=4000")
    grid = olg_grid.solve(olg_grid.Economy((0.5, 0.88, 2.2, 0.7)), nodes=(30, 16, 16))
    apart = np.abs(path["c"] / grid.consumption(path["k"], path["z"]) - 1)[:, :-1]
    assert apart.mean() < 5e-5
    assert apart.max() < 2e-3


@pytest.mark.slow
def test_a_few_hundred_updates_after_the_warm_start_bring_twenty_cohorts_below_a_hundredth_of_a_percent(tmp_path):
    errors, _, run = train(tmp_path, "olg/twenty", "phases.0.updates=800", "evaluation.periods=3000")
    before = json.loads((run / "provenance.json").read_text())["validation_before_training"]
    assert errors.loc["optimality", "mean"] < 1e-4
    assert errors.loc["optimality", "mean"] < before["optimality.mean"] / 2
    assert errors.loc["kkt", "max"] == 0
