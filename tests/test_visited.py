"""Where the rule was not trained it says so: masks, residuals and shares beside every answer."""

import warnings

import numpy as np
import pytest
from projects import exit_status
from small import trained_project

from deqn.mlp.networks import WideAndDeep
from deqn.project.errors import UserError


def test_simulated_states_are_inside_and_ten_times_the_capital_is_not(solution, arrays):
    assert arrays["inside"].shape == (300,)
    assert arrays["inside"].mean() > 0.99
    with pytest.warns(UserWarning, match="4 of 4 states lie where the rule was not trained"):
        policy = solution.policy(capital=10 * arrays["k"][:4], shock=arrays["z"][:4])
    assert not policy.inside.any()


def test_wealth_of_a_cohort_that_never_had_any_is_outside(solution, arrays):
    low, high = solution.rule.visited
    never = np.flatnonzero(high - low == 0)
    capital = arrays["k"][:5].copy()
    assert 0 in never  # nobody is born rich
    capital[:, 1] = high[1] + 0.5 * high[3]
    with warnings.catch_warnings(action="ignore"):
        assert not solution.policy(capital=capital, shock=arrays["z"][:5]).inside.any()


def test_a_policy_is_still_the_economys_own_and_carries_the_error_of_its_state(solution, arrays):
    policy = solution.policy(capital=arrays["k"][:7], shock=arrays["z"][:7])
    assert isinstance(policy, solution.economy.Policy)
    savings, _, consumption, _ = policy
    # The multiplier-free error, a second time: beta E[r' u'(c')] from the policies foreseen, as the README has it.
    p, value = solution.economy.p, 0.0
    for z in range(4):
        k_next = np.pad(savings, [(0, 0), (1, 0)])
        c_next = solution.policy(capital=k_next, shock=np.full(7, z)).consumption
        r = (
            p.capital_share * p.tfp[z] * (k_next.sum(1) / sum(p.labour)) ** (p.capital_share - 1)
            + 1
            - p.depreciation[z]
        )
        weight = np.take(np.array(p.transition)[:, z], arrays["z"][:7])
        value = value + p.discount_factor * (weight * r)[:, None] * c_next[:, 1:] ** -p.risk_aversion
    free = np.minimum(value ** (-1 / p.risk_aversion) / consumption[:, :-1] - 1, savings / consumption[:, :-1])
    own = (value + policy.multiplier) ** (-1 / p.risk_aversion) / consumption[:, :-1] - 1
    np.testing.assert_allclose(policy.error, np.maximum(np.abs(free), np.abs(own)).max(axis=1), rtol=1e-6)


def test_the_command_writes_inside_and_error_and_says_how_many_are_outside(
    solution, arrays, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(trained_project())
    capital = np.concatenate([arrays["k"][:3], 10 * arrays["k"][:2]])
    np.savez(tmp_path / "states.npz", k=capital, z=arrays["z"][[0, 1, 2, 0, 1]])
    assert exit_status("policy", "tiny/one", "--states", tmp_path / "states.npz", "--out", tmp_path / "out.npz") == 0
    assert "2 of them lie where the rule was not trained" in capfd.readouterr().out
    with np.load(tmp_path / "out.npz") as out:
        assert out["inside"].tolist() == [True, True, True, False, False]
        assert out["error"].shape == (5,)
        assert out["error"][3:].min() > out["error"][:3].max()


def test_debt_below_the_borrowing_limit_is_refused(solution, arrays):
    capital = arrays["k"][:2].copy()
    capital[1, 2] = -0.01
    with pytest.raises(UserError, match=r"capital\[1, 2\] is -0.01, expected at least the borrowing limit of 0"):
        solution.policy(capital=capital, shock=arrays["z"][:2])


def test_a_small_departure_in_what_never_varied_is_a_small_number_for_the_network():
    rng = np.random.default_rng(0)
    varies = rng.normal(size=(500, 2))
    sample = np.stack([np.zeros(500), varies[:, 0], varies[:, 1], varies.sum(axis=1)], axis=1)
    network = WideAndDeep(4, 1, 1, [4], "tanh", 0, "float64", components=4, quadratics=0, output_scale=1.0)
    network.adapt(sample)
    x = sample[:1] + [[0.005, 0.0, 0.0, 0.005]]  # more of the first, and of the sum with it
    shown = np.concatenate([network.whiten(x) - network.whiten(sample[:1]), network.standardize(x)[:, :1]], axis=1)
    assert np.abs(shown).max() < 0.1
    # What varies is still whitened: two components of variance one, two that are zero.
    np.testing.assert_allclose(np.var(network.whiten(sample), axis=0, ddof=1), [1, 1, 0, 0], atol=1e-6)
