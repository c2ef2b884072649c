"""What goes wrong among ranks, with the real command: killed, hanging, stopped, full disk, other numbers of ranks.

In every case the job ends, the cause is in the log, the last checkpoint is whole, and --resume goes on from it.
"""

import contextlib
import json
import os
import shutil
import signal
import sys
import time

import numpy as np
import pytest
from faults import can_mount
from launchers import DEQN, finished, needs_ranks, on_ranks, pids_of_ranks, started, wait_until
from projects import make_project

from deqn.project.run import RunFolder
from deqn.training import checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.ranks, needs_ranks]
FILE = "models/brock_mirman/brock_mirman.yaml"  # what compiles in the shortest time
SMALL = [
    "network.hidden=[8]", "sampling.tracks=32", "phases.0.updates=200", "validate_every=100", "validation.periods=5",
    "evaluation.periods=40", "evaluation.burn_in=20", "updates_per_call=10",
]  # fmt: skip
ENDLESS = ["phases.0.updates=1000000", "checkpoints.minutes=0.000001", "validate_every=1000000"]
LAUNCHED = pytest.mark.parametrize(
    ("launcher", "kind"), [("mpirun", "horovod"), ("horovodrun", "horovod"), ("mpirun", "mpi")]
)


def typed(*settings, **options):
    named = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return [
        sys.executable, DEQN, "train", FILE, *named,
        *(word for each in (*SMALL, *settings) for word in ("--set", each)),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    make_project(folder, "*")
    return folder


def run_of(project, name):
    return RunFolder(project / "runs/brock_mirman" / name)


def record(run):
    return json.loads(run.provenance.read_text())


def training(project, name, launcher="mpirun", kind="auto", *settings):
    """An endless training of two ranks, once it has written a checkpoint, and the process ids of its ranks."""
    process = started(on_ranks(2, typed(*ENDLESS, *settings, run=name, workers=kind), launcher), project)
    try:
        wait_until(lambda: (run_of(project, name).checkpoints / checkpoint.LAST).exists(), what="a checkpoint")
        pids = pids_of_ranks(process)
        assert sorted(pids) == [0, 1]
    except BaseException:
        process.kill()
        raise
    return process, pids


def ends(process, project, seconds, pids=()):
    """How the job ended, which has to be within so many seconds: status and what it told; nothing is left running."""
    try:
        status = process.wait(timeout=seconds)
    finally:
        for pid in (process.pid, *pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    return status, (project / "stdout").read_text() + (project / "stderr").read_text()


@pytest.fixture(scope="module")
def whole(project):
    """The name of a run of two ranks that nothing interrupted."""
    done = finished(on_ranks(2, typed(run="whole")), project)
    assert done.returncode == 0, done.stderr
    return "whole"


def killed(project, name, launcher, kind):
    """The update of the checkpoint that is left when rank 1 was killed and the job has ended with the cause."""
    process, pids = training(project, name, launcher, kind)
    os.kill(pids[1], signal.SIGKILL)
    status, told = ends(process, project, seconds=60, pids=pids.values())
    assert status != 0
    assert "signal 9" in told or "code: -9" in told or "exit code 137" in told or "Killed" in told, told
    return checkpoint.load(run_of(project, name).checkpoints / checkpoint.LAST)[1]["update"]


@pytest.mark.parametrize("launcher", ["mpirun", "horovodrun"])
def test_when_a_rank_of_horovod_is_killed_the_job_ends_with_a_whole_checkpoint(launcher, project):
    assert killed(project, f"killed-{launcher}", launcher, "horovod") > 0


def test_when_a_rank_of_mpi_is_killed_the_job_ends_and_goes_on_from_its_checkpoint(project):
    update = killed(project, "killed", "mpirun", "mpi")
    command = typed(*ENDLESS, f"phases.0.updates={update + 20}", run="killed", workers="mpi")
    done = finished(on_ranks(2, [*command, "--resume"]), project)
    assert done.returncode == 0, done.stderr
    assert f"continues at update {update} of {update + 20}" in done.stdout


@LAUNCHED
def test_when_a_rank_hangs_the_others_end_the_job_after_the_stall_limit(launcher, kind, project):
    process, pids = training(project, f"hangs-{launcher}-{kind}", launcher, kind, "workers.stall_seconds=10")
    os.kill(pids[1], signal.SIGSTOP)
    begun = time.monotonic()
    status, told = ends(process, project, seconds=170, pids=pids.values())
    assert status != 0 and time.monotonic() - begun > 9
    assert "deqn: rank 0" in told, told
    checkpoint.load(run_of(project, f"hangs-{launcher}-{kind}").checkpoints / checkpoint.LAST)


def test_two_ranks_that_are_stopped_by_a_signal_to_one_go_on_to_the_uninterrupted_end(project, whole):
    process = started(on_ranks(2, typed("checkpoints.minutes=0.000001", run="cut")), project)
    wait_until(lambda: (run_of(project, "cut").checkpoints / checkpoint.LAST).exists(), what="a checkpoint")
    os.kill(pids_of_ranks(process)[1], signal.SIGUSR1)
    status, told = ends(process, project, seconds=60)
    assert status == 75 and "--resume" in told, told
    again = finished(on_ranks(2, [*typed("checkpoints.minutes=0.000001", run="cut"), "--resume"]), project)
    assert again.returncode == 0, again.stderr
    for name in (checkpoint.LAST, checkpoint.BEST):
        arrays, expected = (checkpoint.load(run_of(project, run).checkpoints / name)[0] for run in ("cut", whole))
        assert set(arrays) == set(expected)
        for key, value in expected.items():
            np.testing.assert_array_equal(arrays[key], value, err_msg=f"{name}: {key}")
    sums = record(run_of(project, "cut"))["weights_checksum"]
    assert sums == record(run_of(project, whole))["weights_checksum"] and len(sums) == 2


@pytest.fixture(scope="module")
def fewer(project, whole):
    """What a run of two ranks printed when one went on alone; its folder is `fewer`."""
    shutil.copytree(run_of(project, whole).path, run_of(project, "fewer").path)
    done = finished([*typed("phases.0.updates=220", run="fewer"), "--resume"], project)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_run_of_two_ranks_goes_on_alone_and_says_whose_states_it_keeps(project, fewer):
    assert "the checkpoint is of 2 ranks, these are 1: the states of ranks 0 to 0 go on" in fewer
    assert record(run_of(project, "fewer"))["workers"] == 1


def test_a_run_of_one_goes_on_with_two_ranks_of_which_one_begins_anew(project, fewer):
    shutil.copytree(run_of(project, "fewer").path, run_of(project, "more").path)
    done = finished(on_ranks(2, [*typed("phases.0.updates=240", run="more"), "--resume"]), project)
    assert done.returncode == 0, done.stderr
    assert (
        "the checkpoint is of 1 ranks, these are 2: the states of ranks 0 to 0 go on, others begin anew" in done.stdout
    )
    assert len(set(record(run_of(project, "more"))["weights_checksum"])) == 1


def test_strong_scaling_splits_the_tracks_and_they_cannot_go_on_among_others(project):
    strong = "workers.scaling=strong"
    done = finished(on_ranks(2, typed(strong, run="strong")), project)
    assert "sampling     16 tracks x 1 period an episode, 1 epoch, 16 states an update" in done.stdout, done.stderr
    again = finished([*typed(strong, "phases.0.updates=220", run="strong"), "--resume"], project)
    assert "the checkpoint is of 2 ranks, these are 1: no rank keeps its states, others begin anew" in again.stdout


@pytest.mark.skipif(not can_mount(), reason="a small disk has to be mounted: run as root")
def test_a_full_disk_at_the_last_checkpoint_ends_both_ranks_with_the_cause(project):
    """Not by a limit on the size of files, under which Open MPI itself cannot start."""
    disk = project / "runs/brock_mirman"
    disk.mkdir(exist_ok=True)
    mounted = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=64k tmpfs "$0" && exec "$@"', str(disk)]
    done = finished([*mounted, *on_ranks(2, typed(run="full"))], project)
    assert done.returncode == 2
    assert "cannot write (No space left on device)" in done.stderr, done.stderr
    assert "continue with --resume" in done.stderr and "Traceback" not in done.stderr


def test_ranks_that_would_train_apart_are_refused(project):
    done = finished(on_ranks(2, typed(run="apart", workers="single")), project)
    assert done.returncode != 0
    assert "--workers single: mpirun started 2 ranks, which would all train the same run" in done.stderr
    assert not run_of(project, "apart").path.exists()


def test_a_mistake_is_told_by_every_rank_in_one_line_and_nothing_is_written(project):
    done = finished(on_ranks(2, typed("network.hiden=[8]", run="mistake")), project)
    assert done.returncode == 2
    assert "network.hiden: unknown; did you mean 'hidden'?" in done.stderr and "Traceback" not in done.stderr
    assert not run_of(project, "mistake").path.exists()


def test_a_run_that_exists_is_refused_once_for_all_ranks(project):
    (run_of(project, "there").path).mkdir(parents=True)
    done = finished(on_ranks(2, typed(run="there")), project)
    assert done.returncode == 2 and done.stderr.count("run brock_mirman/there exists") == 1, done.stderr
