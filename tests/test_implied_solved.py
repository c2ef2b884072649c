"""The implied error of trained economies, from the files of their runs, against closed forms and solutions on grids."""

import json

import numpy as np
import pytest
from oracles import lucas_tree, olg_analytic, olg_grid
from oracles.chains import rouwenhorst
from oracles.growth_grid import Growth, solve_markov
from small import train

pytestmark = pytest.mark.slow


def implied_of(folder, file, *settings):
    """implied.npz, and what description.json says of the implied error, after `deqn train`."""
    *_, run = train(folder, file, *settings)
    return np.load(run / "implied.npz"), json.loads((run / "description.json").read_text())["implied_error"]


def assert_within(factor, found, true):
    for statistic in (np.mean, lambda sizes: np.percentile(sizes, 99.9)):
        ratio = statistic(np.abs(found)) / statistic(np.abs(true))
        assert 1 / factor < ratio < factor


def test_growth_is_told_by_what_consumption_differs_from_the_grid_which_is_many_times_its_euler_error(tmp_path):
    at, said = implied_of(tmp_path, "growth/growth", "phases.0.updates=4000")
    log_tfp, transition = rouwenhorst(5, 0.95, 0.007)
    grid = solve_markov(Growth(), np.exp(log_tfp), transition)
    true = grid.consumption(at["k"], at["z"]) / at["c_level"] - 1
    assert_within(3, at["c_implied"], true)
    assert np.abs(true).mean() > 5 * np.abs(at["c_step"]).mean()
    assert not said["doubts"]


def test_six_cohorts_are_told_by_what_they_differ_from_the_closed_form(tmp_path):
    at, _ = implied_of(tmp_path, "olg_analytic/six", "phases.0.updates=4000", "evaluation.periods=5000")
    k, z = at["k"], at["z"]
    tfp, depreciation = np.take([0.95, 1.05, 0.95, 1.05], z), np.take([0.5, 0.5, 0.9, 0.9], z)
    K = k.sum(axis=1)
    r, w = 0.3 * tfp * K**-0.7 + 1 - depreciation, 0.7 * tfp * K**0.3
    cash = r[:, None] * k
    cash[:, 0] += w
    right = cash - olg_analytic.savings(k, r, w, 0.7)
    assert_within(3, at["c_implied"], right / at["c_level"] - 1)


def test_three_cohorts_with_a_borrowing_limit_are_told_by_what_they_differ_from_the_grid(tmp_path):
    at, _ = implied_of(tmp_path, "olg/three", "phases.0.updates=1000", "evaluation.periods=5000")
    grid = olg_grid.solve(olg_grid.Economy((0.6, 1.4, 0.5)), nodes=(120, 80))
    assert_within(3, at["c_implied"], grid.consumption(at["k"], at["z"]) / at["c_level"] - 1)


def test_training_that_ends_with_small_euler_errors_and_wrong_portfolios_is_exposed(tmp_path):
    at, _ = implied_of(tmp_path, "portfolio/portfolio", "phases.0.updates=3000", "evaluation.periods=5000")
    traded = at["d"] / at["d_level"]  # over the capital that a cohort saves; nobody should trade
    assert np.abs(traded).mean() > 0.05
    assert_within(2, at["d_implied"], traded)


def test_values_and_prices_that_hardly_moved_from_a_wrong_guess_are_exposed(tmp_path):
    at, said = implied_of(
        tmp_path,
        "asset_pricing/lucas_monthly",
        "phases.0.updates=1500",
        "next_period={gradient: frozen, average: 0.9}",
        "parameters.first_guess=[1.23, 570.0]",
    )
    solved = lucas_tree.solve(lucas_tree.Tree())
    for letter, right in (("v", solved.value), ("p", solved.price)):
        true = right(at["x"]) / at[f"{letter}_level"] - 1
        assert np.abs(true).mean() > 0.02
        assert np.abs(at[f"{letter}_step"]).mean() < 0.001
        assert_within(2, at[f"{letter}_implied"], true)
    assert 0.99 < said["modulus"] < 1
