"""`deqn train`: from a validated parameter file to a run folder with weights, arrays, tables and figures. Top floor."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from deqn.experiment import Experiment, build_problem, settings_that_differ, warm_start
from deqn.training import checkpoint
from deqn.training import parameters as files
from deqn.training.errors import Diverged, Stopped, UserError
from deqn.training.run_folder import RunFolder, find, finish, new, project_root, provenance, write_atomically

if TYPE_CHECKING:
    from deqn.training.trainer import Outcome, Progress

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Request(NamedTuple):
    """What the user asked for beside the parameter file.

    command: as typed, for provenance.json. start_from: the run whose network training begins with, or None.
    """

    name: str | None
    resume: bool
    start_from: str | None
    command: str


def choose_folder(experiment: Experiment, request: Request) -> tuple[RunFolder, bool]:
    """The run folder to write, and whether it is continued. Raises UserError before anything is written."""
    root = project_root()
    if request.resume and request.name is None and not os.environ.get("SLURM_JOB_ID"):
        # Outside a job a new name would be a time stamp: to continue means the latest run.
        with contextlib.suppress(UserError):
            run = find(f"runs/{experiment.stem}", root)
            return run, _continues(run, experiment)
    run = new(root, experiment.stem, request.name, request.resume)
    return run, run.is_run and _continues(run, experiment)


def _continues(run: RunFolder, experiment: Experiment) -> bool:
    differ = settings_that_differ(experiment.resolved(), files.read(run.parameters))
    if differ:
        key, then, now = differ[0]
        more = f" (and {len(differ) - 1} more)" if len(differ) > 1 else ""
        raise UserError(
            f"--resume: {key} is {now} but {run} was trained with {then}{more}; only lengths may change: set it back or "
            "choose another --run"
        )
    return checkpoint.latest(run.checkpoints, warn=lambda _: None) is not None


def train(
    experiment: Experiment,
    request: Request,
    run: RunFolder,
    say: Callable[[str], None],
    report: Callable[[Progress], None],
) -> Outcome:
    """Trains, and leaves weights, metrics and provenance in the folder. Raises Diverged, Stopped or UserError."""
    from deqn.training.trainer import Trainer

    problem = build_problem(experiment)
    source = _starting_weights(request, problem)
    with run.open(), _stop_requested() as stop_requested:
        resumed = checkpoint.latest(run.checkpoints, warn=say) if request.resume else None
        record = _begin(run, experiment, request)
        begun = time.process_time()
        if resumed is None and source is None:
            warm_start(experiment, problem, say)
        trainer = Trainer(
            problem, experiment.file, run, report=report, should_stop=stop_requested, say=say,
            clock=lambda: time.process_time() - begun,
        )  # fmt: skip
        if resumed is not None:
            trainer.resume(*checkpoint.load(resumed))
            say(f"continues at update {trainer.update} of {trainer.total}")
        try:
            outcome = trainer.train()
        except Diverged as error:
            _end(run, record, "diverged", {"message": str(error)})
            raise
        _end(run, record, "stopped" if outcome.stopped else "done", _summary(outcome))
    if outcome.stopped:
        raise Stopped(
            f"stopped at update {outcome.updates} of {trainer.total}; continue with: {_resume_command(run, request)}"
        )
    return outcome


def _starting_weights(request: Request, problem: Any) -> dict[str, Any] | None:
    """Puts another run's best network into the problem (--from); nothing is written if it does not fit."""
    if request.start_from is None:
        return None
    from deqn.training import snapshot

    other = find(request.start_from, project_root())
    arrays, _ = checkpoint.load(other.checkpoints / checkpoint.BEST)
    weights = {name: value for name, value in arrays.items() if name.startswith("networks/policy/")}
    try:
        snapshot.assign({"networks/policy": list(problem.networks["policy"].weights)}, weights)
    except UserError as error:
        raise UserError(f"--from {other}: {error}") from error
    problem.copy_to_target()
    return weights


def _begin(run: RunFolder, experiment: Experiment, request: Request) -> dict[str, Any]:
    record = provenance(request.command, experiment.file.seed, workers=1)
    path, root = experiment.path.resolve(), project_root()
    record["parameter_file"] = str(path.relative_to(root) if path.is_relative_to(root) else path)
    record["start_from"] = request.start_from
    write_atomically(run.parameters, files.to_yaml(experiment.resolved()))
    write_atomically(run.provenance, json.dumps(record, indent=1) + "\n")
    return record


def _end(run: RunFolder, record: dict[str, Any], status: str, more: dict[str, Any]) -> None:
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
    words = request.command.split()
    kept = [word for word in words if word != "--resume"]
    named = "" if "--run" in kept else f" --run {run.path.name}"
    return f"{' '.join(kept)}{named} --resume"


@contextlib.contextmanager
def _stop_requested() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM ask training to stop at the next update; a second Ctrl-C interrupts at once."""
    asked: list[int] = []

    def handler(number: int, frame: Any) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield lambda: bool(asked)
    finally:
        for number, old in before.items():
            signal.signal(number, old)
