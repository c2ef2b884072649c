"""Ranks started as a user starts them, and the reason why they cannot be."""

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faults import processes

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
DEQN = str(BIN / "deqn")

LAUNCHERS = {
    "mpirun": ["mpirun", "-np", "{ranks}"],
    "horovodrun": [str(BIN / "horovodrun"), "--gloo", "-np", "{ranks}"],
}


def missing():
    """What these tests lack on this machine, or None."""
    found = [name for name in ("mpirun",) if shutil.which(name) is None]
    found += [name for name in ("mpi4py", "horovod") if importlib.util.find_spec(name) is None]
    return f"{', '.join(found)} missing: `make cluster` installs what several ranks need" if found else None


needs_ranks = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def environment(**more):
    """Of a rank: one thread each, more ranks than cores and root allowed, no job of SLURM around it."""
    shown = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "PMI"))}
    return shown | {
        "OMP_NUM_THREADS": "1",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "OMPI_MCA_hwloc_base_binding_policy": "none",
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(
            [str(ROOT / "tests"), str(ROOT / "tests/cluster"), os.environ.get("PYTHONPATH", "")]
        ),
        **more,
    }


def on_ranks(ranks, command, launcher="mpirun"):
    """The command of several ranks: one rank is started without a launcher."""
    return [*(word.format(ranks=ranks) for word in LAUNCHERS[launcher] if ranks > 1), *command]


def finished(command, folder, seconds=240, **more):
    """Runs a command to its end, which has to come within so many seconds."""
    return subprocess.run(
        command, cwd=folder, env=environment(**more), capture_output=True, text=True, check=False, timeout=seconds
    )


def started(command, folder, **more):
    """The running command; its output goes to files, so that no full pipe stops it."""
    with (folder / "stdout").open("w") as out, (folder / "stderr").open("w") as err:
        return subprocess.Popen(command, cwd=folder, env=environment(**more), text=True, stdout=out, stderr=err)


def wait_until(condition, seconds=120, what="it"):
    """Waits for a condition to become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen within {seconds} seconds"
        time.sleep(0.2)


def pids_of_ranks(launcher):
    """Process ids by rank, of the training processes below a launcher's process."""
    found = {}
    for pid, command, variables in processes():
        rank = variables.get("OMPI_COMM_WORLD_RANK", variables.get("HOROVOD_RANK"))
        is_training = "python" in Path(command[0]).name and any(word.endswith("deqn") for word in command[1:2])
        if rank is not None and is_training and launcher.pid in _ancestors(pid):
            found[int(rank)] = pid
    return found


def _ancestors(pid):
    found = set()
    while pid > 1:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            break
        found.add(pid)
    return found
