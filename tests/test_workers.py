"""Who trains, as far as one process can tell: launchers, refusals, checksums. tests/cluster has the ranks."""

import importlib.util
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from deqn.project.errors import UserError
from deqn.workers.collective import checksum, on_first, reduced
from deqn.workers.devices import _choose_gpu
from deqn.workers.launch import read_launch
from deqn.workers.ranks import choose_workers, refuse_ranks
from deqn.workers.settings import WorkerSettings
from deqn.workers.workers import SingleWorker

MPIRUN = {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_LOCAL_RANK": "1"}
SRUN = {"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5", "SLURM_LOCALID": "2"}
HOROVODRUN = {"HOROVOD_SIZE": "2", "HOROVOD_RANK": "1", "HOROVOD_LOCAL_RANK": "1"}
BATCH_STEP = {"SLURM_JOB_ID": "17", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}  # the script around srun


class Several:
    """Ranks whose values are known beforehand."""

    kind, rank, size, local_rank = "made", 0, 3, 0

    def __init__(self, others):
        self.others = others

    def gather(self, value):
        return [value, *self.others]

    def broadcast(self, value):
        return value


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (MPIRUN, ("mpirun", 4, 3, 1)),
        (SRUN, ("srun", 8, 5, 2)),
        (HOROVODRUN, ("horovodrun", 2, 1, 1)),
        (SRUN | MPIRUN, ("mpirun", 4, 3, 1)),
        (BATCH_STEP, None),
        ({}, None),
    ],
    ids=["mpirun", "srun", "horovodrun", "mpirun in a job", "a job's script", "alone"],
)
def test_a_launcher_is_known_by_its_environment(environment, expected):
    assert read_launch(environment) == expected


def test_a_process_started_alone_is_a_single_worker():
    assert isinstance(choose_workers("auto", WorkerSettings(), {}), SingleWorker)
    assert isinstance(choose_workers("auto", WorkerSettings(), MPIRUN | {"OMPI_COMM_WORLD_SIZE": "1"}), SingleWorker)


def test_ranks_that_would_not_know_of_each_other_are_refused():
    with pytest.raises(UserError, match="--workers single: srun started 8 ranks, which would all train the same run"):
        choose_workers("single", WorkerSettings(), SRUN)


@pytest.mark.parametrize(
    ("kind", "lacking", "named"), [("horovod", "horovod", "horovod"), ("auto", "horovod mpi4py", "mpi4py")]
)
def test_a_package_that_is_missing_is_named_with_the_command_that_installs_it(monkeypatch, kind, lacking, named):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in lacking.split() else find(name))
    with pytest.raises(UserError, match=f"{named} is not installed; slurm/README.md says how"):
        choose_workers(kind, WorkerSettings(), MPIRUN)


def test_errors_of_several_ranks_are_averaged_and_maxima_stay_maxima():
    others = [{"error_mean": 2.0, "error_max": 9.0}, {"error_mean": 6.0, "error_max": 4.0}]
    assert reduced(Several(others), {"error_mean": 1.0, "error_max": 3.0}) == {"error_mean": 3.0, "error_max": 9.0}
    assert reduced(SingleWorker(), {"error_max": 3.0}) == {"error_max": 3.0}
    assert reduced(Several([{"kkt.max": 9.0}]), {"kkt.max": 3.0}) == {"kkt.max": 9.0}
    assert np.isnan(reduced(Several([{"kkt.max": np.nan}]), {"kkt.max": 3.0})["kkt.max"])


def test_what_rank_0_cannot_do_is_an_error_that_all_ranks_share():
    def refuse():
        raise UserError("no such run")

    with pytest.raises(UserError, match="no such run") as caught:
        on_first(Several([]), refuse)
    assert caught.value.is_common
    assert on_first(Several([]), lambda: 7) == 7


def test_a_checksum_changes_with_any_bit_and_any_name():
    arrays = {"a": np.zeros(5), "b": np.ones(2, np.float32)}
    changed = arrays | {"a": np.array([0, 0, 5e-324, 0, 0])}
    sums = {checksum(each) for each in (arrays, changed, {"a": arrays["a"], "c": arrays["b"]})}
    assert len(sums) == 3
    assert checksum(dict(reversed(arrays.items()))) == checksum(arrays)


