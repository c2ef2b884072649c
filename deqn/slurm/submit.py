"""`deqn submit`: a validated parameter file, and the job script that trains it under SLURM. No TensorFlow.

The script is train.sbatch with the #SBATCH lines asked for and its arguments set; sites/ beside it says what differs
between clusters. Both stand in slurm/ of the project, or, where it has no such folder, come with deqn. A record of each
job, runs/logs/JOB.json, is what `deqn status` goes by.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from deqn.project.errors import UserError
from deqn.project.library import job_scripts
from deqn.project.project import Project
from deqn.project.writing import write_atomically
from deqn.tasks.parameter_file import ParameterFile
from deqn.tasks.sweep import read_values
from deqn.tasks.train import Request, choose_run

TEMPLATE, LOGS = "train.sbatch", "runs/logs"

_TIME = re.compile(
    r"""(?P<minutes>\d+) | \d+:[0-5]?\d | \d+:[0-5]?\d:[0-5]?\d
      | \d+-\d+ | \d+-\d+:[0-5]?\d | \d+-\d+:[0-5]?\d:[0-5]?\d""",
    re.VERBOSE,
)
_SHAPES = {
    "time": (_TIME, "a time such as 90 (minutes), 30:00, 08:00:00, 2-0, 2-12:00 or 2-12:00:00 (days-hours)"),
    "mem": (re.compile(r"\d+[KMGT]?"), "memory of a node such as 60G or 500M"),
    **{
        name: (re.compile(r"[\w.,+@:-]+"), "a name without blanks, as your cluster gives it")
        for name in ("account", "partition", "qos")
    },
}
# Those of sbatch's own variables that are not just the option's name; a variable would win over a #SBATCH line.
_VARIABLES = {"time": "TIMELIMIT", "mem": "MEM_PER_NODE", "array": "ARRAY_INX"}


class Sweep(NamedTuple):
    """KEY=VALUE of each setting, for each task of a job array, which all name the same settings.

    chains: tasks that begin with the weights of the task so many before them; 0 where all begin for themselves.
    """

    tasks: list[list[str]]
    chains: int = 0

    def overrides(self) -> list[str]:
        """What each task changes, in words."""
        return [" ".join(task) for task in self.tasks]


class Job(NamedTuple):
    """What is asked of SLURM.

    file: the parameter file as seen from the project. run: the name of its run, None for the job's id. arguments: the
    options of `deqn train`. options: of sbatch by their long names; others stay as in slurm/train.sbatch, but that
    each GPU gets a rank. site: a name in slurm/sites. command: as typed.
    """

    file: str
    run: str | None
    arguments: list[str]
    options: Mapping[str, str]
    site: str
    sweep: Sweep | None
    command: str


def read_sweep(text: str) -> Sweep:
    """KEY=v1,v2,...: a task for each value. Raises UserError."""
    key, values = read_values(text, "--array")
    return Sweep([[f"{key}={value}"] for value in values])


def check(job: Job, file: ParameterFile, start_from: str | None) -> None:
    """Raises UserError for what SLURM, or the job itself, would refuse later. start_from: of --from."""
    for name, value in job.options.items():
        shape, expected = _SHAPES.get(name, (None, ""))
        if shape and not shape.fullmatch(value):
            raise UserError(f"--{name} {value}: expected {expected}")
    if not re.search("[1-9]", job.options.get("time", "1")):
        raise UserError(f"--time {job.options['time']}: no time at all; expected {_SHAPES['time'][1]}")
    ranks, gpus = int(job.options.get("ntasks-per-node", 1)), int(job.options.get("gpus-per-node", 0))
    if gpus and ranks > gpus:
        raise UserError(f"--ntasks-per-node {ranks}: got {gpus} GPUs a node, expected one or more for each rank")
    sites = scripts(file.project) / "sites"
    known = sorted(path.stem for path in sites.glob("*.sh"))
    if job.site not in known:
        raise UserError(f"--site {job.site}: no {job.site}.sh in {sites}; known: {', '.join(known) or 'none'}")
    if job.sweep and job.run is not None:
        raise UserError(f"--array with --run {job.run}: every task trains a run of its own; leave --run out")
    if start_from is not None:
        file.project.run(start_from)
    if job.run is not None:
        choose_run(file, Request(job.run, True, start_from, job.command))


def scripts(project: Project) -> Path:
    """The folder of job scripts: the project's own, or the one that comes with deqn."""
    own = project.root / "slurm"
    return own if (own / TEMPLATE).is_file() else job_scripts()


def script(project: Project, job: Job) -> str:
    """The text that sbatch gets, whole in itself but for the site's file, which the job reads when it starts."""
    lines = (scripts(project) / TEMPLATE).read_text(encoding="utf-8").splitlines()
    directives = [number for number, line in enumerate(lines) if line.startswith("#SBATCH")]
    first, last = (directives[0], directives[-1] + 1) if directives else (1, 1)
    options = _all_options(job)
    kept = [lines[number] for number in directives if _option(lines[number]) not in options]
    asked = [f"#SBATCH --{name}={value}" for name, value in options.items()]
    return "\n".join([*lines[:first], *kept, *asked, "", *_settings(project, job), *lines[last:], ""])


def _option(line: str) -> str:
    """The option of an #SBATCH line, by its long name."""
    found = re.match(r"#SBATCH\s+--([\w-]+)", line)
    return found[1] if found else line


