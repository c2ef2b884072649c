"""Impulse responses against exact expectations: Brock-Mirman's closed form, a Gaussian and a joint process."""

import re
import shutil
import subprocess
import sys
import textwrap
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from projects import ROOT, typed
from small import economy_of, trained_project

from deqn.equilibrium import Economy, Gaussian, Joint, MarkovChain
from deqn.equilibrium.decision_rule import DecisionRule
from deqn.equilibrium.evaluation import evaluate
from deqn.equilibrium.interventions import interventions_of
from deqn.equilibrium.responses import Plan, _responses, impulse_responses
from deqn.project.errors import UserError

ALPHA, BETA = 0.36, 0.96
Z = np.exp([-0.1, 0.0, 0.1])
P = np.array([[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.05, 0.15, 0.8]])
LAGS = 60  # alpha^60 is 1e-27
POINTS = 2e-4  # the gate: .02 percentage points


def known_rule(economy, policy):
    """The decision rule of a closed form, state -> Policy."""

    class Known(DecisionRule):
        def __call__(self, state):
            return policy(state)

    rule = Known()
    rule.economy = economy
    return rule


@pytest.fixture(scope="module")
def brock_mirman():
    economy = economy_of(ROOT / "models/brock_mirman/brock_mirman.yaml")

    def policy(state):
        y = economy.output(state)
        return economy.Policy(savings=ALPHA * BETA * y, consumption=(1 - ALPHA * BETA) * y)

    return known_rule(economy, policy)


def exact_response(shock, horizon, first=None, earlier=LAGS):
    """Of c_{t+h} = const z_{t+h} z_{t+h-1}^alpha ... : a product of powers of the chain, summed over all its paths.

    first: the law of the shock `earlier` periods before the intervention, by default the stationary one.
    """
    law = np.linalg.matrix_power(P, 500)[0] if first is None else first
    before = [ALPHA ** (horizon + lag) for lag in range(earlier, 0, -1)]  # of z_{t-60} ... z_{t-1}
    after = [ALPHA ** (horizon - j) for j in range(horizon + 1)]  # of z_t ... z_{t+h}

    def backward(following, powers):
        """E[ z_0^p_0 z_1^p_1 ... following(z_n) | z_0 ] for each z_0, where `following` is None at the end."""
        for power in reversed(powers):
            following = Z**power * (1 if following is None else P @ following)
        return following

    forced = backward(None, after)
    free = law @ backward(forced, before)
    done = forced[shock] * (law @ backward(None, before))
    return done / free - 1


def test_the_response_of_brock_mirmans_consumption_is_the_exact_one_at_every_horizon(brock_mirman):
    asked = interventions_of(brock_mirman.economy)
    found, outside = impulse_responses(brock_mirman, asked, Plan(5, 15, 200_000, burn_in=100))
    assert [each.shock for each in found] == ["1", "2", "3"]
    assert outside == 0
    for number, response in enumerate(found):
        exact = np.array([exact_response(number, h) for h in range(10)])
        distance = np.abs(response.values["C"] - exact)
        assert (distance <= 3 * response.standard_errors["C"] + 1e-12).all()
        assert (distance <= POINTS).all()
    assert abs(found[0].values["C"][0]) > 0.05


def test_from_a_given_state_the_response_is_that_of_the_chain_from_there(brock_mirman):
    state = brock_mirman.economy.State(np.array([0.2]), np.array([2], np.int32))
    plan = Plan(3, 8, 200_000)
    (response,), _ = impulse_responses(brock_mirman, interventions_of(brock_mirman.economy, ["1"]), plan, state)
    first = np.eye(3)[2]  # z_0 is known, three periods before the intervention; ln k_0 too, and both drop out
    exact = np.array([exact_response(0, h, first, earlier=3) for h in range(5)])
    distance = np.abs(response.values["C"] - exact)
    assert (distance <= 3 * response.standard_errors["C"] + 1e-12).all()
    assert (distance <= POINTS).all()


def test_what_is_drawn_from_its_own_law_has_no_response(brock_mirman):
    found, _ = impulse_responses(
        brock_mirman, interventions_of(brock_mirman.economy), Plan(5, 10, 2000, burn_in=100), own_law=True
    )
    nothing = found[-1]
    for name in ("C", "Y", "I"):
        assert (np.abs(nothing.values[name]) <= 3 * nothing.standard_errors[name]).all()
        assert (nothing.standard_errors[name] > 0).all()


def test_conditional_means_are_no_responses(brock_mirman):
    path = evaluate(brock_mirman, 20_000, 100, seed=1)
    c, z = path.policy.consumption, path.state.shock
    conditional = [c[z == number].mean() / c.mean() - 1 for number in range(3)]
    # The shock that is seen has mostly come before, too, and moved capital; one that is done has not.
    for number in (0, 2):
        assert abs(conditional[number] - exact_response(number, 0)) > 100 * POINTS


