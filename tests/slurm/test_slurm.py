"""Real jobs in a real SLURM: two nodes, an array, the time limit, a lost node, faulty ranks; nobody helps them."""

import contextlib
import csv
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from faults import can_mount, processes
from one_machine import missing
from projects import make_project

from deqn.project.run import RunFolder
from deqn.training import checkpoint

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
REASON = missing() or ("" if importlib.util.find_spec("horovod") else "no Horovod; make cluster")
pytestmark = [pytest.mark.slow, pytest.mark.ranks, pytest.mark.skipif(bool(REASON), reason=REASON)]

FILE = "models/olg/small.yaml"
QUICK = "models/brock_mirman/quick.yaml"  # for faults: what compiles in the shortest time
CHANGES = {
    "phases": [{"updates": 60, "optimizer": {"name": "Adam", "learning_rate": 1e-3}}],
    "updates_per_call": 10, "validate_every": 1000, "warm_start": None, "validation": {"periods": 5},
    "evaluation": {"periods": 120, "burn_in": 20}, "checkpoints": {"minutes": 1e-6},
}  # fmt: skip
ENDLESS = ["--set", "phases.0.updates=10000000"]
TWO_NODES = ["--nodes", 2, "--cpus-per-task", 1, "--time", 10]


@pytest.fixture(scope="module")
def project(slurm, tmp_path_factory):
    """A project as on a cluster, with a parameter file of hardly any training."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("models", "slurm"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    make_project(folder)
    for name, of in ((FILE, "models/olg/tiny.yaml"), (QUICK, "models/brock_mirman/brock_mirman.yaml")):
        (folder / name).write_text(yaml.safe_dump(yaml.safe_load((ROOT / of).read_text()) | CHANGES))
    return folder


@pytest.fixture(autouse=True)
def no_job_is_left(slurm):
    yield
    subprocess.run(["scancel", "--user=root"], check=True)


def typed(project, *words):
    """What a command prints that a user types in the project's folder."""
    shown = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_", "DEQN_"))}
    environment = shown | {
        "SLURM_CONF": os.environ["SLURM_CONF"], "DEQN_VENV": sys.prefix, "PATH": f"{BIN}:{os.environ['PATH']}",
    }  # fmt: skip
    done = subprocess.run([*map(str, words)], cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def submitted(project, *words, file=FILE):
    """The number of a job given to `deqn submit`."""
    return re.match(r"job (\d+) ", typed(project, "deqn", "submit", file, *words))[1]


def shown(job, key):
    """What scontrol says of a job."""
    done = subprocess.run(["scontrol", "--oneliner", "show", "job", job], capture_output=True, text=True, check=False)
    return re.search(rf"\b{key}=(\S*)", done.stdout)[1]


def log(project, job):
    return "".join(path.read_text() for path in (project / "runs").rglob(f"*-{job}.log"))


def wait_until(condition, project, job, what, seconds=240):
    end = time.monotonic() + seconds
    while not condition():
        said = log(project, job)
        assert time.monotonic() < end, f"not within {seconds} seconds: {what}; {shown(job, 'JobState')}\n{said}"
        time.sleep(0.3)


def ends(project, job, seconds=240):
    """The state in which a job ends, and its log."""
    active = ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING")
    wait_until(lambda: shown(job, "JobState") not in active, project, job, "the job's end", seconds)
    return shown(job, "JobState"), log(project, job)


def run_of(project, job, file=FILE):
    return RunFolder(project / "runs" / Path(file).stem / job)


def record(project, job):
    return json.loads(run_of(project, job).provenance.read_text())


def updates(project, job):
    """The updates in metrics.csv of a job with the quick file."""
    path = run_of(project, job, QUICK).metrics
    return [int(row["update"]) for row in csv.DictReader(path.read_text().splitlines())] if path.exists() else []


def trains(project, job, beyond=0):
    wait_until(lambda: max(updates(project, job), default=0) > beyond, project, job, f"an update beyond {beyond}")


def rank_processes(job):
    """Process ids by rank of a job's `deqn train`."""
    return {
        int(variables["SLURM_PROCID"]): pid
        for pid, command, variables in processes()
        if variables.get("SLURM_JOB_ID") == job and "SLURM_STEP_ID" in variables and "train" in command
    }


@pytest.fixture(scope="module")
def trained(project):
    """A job that trained to its end on two ranks."""
    job = submitted(project, *TWO_NODES)
    state, said = ends(project, job)
    assert state == "COMPLETED", said
    return job


def test_two_ranks_on_two_nodes_train_one_network(project, trained):
    end = record(project, trained)
    assert (end["status"], end["workers"], end["workers_kind"], end["slurm_job"]) == ("done", 2, "horovod", trained)
    assert len(end["weights_checksum"]) == 2 and len(set(end["weights_checksum"])) == 1
    assert (run_of(project, trained).figures / "capital_by_age.pdf").is_file()


def test_status_tells_what_an_ended_job_has_reached(project, trained):
    row = next(line for line in typed(project, "deqn", "status").splitlines() if line.startswith(f"| {trained} "))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:4] == ["done", f"small/{trained}", "60 of 60"]


