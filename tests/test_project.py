"""The project and its run folders: names, locks, metrics that survive, and what is recorded about a run."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from faults import FULL_DISKS, ROOT

from deqn.project import provenance
from deqn.project.errors import CannotWrite, UserError
from deqn.project.metrics import Metrics
from deqn.project.project import MARKER, Project
from deqn.project.run import RunFolder
from deqn.project.writing import write_atomically


@pytest.fixture(autouse=True)
def outside_any_job(monkeypatch):
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)


def trained(root: Path, name: str, start: str = "") -> RunFolder:
    run = RunFolder(root / "runs" / name)
    run.path.mkdir(parents=True)
    run.parameters.write_text("seed: 0\n")
    if start:
        run.provenance.write_text(json.dumps({"start": start}))
    return run


# ---- finding and naming


def test_the_project_is_the_nearest_folder_above_that_has_the_marker(tmp_path):
    outer, inner = tmp_path / "outer", tmp_path / "outer/sub"
    (inner / "models/olg").mkdir(parents=True)
    (outer / MARKER).touch()
    assert Project.around(inner / "models/olg").root == outer
    (inner / MARKER).touch()
    assert Project.around(inner / "models/olg").root == inner


def test_models_and_runs_alone_make_no_project(tmp_path):
    for name in ("models", "runs"):
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match=r"not in a project of deqn .*make one here: deqn new models/mine"):
        Project.around(tmp_path)


def test_a_project_that_was_made_is_found_again_and_keeps_what_was_there(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/notes.txt").write_text("mine")
    Project.make(tmp_path)
    assert Project.around(tmp_path / "runs").root == tmp_path
    assert (tmp_path / "models/notes.txt").read_text() == "mine"


def test_a_new_run_writes_nothing_and_has_the_given_name(tmp_path):
    run = Project(tmp_path).new_run("olg", "first", resume=False)
    assert (run.path, str(run)) == (tmp_path / "runs" / "olg" / "first", "olg/first")
    assert not list(tmp_path.iterdir())


def test_without_a_name_a_run_is_named_by_the_time_or_by_the_slurm_job(tmp_path, monkeypatch):
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d", Project(tmp_path).new_run("olg", None, False).path.name)
    monkeypatch.setenv("SLURM_JOB_ID", "4712")
    assert Project(tmp_path).new_run("olg", None, False).path.name == "4712"
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "4711")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    assert Project(tmp_path).new_run("olg", None, False).path.name == "4711_3"


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "two words", "", "-r", "x\n", "a" * 300, "a\\b"])
def test_a_run_name_that_is_no_plain_file_name_is_refused(tmp_path, name):
    with pytest.raises(UserError, match="expected a name"):
        Project(tmp_path).new_run("olg", name, resume=False)


def test_a_run_that_exists_is_refused_unless_resumed(tmp_path):
    run = trained(tmp_path, "olg/first")
    with pytest.raises(UserError, match="run olg/first exists; continue it with --resume"):
        Project(tmp_path).new_run("olg", "first", resume=False)
    assert Project(tmp_path).new_run("olg", "first", resume=True).path == run.path


def test_a_folder_of_something_else_is_not_resumed(tmp_path):
    (tmp_path / "runs" / "olg" / "notes").mkdir(parents=True)
    assert Project(tmp_path).new_run("olg", "notes", resume=True)  # empty, as a run killed at its start leaves it
    (tmp_path / "runs" / "olg" / "notes" / "thoughts.txt").write_text("...")
    with pytest.raises(UserError, match="not a run"):
        Project(tmp_path).new_run("olg", "notes", resume=True)


def test_a_run_is_found_by_path_by_name_and_as_the_latest_of_its_stem(tmp_path, monkeypatch):
    trained(tmp_path, "olg/b", start="2026-11-20T12:00:00+00:00")
    late = trained(tmp_path, "olg/a", start="2026-11-20T13:30:00+00:00")
    (tmp_path / "runs" / "olg" / "notes").mkdir()
    (tmp_path / "models" / "olg").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "models")  # where a folder called olg is no run
    for name in ("olg", "olg/a", "runs/olg/a", "runs/olg", "olg/", str(late.path)):
        assert Project(tmp_path).run(name).path.resolve() == late.path


def test_without_a_recorded_start_the_latest_run_is_the_one_touched_last(tmp_path):
    newest = trained(tmp_path, "olg/a")
    older = trained(tmp_path, "olg/b")
    older.provenance.write_text("{half")
    os.utime(older.path, (1_000_000_000, 1_000_000_000))
    assert Project(tmp_path).run("olg").path == newest.path


def test_a_missing_run_names_the_nearest(tmp_path):
    with pytest.raises(UserError, match="train one first"):
        Project(tmp_path).run("olg")
    trained(tmp_path, "benchmark60/first")
    for wrong, right in (("benchmrk60", "benchmark60"), ("runs/benchmark60/frist", "benchmark60/first")):
        with pytest.raises(UserError, match=f"{wrong}: no such run; did you mean '{right}'?"):
            Project(tmp_path).run(wrong)


def test_a_foreign_folder_is_no_run(tmp_path):
    trained(tmp_path, "olg/first")
    (tmp_path / "thesis").mkdir()
    for name in (tmp_path / "thesis", tmp_path / "runs"):
        with pytest.raises(UserError, match="not a run"):
            Project(tmp_path).run(str(name))


# ---- one trainer at a time

HOLD = """
import sys, time
from pathlib import Path
from deqn.project.run import RunFolder
with RunFolder(Path(sys.argv[1])).open():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_and_told_who_holds_the_run_until_that_one_is_killed(tmp_path):
    run = RunFolder(tmp_path / "runs" / "olg" / "first")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run.path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"olg/first is being trained by process {holder.pid} on "), run.open():
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with run.open() as opened:
        assert opened.path == run.path
        assert f"process {os.getpid()} on " in (run.path / ".lock").read_text()
    with run.open():
        pass