def test_standard_errors_are_the_spread_of_repeated_estimates():
    """Tracks of two strata with known law, drawn in NumPy; the response is a ratio of means minus one."""
    generator, law, estimates, errors = np.random.default_rng(0), np.array([0.9, 0.1]), [], []
    for _ in range(500):
        stratum = generator.choice(2, size=(40, 50), p=law)  # [blocks, tracks]
        base = 1 + stratum + 0.3 * generator.standard_normal((40, 50))
        forced = 1.2 * base + 0.1 * generator.standard_normal((40, 50)) + 0.5 * stratum
        member = np.eye(2)[stratum]  # [blocks, tracks, strata]
        sums = np.stack([np.einsum("bn,bnz->bz", x, member) for x in (base, forced)], axis=1)
        (response,) = _responses({"x": sums}, member.sum(axis=1), law, ["do"], [])
        estimates.append(response.values["x"])
        errors.append(response.standard_errors["x"])
    assert np.mean(estimates) == pytest.approx((1.2 * 1.1 + 0.05) / 1.1 - 1, abs=4 * np.std(estimates) / 500**0.5)
    assert np.mean(errors) / np.std(estimates) == pytest.approx(1, abs=0.15)  # the spread itself is known to 3 %


class State(NamedTuple):
    x: tf.Tensor  # [batch]
    shock: tf.Tensor  # [batch], of the joint process alone


class Policy(NamedTuple):
    level: tf.Tensor  # [batch] exp(x)
    parts: tf.Tensor  # [batch, 2] exp(x) and 2 exp(x)
    centred: tf.Tensor  # [batch] x, whose mean is zero


class Innovations(Economy):
    """x' = rho x + sd (e1' + 2 e2') + shift(z')."""

    State, Policy, outputs = State, Policy, 1
    axes = {"half": ["first", "second"]}

    def __init__(self, shocks, shift=(0.0, 0.0)):
        super().__init__(None, "float64")
        self.shocks, self.shift = shocks, shift

    def features(self, state):
        return state.x[:, None]

    def policy(self, output, state):
        level = tf.exp(state.x)
        return Policy(level, tf.stack([level, 2 * level], axis=1), state.x)

    def transition(self, state, policy, shock):
        e = getattr(shock, "e", shock)
        z = getattr(shock, "z", tf.zeros_like(state.shock))
        return State(0.8 * state.x + 0.1 * (e[:, 0] + 2 * e[:, 1]) + self.by_shock(self.shift, z), z)

    def residuals(self, state, policy, E):
        return {"none": 0 * state.x}

    def initial_states(self, count, generator):
        return State(0.1 * generator.standard_normal(count), np.zeros(count, np.int32))


def responses_of(economy, *asked, size=1.0, paths=20_000, own_law=False):
    rule = known_rule(economy, lambda state: economy.policy(None, state))
    plan = Plan(5, 10, paths, burn_in=50)
    found, _ = impulse_responses(rule, interventions_of(economy, asked, size), plan, own_law=own_law)
    return {each.shock: each for each in found}


@pytest.mark.parametrize("size", [1.0, -1.0])
def test_the_response_to_a_normal_innovation_is_the_lognormal_one(size):
    found = responses_of(Innovations(Gaussian(2)), size=size)
    assert list(found) == ["1", "2"]
    for name, loading in (("1", 0.1), ("2", 0.2)):
        # ln X answers by loading rho^h size, and E[X] loses the variance of what is no longer drawn.
        slope = loading * 0.8 ** np.arange(5)
        exact = np.exp(size * slope - slope**2 / 2) - 1
        response = found[name]
        assert (np.abs(response.values["level"] - exact) <= 3.5 * response.standard_errors["level"]).all()
        np.testing.assert_allclose(response.values["level"], exact, atol=0.002)
        np.testing.assert_allclose(response.values["parts"], response.values["level"][0], rtol=1e-12)
        assert np.isnan(response.values["centred"]).all()  # nothing to take a share of


def test_of_a_joint_process_the_chain_and_the_innovations_are_set_by_name():
    economy = Innovations(Joint(z=MarkovChain([[0.9, 0.1], [0.3, 0.7]]), e=Gaussian(2)), shift=(0.0, 0.3))
    found = responses_of(economy, "1", "2", "e.2")
    innovation = found["e.2"]
    exact = np.exp(0.2 - 0.02) - 1
    assert abs(innovation.values["level"][0] - exact) <= 3.5 * innovation.standard_errors["level"][0]
    # On impact x is what it was but for the shift: E[exp(.3 1{z = 2}) | z_{t-1}] is the base, with x_{t-1} correlated.
    ratio = (1 + found["2"].values["level"][0]) / (1 + found["1"].values["level"][0])
    assert ratio == pytest.approx(np.exp(0.3), rel=1e-12)
    with pytest.raises(UserError, match=r"--shock e: no such shock; expected one of 1, 2, e.1, e.2"):
        interventions_of(economy, ["e"])


