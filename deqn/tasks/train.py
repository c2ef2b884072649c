"""`deqn train`: from a validated parameter file to a run folder with weights, metrics and provenance. Top floor."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from deqn.project.errors import CannotWrite, Diverged, Stopped, UserError
from deqn.project.parameter_yaml import read_yaml, to_yaml
from deqn.project.project import find, new, project_root
from deqn.project.provenance import finish, provenance
from deqn.project.run import RunFolder
from deqn.project.writing import write_atomically
from deqn.tasks.build import build_problem, told_in, warm_start
from deqn.tasks.parameter_file import Experiment, StudyFile, settings_that_differ
from deqn.training import checkpoint
from deqn.workers.communication import Workers, launch, on_first

if TYPE_CHECKING:
    from deqn.equilibrium.problem import EquilibriumProblem
    from deqn.training.problem import Problem
    from deqn.training.trainer import Outcome, Progress, Trainer

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # slurm/train.sbatch sends the last before the time limit


class Request(NamedTuple):
    """What the user asked for beside the parameter file.

    command: as typed, for provenance.json. start_from: the run whose network training begins with, or None.
    """

    name: str | None
    resume: bool
    start_from: str | None
    command: str


def choose_folder(experiment: Experiment, request: Request) -> RunFolder:
    """The run folder to write, new or continued. Raises UserError before anything is written."""
    root = project_root()
    run = None
    if request.resume and request.name is None and not os.environ.get("SLURM_JOB_ID"):
        # Outside a job a new name would be a time stamp: to continue means the latest run.
        with contextlib.suppress(UserError):
            run = find(f"runs/{experiment.stem}", root)
    run = run or new(root, experiment.stem, request.name, request.resume)
    if run.is_run:
        _check_same_settings(run, experiment)
    return run


def _check_same_settings(run: RunFolder, experiment: Experiment) -> None:
    differ = settings_that_differ(experiment.resolved(), read_yaml(run.parameters))
    if differ:
        key, then, now = differ[0]
        more = f" (and {len(differ) - 1} more)" if len(differ) > 1 else ""
        raise UserError(
            f"--resume: {key} is {now} but {run} was trained with {then}{more}; only lengths may change: set it back "
            "or choose another --run"
        )


def prepare(experiment: Experiment, request: Request, workers: Workers) -> EquilibriumProblem | Problem:
    """The problem with the weights of --from, if given. Raises UserError for what only built objects can show.

    Nothing is written, so that a mistake leaves no folder behind.
    """
    from deqn.training.phases import Phases

    problem = build_problem(experiment, workers.rank, workers.size)
    Phases(problem, experiment.file.phases)  # refuses optimisers that cannot be made
    warm_start(experiment)
    if request.start_from is not None:
        _take_network(problem, find(request.start_from, project_root()))
    return problem


def _take_network(problem: EquilibriumProblem | Problem, other: RunFolder) -> None:
    from deqn.training import position as snapshot
    from deqn.training.problem import Problem

    arrays, _ = checkpoint.load(other.checkpoints / checkpoint.BEST)
    names = list(problem.networks) if isinstance(problem, Problem) else ["policy"]
    groups = {f"networks/{name}": list(problem.networks[name].weights) for name in names}
    weights = {name: value for name, value in arrays.items() if name.rpartition("/")[0] in groups}
    try:
        snapshot.assign(groups, weights)
    except UserError as error:
        raise UserError(f"--from {other}: {error}") from error
    if isinstance(problem, Problem):
        return
    problem.copy_to_target()
    # Its inputs were standardised on states that the other run visits: start among these, not far from them.
    if latest := checkpoint.latest(other.checkpoints, warn=lambda _: None):
        arrays, _ = checkpoint.load(latest)
        problem.restore({k.removeprefix("host/"): v for k, v in arrays.items() if k.startswith("host/")})


def train(
    experiment: Experiment,
    request: Request,
    run: RunFolder,
    problem: EquilibriumProblem | Problem,
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
        record = _record(run, experiment, request, workers)
        start = warm_start(experiment)
        if latest is None and request.start_from is None and start is not None:
            start(problem, say)  # type: ignore[arg-type] # studies have no warm start
        _begin(run, experiment, record)  # not before: a mistake that the warm start finds leaves no run behind

        def to_all(progress: Progress) -> None:
            for each in reports:
                each(progress)

        trainer = Trainer(problem, experiment.file, run, workers, to_all, stop_requested, say=say)
        trainer.cpu_before = time.process_time()  # the warm start and all before it are part of the cost
        if latest is not None:
            trainer.resume(*latest)
            say(f"continues at update {trainer.update} of {trainer.total}")
        try:
            with told_in(experiment, "losses") if isinstance(experiment.file, StudyFile) else contextlib.nullcontext():
                outcome = trainer.train()
        except (Diverged, UserError) as error:
            with contextlib.suppress(CannotWrite):
                _end(run, record, "diverged" if isinstance(error, Diverged) else "failed", {"message": str(error)})
            raise
        _end(run, record, "stopped" if outcome.stopped else "done", _summary(outcome) | _of_ranks(trainer, workers))
    if outcome.stopped:
        again = _resume_command(run, request)
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


def _record(run: RunFolder, experiment: Experiment, request: Request, workers: Workers) -> dict[str, Any] | None:
    """What is known before training; only rank 0 keeps it."""
    hosts = workers.gather(socket.gethostname())
    if workers.rank:
        return None
    launched = launch(os.environ)
    return {
        **provenance(request.command, experiment.file.seed, workers.size),
        "launcher": launched.launcher if launched else None,
        "workers_kind": workers.kind,
        "hosts": hosts,
        "parameter_file": _relative(experiment),
        "start_from": request.start_from,
        "earlier_sittings": _earlier(run) if request.resume else [],
    }


def _begin(run: RunFolder, experiment: Experiment, record: Mapping[str, Any] | None) -> None:
    if record is not None:
        write_atomically(run.parameters, to_yaml(experiment.resolved()))
        write_atomically(run.provenance, json.dumps(record, indent=1) + "\n")


def _relative(experiment: Experiment) -> str:
    """The parameter file as seen from the project, so that a copied project finds it; else its whole path."""
    root = project_root()
    for path in (experiment.path.absolute(), experiment.path.resolve()):
        if path.is_relative_to(root):
            return str(path.relative_to(root))
    return str(experiment.path.resolve())


def _earlier(run: RunFolder) -> list[dict[str, Any]]:
    """The records of the sittings before this one, oldest first."""
    try:
        before = json.loads(run.provenance.read_text())
        return [*before.pop("earlier_sittings", []), before]
    except (OSError, ValueError, AttributeError):
        return []


def _end(run: RunFolder, record: Mapping[str, Any] | None, status: str, more: Mapping[str, Any]) -> None:
    if record is None:
        return
    write_atomically(run.provenance, json.dumps({**finish(record, status), **more}, indent=1) + "\n")


def _summary(outcome: Outcome) -> dict[str, Any]:
    return {
        "updates": outcome.updates,
        "thresholds_reached": outcome.thresholds,
        "training_cpu_seconds": round(outcome.cpu_seconds, 1),
        "validation_before_training": dict(outcome.initial),
        "validation_of_best": dict(outcome.best),
        "cost_to_accuracy_cpu_seconds": dict(outcome.cost_to_accuracy),
        "rollbacks": outcome.rollbacks,
        "skipped_updates": outcome.skipped,
    }


def _resume_command(run: RunFolder, request: Request) -> str:
    words = [word for word in shlex.split(request.command) if word != "--resume"]
    named = [] if any(word.partition("=")[0] == "--run" for word in words) else ["--run", run.path.name]
    return shlex.join([*words, *named, "--resume"])


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
