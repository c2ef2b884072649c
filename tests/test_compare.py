"""`deqn compare` on a hardly trained Brock-Mirman economy and on its closed form, which a problem of its own gives."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from projects import make_project, typed

import deqn
from deqn.report.comparison import figures

EXACT = '''
"""The closed form c = (1 - alpha beta) y as a problem, with one weight that nothing depends on."""

from typing import NamedTuple

import keras
import tensorflow as tf

from deqn.equilibrium.decision_rule import DecisionRule
from deqn.training.problem import Losses, Problem, Results

from .economy import BrockMirman, Policy
from .parameters import Parameters


class Formula(DecisionRule):
    def __init__(self, economy):
        self.economy = economy

    def __call__(self, state):
        saved = self.economy.p.capital_share * self.economy.p.discount_factor
        y = self.economy.output(state)
        return Policy(savings=saved * y, consumption=(1 - saved) * y)


class Exact(Problem):
    states_per_update = 10

    def __init__(self, parameters, settings, rank=0, ranks=1):
        self.parameters = parameters
        network = keras.Sequential([keras.Input([1]), keras.layers.Dense(1)])
        self.networks, self.trainable = {"none": network}, {"none": network.trainable_variables}

    def losses(self, batch, carry, key):
        return Losses({"none": tf.reduce_sum(self.networks["none"](tf.ones([1, 1])) ** 2)}, carry)

    def rule(self):
        return Formula(BrockMirman(self.parameters, "float64"))

    def results(self):
        return Results("exact", {"shares": [{"saving rate": 0.3456}]})


class NoNumber(Formula):
    def __call__(self, state):
        policy = super().__call__(state)
        return policy._replace(consumption=policy.consumption * tf.math.log(0.19 - state.capital))


class Wild(Exact):
    def rule(self):
        return NoNumber(BrockMirman(self.parameters, "float64"))


class Savings(NamedTuple):
    savings: tf.Tensor


class Half(Formula):
    def __call__(self, state):
        return Savings(0.5 * self.economy.output(state))


class Other(Exact):
    def rule(self):
        return Half(BrockMirman(self.parameters, "float64"))
'''
OVERRIDES = ["--set", "phases.0.updates=60", "--set", "evaluation.periods=400", "--set", "evaluation.burn_in=100"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Runs exact/one and brock_mirman/one, and their comparison in the folder `compared`."""
    folder = tmp_path_factory.mktemp("project")
    make_project(folder, "brock_mirman")
    home = folder / "models/brock_mirman"
    (home / "exact.py").write_text(EXACT)
    (home / "exact.yaml").write_text("# The closed form\nproblem: exact.Exact\nphases: [{updates: 3}]\n")
    for arguments in (["exact"], ["brock_mirman", *OVERRIDES]):
        done = typed(folder, "train", f"models/brock_mirman/{arguments[0]}.yaml", "--run", "one", *arguments[1:])
        assert done.returncode == 0, done.stderr
    small = ["--periods", "400", "--burn-in", "100", "--out", "compared"]
    done = typed(folder, "compare", "exact/one", "brock_mirman/one", *small)
    assert done.returncode == 0, done.stderr
    (folder / "log").write_text(done.stdout)
    return folder


def arrays(project):
    with np.load(project / "compared/comparison.npz") as file:
        return {name: file[name] for name in file.files}


def test_a_study_that_knows_the_solution_has_no_euler_error(project):
    errors = pd.read_csv(project / "compared/errors.csv").set_index("run")
    assert errors.loc["exact/one", "max"] < 1e-14
    assert errors.loc["brock_mirman/one", "mean"] > 1e-5


def test_both_decide_at_the_states_that_the_first_ones_path_visits(project):
    found = arrays(project)
    k, z, share = found["k"], found["z"], 0.36 * 0.96
    assert len(k) == 300
    np.testing.assert_allclose(k[1:], found["1/a"][:-1], rtol=1e-12)  # the state that the first run's savings become
    np.testing.assert_allclose(found["1/c"] / found["1/a"], (1 - share) / share, rtol=1e-12)
    policy = deqn.load(str(project / "runs/brock_mirman/one"), trust=True).policy(capital=k, shock=z)
    np.testing.assert_allclose(found["2/c"], policy.consumption, rtol=1e-12)


def test_the_distance_is_the_difference_over_the_first_runs_mean(project):
    found = arrays(project)
    rows = pd.read_csv(project / "compared/policies.csv").set_index(["run", "policy"])
    distance = np.abs(found["2/a"] - found["1/a"]) / found["1/a"].mean()
    assert rows.loc[("brock_mirman/one", "savings"), "mean"] == pytest.approx(distance.mean(), rel=1e-12)
    assert rows.loc[("brock_mirman/one", "savings"), "max"] == pytest.approx(distance.max(), rel=1e-12)