def test_a_normal_innovation_drawn_anew_has_no_response():
    nothing = responses_of(Innovations(Gaussian(2)), "1", own_law=True)["its own law"]
    assert (np.abs(nothing.values["level"]) <= 3.5 * nothing.standard_errors["level"]).all()


# ---- the command


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the trained project with two runs of tiny.yaml and their responses."""
    folder = tmp_path_factory.mktemp("irf") / "project"
    shutil.copytree(trained_project(), folder)
    shutil.copytree(folder / "runs/tiny/one", folder / "runs/tiny/two")
    done = typed(folder, "irf", "tiny/one", "tiny/two", "--paths", "80", "--periods", "30")
    assert done.returncode == 0, done.stderr
    (folder / "log").write_text(done.stdout)
    return folder


def rows(project, run="one"):
    return pd.read_csv(project / f"runs/tiny/{run}/responses.csv", dtype={"shock": str, "entry": str})


def test_the_command_writes_every_variable_over_time_or_along_its_axis(project):
    table = rows(project)
    assert list(table) == ["variable", "shock", "axis", "entry", "horizon", "value", "standard_error", "mean"]
    assert list(dict.fromkeys(table["shock"])) == ["1", "2", "3", "4", "its own law"]
    consumption = table[(table["variable"] == "C") & (table["shock"] == "4")]
    assert list(consumption["horizon"]) == [0, 1, 2, 3, 4]
    by_age = table[(table["variable"] == "consumption") & (table["shock"] == "4")]
    assert list(dict.fromkeys(by_age["axis"])) == ["age"]
    assert len(by_age) == 4
    np.testing.assert_allclose(by_age["mean"].sum(), consumption["mean"].iloc[0], rtol=1e-5)
    weighted = (by_age["value"] * by_age["mean"]).sum() / by_age["mean"].sum()
    assert weighted == pytest.approx(consumption["value"].iloc[0], rel=1e-4)


def test_runs_with_the_same_weights_respond_alike_and_are_drawn_together(project):
    pd.testing.assert_frame_equal(rows(project, "one"), rows(project, "two"))
    figures = project / "runs/irf/tiny-one_tiny-two/figures"
    for name in ("responses", "responses_by_age"):
        assert set(pd.read_csv(figures / f"{name}.csv")["run"]) == {"tiny/one", "tiny/two"}
        assert (figures / f"{name}.png").stat().st_size > 1000
        assert (figures / f"{name}.pdf").stat().st_size > 1000
    assert "| consumption " in (project / "log").read_text()


@pytest.mark.slow
def test_from_python_the_response_is_that_of_the_command_and_a_state_may_be_given(project):
    import deqn

    solution = deqn.load(str(project / "runs/tiny/one"), trust=True)
    state = {"capital": [[0.0, 0.1, 0.2, 0.1]], "shock": [0]}
    response = solution.impulse_response(shock=4, period=1, periods=3, paths=40, initial_state=state)
    assert response.values["C"].shape == (2,)
    assert response.values["consumption"].shape == (4,)
    assert response.standard_errors["C"][0] < 1e-7  # the state and the law of its shock are known
    after = solution.simulate(2, initial_state=state, shocks=[3])["C"][1]
    law = np.array([0.49, 0.49, 0.01, 0.01])
    base = law @ [solution.simulate(2, initial_state=state, shocks=[z])["C"][1] for z in range(4)]
    assert response.values["C"][0] == pytest.approx(after / base - 1, rel=1e-5)


@pytest.mark.slow
def test_the_readme_says_it_in_python(project):
    text = (ROOT / "README.md").read_text().partition("\n## Impulse responses")[2].partition("\n## ")[0]
    code = textwrap.dedent(text[text.index("    import deqn") :].partition("\n\nMeans")[0])
    code = code.replace("tiny/first", "runs/tiny/one").replace("20_000", "40")
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"-?\d+\.\d\d % \(standard error \d+\.\d\d\), by age \[.*\]\n", done.stdout)
    table = rows(project).query("variable == 'C' and shock == '4'")
    near = 100 * table["value"].iloc[0]  # of twice as many tracks
    assert float(done.stdout.split()[0]) == pytest.approx(near, abs=1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--shock", "5"], "--shock 5: no such shock; expected one of 1, 2, 3, 4"),
        (["--period", "50"], "--period: got 50 of 50 periods, expected 1 to 49: period 0 is that of the first state"),
        (
            ["--state", "none.npz"],
            "--state: none.npz not found; expected an .npz with an array for each state variable",
        ),
    ],
)
def test_a_mistake_is_told_in_one_line(project, words, message):
    done = typed(project, "irf", "tiny/one", *words)
    assert (done.returncode, done.stderr) == (2, f"deqn: {message}\n")
