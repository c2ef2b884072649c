"""Gini coefficients, Lorenz curves, shares and lives against definitions, closed forms and brute force."""

import json

import numpy as np
import pytest

from deqn.report import inequality


def test_the_gini_coefficient_is_half_the_relative_mean_difference_of_every_pair():
    x = np.random.default_rng(0).standard_normal((7, 12)) + 2  # some hold less than nothing
    pairs = np.abs(x[:, :, None] - x[:, None, :]).mean(axis=(1, 2))
    np.testing.assert_allclose(inequality.gini(x), pairs / (2 * x.mean(axis=1)), rtol=1e-12)


@pytest.mark.parametrize(("holdings", "wanted"), [([1, 1, 1, 1], 0.0), ([0, 0, 0, 5], 0.75), ([0, 0], np.nan)])
def test_the_gini_coefficient_of_equal_shares_of_one_owner_and_of_nothing(holdings, wanted):
    np.testing.assert_allclose(inequality.gini(np.array(holdings)), wanted, atol=1e-15)


def test_pareto_holdings_have_the_gini_coefficient_and_lorenz_curve_of_theory():
    a, n = 3.0, 200_000
    x = (1 - (np.arange(n) + 0.5) / n) ** (-1 / a)
    assert inequality.gini(x) == pytest.approx(1 / (2 * a - 1), abs=1e-3)
    share = np.linspace(0, 1, n + 1)
    np.testing.assert_allclose(inequality.lorenz(x), 1 - (1 - share) ** (1 - 1 / a), atol=1e-3)


def test_the_area_under_the_lorenz_curve_belongs_to_the_gini_coefficient():
    x = np.random.default_rng(1).exponential(size=(5, 40))
    curve = inequality.lorenz(x)
    area = ((curve[:, 1:] + curve[:, :-1]) / 2).mean(axis=1)
    np.testing.assert_allclose(1 - 2 * area, inequality.gini(x), rtol=1e-12)


def path_of(folder, k):
    described = {
        "letters": {"capital": "k"}, "states": ["capital"], "units": {},
        "axes": {"labels": {"age": list(range(20, 20 + k.shape[1]))}},
    }  # fmt: skip
    (folder / "description.json").write_text(json.dumps(described))
    np.savez(folder / "simulation.npz", k=k, track=np.zeros(len(k), int))


def test_on_a_path_shorter_than_a_life_no_life_is_drawn(tmp_path):
    path_of(tmp_path, np.random.default_rng(3).exponential(size=(5, 8)))
    assert {drawing.name for drawing in inequality.drawings(tmp_path)} == {"lorenz", "capital_shares"}


def test_shares_add_up_and_a_life_is_the_diagonal_of_the_path(tmp_path):
    T, N = 40, 8
    k = np.random.default_rng(2).exponential(size=(T, N))
    path_of(tmp_path, k)
    found = {drawing.name: drawing.data for drawing in inequality.drawings(tmp_path)}
    np.testing.assert_allclose(found["capital_shares"].drop(columns="period").sum(axis=1), 1.0, rtol=1e-12)
    last = found["lives"][found["lives"]["born"] == T - N]
    assert list(last["value"]) == [k[T - N + age, age] for age in range(N)]
    assert float(inequality.gini_rows(tmp_path)[0]["Gini, mean"]) == pytest.approx(inequality.gini(k).mean(), abs=5e-4)
