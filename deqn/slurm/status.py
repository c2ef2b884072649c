"""`deqn status`: this project's jobs, from squeue, scontrol and the files of their runs. No TensorFlow.

Jobs that wait or run are those SLURM says to have been started in this project's folder, however they were submitted.
Ended ones, which SLURM forgets after minutes, are those that `deqn submit` recorded in runs/logs.
"""

from __future__ import annotations

import csv
import getpass
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rich import box
from rich.table import Table

from deqn.project.errors import UserError
from deqn.project.json_files import read_json
from deqn.project.parameter_yaml import read_yaml
from deqn.project.project import Project
from deqn.project.run import RunFolder
from deqn.report import tables
from deqn.slurm.submit import LOGS

_ENDED = 10  # ended jobs shown
_FORMAT = "%i|%T|%L|%r|%Z"


class Job(NamedTuple):
    """A job, or one task of a job array. state: in words. log: as a user would type it; empty if unknown."""

    number: str
    state: str
    left: str
    log: str
    run: RunFolder | None


def lines_of_jobs(project: Project) -> Iterator[str]:
    """The lines to print: jobs that wait or run, then those that ended, newest first; one line if there are none."""
    root = project.root
    records = _records(root)
    has_slurm = shutil.which("squeue") is not None
    queued, trouble = _queue() if has_slurm else ([], "no SLURM here (squeue is not on the path)")
    here = [row for row in queued if row["folder"] == str(root.resolve())]
    active = [_active(root, row, records.get(_array_of(row["number"]))) for row in here]
    numbers = {row["number"] for row in here} | {_array_of(row["number"]) for row in here if "[" in row["number"]}
    tasks = [(number, record) for record in records.values() for number in _tasks(record)]
    gone = [each for each in tasks if each[0] not in numbers and each[1]["job"] not in numbers]
    ended = [_ended(root, number, record, has_slurm and not trouble) for number, record in gone[:_ENDED]]
    if active or ended:
        yield tables.text(_table([*active, *ended]))
    else:
        yield f"no jobs of {root}; submit one: deqn submit FILE"
    if len(gone) > _ENDED:
        yield f"{len(gone) - _ENDED} earlier ones are in {LOGS}; deqn list shows their runs"
    if trouble:
        yield f"{trouble}: what waits or runs is not known; states are those that the runs' files tell"


def _table(jobs: list[Job]) -> Table:
    table = Table("job", "state", "run", box=box.SIMPLE_HEAD)
    for name in ("update", "episode", "error %", "time left"):
        table.add_column(name, justify="right")
    table.add_column("log")
    for job in jobs:
        table.add_row(job.number, job.state, str(job.run or ""), *_progress(job.run), job.left, job.log)
    return table


# --- what SLURM says -------------------------------------------------------------------------------------------------


def _queue() -> tuple[list[dict[str, str]], str]:
    """This user's jobs that wait or run, one row for each task of an array; and why there are none, if squeue fails."""
    done = _said("squeue", "--noheader", "--array", f"--user={getpass.getuser()}", f"--format={_FORMAT}")
    if isinstance(done, str):
        return [], done
    names = ("number", "state", "left", "reason", "folder")
    rows = (line.split("|", len(names) - 1) for line in done.stdout.splitlines() if line.count("|") >= len(names) - 1)
    return [dict(zip(names, row, strict=True)) for row in rows], ""


def _job(number: str) -> dict[str, str]:
    """What scontrol knows of a job or task; empty once SLURM has forgotten it."""
    done = _said("scontrol", "--oneliner", "show", "job", number)
    if isinstance(done, str):
        return {}
    return dict(re.findall(r"(\w+)=(\S*)", done.stdout.partition("\n")[0]))