def test_opening_a_run_removes_what_a_killed_process_left(tmp_path):
    run = trained(tmp_path, "olg/first")
    run.checkpoints.mkdir()
    (run.checkpoints / ".last.npz.123.tmp").write_text("half")
    (run.checkpoints / "last.npz").write_text("whole")
    with run.open():
        assert [each.name for each in run.checkpoints.iterdir()] == ["last.npz"]


def test_a_run_below_a_file_or_in_a_folder_that_takes_no_files_is_refused(tmp_path):
    (tmp_path / "runs").write_text("a file where the folder should be")
    for path in (tmp_path / "runs" / "olg" / "first", Path("/proc/self")):
        with pytest.raises(CannotWrite, match="cannot write here"), RunFolder(path).open():
            pass


# ---- files


def test_a_file_is_replaced_whole_and_read_by_whom_the_umask_allows(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, "old" * 1000)
    write_atomically(path, b"new")
    (tmp_path / "plain").touch()
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file_and_no_temporary_one(tmp_path, monkeypatch, failure):
    def refuse(*_):
        raise failure

    (tmp_path / "file").write_text("old")
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(CannotWrite if isinstance(failure, OSError) else KeyboardInterrupt):
        write_atomically(tmp_path / "file", "new")
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("file", "old")]


def test_a_resumed_runs_metrics_equal_the_uninterrupted_ones(tmp_path):
    rows = [{"update": n, "loss": np.float32(0.1) / (n + 1), "error": 0.1 / (n + 1)} for n in range(6)]
    whole = Metrics(tmp_path / "whole.csv")
    for row in rows:
        whole.append(row)
    cut = tmp_path / "cut.csv"
    first = Metrics(cut)
    for row in rows[:5]:
        first.append(row)
    resumed = Metrics(cut, keep_through=2)
    for row in rows[3:]:
        resumed.append(row)
    assert cut.read_text() == whole.path.read_text()
    table = np.genfromtxt(cut, delimiter=",", names=True)
    np.testing.assert_array_equal(table["error"], [row["error"] for row in rows])  # every digit is kept
    np.testing.assert_array_equal(table["loss"].astype(np.float32), [row["loss"] for row in rows])


