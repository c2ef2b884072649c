"""What goes wrong while training: signals, kills, full disks, divergence; in real processes, which are resumed.

At most the work since the last checkpoint is lost, and a run that was cut short ends as the uninterrupted one does.
"""

import csv
import json
import os
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from faults import LIMIT, can_mount
from projects import make_project
from projects import typed as in_this_process

from deqn.project.run import RunFolder
from deqn.training import checkpoint

DEQN = str(Path(sys.executable).with_name("deqn"))
TINY = "models/olg/tiny.yaml"
SMALL = [
    "parameters.cohorts=4", "parameters.labour=[0.5, 0.88, 2.2, 0.7]", "network.hidden=[8]", "network.components=3",
    "network.quadratics=0", "sampling.tracks=32", "phases.0.updates=400", "validate_every=100", "validation.periods=5",
    "warm_start.stages=[[3, 0]]", "evaluation.periods=120", "evaluation.burn_in=20",
]  # fmt: skip
OFTEN = ["checkpoints.minutes=0.000001", "updates_per_call=1"]  # a checkpoint after every update


def typed(*settings, **options):
    named = [word for name, value in options.items() for word in ([f"--{name}"] if value is True else
                                                                   [f"--{name}", str(value)])]  # fmt: skip
    return [DEQN, "train", TINY, *named, *(word for each in (*SMALL, *settings) for word in ("--set", each))]


def environment():
    shown = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
    return shown | {"OMP_NUM_THREADS": "1", "PATH": f"{Path(DEQN).parent}:{os.environ['PATH']}"}


def finished(project, command, **options):
    return subprocess.run(
        command, cwd=project, env=environment(), capture_output=True, text=True, check=False, **options
    )


def started(project, command):
    return subprocess.Popen(
        command, cwd=project, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    make_project(folder, "*")
    return folder


def run_of(project, name):
    return RunFolder(project / "runs/tiny" / name)


@pytest.fixture(scope="module")
def whole(project):
    """The run that nothing interrupts."""
    done = finished(project, typed(run="whole"))
    assert (done.returncode, done.stderr) == (0, "")
    return run_of(project, "whole")


def assert_ends_as(run, whole):
    """Weights, optimiser, tracks, the best network and the simulated path: equal bit for bit."""
    for name in ("last.npz", "best.npz"):
        ours, _ = checkpoint.load(run.checkpoints / name)
        theirs, _ = checkpoint.load(whole.checkpoints / name)
        assert ours.keys() == theirs.keys()
        for key in theirs:
            np.testing.assert_array_equal(ours[key], theirs[key], err_msg=f"{name}: {key}")
    with np.load(run.simulation) as ours, np.load(whole.simulation) as theirs:
        for key in theirs.files:
            np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)


def metrics(run):
    """The rows of metrics.csv without the clock."""
    with run.metrics.open() as file:
        return [{name: value for name, value in row.items() if name != "cpu_seconds"} for row in csv.DictReader(file)]


def kill_when(process, condition):
    """Kills a training without warning once the condition holds."""
    end = time.monotonic() + 300
    while not condition() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    process.kill()
    _, err = process.communicate()
    assert process.returncode == -signal.SIGKILL, err


def updates_kept(run):
    return sorted(int(path.stem.removeprefix("update-")) for path in run.checkpoints.glob("update-*.npz"))


# ---- interruptions


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_writes_a_checkpoint_says_how_to_resume_and_ends_as_the_uninterrupted_one(
    project, whole, number
):
    run = run_of(project, number.name)
    process = started(project, typed(run=number.name))
    for line in process.stdout:
        if line.startswith("warm start"):
            process.send_signal(number)
            break
    _, err = process.communicate(timeout=300)
    assert process.returncode == 75
    message = err.splitlines()[-1]
    assert message.startswith("deqn: stopped at update ") and " of 400; continue with: deqn train " in message
    assert json.loads(run.provenance.read_text())["status"] == "stopped"
    _, meta = checkpoint.load(run.checkpoints / "last.npz")
    assert 0 < meta["update"] < 400

    done = finished(project, shlex.split(message.partition("continue with: ")[2]))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"continues at update {meta['update']} of 400" in done.stdout
    assert_ends_as(run, whole)
    assert metrics(run) == metrics(whole)
    record = json.loads(run.provenance.read_text())
    assert (record["status"], [each["status"] for each in record["earlier_sittings"]]) == ("done", ["stopped"])


