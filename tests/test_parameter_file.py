"""From a parameter file to what is trained, and from a run folder back to it."""

import json
import shutil

import numpy as np
import pytest
from small import ROOT, TINY, file_of, trained_project

from deqn.equilibrium.judging import figures_of
from deqn.project.errors import UserError
from deqn.project.parameter_yaml import to_yaml
from deqn.project.run import RunFolder
from deqn.tasks.build import build_problem
from deqn.tasks.parameter_file import parameter_file_of, settings_that_differ
from deqn.tasks.solution import load


def test_the_resolved_file_read_again_is_the_same_file(tmp_path):
    file = file_of(TINY, "parameters.borrowing_limit=-0.25", "seed=7")
    shutil.copytree(ROOT / "models/olg", tmp_path / "olg", ignore=shutil.ignore_patterns("__pycache__", "*.yaml"))
    (tmp_path / "olg/again.yaml").write_text(to_yaml(file.resolved()))
    again = file_of(tmp_path / "olg/again.yaml")
    assert again.resolved() == file.resolved()
    assert (again.parameters.borrowing_limit, again.settings.seed) == (-0.25, 7)


def test_what_set_changes_is_listed_with_old_and_new_value():
    changed = file_of(TINY, "parameters.risk_aversion=3", "seed=0", "phases.0.updates=5").changed
    assert changed == [("parameters.risk_aversion", 2.0, 3), ("phases.0.updates", 2000, 5)]


@pytest.mark.parametrize(
    ("override", "differs"),
    [
        ("phases.0.updates=9", []),
        ("stop={worst.mean: 0.1}", []),
        ("checkpoints.minutes=1", []),
        ("evaluation.periods=99", []),
        ("phases.0.optimizer.learning_rate=1", ["phases.0.optimizer.learning_rate"]),
        ("parameters.tfp.1=1.2", ["parameters.tfp.1"]),
        ("seed=1", ["seed"]),
        ("precision=float64", ["precision"]),
    ],
)
def test_only_lengths_may_differ_between_a_run_and_its_continuation(override, differs):
    before, now = file_of(TINY).resolved(), file_of(TINY, override).resolved()
    assert [key for key, _, _ in settings_that_differ(now, before)] == differs


def test_the_names_that_stop_may_use_are_those_that_validation_reports():
    problem = build_problem(file_of(TINY, "validation.tracks=2", "validation.periods=2", "validation.burn_in=0"))
    assert set(problem.judged(problem.validate())) == set(figures_of(["optimality", "euler", "kkt"]))


def test_a_threshold_may_be_set_key_by_key():
    stop = file_of(TINY, "stop.euler.mean=1e-4", "stop.euler.p99.9=0.01", "stop.kkt.max=1").settings.stop
    assert stop == {"euler.mean": 1e-4, "euler.p99.9": 0.01, "kkt.max": 1}


def test_weights_name_the_conditions_of_the_economy():
    problem = build_problem(file_of(TINY, "weights.euler=2"))
    assert problem.settings.weights == {"euler": 2.0}
    with pytest.raises(UserError, match=r"weights\.kkt: not a condition of the economy;"):
        build_problem(file_of(TINY, "weights.kkt=2"))


def test_a_later_phase_is_checked_before_the_first_one_trains():
    later = "phases=[{updates: 1}, {updates: 1, problem: {average: 2}}]"
    with pytest.raises(UserError, match=r"phases\.1\.problem\.average: 2; expected a number at least 0 and below 1"):
        file_of(TINY, later)


def test_no_warm_start_is_run_where_the_file_asks_for_none():
    problem = build_problem(file_of(TINY, "warm_start=null"))
    problem.warm_start(print)
    assert not np.any(problem.network.wide.kernel)


def test_a_warm_start_for_which_the_economy_says_no_correction_is_refused():
    file = ROOT / "models/brock_mirman/brock_mirman.yaml"
    with pytest.raises(UserError, match=r"warm_start: BrockMirman has no method `correction`; set warm_start to null"):
        build_problem(file_of(file, "warm_start={}")).warm_start(print)


# ---- from a run folder


@pytest.fixture
def project(tmp_path):
    shutil.copytree(trained_project(), tmp_path / "project")
    return tmp_path / "project"


def test_a_run_knows_its_own_parameters_whatever_the_file_says_today(project):
    run = RunFolder(project / "runs/tiny/one")
    (project / "models/olg/tiny.yaml").unlink()
    assert parameter_file_of(run).parameters.cohorts == 4


def test_a_project_may_be_copied_with_its_runs(project, tmp_path, monkeypatch):
    state = {"capital": np.array([[0.0, 0.1, 0.2, 0.3]]), "shock": np.array([1])}
    monkeypatch.chdir(project)
    before = load(str(project / "runs/tiny/one")).policy(**state)
    project.rename(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path / "elsewhere")
    after = load(tmp_path / "elsewhere/runs/tiny/one").policy(**state)
    np.testing.assert_array_equal(before.savings, after.savings)


def test_a_run_whose_economy_is_gone_says_what_is_missing(project):
    shutil.rmtree(project / "models/olg")
    with pytest.raises(UserError, match=r"tiny/one: its economy's folder .*models/olg is not there; put it back"):
        parameter_file_of(RunFolder(project / "runs/tiny/one"))


@pytest.mark.parametrize("text", ["{half", "[]", json.dumps({"seed": 1}), json.dumps({"parameter_file": 3})])
def test_a_provenance_that_names_no_parameter_file_is_refused(project, text):
    run = RunFolder(project / "runs/tiny/one")
    run.provenance.write_text(text)
    with pytest.raises(UserError, match=r"provenance\.json: does not name the run's parameter file"):
        parameter_file_of(run)
