"""A SLURM of two nodes on this machine, in a folder of its own, beside whatever SLURM the machine may have."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PROGRAMS = ("munged", "mungekey", "slurmctld", "slurmd", "sbatch", "srun", "mpirun")
INSTALL = "apt-get install -y munge slurm-wlm openmpi-bin libopenmpi-dev"

# cred_expire: a job is requeued once its credential has run out, here after seconds instead of two minutes.
# TmpFS: of each node, or pmix of the two would share files. linuxproc, task/none: no cgroups in a container.
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=10
CryptoType=crypto/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
KillOnBadExit=1
KillWait=15
JobRequeue=1
ReturnToService=2
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdSpoolDir={folder}/spool.%n
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmdLogFile={folder}/slurmd.%n.log
TmpFS={folder}/tmp.%n
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=8000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=8000
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why no cluster can be started here, with the command that helps; empty if one can."""
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    if lacking:
        return f"no {', '.join(lacking)}; {INSTALL}"
    return "" if os.geteuid() == 0 else "SLURM's daemons need root; run these tests as root, as in a container"


@contextlib.contextmanager
def one_machine():
    """Starts munge, the controller and two nodes; gives the folder with their logs. SLURM_CONF names the cluster."""
    folder = Path(tempfile.mkdtemp(prefix="slurm."))
    folder.chmod(0o755)  # munge is another user
    daemons = []
    before = os.environ.get("SLURM_CONF")
    try:
        daemons.append(_munge(folder / "munge"))
        configuration = folder / "slurm.conf"
        configuration.write_text(
            CONFIGURATION.format(folder=folder, host=socket.gethostname().split(".")[0], ports=_free_ports(3))
        )
        for name in ("state", *(f"{kind}.{node}" for kind in ("spool", "tmp") for node in ("n1", "n2"))):
            (folder / name).mkdir()
        os.environ["SLURM_CONF"] = str(configuration)
        daemons.append(_started(["slurmctld", "-D"], folder / "slurmctld.out"))
        daemons += [_started(["slurmd", "-D", "-N", node], folder / f"slurmd.{node}.out") for node in ("n1", "n2")]
        _wait_for_nodes(folder)
        yield folder
    finally:
        _end_jobs()
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in reversed(daemons):
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(20)
            daemon.kill()
        os.environ.pop("SLURM_CONF", None)
        if before is not None:
            os.environ["SLURM_CONF"] = before
        shutil.rmtree(folder, ignore_errors=True)


def _end_jobs():
    """Ends what still runs while there are daemons that can: steps would outlive them."""
    end = time.monotonic() + 60
    while _output("squeue", "-h") and time.monotonic() < end:
        subprocess.run(["scancel", "--user=root"], check=False)
        subprocess.run(["scancel", "--user=root", "--full", "--signal=KILL"], check=False)
        time.sleep(1)


def _munge(folder):
    """A munged with its own key and socket."""
    folder.mkdir()
    shutil.chown(folder, "munge", "munge")
    folder.chmod(0o755)
    as_munge = ["runuser", "-u", "munge", "--"]
    subprocess.run([*as_munge, "mungekey", "--create", f"--keyfile={folder}/key"], check=True)
    files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    options = [f"--{option}={folder}/{name}" for option, name in files.items()]
    return _started([*as_munge, "munged", "--foreground", *options], folder.parent / "munged.out")


def _started(command, log):
    with log.open("w") as file:
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)


def _free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _wait_for_nodes(folder):
    end = time.monotonic() + 60
    while _output("sinfo", "-h", "-N", "-o", "%t").split() != ["idle", "idle"]:
        if time.monotonic() > end:
            logs = "\n".join(f"{path.name}:\n{path.read_text()[-2000:]}" for path in sorted(folder.glob("*.[lo]*")))
            raise RuntimeError(f"the nodes did not come up within a minute\n{_output('sinfo', '-N')}\n{logs}")
        time.sleep(0.2)
