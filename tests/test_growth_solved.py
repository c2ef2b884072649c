"""What training makes of the growth economies: Euler errors, and consumption against the grid on the simulated path."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from oracles.chains import rouwenhorst
from oracles.growth_grid import Growth, solve_ar1, solve_markov
from small import train

pytestmark = pytest.mark.slow


def solved(folder, stem, *overrides, run="one"):
    """The arrays of the reported path, and the errors in % by condition."""
    errors, path, _ = train(folder, f"growth/{stem}", *overrides, run=run, seed=3)
    return path, 100 * errors[["mean", "p99.9", "max"]].astype(float)


def on_a_chain(persistence, sd, risk_aversion, irreversible=False):
    ln_z, transition = rouwenhorst(5, persistence, sd)
    economy = Growth(risk_aversion=risk_aversion, irreversible=irreversible)
    return solve_markov(economy, np.exp(ln_z), transition, nodes=1200)


def against(solution, path):
    """Consumption's distance from the grid solution's, % [T]."""
    shock = path["z"].astype(int) if np.issubdtype(path["z"].dtype, np.integer) else path["z"]
    return 100 * np.abs(path["c"] / solution.consumption(path["k"], shock) - 1)


def check(consumption, euler, mean, p999):
    """Both errors below the same bounds, %."""
    assert euler["mean"] < mean
    assert euler["p99.9"] < p999
    assert consumption.mean() < mean
    assert np.percentile(consumption, 99.9) < p999


def test_growth_on_a_chain_agrees_with_the_grid(tmp_path):
    path, errors = solved(tmp_path, "growth", "phases.0.updates=6000")
    check(against(on_a_chain(0.95, 0.007, 2.0), path), errors.loc["euler"], 0.001, 0.01)


def test_growth_with_great_risk_aversion_and_large_shocks_agrees_with_the_grid(tmp_path):
    path, errors = solved(tmp_path, "growth_prudent", "phases.0.updates=15000")
    check(against(on_a_chain(0.95, 0.035, 10.0), path), errors.loc["euler"], 0.005, 0.05)


def test_growth_with_gaussian_productivity_agrees_with_the_grid(tmp_path):
    path, errors = solved(tmp_path, "growth_ar1", "phases.0.updates=6000")
    check(against(solve_ar1(Growth(), 0.95, 0.007), path), errors.loc["euler"], 0.001, 0.01)


def test_irreversible_growth_agrees_with_the_grid_where_the_constraint_binds_and_where_not(tmp_path):
    path, errors = solved(tmp_path, "growth_irreversible", "phases.0.updates=15000")
    solution = on_a_chain(0.9, 0.12, 2.0, irreversible=True)
    check(against(solution, path), errors.loc["euler"], 0.005, 0.05)
    mu = solution.multiplier(path["k"], path["z"].astype(int))
    assert (mu > 0).mean() > 0.05
    assert ((mu > 0) == (path["lam"] > 0)).mean() > 0.999
    assert np.abs((path["lam"] - mu) * path["c"] ** 2).max() < 0.001
    assert errors.loc["optimality", "mean"] < 0.005
    assert errors.loc["kkt", "max"] < 1e-10  # rounding


def test_one_network_for_an_interval_of_risk_aversion_agrees_with_the_grid_and_with_a_separate_solution(tmp_path):
    path, errors = solved(tmp_path, "growth_family", "phases.0.updates=4000")
    assert errors.loc["euler", "mean"] < 0.001
    assert set(np.round(path["gamma"], 6)) == set(np.linspace(1, 5, 9))
    for gamma in (1.0, 3.0, 5.0):
        rows = {name: path[name][np.isclose(path["gamma"], gamma)] for name in ("k", "z", "c")}
        consumption = against(on_a_chain(0.95, 0.007, gamma), rows)
        assert consumption.mean() < 0.01
        assert consumption.max() < 0.1
    solved(tmp_path, "growth", "phases.0.updates=2000", "parameters.risk_aversion=2", run="gamma2")
    script = [sys.executable, "models/growth/comparative_statics.py", "--single", "growth/gamma2", "--points", "5"]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "runs/growth_family/one/figures/comparative_statics.csv").set_index("solution")
    family, single = table.loc["family"].set_index("gamma"), table.loc["single"]
    assert list(family.index) == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(family.loc[2.0].astype(float), single[family.columns].astype(float), rtol=2e-3)
    assert "mean %" in done.stdout