def _said(*command: str) -> subprocess.CompletedProcess[str] | str:
    """The finished command, or in a line why it has failed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]} does not answer ({error})"
    return done if done.returncode == 0 else " ".join(f"{command[0]} fails: {done.stderr.strip()}".split())


def _active(root: Path, row: Mapping[str, str], record: Mapping[str, Any] | None) -> Job:
    """A job that SLURM has in its queue."""
    number, state = row["number"], _words(row["state"])
    if state == "pending":
        state = "waiting" + (f" ({row['reason']})" if row["reason"] != "None" else "")
    log = _log(record, number) if record else _relative(root, _job(number).get("StdOut", ""))
    return Job(number, state, row["left"], log, _run(root, number, record))


def _ended(root: Path, number: str, record: Mapping[str, Any], ask: bool) -> Job:
    """A job that has left the queue: its run says how, else SLURM for a while, else nobody. ask: whether SLURM can."""
    run = _run(root, number, record)
    state = _verdict(run, number) if run else None
    if state is None and ask:
        known = _job(number)
        exit_status = known.get("ExitCode", "0:0").partition(":")[0]
        state = _words(known.get("JobState", "")) + ("" if exit_status == "0" else f" (exit status {exit_status})")
    return Job(number, state or ("ended, see its log" if ask else "not known"), "", _log(record, number), run)


def _words(state: str) -> str:
    return state.lower().replace("_", " ")


# --- what the files say ----------------------------------------------------------------------------------------------


def _records(root: Path) -> dict[str, dict[str, Any]]:
    """What `deqn submit` wrote of each job, newest first."""
    found = {}
    for path in (root / LOGS).glob("*.json"):
        try:
            record = read_json(path)
            if all(name in record for name in ("job", "parameter_file", "run", "tasks", "log", "submitted")):
                found[record["job"]] = record
        except (OSError, ValueError, TypeError):
            continue
    return dict(sorted(found.items(), key=lambda item: item[1]["submitted"], reverse=True))


def _tasks(record: Mapping[str, Any]) -> list[str]:
    """The job's number, or those of its tasks."""
    return [f"{record['job']}_{task}" for task in range(len(record["tasks"]))] or [record["job"]]


def _array_of(number: str) -> str:
    return number.partition("_")[0]


def _log(record: Mapping[str, Any], number: str) -> str:
    array, _, task = number.partition("_")
    return str(record["log"]).replace("%j", number).replace("%A", array).replace("%a", task)


def _relative(root: Path, path: str) -> str:
    return str(Path(path).relative_to(root)) if Path(path).is_relative_to(root) else path


def _run(root: Path, number: str, record: Mapping[str, Any] | None) -> RunFolder | None:
    """The run that a job trains: named by --run, else by the job's number."""
    stem = Path(record["parameter_file"]).stem if record else "*"
    found = sorted((root / "runs").glob(f"{stem}/{(record and record['run']) or number}/parameters.yaml"))
    return RunFolder(found[-1].parent) if found else None


def _provenance(run: RunFolder) -> dict[str, Any]:
    try:
        return dict(read_json(run.provenance))
    except (OSError, ValueError, TypeError):
        return {}


def _verdict(run: RunFolder, number: str) -> str | None:
    """How the job's training ended, as its run says; None if it was killed, or if another job trained last."""
    record = _provenance(run)
    if record.get("slurm_job") != number:
        return None
    return str(record["status"]) if record.get("status") else None


def _progress(run: RunFolder | None) -> tuple[str, str, str]:
    """Update reached and planned, episode, and the latest mean error on fresh paths that decides, in percent."""
    try:
        with (run.metrics if run else Path()).open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        deciding = next((name for name in rows[0] if name.endswith(".mean")), "")
        errors = [float(row[deciding]) for row in rows if row.get(deciding)]
        update, episode = rows[-1]["update"], rows[-1]["episode"]
    except (OSError, ValueError, KeyError, IndexError):
        return "", "", ""
    assert run is not None
    planned = _planned(run)
    error = tables.digits(100 * errors[-1]) if errors else ""
    return f"{update} of {planned}" if planned else update, episode, error


def _planned(run: RunFolder) -> int | None:
    try:
        return sum(phase["updates"] for phase in read_yaml(run.parameters)["phases"])
    except (UserError, KeyError, TypeError):
        return None
