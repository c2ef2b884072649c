"""`deqn submit`: what it refuses before sbatch is called, and what it gives to it."""

import json
import shutil
from pathlib import Path

import pytest
from standins import ROOT, SWEEP, TINY, directives, given, program

from deqn.project.run import RunFolder

# ---- what is refused


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--", "--set", "parameters.discont_factor=1"], "parameters.discont_factor: unknown; did you mean"),
        (["--site", "nowhere"], "slurm/sites; known: apptainer, cray_gpu, generic"),
        (["--time", "8h"], "--time 8h: expected a time such as 90 (minutes)"),
        (["--time", "1:75"], "--time 1:75: expected a time"),
        (["--time", "0:00"], "--time 0:00: no time at all"),
        (["--nodes", "0"], "'--nodes'"),
        (["--gpus-per-node", "0"], "'--gpus-per-node'"),
        (["--ntasks-per-node", "0"], "'--ntasks-per-node'"),
        (["--cpus-per-task", "-1"], "'--cpus-per-task'"),
        (["--ntasks-per-node", "4", "--gpus-per-node", "2"], "--ntasks-per-node 4: got 2 GPUs a node"),
        (["--mem", "60GB"], "--mem 60GB: expected memory of a node such as 60G"),
        (["--account", "a b"], "--account a b: expected a name without blanks"),
        (["--partition", "gpu\n#SBATCH --exclusive"], "expected a name without blanks"),
        (["--array", "parameters.borowing_limit=0,1"], "parameters.borowing_limit: unknown; did you mean"),
        (["--array", "parameters.borrowing_limit=0,half"], "parameters.borrowing_limit: 'half'; expected a number"),
        (["--array", "parameters.borrowing_limit"], "--array parameters.borrowing_limit: expected KEY=V1,V2,..."),
        (
            ["--array", "economy=OLG,OLGG"],
            "economy: 'OLGG' is not a class in models/olg/economy.py; did you mean 'OLG'?",
        ),
        (["--array", "seed=1,,2"], "--array seed=1,,2: expected KEY=V1,V2,..."),
        ([*SWEEP, "--", "--run", "one"], "--array with --run one: every task trains a run of its own"),
        (["--", "--run", "a/b"], "--run 'a/b': expected a name of letters"),
        (["--", "--from", "nosuch"], "nosuch: no such run"),
        (["--", "--sed", "3"], "No such option: --sed"),
        (["more"], "unexpected extra argument"),
    ],
)
def test_a_mistake_is_told_in_one_line_before_sbatch_is_called(typed, project, sbatch, words, told):
    status, out, err = typed("submit", TINY, *words)
    assert (status, out) == (2, "")
    assert told in err and err.count("\n") == 1, err
    assert not Path(f"{sbatch}.script").exists() and not (project / "runs/logs").exists()


def test_a_run_of_another_economy_is_refused_before_it_waits_in_a_queue(typed, project, sbatch):
    shutil.copytree(ROOT / "models", project / "models", dirs_exist_ok=True)
    run = RunFolder(project / "runs/tiny/one")
    run.path.mkdir(parents=True)
    run.parameters.write_text((project / TINY).read_text())
    status, _, err = typed("submit", TINY, "--", "--run", "one", "--set", "parameters.risk_aversion=3")
    assert status == 2 and "was trained with 2" in err, err
    assert not Path(f"{sbatch}.script").exists()


def test_a_project_without_job_scripts_takes_those_that_come_with_deqn(typed, project):
    shutil.rmtree(project / "slurm")
    status, out, err = typed("submit", TINY, "--dry-run")
    assert (status, err) == (0, "")
    assert f"export DEQN_SLURM={ROOT / 'slurm'}" in out


def test_without_sbatch_the_script_is_printed_and_the_status_says_so(typed, project):
    status, out, err = typed("submit", TINY)
    assert status == 2 and out.startswith("#!/usr/bin/env bash")
    assert err.startswith("deqn: no sbatch on the path") and err.count("\n") == 1
    assert list((project / "runs").iterdir()) == []


def test_what_sbatch_says_against_a_job_is_passed_on_in_one_line(typed, project):
    program(project, "sbatch", "#!/bin/sh\necho 'sbatch: error: invalid account\nsbatch: error: failed' >&2; exit 1\n")
    status, out, err = typed("submit", TINY)
    assert (status, out) == (2, "")
    assert err == "deqn: sbatch refused the job: sbatch: error: invalid account sbatch: error: failed\n"
    assert not list((project / "runs/logs").iterdir())


# ---- what is submitted


def test_a_dry_run_prints_exactly_what_sbatch_would_get(typed, project, sbatch):
    _, printed, _ = typed("submit", TINY, "--nodes", 2, "--dry-run")
    assert not Path(f"{sbatch}.script").exists()
    typed("submit", TINY, "--nodes", 2)
    assert given(sbatch) == printed.replace(" --dry-run", "")


@pytest.mark.parametrize("time", ["90", "30:00", "08:00:00", "2-0", "2-12:00", "2-12:00:00"])
def test_every_form_of_time_that_slurm_reads_is_passed_on(typed, project, sbatch, time):
    assert typed("submit", TINY, "--time", time)[0] == 0
    assert directives(given(sbatch))["time"] == time


def test_what_is_asked_for_replaces_the_lines_of_the_shipped_script_and_the_others_stay(typed, project, sbatch):
    shipped = directives((project / "slurm/train.sbatch").read_text())
    words = ["--nodes", 4, "--gpus-per-node", 2, "--cpus-per-task", 12, "--mem", "60G", "--account", "a1", "--qos", "q"]
    status, out, _ = typed("submit", TINY, *words)
    asked = {"nodes": "4", "gpus-per-node": "2", "ntasks-per-node": "2", "cpus-per-task": "12", "mem": "60G"}
    asked |= {"account": "a1", "qos": "q", "job-name": "tiny", "output": "runs/logs/tiny-%j.log"}
    assert directives(given(sbatch)) == shipped | asked
    assert (status, given(sbatch, "words"), given(sbatch, "folder")) == (0, "--parsable\n", f"{project}\n")
    assert out == f"job 4711 submitted: {TINY}; log runs/logs/tiny-4711.log; deqn status follows it\n"


def test_a_record_of_the_job_is_left_for_status(typed, project, sbatch):
    typed("submit", TINY, "--", "--run", "one", "--seed", "3")
    record = json.loads((project / "runs/logs/4711.json").read_text())
    assert record.pop("submitted")
    assert record.pop("command").endswith(f"submit {TINY} -- --run one --seed 3")
    assert record == {
        "job": "4711", "parameter_file": TINY, "run": "one", "tasks": [], "log": "runs/logs/tiny-%j.log",
    }  # fmt: skip


def test_from_a_folder_below_the_job_runs_in_the_project(typed, project, sbatch, monkeypatch):
    monkeypatch.chdir(project / "models/olg")
    assert typed("submit", "tiny.yaml")[0] == 0
    assert given(sbatch, "folder") == f"{project}\n" and f"\nset -- {TINY}\n" in given(sbatch)


def test_variables_of_sbatch_do_not_win_over_what_was_asked_for(typed, project, sbatch, monkeypatch):
    for name in ("SBATCH_TIMELIMIT", "SBATCH_ACCOUNT", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.setenv(name, "7")
    typed("submit", TINY, "--time", "90")
    seen = given(sbatch, "env")
    assert "SBATCH_ACCOUNT=7" in seen and "SBATCH_TIMELIMIT" not in seen and "SLURM_ARRAY_TASK_ID" not in seen