def _all_options(job: Job) -> dict[str, str]:
    stem = re.sub(r"[^\w.+-]", "_", Path(job.file).stem)  # a blank would end the option, % mean something to SLURM
    log = f"{LOGS}/{stem}-{'%A_%a' if job.sweep else '%j'}.log"
    # As many tasks at a time as there are chains, so that a task finds its neighbour done, or a place before it.
    limit = f"%{job.sweep.chains}" if job.sweep and job.sweep.chains else ""
    array = {"array": f"0-{len(job.sweep.tasks) - 1}{limit}"} if job.sweep else {}
    one_each = {"ntasks-per-node": job.options["gpus-per-node"]} if "gpus-per-node" in job.options else {}
    return {"job-name": stem, "output": log, **array, **one_each, **job.options}


def _settings(project: Project, job: Job) -> list[str]:
    """What the command line of slurm/train.sbatch would have said."""
    lines = [f"# Composed by: {' '.join(job.command.split())}", f"export DEQN_SITE={shlex.quote(job.site)}"]
    if not scripts(project).is_relative_to(project.root):
        lines.append(f"export DEQN_SLURM={shlex.quote(str(scripts(project)))}")
    if (Path(sys.prefix) / "bin/deqn").exists():
        lines.append(f"export DEQN_VENV={shlex.quote(sys.prefix)}")  # the job runs what checked the file
    lines.append(f"set -- {shlex.join([job.file, *job.arguments])}")
    for number, column in enumerate(zip(*job.sweep.tasks, strict=True) if job.sweep else (), start=1):
        name = "overrides" if number == 1 else f"overrides{number}"
        lines.append(f"{name}=({shlex.join(column)}) # one for each task")
        lines.append(f'set -- "$@" --set "${{{name}[SLURM_ARRAY_TASK_ID]}}"')
    if job.sweep and job.sweep.chains:
        lines += _FROM_NEIGHBOUR.format(chains=job.sweep.chains, stem=shlex.quote(Path(job.file).stem)).splitlines()
    return lines


# The task before in the chain may have been requeued, or still train: this one then waits in the queue, not on a node.
_FROM_NEIGHBOUR = """\
neighbour=$((SLURM_ARRAY_TASK_ID - {chains})) stem={stem}
if [ "$neighbour" -ge 0 ]; then
  neighbour=${{SLURM_ARRAY_JOB_ID}}_$neighbour
  case $(sed -n 's/^ "status": "\\([a-z]*\\)".*/\\1/p' "runs/$stem/$neighbour/provenance.json" 2>/dev/null) in
    done) set -- "$@" --from "$stem/$neighbour" ;;
    diverged | failed) echo "task $neighbour did not end well: this one begins for itself" >&2 ;;
    *)
      if [ "${{SLURM_RESTART_COUNT:-0}}" -lt 500 ]; then
        echo "task $neighbour has not ended: back into the queue" >&2
        scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID" && exit 0
      fi
      echo "task $neighbour never ended: see its log" >&2
      exit 2
      ;;
  esac
fi"""


def has_sbatch() -> bool:
    """Whether this machine can submit."""
    return shutil.which("sbatch") is not None


def send(project: Project, job: Job, text: str) -> str:
    """Gives the script to sbatch from the project's folder and records the job; what a user should know of it.

    Raises UserError if there is no sbatch, or with what sbatch says if it refuses.
    """
    if not has_sbatch():
        raise UserError(
            "no sbatch on the path, so nothing was submitted; above stands the script: save it as job.sbatch in the "
            "project's folder on the cluster's login node and say sbatch job.sbatch"
        )
    logs = project.logs
    try:
        logs.mkdir(parents=True, exist_ok=True)  # SLURM itself does not, and the job would end without a word
    except OSError as error:
        raise UserError(f"{logs}: cannot make this folder ({error.strerror}); make it writable") from error
    command = ["sbatch", "--parsable"]
    done = subprocess.run(
        command, input=text, cwd=project.root, env=_environment(job), capture_output=True, text=True, check=False
    )
    number = done.stdout.strip().partition(";")[0]
    if done.returncode != 0 or not number.isdigit():
        raise UserError(f"sbatch refused the job: {done.stderr.strip() or done.stdout.strip() or 'it did not say why'}")
    record: dict[str, Any] = {
        "job": number,
        "parameter_file": job.file,
        "run": job.run,
        "tasks": job.sweep.overrides() if job.sweep else [],
        "log": _all_options(job)["output"],
        "submitted": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": job.command,
    }
    write_atomically(logs / f"{number}.json", json.dumps(record, indent=1) + "\n")
    tasks = f" with {len(job.sweep.tasks)} tasks" if job.sweep else ""
    log = record["log"].replace("%j", number).replace("%A", number).replace("%a", "TASK")
    return f"job {number}{tasks} submitted: {job.file}; log {log}; deqn status follows it"


def _environment(job: Job) -> dict[str, str]:
    """This process's, without what would win over the script's lines, and without the traces of a job around it."""
    overruled = {f"SBATCH_{_VARIABLES.get(name, name.replace('-', '_').upper())}" for name in _all_options(job)}
    return {
        name: value
        for name, value in os.environ.items()
        if name not in overruled and (not name.startswith("SLURM_") or name == "SLURM_CONF")
    }