@pytest.mark.parametrize(("rule", "rate"), [("constant", 1), ("sqrt", 3), ("linear", 9)])
def test_learning_rates_follow_the_rule_of_the_file(rule, rate):
    assert WorkerSettings(learning_rate=rule).rate(9) == rate


def test_a_command_that_is_no_training_refuses_several_ranks(monkeypatch):
    refuse_ranks("evaluate")
    for name, value in MPIRUN.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="deqn evaluate: mpirun started 4 ranks"):
        refuse_ranks("evaluate")


def test_the_watchdog_ends_a_process_that_waits_too_long_and_no_other():
    code = (
        "import sys, time; from deqn.workers.watchdog import Watchdog\n"
        "watchdog = Watchdog(rank=2, seconds=1.0)\n"
        "time.sleep(2)\n"
        "print('alive', flush=True)\n"
        "with watchdog: time.sleep(float(sys.argv[1]))\n"
    )
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code, "60"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "alive\n")
    assert "deqn: rank 2: waited 1 seconds for another rank" in done.stderr
    assert time.monotonic() - begun < 30
    done = subprocess.run([sys.executable, "-c", code, "0.1"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


class MadeConfig:
    """What TensorFlow says of a machine with so many GPUs, and what it is told."""

    def __init__(self, gpus):
        self.gpus = [f"GPU:{number}" for number in range(gpus)]
        self.visible, self.growing = list(self.gpus), []
        self.experimental = SimpleNamespace(set_memory_growth=lambda gpu, on: self.growing.append(gpu))

    def list_physical_devices(self, kind):
        return self.gpus

    def set_visible_devices(self, gpus, kind):
        self.visible = gpus


@pytest.mark.parametrize(
    ("gpus", "environment", "taken"), [(2, MPIRUN, "GPU:1"), (1, SRUN | {"SLURM_GPUS_PER_TASK": "1"}, "GPU:0")]
)
def test_a_rank_takes_the_gpu_of_its_number_or_slurms_and_memory_as_needed(gpus, environment, taken):
    config = MadeConfig(gpus)
    _choose_gpu(config, environment)
    assert config.visible == config.growing == [taken]


def test_ranks_that_outnumber_gpus_are_told():
    with pytest.raises(UserError, match="rank 5 is number 3 on its host, which shows 2 GPUs"):
        _choose_gpu(MadeConfig(2), SRUN)


def test_tensorflow_starts_without_the_packages_of_keras_own_plots_which_can_be_imported_later():
    code = (
        "import sys; from deqn.workers.devices import import_tensorflow; import_tensorflow()\n"
        "print([name for name in ('sklearn', 'matplotlib') if name in sys.modules])\n"
        "import matplotlib.pyplot"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_file_may_ask_for_one_thread_and_the_environment_goes_before_it():
    code = (
        "import os, time; from deqn.workers.devices import import_tensorflow; import_tensorflow(1)\n"
        "import tensorflow as tf; x = tf.random.normal([1500, 1500]); tf.matmul(x, x).numpy()\n"
        "cpu, clock = time.process_time(), time.perf_counter()\n"
        "for _ in range(10): tf.matmul(x, x).numpy()\n"
        "print((time.process_time() - cpu) / (time.perf_counter() - clock), os.environ['TF_NUM_INTRAOP_THREADS'])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TF_NUM_INTRAOP_THREADS"}
    for asked, told in (({}, "1"), ({"TF_NUM_INTRAOP_THREADS": "2"}, "2")):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment | asked
        )
        busy, threads = done.stdout.split()
        assert threads == told
        if told == "1":
            assert float(busy) < 1.1  # cores at work at once


def test_no_communication_library_is_imported_by_one_process():
    code = (
        "import sys; from deqn.workers.ranks import choose_workers; from deqn.workers.settings import WorkerSettings\n"
        "choose_workers('auto', WorkerSettings(), {})\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('horovod', 'mpi4py')])"
    )
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert modules == "[]\n"
