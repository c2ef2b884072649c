"""`deqn status`, where stand-ins answer for SLURM."""

import json

import pytest
from projects import answers_quickly
from standins import TINY, program

from deqn.project.run import RunFolder


@pytest.fixture
def listed(typed, project):
    """The cells of the rows that `deqn status` prints, and the lines below the table."""

    def run():
        status, out, err = typed("status")
        assert (status, err) == (0, "")
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in out.splitlines() if line[:1] == "|"]
        return rows[2:], [line for line in out.splitlines() if line[:1] not in ("", "|")]

    return run


def queue(project, *rows, known=""):
    """Stand-ins for squeue, whose rows are number, state, time left and reason, and for scontrol."""
    lines = "".join(f"{row}|{project}\n" for row in rows) + "99|RUNNING|1:00|None|/another/project\n"
    program(project, "squeue", f"#!/bin/sh\nprintf '{lines}'\n")
    program(project, "scontrol", f"#!/bin/sh\necho '{known}'; [ -n '{known}' ]\n")


def recorded(project, number, tasks=(), run=None):
    record = {"job": number, "parameter_file": TINY, "run": run, "tasks": list(tasks), "submitted": number}
    (project / "runs/logs").mkdir(exist_ok=True)
    text = json.dumps(record | {"log": f"runs/logs/tiny-{'%A_%a' if tasks else '%j'}.log"})
    (project / "runs/logs" / f"{number}.json").write_text(text)


def trained(project, name, **record):
    run = RunFolder(project / "runs/tiny" / name)
    run.path.mkdir(parents=True)
    run.parameters.write_text("phases:\n- updates: 2000\n- updates: 500\n")
    run.metrics.write_text("update,episode,worst.mean\n250,3,0.0042\n300,4,\n")
    run.provenance.write_text(json.dumps(record))


def test_without_jobs_status_says_so_in_a_line(listed, project):
    queue(project)
    assert listed() == ([], [f"no jobs of {project}; submit one: deqn submit FILE"])


def test_without_slurm_status_tells_what_the_runs_tell(listed, project):
    recorded(project, "5")
    recorded(project, "6")
    trained(project, "5", slurm_job="5", status="done")
    rows, below = listed()
    assert [row[:2] for row in rows] == [["6", "not known"], ["5", "done"]]
    assert below == [
        "no SLURM here (squeue is not on the path): what waits or runs is not known; states are those that the runs' "
        "files tell"
    ]


def test_a_controller_that_does_not_answer_is_told_in_a_line(listed, project):
    program(project, "squeue", "#!/bin/sh\necho 'slurm_load_jobs error: Unable to contact' >&2; exit 1\n")
    _, (_, trouble) = listed()
    assert trouble.startswith("squeue fails: slurm_load_jobs error: Unable to contact: what waits or runs is not known")


def test_a_running_job_shows_what_it_has_reached(listed, project):
    recorded(project, "7")
    trained(project, "7", slurm_job="7")
    queue(project, "7|RUNNING|1-02:00:00|None")
    row = ["7", "running", "tiny/7", "300 of 2500", "4", ".42", "1-02:00:00", "runs/logs/tiny-7.log"]
    assert listed() == ([row], [])


def test_a_job_that_waits_says_for_what(listed, project):
    recorded(project, "7")
    queue(project, "7|PENDING|8:00:00|Priority")
    assert listed()[0] == [["7", "waiting (Priority)", "", "", "", "", "8:00:00", "runs/logs/tiny-7.log"]]


def test_a_job_submitted_by_hand_is_shown_with_slurms_name_of_its_log(listed, project):
    trained(project, "8")
    queue(project, "8|RUNNING|9:00|None", known=f"JobId=8 StdOut={project}/runs/deqn-8.log")
    assert [listed()[0][0][place] for place in (0, 2, 7)] == ["8", "tiny/8", "runs/deqn-8.log"]


def test_the_tasks_of_an_array_are_shown_one_by_one_running_or_ended(listed, project):
    recorded(project, "9", tasks=["seed=1", "seed=2"])
    trained(project, "9_0", slurm_job="9_0", status="diverged")
    queue(project, "9_1|RUNNING|9:00|None")
    rows, _ = listed()
    assert [[row[0], row[1], row[7]] for row in rows] == [
        ["9_1", "running", "runs/logs/tiny-9_1.log"],
        ["9_0", "diverged", "runs/logs/tiny-9_0.log"],
    ]


def test_a_job_that_ended_without_a_word_has_the_state_that_slurm_remembers(listed, project):
    recorded(project, "10")
    queue(project, known="JobId=10 JobState=OUT_OF_MEMORY ExitCode=137:0")
    assert listed()[0][0][:2] == ["10", "out of memory (exit status 137)"]
    queue(project)
    assert listed()[0][0][:2] == ["10", "ended, see its log"]


def test_a_run_that_another_job_went_on_with_does_not_speak_for_the_first(listed, project):
    recorded(project, "11", run="one")
    recorded(project, "12", run="one")
    trained(project, "one", slurm_job="12", status="done")
    queue(project)
    assert [row[:3] for row in listed()[0]] == [["12", "done", "tiny/one"], ["11", "ended, see its log", "tiny/one"]]


def test_a_damaged_record_is_passed_over(listed, project):
    recorded(project, "13")
    (project / "runs/logs/14.json").write_text("{")
    (project / "runs/logs/15.json").write_text('{"job": "15"}')
    queue(project)
    assert [row[0] for row in listed()[0]] == ["13"]


@pytest.mark.parametrize("words", [["status"], ["submit", "--help"], ["submit", TINY, "--nodes", "2"]], ids=" ".join)
def test_submit_and_status_answer_within_half_a_second_of_processor_time_without_tensorflow(project, sbatch, words):
    recorded(project, "7")
    trained(project, "7", slurm_job="7")
    queue(project, "7|RUNNING|1:00|None")
    assert answers_quickly(project, *words) == 0
