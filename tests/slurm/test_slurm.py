"""Real jobs in a real SLURM: two nodes, an array, the time limit, a lost node, a killed rank; nobody helps them."""

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
from one_machine import missing

from deqn.training import checkpoint
from deqn.training.run_folder import RunFolder

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
REASON = missing() or ("" if importlib.util.find_spec("horovod") else "no Horovod; make cluster")
pytestmark = [pytest.mark.slow, pytest.mark.ranks, pytest.mark.skipif(bool(REASON), reason=REASON)]

FILE = "models/olg/small.yaml"
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
    (folder / "runs").mkdir()
    tiny = yaml.safe_load((ROOT / "models/olg/tiny.yaml").read_text())
    (folder / FILE).write_text(yaml.safe_dump(tiny | CHANGES))
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


def submitted(project, *words):
    """The number of a job given to `deqn submit`."""
    return re.match(r"job (\d+) ", typed(project, "deqn", "submit", FILE, *words))[1]


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


def run_of(project, job):
    return RunFolder(project / "runs/small" / job)


def record(project, job):
    return json.loads(run_of(project, job).provenance.read_text())


def updates(project, job):
    """The updates in metrics.csv."""
    path = run_of(project, job).metrics
    return [int(row["update"]) for row in csv.DictReader(path.read_text().splitlines())] if path.exists() else []


def trains(project, job, beyond=0):
    wait_until(lambda: max(updates(project, job), default=0) > beyond, project, job, f"an update beyond {beyond}")


def rank_processes(job):
    """Process ids by rank of a job's `deqn train`."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = dict(each.split("=", 1) for each in (folder / "environ").read_text().split("\0") if "=" in each)
            command = (folder / "cmdline").read_text().split("\0")
        except (OSError, ValueError):
            continue
        if variables.get("SLURM_JOB_ID") == job and "SLURM_STEP_ID" in variables and "train" in command:
            found[int(variables["SLURM_PROCID"])] = int(folder.name)
    return found


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


def test_at_the_time_limit_a_job_is_requeued_and_goes_on_to_its_end(project):
    name = "models/olg/limited.yaml"
    settings = yaml.safe_load((project / FILE).read_text())

    def plan(count):
        settings["phases"][0]["updates"] = count
        (project / name).write_text(yaml.safe_dump(settings))

    plan(10_000_000)
    job = re.match(r"job (\d+) ", typed(project, "deqn", "submit", name, *TWO_NODES))[1]
    run = RunFolder(project / "runs/limited" / job)
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
    job = submitted(project, *TWO_NODES, "--", *ENDLESS)
    trains(project, job, beyond=100)
    # The node itself goes on and soon reports back (ReturnToService), as after a reboot.
    subprocess.run(["scontrol", "update", "NodeName=n2", "State=DOWN", "Reason=test"], check=True)
    wait_until(lambda: "continues at update" in log(project, job), project, job, "the second turn")
    begun = int(re.search(r"continues at update (\d+)", log(project, job))[1])
    assert begun > 0
    trains(project, job, beyond=max(updates(project, job)))
    typed(project, "scancel", job)
    assert ends(project, job)[0] == "CANCELLED"


def test_a_killed_rank_ends_the_job_and_submitting_again_goes_on_from_its_last_checkpoint(project):
    job = submitted(project, *TWO_NODES, "--", *ENDLESS)
    trains(project, job, beyond=100)
    os.kill(rank_processes(job)[1], signal.SIGKILL)
    state, said = ends(project, job, seconds=180)
    assert state == "FAILED"
    assert "task 1: Killed" in said and f"submit it again with '--run {job}'" in said, said
    _, meta = checkpoint.load(checkpoint.latest(run_of(project, job).checkpoints, warn=pytest.fail))
    count = ["--set", f"phases.0.updates={meta['update'] + 20}"]
    again = submitted(project, *TWO_NODES, "--", "--run", job, *count)
    state, said = ends(project, again)
    assert state == "COMPLETED" and f"continues at update {meta['update']} of" in said, said
    assert record(project, job)["status"] == "done"


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
