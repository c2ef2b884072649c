"""Stand-ins for SLURM's commands: small programs on the path that keep what they were given and answer as told."""

import os
import re
import shlex
import stat
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
TINY = "models/olg/tiny.yaml"
SWEEP = ["--array", "parameters.borrowing_limit=0,-0.25,-0.5"]
# Answers as sbatch does on a federation of clusters.
SBATCH = '#!/bin/sh\necho "$@" > "$0.words"; pwd > "$0.folder"; cat > "$0.script"; env > "$0.env"; echo "4711;test"\n'


def program(project, name, text):
    """Puts a program on the path; system commands it may use as ever."""
    path = project / "bin" / name
    path.write_text(text.replace("#!/bin/sh\n", f"#!/bin/sh\nPATH=$PATH:{os.defpath}\n"))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def given(sbatch, what="script"):
    """What sbatch was given: its script, its words, the folder it was called in, its env."""
    return Path(f"{sbatch}.{what}").read_text()


def directives(script):
    """The #SBATCH lines of a script."""
    return dict(re.findall(r"^#SBATCH --([\w-]+)=?(.*)$", script, re.MULTILINE))


def executed(
    project, script, *arguments, status=0, updates=(0, 10), ended="stopped", state="RUNNING", run="tiny/12", **variables
):
    """Runs a job script as SLURM would; what it calls, and its log. updates: reached before this sitting, and in it."""
    run = project / "runs" / run
    run.mkdir(parents=True, exist_ok=True)

    def provenance(count, ended):
        return f'{{\n "slurm_job": "12",\n "status": "{ended}",\n "updates": {count}\n}}\n'

    (run / "provenance.json").write_text(provenance(updates[0], "stopped"))
    (project / "after").write_text(provenance(updates[1], ended))
    program(project, "srun", '#!/bin/sh\nshift 2; exec "$@"\n')
    program(project, "scontrol", '#!/bin/sh\necho "scontrol $*"\n')
    program(project, "squeue", f"#!/bin/sh\necho {state}\n")
    program(
        project,
        "deqn",
        f'#!/bin/sh\nprintf "<%s>" "$@"; echo; cp after {shlex.quote(str(run))}/provenance.json; exit {status}\n',
    )
    environment = {
        "PATH": f"{project / 'bin'}:{os.defpath}", "SLURM_SUBMIT_DIR": str(project), "SLURM_JOB_ID": "12",
        "SLURM_JOB_NODELIST": "n1", "DEQN_VENV": str(project), **variables,
    }  # fmt: skip
    return subprocess.run(
        ["bash", "-s", "--", *arguments], input=script, env=environment, capture_output=True, text=True, check=False
    )


def shipped(name):
    return (ROOT / "slurm" / name).read_text()