def test_an_array_trains_a_run_for_each_value(project):
    job = submitted(project, "--cpus-per-task", 1, "--time", 10, "--array", "parameters.borrowing_limit=0,-0.1")
    for task in ("0", "1"):
        state, said = ends(project, f"{job}_{task}")
        assert state == "COMPLETED", said
    limits = [yaml.safe_load(run_of(project, f"{job}_{task}").parameters.read_text()) for task in "01"]
    assert [each["parameters"]["borrowing_limit"] for each in limits] == [0, -0.1]
    assert [record(project, f"{job}_{task}")["status"] for task in "01"] == ["done", "done"]


def test_an_array_along_a_grid_trains_each_task_from_its_neighbours_weights(project):
    along = ["--grid", "parameters.borrowing_limit=0,-0.1", "--continue"]
    job = submitted(project, "--cpus-per-task", 1, "--time", 10, *along)
    for task in ("0", "1"):
        state, said = ends(project, f"{job}_{task}")
        assert state == "COMPLETED", said
    assert [record(project, f"{job}_{task}")["start_from"] for task in "01"] == [None, f"small/{job}_0"]


def test_at_the_time_limit_a_job_is_requeued_and_goes_on_to_its_end(project):
    name = "models/brock_mirman/limited.yaml"
    settings = yaml.safe_load((project / QUICK).read_text())

    def plan(count):
        settings["phases"][0]["updates"] = count
        (project / name).write_text(yaml.safe_dump(settings))

    plan(10_000_000)
    job = submitted(project, *TWO_NODES, file=name)
    run = run_of(project, job, name)
    wait_until(run.metrics.exists, project, job, "an update")
    # Nobody has to wait ten minutes: the limit is drawn near, to just beyond the two minutes of the signal.
    minutes = sum(int(part) * 60**place for place, part in enumerate(shown(job, "RunTime").split(":")[::-1])) // 60
    subprocess.run(["scontrol", "update", f"JobId={job}", f"TimeLimit={minutes + 3}"], check=True)
    wait_until(lambda: "requeued" in log(project, job), project, job, "the requeue")
    reached = int(re.search(r"at update (\d+): requeued", log(project, job))[1])
    plan(reached + 20)
    wait_until(lambda: shown(job, "JobState") == "PENDING", project, job, "the second turn", seconds=60)
    subprocess.run(["scontrol", "update", f"JobId={job}", "TimeLimit=10"], check=True)
    state, said = ends(project, job)
    assert state == "COMPLETED", said
    end = json.loads(run.provenance.read_text())
    (before,) = end["earlier_sittings"]
    assert (before["status"], before["updates"]) == ("stopped", reached)
    assert (end["status"], end["updates"], end["slurm_job"]) == ("done", reached + 20, job)
    assert f"continues at update {reached} of {reached + 20}" in said


def test_when_a_node_is_lost_the_job_starts_again_by_itself_and_goes_on(project):
    job = submitted(project, *TWO_NODES, "--", *ENDLESS, file=QUICK)
    trains(project, job, beyond=100)
    # The node itself goes on and soon reports back (ReturnToService), as after a reboot.
    subprocess.run(["scontrol", "update", "NodeName=n2", "State=DOWN", "Reason=test"], check=True)
    wait_until(lambda: "continues at update" in log(project, job), project, job, "the second turn")
    begun = int(re.search(r"continues at update (\d+)", log(project, job))[1])
    assert begun > 0
    trains(project, job, beyond=max(updates(project, job)))
    typed(project, "scancel", job)
    assert ends(project, job)[0] == "CANCELLED"