def test_an_unfinished_last_row_is_dropped(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("update,loss\n1,0.5\n2,0.")
    Metrics(path).append({"update": 2, "loss": 0.25})
    assert path.read_text() == "update,loss\n1,0.5\n2,0.25\n"


def test_a_run_started_again_from_nothing_names_its_columns_anew(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("update,loss\n1,0.5\n")
    Metrics(path, keep_through=0).append({"update": 0, "error": 1})
    assert path.read_text() == "update,error\n0,1\n"


def test_the_first_row_fixes_the_columns(tmp_path):
    metrics = Metrics(tmp_path / "metrics.csv")
    metrics.append({"update": 0, "a,b": 1, "loss": 2})
    metrics.append({"loss": 3, "update": 1})
    with pytest.raises(ValueError, match="new"):
        metrics.append({"update": 2, "new": 1})
    assert metrics.path.read_text() == 'update,"a,b",loss\n0,1,2\n1,,3\n'


@pytest.mark.parametrize("text", ["update,loss\nx,1\n", "loss\n1\n", "update,loss\n\n1,2\n"])
def test_a_table_which_is_no_metrics_is_refused(tmp_path, text):
    (tmp_path / "metrics.csv").write_text(text)
    with pytest.raises(UserError, match="not a table"):
        Metrics(tmp_path / "metrics.csv", keep_through=3)
    assert (tmp_path / "metrics.csv").read_text() == text


APPEND_UNTIL_FULL = """
import sys
from pathlib import Path
from deqn.project.errors import CannotWrite
from deqn.project.metrics import Metrics
metrics = Metrics(Path(sys.argv[1]) / "metrics.csv")
written = 0
try:
    while True:
        metrics.append({"update": written, "text": "x" * 1013})
        written += 1
except CannotWrite as error:
    print(error)
lines = metrics.path.read_text().splitlines(keepends=True)
assert all(line.endswith("x\\n") for line in lines[1:]), lines[-1]
assert [int(line.split(",")[0]) for line in lines[1:]] == list(range(written)), "rows lost"
metrics.path.write_text("".join(lines[:3]))  # space again
metrics.append({"update": 2, "text": "last"})
print(metrics.path.read_text()[-7:].strip(), written > 10, [each.name for each in metrics.path.parent.iterdir()])
"""


@pytest.mark.parametrize("on_full_disk", FULL_DISKS)
def test_a_full_disk_at_metrics_loses_the_row_and_no_other(tmp_path, on_full_disk):
    message, state = on_full_disk(APPEND_UNTIL_FULL, tmp_path).strip().splitlines()
    assert "metrics.csv: cannot write" in message
    assert "what was written before is intact; free space there, then continue with --resume" in message
    assert state == "2,last True ['metrics.csv']"


# ---- provenance


def test_provenance_names_commit_versions_host_and_job(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4712")
    assert provenance.record_of_start("deqn", 0, 1, tmp_path)["commit"] is None  # no repository
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.check_call([*git, "init", "-q"])
    subprocess.check_call([*git, "commit", "-q", "--allow-empty", "-m", "first"])
    head = subprocess.check_output(["git", "-C", str(tmp_path), "rev-parse", "HEAD"], text=True).strip()
    record = provenance.record_of_start("deqn train 'a b.yaml'", 3, 2, tmp_path)
    assert (record["command"], record["seed"], record["workers"]) == ("deqn train 'a b.yaml'", 3, 2)
    assert (record["commit"], record["dirty"], record["slurm_job"]) == (head, False, "4712")
    assert record["versions"]["numpy"] == np.__version__
    assert record["cores"] == len(os.sched_getaffinity(0))
    (tmp_path / "new.py").write_text("")
    assert provenance.record_of_start("deqn", 0, 1, tmp_path)["dirty"] is True
    assert json.loads(json.dumps(record)) == record


def test_finish_counts_the_processor_time_and_memory_of_this_process_alone():
    record = provenance.record_of_start("deqn", 0, 1, ROOT)
    before = provenance.record_of_end(record, "done")
    subprocess.check_call([sys.executable, "-c", "sum(range(40_000_000)); b'x' * 200_000_000"])
    began = time.process_time()
    held = np.ones(4_000_000)  # 32 MB
    while time.process_time() - began < 0.11:  # longer than is asked for below, as figures are rounded to milliseconds
        held.sum()
    after = provenance.record_of_end(record, 75)
    assert 0.1 <= after["cpu_seconds"] - before["cpu_seconds"] < 0.5
    assert before["peak_memory_mb"] <= after["peak_memory_mb"] < before["peak_memory_mb"] + 100
    assert (after["status"], after["start"]) == (75, record["start"])
    assert "end" not in record and after["end"] > after["start"]
