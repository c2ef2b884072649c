"""What a run leaves: its arrays, judged without this package; a loaded solution's policy and paths; its refusals."""

import numpy as np
import pandas as pd
import pytest
from small import CHAIN, trained_project

import deqn
from deqn.project.errors import UserError

TFP, DELTA = [0.85, 1.15, 0.85, 1.15], [0.5, 0.5, 0.9, 0.9]


# ---- the files of a run, without this package


def test_simulation_npz_has_the_arrays_and_shapes_promised(arrays):
    shapes = {"z": (300,), "k": (300, 4), "a": (300, 3), "lam": (300, 3), "c": (300, 4), "a_next": (300, 4, 3)}
    assert {name: arrays[name].shape for name in shapes} == shapes
    assert all(arrays[name].dtype == np.float64 for name in shapes if name != "z")
    assert set(np.unique(arrays["z"])) <= {0, 1, 2, 3}


def test_every_error_of_a_run_is_what_a_loop_over_its_arrays_gives(arrays):
    beta, L, labour = 0.5987369, 4.28, [0.5, 0.88, 2.2, 0.7]
    euler, optimality, kkt = (np.zeros((300, 3)) for _ in range(3))
    for t in range(300):
        a, c = arrays["a"][t], arrays["c"][t]
        value = np.zeros(3)
        for z in range(4):
            k_next = np.concatenate([[0.0], a])
            r = 0.3 * TFP[z] * (k_next.sum() / L) ** -0.7 + 1 - DELTA[z]
            w = 0.7 * TFP[z] * (k_next.sum() / L) ** 0.3
            c_next = r * k_next + w * np.array(labour) - np.append(arrays["a_next"][t, z], 0.0)
            value += CHAIN[int(arrays["z"][t]), z] * beta * r * c_next[1:] ** -2.0
        euler[t] = (value + arrays["lam"][t]) ** -0.5 / c[:3] - 1
        optimality[t] = np.minimum(value**-0.5 / c[:3] - 1, a / c[:3])
        kkt[t] = arrays["lam"][t] * a
    table = pd.read_csv(trained_project() / "runs/tiny/one/errors.csv").query("group == 'all'").set_index("condition")
    for name, errors in (("euler", euler), ("optimality", optimality), ("kkt", kkt)):
        sizes = np.abs(errors)
        expected = [sizes.mean(), sizes.max(), *np.percentile(sizes, [0.1, 10, 50, 90, 99.9])]
        found = table.loc[name, ["mean", "max", "p0.1", "p10", "p50", "p90", "p99.9"]].astype(float)
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-13)
    assert 0 < table.loc["optimality", "mean"] < 0.1


def test_the_path_of_a_run_obeys_its_own_policy_and_prices(arrays):
    k, a, c, z = arrays["k"], arrays["a"], arrays["c"], arrays["z"].astype(int)
    np.testing.assert_allclose(k[1:, 1:], a[:-1], rtol=1e-12, atol=1e-16)
    K = k.sum(1)
    r = 0.3 * np.take(TFP, z) * (K / 4.28) ** -0.7 + 1 - np.take(DELTA, z)
    w = 0.7 * np.take(TFP, z) * (K / 4.28) ** 0.3
    np.testing.assert_allclose(arrays["r"], r, rtol=1e-12)
    np.testing.assert_allclose(arrays["w"], w, rtol=1e-12)
    cash = r[:, None] * k + w[:, None] * np.array([0.5, 0.88, 2.2, 0.7])
    np.testing.assert_allclose(c + np.pad(a, [(0, 0), (0, 1)]), cash, rtol=1e-12)
    # What was foreseen for the shock that then came is what was done.
    came = arrays["a_next"][np.arange(299), z[1:]]
    np.testing.assert_allclose(came, a[1:], rtol=1e-10, atol=1e-14)


# ---- from Python


def states(count, seed=0):
    rng = np.random.default_rng(seed)
    capital = np.pad(rng.uniform(0.02, 0.3, (count, 3)), [(0, 0), (1, 0)])
    return {"capital": capital, "shock": rng.integers(0, 4, count)}


@pytest.mark.parametrize("count", [1, 1000, 1001])
def test_a_policy_has_a_row_for_each_state_however_many(solution, count):
    given = states(count)
    policy = solution.policy(**given)
    assert policy.savings.shape == policy.multiplier.shape == (count, 3)
    assert policy.consumption.shape == (count, 4)
    assert policy.consumption.dtype == np.float64
    last = solution.policy(capital=given["capital"][-1:], shock=given["shock"][-1:])
    np.testing.assert_allclose(policy.consumption[-1:], last.consumption, rtol=1e-13)