def last_update(run):
    """The update of the last checkpoint, which is whole."""
    return checkpoint.load(checkpoint.latest(run.checkpoints, warn=pytest.fail))[1]["update"]


def goes_on(project, run, job, file):
    """A job's training, submitted again, goes on from its last checkpoint to its end."""
    reached = last_update(run)
    count = ["--set", f"phases.0.updates={reached + 20}"]
    state, said = ends(project, again := submitted(project, *TWO_NODES, "--", "--run", job, *count, file=file))
    assert state == "COMPLETED" and f"continues at update {reached} of" in said, said
    end = json.loads(run.provenance.read_text())
    assert (end["status"], end["updates"], end["slurm_job"]) == ("done", reached + 20, again)


def test_a_killed_rank_of_horovod_ends_the_job_and_submitting_again_goes_on_from_its_last_checkpoint(project):
    job = submitted(project, *TWO_NODES, "--", "--workers", "horovod", *ENDLESS, file=QUICK)
    trains(project, job, beyond=100)
    os.kill(rank_processes(job)[1], signal.SIGKILL)
    state, said = ends(project, job, seconds=180)
    assert state == "FAILED"
    assert "task 1: Killed" in said and f"submit it again with '--run {job}'" in said, said
    goes_on(project, run_of(project, job, QUICK), job, QUICK)


def test_a_hanging_rank_ends_the_job_after_the_stall_limit_with_a_whole_checkpoint(project):
    job = submitted(project, *TWO_NODES, "--", "--set", "workers.stall_seconds=8", *ENDLESS, file=QUICK)
    trains(project, job, beyond=100)
    os.kill(rank_processes(job)[1], signal.SIGSTOP)
    state, said = ends(project, job, seconds=180)
    assert state == "FAILED"
    assert "deqn: rank 0: waited 8 seconds for another rank" in said, said
    assert f"submit it again with '--run {job}'" in said and last_update(run_of(project, job, QUICK)) > 0, said
    assert not rank_processes(job)


@contextlib.contextmanager
def small_disk(folder):
    """A file system of four megabytes on a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.skipif(not can_mount(), reason="a small disk has to be mounted: run as root, with the right to mount")
def test_a_full_disk_ends_the_job_with_the_cause_and_it_goes_on_when_there_is_room_again(project):
    file = "models/brock_mirman/disk.yaml"
    shutil.copy(project / QUICK, project / file)
    with small_disk(project / "runs/disk") as disk:
        job = submitted(project, *TWO_NODES, "--", *ENDLESS, file=file)
        run = run_of(project, job, file)
        wait_until(lambda: (run.checkpoints / checkpoint.LAST).exists(), project, job, "a checkpoint")
        subprocess.run(["dd", "if=/dev/zero", f"of={disk}/ballast", "bs=4k"], capture_output=True, check=False)
        wait_until(lambda: "training goes on" in log(project, job), project, job, "the warning")
        typed(project, "scancel", "--batch", "--signal=USR1", job)  # as SLURM does near the time limit
        state, said = ends(project, job)
        assert (state, shown(job, "Restarts")) == ("FAILED", "0"), said
        (told,) = (line for line in said.splitlines() if line.startswith("deqn: /"))
        assert "cannot write (No space left on device)" in told and "Traceback" not in said, said
        assert "not requeued" in said.splitlines()[-1], said
        (disk / "ballast").unlink()
        goes_on(project, run, job, file)


def test_a_job_whose_checkpoint_is_of_another_economy_fails_at_once_with_the_reason(project, trained):
    words = ["--run", trained, "--set", "parameters.risk_aversion=3"]
    job = typed(project, "sbatch", "--parsable", "--time=10", "slurm/train.sbatch", FILE, *words).strip()
    state, said = ends(project, job, seconds=60)
    assert (state, shown(job, "ExitCode"), shown(job, "Restarts")) == ("FAILED", "2:0", "0")
    assert f"--resume: parameters.risk_aversion is 3.0 but small/{trained} was trained with 2.0" in said, said
    assert "the reason stands above: not requeued" in said


def test_the_smoke_test_passes_on_two_nodes(project):
    job = typed(project, "sbatch", "--parsable", "--cpus-per-task=1", "slurm/smoke.sbatch").strip()
    state, said = ends(project, job)
    assert (state, said.splitlines()[-1]) == ("COMPLETED", "smoke test passed"), said
