"""Sweeps: the order of the grid, names of runs, the job array whose tasks follow their neighbours, one real sweep."""

import json
import os
import subprocess

import numpy as np
import pandas as pd
import pytest
from projects import make_project, typed

from deqn.project.errors import UserError
from deqn.report import comparison
from deqn.tasks.sweep import tasks


def test_from_one_point_to_the_next_a_single_setting_moves_by_one_step():
    points = [task.overrides for task in tasks(["p.x=1,2,3", "p.y=a,b", "p.z=7,8"], None, "sweep", True)]
    assert len({tuple(point) for point in points}) == 3 * 2 * 2
    values = {"p.x": ["1", "2", "3"], "p.y": ["a", "b"], "p.z": ["7", "8"]}
    places = [[values[key].index(value) for key, value in (each.split("=") for each in point)] for point in points]
    assert np.abs(np.diff(places, axis=0)).sum(axis=1).tolist() == [1] * 11


def test_each_seed_has_a_chain_of_its_own():
    found = tasks(["parameters.borrowing_limit=0,-0.25"], 2, "sweep", True)
    assert [task.after for task in found] == [None, None, 0, 1]
    assert found[3].name == "sweep-borrowing_limit=-0.25-seed=1"
    assert [task.after for task in tasks(["a=1,2"], 2, "sweep", False)] == [None] * 4


@pytest.mark.parametrize("grids", [["parameters.x"], ["x=1,,2"], ["x=1", "x=2"]])
def test_a_grid_that_cannot_be_read_is_refused(grids):
    with pytest.raises(UserError, match="--grid"):
        tasks(grids, None, "sweep", False)


@pytest.fixture
def script(tmp_path):
    """The job array of four values and two seeds, in a project of its own; runs its lines as the task of a number."""
    project = make_project(tmp_path, "olg")
    words = ["--grid", "parameters.borrowing_limit=0,-0.1,-0.2,-0.3", "--seeds", "2", "--continue", "--dry-run"]
    done = typed(project, "submit", "models/olg/tiny.yaml", *words)
    assert done.returncode == 0, done.stderr
    assert "#SBATCH --array=0-7%2\n" in done.stdout
    (project / "bin").mkdir()
    (project / "bin/scontrol").write_text('#!/bin/sh\necho "$@" > requeued\n')
    (project / "bin/scontrol").chmod(0o755)
    lines = done.stdout.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("set -- "))
    end = next(n for n, line in enumerate(lines) if line.startswith("cd "))
    (project / "task").write_text("\n".join([*lines[start:end], 'printf "%s\\n" "$@"']))

    def task(number):
        path = {"PATH": f"{project}/bin:{os.environ['PATH']}"}
        numbers = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": str(number)}
        return subprocess.run(
            ["bash", "task"], cwd=project, env=path | numbers, capture_output=True, text=True, check=False
        )

    task.project = project
    return task


def ended(project, number, status):
    folder = project / f"runs/tiny/7_{number}"
    folder.mkdir(parents=True)
    (folder / "provenance.json").write_text(json.dumps({"command": "", "status": status}, indent=1))


def test_a_task_of_the_array_begins_from_its_neighbour_of_the_same_seed(script):
    ended(script.project, 1, "done")
    assert script(1).stdout.split() == [
        "models/olg/tiny.yaml", "--set", "parameters.borrowing_limit=0", "--set", "seed=1"
    ]  # fmt: skip
    assert script(3).stdout.split() == [
        "models/olg/tiny.yaml", "--set", "parameters.borrowing_limit=-0.1", "--set", "seed=1", "--from", "tiny/7_1"
    ]  # fmt: skip


def test_a_task_whose_neighbour_still_trains_goes_back_into_the_queue(script):
    done = script(3)
    assert (done.returncode, done.stdout) == (0, "")
    assert (script.project / "requeued").read_text() == "requeue 7_3\n"


def test_a_task_whose_neighbour_diverged_begins_for_itself(script):
    ended(script.project, 1, "diverged")
    assert "--from" not in script(3).stdout and "--set" in script(3).stdout


def test_comparative_statics_have_the_mean_over_seeds_and_their_band(tmp_path):
    described = {
        "runs": ["a", "b", "c", "d"], "seeds": [0, 1, 0, 1], "names": {}, "units": {}, "aggregates": {"K": "capital"},
        "parameters": {"borrowing_limit": [0.0, 0.0, -1.0, -1.0]},
    }  # fmt: skip
    (tmp_path / "comparison.json").write_text(json.dumps(described))
    rows = zip("abcd", [1.0, 3.0, 5.0, 5.5], strict=True)
    moments = [{"run": run, "variable": "K", "mean": mean, "std": 0.1} for run, mean in rows]
    pd.DataFrame(moments).to_csv(tmp_path / "moments.csv", index=False)
    data = comparison.statics(described, tmp_path).data
    data = data[data["statistic"] == "mean"].set_index("borrowing_limit")
    assert data.loc[0.0, ["value", "low", "high", "seeds"]].tolist() == [2.0, 1.0, 3.0, 2]
    assert data.loc[-1.0, ["value", "low", "high", "seeds"]].tolist() == [5.25, 5.0, 5.5, 2]


@pytest.mark.slow
def test_a_sweep_trains_each_point_from_the_one_before_and_compare_draws_it(tmp_path):
    project = make_project(tmp_path, "olg")
    short = ["--set", "phases.0.updates=60", "--set", "evaluation.periods=300", "--set", "evaluation.burn_in=100"]
    words = ["models/olg/tiny.yaml", "--grid", "parameters.risk_aversion=2,2.1", "--continue", *short]
    assert typed(project, "sweep", *words).returncode == 0
    first, second = (project / f"runs/tiny/sweep-risk_aversion={value}" for value in ("2", "2.1"))
    assert json.loads((first / "provenance.json").read_text())["start_from"] is None
    assert json.loads((second / "provenance.json").read_text())["start_from"] == "tiny/sweep-risk_aversion=2"
    again = typed(project, "sweep", *words)
    assert again.stdout.count("is done") == 2
    done = typed(project, "compare", first, second, "--out", "both")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(project / "both/figures/comparative_statics.csv")
    assert sorted(set(table["risk_aversion"])) == [2.0, 2.1]
    # The first network never saw a debt: its weights would be a worse beginning than the warm start.
    limit = ["--set", "parameters.borrowing_limit=-0.1"]
    done = typed(project, "train", words[0], "--run", "debts", "--from", "tiny/sweep-risk_aversion=2", *limit, *short)
    assert "training begins at the warm start" in done.stdout, done.stderr
    assert json.loads((project / "runs/tiny/debts/provenance.json").read_text())["start_from"] is None