def test_the_policy_at_simulated_states_gives_the_simulated_policy_back(solution, arrays):
    policy = solution.policy(capital=arrays["k"], shock=arrays["z"])
    for letter, field in (("a", "savings"), ("lam", "multiplier"), ("c", "consumption")):
        np.testing.assert_allclose(getattr(policy, field), arrays[letter], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("z", range(4))
def test_the_policy_at_successors_is_the_one_foreseen(solution, arrays, z):
    capital = np.pad(arrays["a"][:200], [(0, 0), (1, 0)])
    found = solution.policy(capital=capital, shock=np.full(200, z)).savings
    np.testing.assert_allclose(found, arrays["a_next"][:200, z], rtol=1e-12, atol=1e-12)


def test_the_evaluation_of_a_run_is_a_simulation_with_its_seed(solution, arrays):
    path = solution.simulate(periods=300, seed=1, burn_in=100)
    assert set(path) == set(arrays)
    for name, values in path.items():
        np.testing.assert_allclose(values, arrays[name], rtol=1e-12, atol=1e-15)


def test_a_simulation_has_as_many_periods_as_asked_and_depends_on_its_seed(solution):
    one, other = (solution.simulate(periods=40, seed=seed, tracks=2) for seed in (3, 4))
    assert one["k"].shape == (80, 4)
    assert one["K"].shape == (80,)
    np.testing.assert_array_equal(one["track"], np.repeat([0, 1], 40))
    np.testing.assert_allclose(one["K"], one["k"].sum(axis=1), rtol=1e-14)
    assert (one["z"] != other["z"]).any()


def test_whole_numbers_may_come_as_floats_and_lists(solution):
    given = states(5)
    one = solution.policy(**given)
    other = solution.policy(capital=given["capital"].tolist(), shock=given["shock"].astype(float).tolist())
    np.testing.assert_array_equal(one.consumption, other.consumption)


def wrong(**changes):
    given = states(5)
    for name, change in changes.items():
        given[name] = change(given[name])
    return {name: value for name, value in given.items() if value is not None}


def at(index, value):
    def change(array):
        array = array.astype(float)
        array[index] = value
        return array

    return change


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (wrong(capital=lambda k: k[:, :3]), r"capital has shape \[5, 3\], expected \[M, 4\] with M states"),
        (wrong(capital=lambda k: k[0]), r"capital has shape \[4\], expected \[M, 4\] with M states"),
        (wrong(shock=lambda z: z[:, None]), r"shock has shape \[5, 1\], expected \[M\] with M states"),
        (wrong(capital=lambda k: k[:0], shock=lambda z: z[:0]), r"capital has shape \[0, 4\]"),
        (wrong(shock=lambda z: z[:3]), r"shock has 3 rows, expected 5 as capital has"),
        (wrong(capital=at((2, 1), np.nan)), r"capital\[2, 1\] is nan, expected finite numbers"),
        (wrong(capital=at((2, 1), np.inf)), r"capital\[2, 1\] is inf, expected finite numbers"),
        (wrong(capital=at((3, 2), -5.0)), r"aggregate capital of state 3 is -4\.\d+, expected above 0"),
        (wrong(capital=at((1, 0), 0.1)), r"capital\[1, 0\] is 0.1, expected 0: nobody is born rich"),
        (wrong(shock=at(4, 4)), r"shock\[4\] is 4, expected 0 to 3"),
        (wrong(shock=at(0, -1)), r"shock\[0\] is -1, expected 0 to 3"),
        (wrong(shock=at(0, 1.5)), r"shock holds 1.5, expected whole numbers"),
        (wrong(shock=lambda z: None), r"shock missing; expected capital, shock"),
        ({**wrong(), "wealth": [1.0]}, r"wealth unknown; expected capital, shock"),
        (wrong(capital=lambda k: [["a"]]), r"capital is not an array of numbers"),
    ],
)
def test_states_that_make_no_sense_are_refused_in_one_line(solution, given, message):
    with pytest.raises(UserError, match=f"^states: {message}") as error:
        solution.policy(**given)
    assert "\n" not in str(error.value)


def test_a_run_that_does_not_exist_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(trained_project())
    with pytest.raises(UserError, match="'tiny/one'"):
        deqn.load("tiny/won")
    assert deqn.load("tiny").run.path.name == "one"  # a stem means its latest run