@pytest.mark.slow
def test_a_second_interrupt_ends_a_training_at_once_with_130_and_a_message(project):
    process = started(project, typed("updates_per_call=400", "phases.0.updates=1000000", run="twice"))
    for line in process.stdout:
        if line.startswith("warm start"):
            for _ in range(2):
                process.send_signal(signal.SIGINT)
                time.sleep(0.2)  # two that come at once are one
            break
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "deqn: interrupted; what was written before stands"
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.parametrize("last", ["whole", "half-written"])
def test_a_killed_run_resumes_from_its_newest_whole_checkpoint_and_ends_as_the_uninterrupted_one(project, whole, last):
    run = run_of(project, f"killed-{last}")
    process = started(project, typed(*OFTEN, run=run.path.name))
    kill_when(process, lambda: bool(updates_kept(run)) and updates_kept(run)[-1] >= 20)
    path = run.checkpoints / "last.npz"
    if last == "half-written":
        path.write_bytes(path.read_bytes()[:5000])
    kept = updates_kept(run)

    done = finished(project, typed(run=run.path.name, resume=True))
    assert (done.returncode, done.stderr) == (0, "")
    assert ("last.npz: damaged checkpoint" in done.stdout) == (last == "half-written")
    at = int(next(line for line in done.stdout.splitlines() if line.startswith("continues at")).split()[3])
    assert kept[-1] <= at <= kept[-1] + 1
    assert_ends_as(run, whole)


# ---- disks


def limited(size):
    """For a process in which no file can grow beyond `size` bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.slow
def test_a_full_disk_at_a_checkpoint_is_told_keeps_what_stands_and_the_run_can_go_on(project):
    run = run_of(project, "full")
    large = ["sampling.tracks=2048", "phases.0.updates=100"]
    done = finished(project, typed(*large, run="full"), preexec_fn=limited(LIMIT))
    assert done.returncode == 2
    assert done.stderr.startswith("deqn: ") and done.stderr.count("\n") == 1
    assert "last.npz: cannot write (File too large)" in done.stderr
    assert "free space there, then continue with --resume" in done.stderr
    assert checkpoint.load(run.checkpoints / "best.npz")
    assert not list(run.checkpoints.glob(".*"))
    assert json.loads(run.provenance.read_text())["status"] == "failed"

    done = finished(project, typed(*large, run="full", resume=True))
    assert (done.returncode, done.stderr) == (0, "")
    assert checkpoint.load(run.checkpoints / "last.npz")[1]["update"] == 100


@pytest.mark.slow
def test_a_full_disk_at_metrics_and_tensorboard_loses_rows_and_no_training(project):
    run = run_of(project, "no-metrics")
    many = ["updates_per_call=1", "phases.0.updates=2000"]  # a row for each update: more than the disk takes
    done = finished(project, typed(*many, run="no-metrics"), preexec_fn=limited(2 * LIMIT))
    assert "metrics.csv: cannot write (File too large)" in done.stdout
    assert done.stdout.count("training goes on without this row") == 1
    assert done.stdout.count("tensorboard: TensorBoard's log ends here (File too large); training goes on") == 1
    assert checkpoint.load(run.checkpoints / "last.npz")[1]["update"] == 2000
    kept = [int(row["update"]) for row in metrics(run)]
    assert kept == list(range(1, len(kept) + 1)) and len(kept) < 2000


def test_a_run_folder_that_cannot_be_written_is_refused_in_one_line(project):
    command = typed(run="shut")
    if can_mount():  # root may write wherever modes forbid it, but not to a read-only file system
        mount = 'mount -t tmpfs -o ro tmpfs "$0" && exec "$@"'
        command = ["unshare", "--mount", "sh", "-c", mount, str(project / "runs"), *command]
    else:
        (project / "runs/tiny").mkdir(mode=0o500)
    done = finished(project, command)
    assert done.returncode == 2
    assert "cannot write here" in done.stderr and "make it writable" in done.stderr and done.stderr.count("\n") == 1


def test_two_processes_do_not_train_into_one_run(project):
    run = run_of(project, "shared")
    with run.open():
        done = in_this_process(project, *typed(run="shared", resume=True)[1:])
    assert done.returncode == 2
    assert f"tiny/shared is being trained by process {os.getpid()} on " in done.stderr
    assert done.stderr.count("\n") == 1
    assert [each.name for each in run.path.iterdir()] == [".lock"]


# ---- divergence


@pytest.mark.slow
def test_a_diverged_run_says_what_broke_and_keeps_its_best_network(project):
    run = run_of(project, "diverged")
    wild = ["phases.0.optimizer.name=SGD", "phases.0.optimizer.learning_rate=1e6", "phases.0.optimizer.warm_up=0"]
    done = finished(project, typed(*wild, run="diverged"))
    assert done.returncode == 3
    message = done.stderr
    assert message.startswith("deqn: ") and message.count("\n") == 1
    assert "roll-backs with smaller learning rates did not help" in message
    assert "the best weights so far stand in tiny/diverged" in message
    assert done.stdout.count("back to update 0, learning rate x") == 3
    _, meta = checkpoint.load(run.checkpoints / "best.npz")
    assert meta["update"] == 0  # the warm start was better than anything that followed
    assert json.loads(run.provenance.read_text())["status"] == "diverged"
    assert finished(project, [DEQN, "evaluate", "tiny/diverged"]).returncode == 0
    assert "training broke down" in finished(project, [DEQN, "doctor", "tiny/diverged"]).stdout
