"""`deqn train`: from a validated parameter file to a run folder with weights, metrics and provenance."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from deqn.project.errors import CannotWrite, Diverged, Stopped, UserError
from deqn.project.identity import identity, keep_python, python_of
from deqn.project.json_files import read_json
from deqn.project.parameter_yaml import read_yaml, to_yaml
from deqn.project.provenance import record_of_end, record_of_start, resume_command
from deqn.project.run import RunFolder
from deqn.project.writing import write_atomically
from deqn.tasks.build import build_problem, in_user_code
from deqn.tasks.parameter_file import ParameterFile, edited_since, settings_that_differ
from deqn.training import checkpoint
from deqn.workers.collective import on_first
from deqn.workers.launch import read_launch
from deqn.workers.workers import Workers

if TYPE_CHECKING:
    from deqn.training.problem import Problem
    from deqn.training.trainer import Outcome, Progress, Trainer

# slurm/train.sbatch sends USR1 before the time limit; HUP comes when a terminal is closed.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)

POOR = 0.05  # an error of the weights of --from above which the warm start is looked at, too


class Request(NamedTuple):
    """What the user asked for beside the parameter file.

    name: of the run, or None. start_from: the run whose network training begins with, or None. command: as typed, for
    provenance.json.
    """

    name: str | None
    resume: bool
    start_from: str | None
    command: str


def choose_run(file: ParameterFile, request: Request) -> RunFolder:
    """The run folder to write, new or continued. Raises UserError before anything is written."""
    run = None
    if request.resume and request.name is None and not os.environ.get("SLURM_JOB_ID"):
        # Outside a job a new name would be a time stamp: to continue means the latest run.
        with contextlib.suppress(UserError):
            run = file.project.run(f"runs/{file.stem}")
    run = run or file.project.new_run(file.stem, request.name, request.resume)
    if run.is_run:
        _check_same_settings(run, file)
    return run


def _check_same_settings(run: RunFolder, file: ParameterFile) -> None:
    differ = settings_that_differ(file.resolved(), read_yaml(run.parameters))
    if differ:
        key, then, now = differ[0]
        more = f" (and {len(differ) - 1} more)" if len(differ) > 1 else ""
        raise UserError(
            f"--resume: {key} is {now} but {run} was trained with {then}{more}; only lengths may change: set it back "
            "or choose another --run"
        )
    edited = edited_since(run)
    if edited:
        raise UserError(
            f"--resume: {edited}; set it back ({file.project.shown(run.as_trained)} holds it as it was), or train a "
            "new run with another --run"
        )


def prepare(file: ParameterFile, request: Request, workers: Workers) -> Problem:
    """The problem with the weights of --from, if given. Raises UserError for what only built objects can show.

    Nothing is written, so that a mistake leaves no folder behind.
    """
    from deqn.training import position
    from deqn.training.phases import Phases

    problem = build_problem(file, workers.rank, workers.size)
    Phases(problem, file.settings.phases)  # refuses optimisers that cannot be made
    if request.start_from is not None:
        other = file.project.run(request.start_from)
        try:
            position.start_from(problem, other.checkpoints)
        except UserError as error:
            raise UserError(f"--from {other}: {error}") from error
    return problem


def _started(
    file: ParameterFile, request: Request, problem: Problem, workers: Workers, say: Callable[[str], None]
) -> Problem:
    """The problem where its training begins: at the warm start, or with the weights of --from.

    Where these are poor, because the other run never saw such states, and the file has a warm start that is better,
    this is taken: as where the run before in a sweep had another borrowing limit.
    """
    if request.start_from is None:
        problem.warm_start(say)
        return problem
    if getattr(file.settings, "warm_start", None) is None or (error := _error(problem, workers)) <= POOR:
        return problem
    own = build_problem(file, workers.rank, workers.size)
    own.warm_start(say)
    better = _error(own, workers)
    if error <= better:
        return problem
    say(
        f"training begins at the warm start, whose error is {100 * better:.2g} %: that of the weights of "
        f"{request.start_from} is {100 * error:.2g} % here"
    )
    return own


def _error(problem: Problem, workers: Workers) -> float:
    """The error that decides on fresh data, as rank 0 finds it."""
    return on_first(workers, lambda: float(next(iter(problem.judged(problem.validate()).values()))))


def train_run(
    file: ParameterFile,
    request: Request,
    run: RunFolder,
    problem: Problem,
    workers: Workers,
    say: Callable[[str], None],
    report: Callable[[Progress], None],
) -> Outcome:
    """Trains what `prepare` gave; rank 0 leaves weights, metrics and provenance in the folder.

    Raises Stopped with the command that continues, Diverged, or CannotWrite.
    """
    from deqn.tasks.tensorboard import TensorBoard
    from deqn.training.trainer import Trainer

    with contextlib.ExitStack() as stack:
        stop_requested = stack.enter_context(_stop_requested())
        reports = [report]
        if workers.rank == 0:
            stack.enter_context(run.open())
            reports.append(stack.enter_context(TensorBoard(run.path / "tensorboard", say)).report)
        latest = on_first(workers, lambda: _latest(run, request, say))
        record = _record(run, file, request, workers)
        if latest is None:
            started = _started(file, request, problem, workers, say)
            if record is not None and started is not problem:
                record["start_from"] = None
            problem = started
        _begin(run, file, record)  # not before: a mistake that the warm start finds leaves no run behind

        def to_all(progress: Progress) -> None:
            for each in reports:
                each(progress)

        trainer = Trainer(problem, file.settings, run, workers, to_all, stop_requested, say=say)
        if record is not None:
            trainer.records.identity = record["identity"]
        trainer.cpu_before = time.process_time()  # the warm start and all before it are part of the cost
        if latest is not None:
            trainer.resume(*latest)
            say(f"continues at update {trainer.update} of {trainer.total}")
        try:
            with in_user_code(file, "losses"):
                outcome = trainer.train()
        except (Diverged, UserError) as error:
            with contextlib.suppress(CannotWrite):
                _end(run, record, "diverged" if isinstance(error, Diverged) else "failed", {"message": str(error)})
            raise
        _end(run, record, "stopped" if outcome.stopped else "done", _summary(outcome) | _of_ranks(trainer, workers))
    if outcome.stopped:
        again = resume_command(request.command, run.path.name)
        raise Stopped(f"stopped at update {outcome.updates} of {trainer.total}; continue with: {again}")
    return outcome


def _latest(run: RunFolder, request: Request, say: Callable[[str], None]) -> tuple[Any, Any] | None:
    """The state to resume from, if that is asked for and there is one."""
    path = checkpoint.latest(run.checkpoints, warn=say) if request.resume else None
    return None if path is None else checkpoint.load(path)


def _of_ranks(trainer: Trainer, workers: Workers) -> dict[str, Any]:
    """What each rank ended with: the checksums of the weights, equal or training would have said so."""
    return {
        "weights_checksum": trainer.weights_checksums(),
        "cpu_seconds_by_rank": workers.gather(round(time.process_time(), 3)),
    }


def _record(run: RunFolder, file: ParameterFile, request: Request, workers: Workers) -> dict[str, Any] | None:
    """What is known before training; only rank 0 keeps it."""
    hosts = workers.gather(socket.gethostname())
    if workers.rank:
        return None
    launched = read_launch(os.environ)
    python = python_of(file.path.parent, file.module)
    return {
        **record_of_start(request.command, file.settings.seed, workers.size, file.project.root),
        "launcher": launched.launcher if launched else None,
        "workers_kind": workers.kind,
        "hosts": hosts,
        "parameter_file": file.project.shown(file.path),
        "identity": identity(file.resolved(), python),
        "python": python,
        "start_from": request.start_from,
        "earlier_sittings": _earlier(run) if request.resume else [],
    }


def _begin(run: RunFolder, file: ParameterFile, record: Mapping[str, Any] | None) -> None:
    if record is not None:
        write_atomically(run.parameters, to_yaml(file.resolved()))
        keep_python(file.path.parent, run)
        write_atomically(run.provenance, json.dumps(record, indent=1) + "\n")


def _earlier(run: RunFolder) -> list[dict[str, Any]]:
    """The records of the sittings before this one, oldest first."""
    try:
        before = read_json(run.provenance)
        return [*before.pop("earlier_sittings", []), before]
    except (OSError, ValueError, AttributeError):
        return []


def _end(run: RunFolder, record: Mapping[str, Any] | None, status: str, more: Mapping[str, Any]) -> None:
    if record is None:
        return
    write_atomically(run.provenance, json.dumps({**record_of_end(record, status), **more}, indent=1) + "\n")


def _summary(outcome: Outcome) -> dict[str, Any]:
    return {
        "updates": outcome.updates,
        "thresholds_reached": outcome.thresholds,
        "success": outcome.thresholds,  # as Algorithm 1 of Azinovic, Gaegauf & Scheidegger (2019) calls it
        "training_cpu_seconds": round(outcome.cpu_seconds, 1),
        "validation_before_training": dict(outcome.initial),
        "validation_of_best": dict(outcome.best),
        "cost_to_accuracy_cpu_seconds": dict(outcome.cost_to_accuracy),
        "rollbacks": outcome.rollbacks,
        "skipped_updates": outcome.skipped,
    }


@contextlib.contextmanager
def _stop_requested() -> Iterator[Callable[[], bool]]:
    """Ctrl-C, SIGTERM and SIGUSR1 ask training to stop at the next update; a second Ctrl-C interrupts at once."""
    asked: list[int] = []

    def handler(number: int, frame: Any) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)
        # Not print: a signal may come in the middle of one.
        os.write(2, b"\ndeqn: finishing the update to write a checkpoint; Ctrl-C again stops at once\n")

    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield lambda: bool(asked)
    finally:
        for number, old in before.items():
            signal.signal(number, old)