def test_moments_are_those_of_each_runs_own_path_under_the_same_shocks(project):
    moments = pd.read_csv(project / "compared/moments.csv").set_index(["run", "variable"])
    own = pd.read_csv(project / "runs/brock_mirman/one/moments.csv")
    own = own[(own["group"] == "all") & (own["statistic"] == "mean")].set_index("variable")["value"]
    assert moments.loc[("brock_mirman/one", "K"), "mean"] == pytest.approx(own["K"], rel=1e-12)
    assert moments.loc[("exact/one", "K"), "mean"] == pytest.approx(arrays(project)["k"].mean(), rel=1e-12)


def test_costs_count_updates_times_states_of_an_update(project):
    costs = pd.read_csv(project / "compared/costs.csv").set_index("run")
    assert costs.loc["exact/one", "states"] == 3 * 10
    assert costs.loc["brock_mirman/one", "states"] == 60 * 128 * 3  # tracks, each under every shock


def test_tables_are_printed_and_figures_drawn(project):
    log = (project / "log").read_text()
    assert "errors at the same states" in log
    assert "cost of training" in log
    for name in ("errors", "policies"):
        assert (project / f"compared/figures/{name}.pdf").stat().st_size > 1000
    assert json.loads((project / "compared/comparison.json").read_text())["runs"] == ["exact/one", "brock_mirman/one"]


def test_policies_by_age_are_drawn_as_means_over_age(tmp_path):
    rng, runs = np.random.default_rng(0), ["olg/one", "olg/two"]
    given = {"k": rng.uniform(size=(50, 4)), "1/a": rng.uniform(size=(50, 3)), "2/a": rng.uniform(size=(50, 3))}
    np.savez(
        tmp_path / "comparison.npz", **given, **{"1/euler": rng.uniform(size=(50, 3)), "2/euler": np.zeros((50, 3))}
    )
    described = {"runs": runs, "names": {"a": "savings"}, "units": {"a": "goods"}}
    described["axes"] = {"labels": {"age": [21, 31, 41, 51]}}
    (tmp_path / "comparison.json").write_text(json.dumps(described))
    (tmp_path / "errors.csv").write_text(
        "run,condition,unit,mean,p99.9,max\nolg/one,euler,relative,.1,.2,.3\nolg/two,euler,relative,.1,.2,.3\n"
    )
    figures(tmp_path)
    drawn = pd.read_csv(tmp_path / "figures/policies.csv")
    second = drawn[drawn["run"] == "olg/two"]
    assert list(second["x"]) == [21, 31, 41]
    np.testing.assert_allclose(second["y"], given["2/a"].mean(axis=0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["exact/one"], "deqn compare: got 1 run, expected two or more"),
        (["exact/one", "brock_mirman/none"], "brock_mirman/none: no such run; did you mean 'brock_mirman/one'?"),
        (["exact/one", "exact/one"], "exact/one: is named twice; name every run once"),
        (["exact/one", "brock_mirman/one", "--periods", "5"], "--burn-in: got 2000 of 5 periods, expected fewer"),
    ],
)
def test_a_mistake_is_told_in_one_line_and_nothing_written(project, arguments, message):
    done = typed(project, "compare", *arguments, "--out", "nothing")
    assert (done.returncode, done.stderr) == (2, f"deqn: {message}\n")
    assert not (project / "nothing").exists()


def test_solutions_of_different_economies_are_refused(project):
    home = project / "models/brock_mirman"
    (home / "other.yaml").write_text((home / "exact.yaml").read_text().replace("exact.Exact", "exact.Other"))
    assert typed(project, "train", "models/brock_mirman/other.yaml", "--run", "one").returncode == 0
    done = typed(project, "compare", "exact/one", "other/one")
    message = (
        "other/one has no consumption, exact/one has one consumption in each state; expected solutions of one economy"
    )
    assert (done.returncode, done.stderr) == (2, f"deqn: {message}\n")


def test_a_solution_that_gives_no_numbers_is_named_and_nothing_written(project):
    home = project / "models/brock_mirman"
    (home / "wild.yaml").write_text((home / "exact.yaml").read_text().replace("exact.Exact", "exact.Wild"))
    assert typed(project, "train", "models/brock_mirman/wild.yaml", "--run", "one").returncode == 0
    done = typed(project, "compare", "exact/one", "wild/one", "--periods", "400", "--burn-in", "100")
    bad = (arrays(project)["k"] >= 0.19).sum()
    message = (
        f"wild/one: the policy consumption is not finite at {bad} of 300 states of the path of exact/one; nothing was "
        "written; leave this run out, or train it longer"
    )
    assert (done.returncode, done.stderr) == (2, f"deqn: {message}\n")
    assert 0 < bad < 300
    assert not (project / "runs/compare").exists()


def test_runs_of_one_name_in_two_projects_are_told_apart(project, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(project, other)
    small = ["--periods", "400", "--burn-in", "100", "--trust"]
    done = typed(project, "compare", "exact/one", other / "runs/exact/one", *small)
    assert done.returncode == 0, done.stderr
    names = [f"{project.name}/runs/exact/one", "other/runs/exact/one"]
    (made,) = (project / "runs/compare").iterdir()
    assert made.name == "_".join(names).replace("/", "-")
    assert list(pd.read_csv(made / "costs.csv")["run"]) == names
    shutil.rmtree(project / "runs/compare")
