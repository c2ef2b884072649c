"""`deqn list` on made project folders."""

import json
import os
import socket
import subprocess
import sys

import pytest

from deqn.project.project import Project
from deqn.project.run import RunFolder
from deqn.report.listing import lines_of_list

COLUMNS = "condition,group,key,unit,n,mean,max,p0.1,p10,p50,p90,p99.9"


def a_run(project, name, errors=False, mean=3.2e-5, **record):
    run = RunFolder(project / "runs" / name)
    run.path.mkdir(parents=True)
    run.parameters.write_text("seed: 0\n")
    run.provenance.write_text(json.dumps(record))
    if errors:
        run.errors.write_text(f"{COLUMNS}\noptimality,all,,relative,9,{mean},4e-3,0,1e-6,2e-5,6e-5,5.4e-4\n")
    return run


def row(project, name):
    """The cells of a run in the table."""
    line = next(
        line for text in lines_of_list(Project(project)) for line in text.splitlines() if line.startswith(f"| {name} ")
    )
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_finished_run_shows_errors_in_percent_cost_and_updates(tmp_path):
    a_run(tmp_path, "olg/first", errors=True, status="done", training_cpu_seconds=251.4, updates=8000)
    cells = row(tmp_path, "olg/first")
    assert cells == ["olg/first", "optimality", ".0032", ".054", ".40", "251", "8000", "not verified", "done"]


@pytest.mark.parametrize(
    ("record", "verdict"),
    [
        ({"status": "done", "thresholds_reached": True}, "thresholds reached"),
        ({"status": "done", "thresholds_reached": False}, "thresholds not reached; see deqn doctor olg/first"),
        ({"status": "diverged"}, "diverged; see deqn doctor olg/first"),
        (
            {"status": "stopped", "command": "deqn train models/olg/o.yaml --set 'network.hidden=[8, 8]' --seed 3"},
            "stopped; continue with: deqn train models/olg/o.yaml --set 'network.hidden=[8, 8]' --seed 3 --run first "
            "--resume",
        ),
        ({}, "killed; continue with: deqn train FILE --run first --resume"),
    ],
)
def test_the_verdict_says_how_a_training_ended(tmp_path, record, verdict):
    a_run(tmp_path, "olg/first", errors=True, **record)
    assert row(tmp_path, "olg/first")[-1] == verdict


def test_a_run_without_errors_is_not_evaluated(tmp_path):
    a_run(tmp_path, "olg/first", status="done")
    assert row(tmp_path, "olg/first")[-1] == "done, not evaluated"


def test_a_finished_run_with_errors_of_several_percent_is_not_called_done(tmp_path):
    a_run(tmp_path, "olg/first", errors=True, mean=0.03, status="done")
    assert row(tmp_path, "olg/first")[-1] == "far from an equilibrium; see deqn doctor olg/first"


def test_the_worst_condition_is_shown_with_its_unit_and_a_smaller_product_is_not(tmp_path):
    for name, size, shown in (("small", "1e-9", "optimality"), ("large", "5e-3", "kkt (x1e-2)")):
        run = a_run(tmp_path, f"olg/{name}", errors=True, status="done")
        with run.errors.open("a") as file:
            file.write(f"kkt,all,,product,9,{size},{size},0,0,0,0,{size}\n")
        assert row(tmp_path, f"olg/{name}")[1] == shown


def test_an_error_that_is_not_a_number_is_shown_as_such_and_is_not_done(tmp_path):
    a_run(tmp_path, "olg/first", errors=True, mean="nan", status="done")
    cells = row(tmp_path, "olg/first")
    assert (cells[2], cells[-1]) == ("NaN", "far from an equilibrium; see deqn doctor olg/first")


def test_a_run_whose_process_lives_is_training_and_one_whose_process_died_was_killed(tmp_path):
    run = a_run(tmp_path, "olg/first")
    (run.path / ".lock").write_text(f"process {os.getpid()} on {socket.gethostname()}\n")
    assert row(tmp_path, "olg/first")[-1] == f"training now, process {os.getpid()}"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (run.path / ".lock").write_text(f"process {gone.pid} on {socket.gethostname()}\n")
    assert row(tmp_path, "olg/first")[-1].startswith("killed")
    (run.path / ".lock").write_text("process 1 on node17\n")
    assert row(tmp_path, "olg/first")[-1] == "unfinished: last trained on node17"


@pytest.mark.parametrize("content", ["{half", "[" * 200_000 + "]" * 200_000])
def test_damaged_files_do_not_hide_the_other_runs(tmp_path, content):
    a_run(tmp_path, "olg/first", errors=True, status="done")
    damaged = a_run(tmp_path, "olg/second")
    damaged.provenance.write_text(content)
    damaged.errors.write_text("nonsense")
    assert row(tmp_path, "olg/second")[1:5] == ["", "", "", ""]
    assert row(tmp_path, "olg/first")[2] == ".0032"


def test_the_newest_run_comes_first(tmp_path):
    a_run(tmp_path, "olg/old", status="done", start="2026-01-01T00:00:00+00:00")
    a_run(tmp_path, "olg/new", status="done", start="2026-02-01T00:00:00+00:00")
    text = "\n".join(lines_of_list(Project(tmp_path)))
    assert text.index("olg/new") < text.index("olg/old")


def test_parameter_files_stand_with_economy_and_first_comment_and_other_yaml_does_not(tmp_path):
    (tmp_path / "models/olg").mkdir(parents=True)
    (tmp_path / "models/olg/tiny.yaml").write_text("# Six cohorts.\neconomy: OLG\n")
    (tmp_path / "models/olg/notes.yaml").write_text("economies: many\n")
    text = "\n".join(lines_of_list(Project(tmp_path)))
    assert "| OLG                | models/olg/tiny.yaml | Six cohorts. |" in text
    assert "notes.yaml" not in text


def test_what_stands_in_brackets_in_a_comment_is_shown_as_it_is(tmp_path):
    (tmp_path / "models/game").mkdir(parents=True)
    (tmp_path / "models/game/breakout.yaml").write_text("# Needs pip install 'deqn[atari]'. [red]\nproblem: Game\n")
    assert "Needs pip install 'deqn[atari]'. [red] |" in "\n".join(lines_of_list(Project(tmp_path)))


def test_an_empty_project_says_what_to_do(tmp_path):
    assert "none; train one: deqn train FILE" in "\n".join(lines_of_list(Project(tmp_path)))
