"""`deqn new`: an economy that trains as it stands, from anywhere in a project, and nothing that could be lost."""

import json

import pytest
from projects import ROOT, answers_quickly, make_project, typed
from small import train

from deqn.tasks.solution import load


@pytest.fixture
def project(tmp_path):
    """A project folder with an economy `other` whose parameter file is taken.yaml."""
    make_project(tmp_path)
    (tmp_path / "models/other").mkdir()
    (tmp_path / "models/other/taken.yaml").write_text("economy: Other\n")
    return tmp_path


def contents(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_it_says_what_it_made_and_the_next_command(project):
    done = typed(project, "new", "models/two_goods")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in (project / "models/two_goods").iterdir()) == ["economy.py", "two_goods.yaml"]
    lines = done.stdout.splitlines()
    assert lines[0] == "made models/two_goods/economy.py, models/two_goods/two_goods.yaml"
    assert lines[1].startswith("next: deqn train models/two_goods/two_goods.yaml ")
    check = typed(project, "check", "models/two_goods/two_goods.yaml")
    assert check.returncode == 0, check.stderr
    assert "1 inputs, hidden 32 x 32 tanh, 1 outputs, one head a shock" in check.stdout


def test_it_works_from_any_folder_of_the_project_and_is_listed(project):
    done = typed(project / "models/other", "new", "models/mine")
    assert done.returncode == 0, done.stderr
    assert "mine/economy.py" in done.stdout
    listed = typed(project, "list").stdout
    assert "Mine" in listed and "models/mine/mine.yaml" in listed


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("models/other", "models/other: exists; choose another name"),
        ("models/taken", "models/other/taken.yaml has this name, under which runs are kept"),
        ("models/My-Economy", "'My-Economy'; expected at most 60 small letters, digits and _, such as my_economy"),
        ("models/class", "'class'; expected at most 60 small letters"),
        ("models/policy", "economy.py would have two things called Policy; choose another name"),
        ("mine", "expected models/NAME, such as models/mine"),
        ("models/a/b", "expected models/NAME, such as models/mine"),
        ("../models/mine", "expected models/NAME, such as models/mine"),
        ("models", "expected models/NAME, such as models/mine"),
    ],
)
def test_a_folder_that_cannot_be_made_is_refused_in_one_line(project, folder, words):
    before = contents(project)
    done = typed(project, "new", folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr and done.stderr.count("\n") == 1
    assert contents(project) == before


def test_it_answers_within_half_a_second_of_processor_time_and_needs_no_tensorflow(project):
    assert answers_quickly(project, "new", "models/one") == 0


def test_in_an_empty_folder_it_makes_a_project_with_guide_and_job_scripts(tmp_path):
    done = typed(tmp_path, "new", "models/mine")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{tmp_path} is now a project: ")
    assert (tmp_path / "models/README.md").read_text() == (ROOT / "models/README.md").read_text()
    assert (tmp_path / "slurm/sites/generic.sh").is_file()
    assert "Mine" in typed(tmp_path, "list").stdout


def test_like_copies_an_economy_of_the_library_under_new_names(project):
    done = typed(project, "new", "models/generations", "--like", "olg_analytic")
    assert done.returncode == 0, done.stderr
    made = {path.name for path in (project / "models/generations").iterdir()}
    assert made == {path.name.replace("six", "generations_six").replace("thirty", "generations_thirty")
                    for path in (ROOT / "models/olg_analytic").iterdir() if path.is_file()}  # fmt: skip
    check = typed(project, "check", "models/generations/generations_six.yaml")
    assert check.returncode == 0, check.stderr
    assert (
        "deqn train models/generations/generations_six.yaml"
        in (project / "models/generations/generations_six.yaml").read_text()
    )


def test_like_names_the_nearest_folder_of_the_library(project):
    done = typed(project, "new", "models/generations", "--like", "olg_analitic")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--like olg_analitic: not in the library; did you mean 'olg_analytic'?" in done.stderr


@pytest.mark.slow
def test_the_new_economy_trains_as_it_stands_in_under_a_minute(project):
    typed(project, "new", "models/mine")
    errors, _, run = train(project, "mine/mine")
    assert errors.loc["euler", "mean"] < 1e-5 and errors.loc["euler", "max"] < 1e-4
    assert json.loads((run / "provenance.json").read_text())["training_cpu_seconds"] < 60


@pytest.mark.slow
def test_with_log_utility_and_full_depreciation_its_first_guess_is_what_brock_and_mirman_say(project):
    typed(project, "new", "models/mine")
    settings = ["parameters.depreciation=1", "parameters.risk_aversion=1", "phases.0.updates=0"]
    errors, _, run = train(project, "mine/mine", *settings)
    path = load(run, trust=True).simulate(periods=2000, seed=5)
    assert abs(path["a"] / path["Y"] / (0.36 * 0.96) - 1).max() < 1e-12
    assert errors.loc["euler", "max"] < 1e-12
