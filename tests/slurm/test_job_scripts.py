"""What the scripts of slurm/ do, and those that `deqn submit` composes, where stand-ins answer for SLURM and deqn."""

import shlex
import shutil
import subprocess
import sys

import pytest
from standins import SBATCH, SWEEP, TINY, directives, executed, given, program, shipped


def test_the_job_trains_with_the_arguments_and_resumes(project):
    done = executed(project, shipped("train.sbatch"), TINY, "--set", "a=b c")
    assert done.returncode == 0
    assert done.stdout == f"<train><{TINY}><--set><a=b c><--resume>\n"
    assert done.stderr.endswith("job 12: done\n")


def test_the_script_of_submit_trains_with_the_arguments_it_was_composed_with(typed, project, sbatch):
    typed("submit", TINY, "--", "--set", "parameters.labour=[0.78, 1.18, 1.4, 1.4, 1.085, 0.7]", "--resume")
    done = executed(project, given(sbatch).replace(sys.prefix, str(project)))
    assert done.stdout == f"<train><{TINY}><--set><parameters.labour=[0.78, 1.18, 1.4, 1.4, 1.085, 0.7]><--resume>\n"


def test_blanks_and_quotes_in_names_of_files_and_of_the_project_arrive_as_they_are(
    typed, project, tmp_path_factory, monkeypatch
):
    home = tmp_path_factory.mktemp("it's a") / 'project "of" $HOME'
    shutil.copytree(project, home)
    monkeypatch.chdir(home)
    monkeypatch.setenv("PATH", str(home / "bin"))
    sbatch = program(home, "sbatch", SBATCH)
    name = 'models/olg/Bob\'s "tiny" $1.yaml'
    (home / TINY).rename(home / name)
    status, out, err = typed("submit", name, "--", "--set", "network.activation='tanh'")
    assert (status, err) == (0, "") and "job 4711 submitted" in out
    script = given(sbatch).replace(sys.prefix, shlex.quote(str(home)))
    assert subprocess.run(["/bin/bash", "-n"], input=script, text=True, check=False).returncode == 0
    assert directives(script)["output"] == "runs/logs/Bob_s__tiny___1-%j.log"
    done = executed(home, script)
    assert done.stdout == f"<train><{name}><--set><network.activation='tanh'><--resume>\n", done.stderr
    assert done.stderr.endswith("job 12: done\n")


def test_a_run_folder_with_a_blank_in_its_name_is_found_by_the_job(project):
    (project / "runs").mkdir(exist_ok=True)
    done = executed(project, shipped("train.sbatch"), TINY, status=75, run="my 'tiny'/12")
    assert "at update 10: requeued" in done.stderr, done.stderr


@pytest.mark.parametrize("task", [0, 2])
def test_each_task_of_an_array_has_a_value_of_its_own(typed, project, sbatch, task):
    typed("submit", TINY, *SWEEP)
    script = given(sbatch).replace(sys.prefix, str(project))
    assert directives(script)["array"] == "0-2"
    assert directives(script)["output"] == "runs/logs/tiny-%A_%a.log"
    numbers = {"SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": str(task)}
    value = ["0", "-0.25", "-0.5"][task]
    by_hand = ["parameters.borrowing_limit", "0", "-0.25", "-0.5"]
    for done in (
        executed(project, script, **numbers),
        executed(project, shipped("sweep.sbatch"), TINY, *by_hand, **numbers),
    ):
        assert done.stdout == f"<train><{TINY}><--set><parameters.borrowing_limit={value}><--resume>\n", done.stderr
        assert f"job 12_{task}: done" in done.stderr


def test_commas_within_a_value_do_not_split_it(typed, project, sbatch):
    assert typed("submit", TINY, "--array", "network.hidden=[8, 8],[16]")[0] == 0
    assert "overrides=('network.hidden=[8, 8]' 'network.hidden=[16]')" in given(sbatch)


def test_a_task_without_a_value_is_refused(project):
    done = executed(project, shipped("sweep.sbatch"), TINY, "seed", "1", "2", SLURM_ARRAY_TASK_ID="2")
    assert done.returncode == 2 and "say sbatch --array=0-1" in done.stderr


@pytest.mark.parametrize("status", [75, 143])
def test_a_training_stopped_with_a_checkpoint_is_requeued(project, status):
    done = executed(project, shipped("train.sbatch"), TINY, status=status)
    assert "scontrol requeue 12" in done.stdout and "at update 10: requeued" in done.stderr


def test_a_training_that_got_no_further_is_not_requeued_again(project):
    done = executed(project, shipped("train.sbatch"), TINY, status=75, updates=(10, 10))
    assert "scontrol" not in done.stdout and "it would never end" in done.stderr


def test_a_job_that_slurm_is_ending_already_is_not_requeued(project):
    done = executed(project, shipped("train.sbatch"), TINY, status=75, state="COMPLETING")
    assert "scontrol" not in done.stdout and "submit it again with '--run 12'" in done.stderr


@pytest.mark.parametrize("status", [1, 2, 3, 137])
def test_a_training_that_failed_is_not_requeued(project, status):
    done = executed(project, shipped("train.sbatch"), TINY, status=status, ended="failed")
    assert done.returncode == status and "scontrol" not in done.stdout
    assert f"ended with status {status}" in done.stderr


def test_a_site_that_finds_no_deqn_says_what_to_do(project):
    (project / "slurm/sites/empty.sh").write_text("DEQN=(nosuch)\n")
    done = executed(project, shipped("train.sbatch"), TINY, DEQN_SITE="empty")
    assert done.returncode == 2 and "slurm/sites/empty.sh finds no nosuch: install deqn" in done.stderr


def test_evaluate_evaluates_and_draws(project):
    done = executed(project, shipped("evaluate.sbatch"), "tiny/12", "--periods", "500")
    assert done.stdout == "<evaluate><tiny/12><--periods><500>\n<plot><tiny/12>\n"
