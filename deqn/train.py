"""`deqn train`: from a validated parameter file to a run folder with weights, metrics and provenance. Top floor."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from deqn.experiment import Experiment, build_problem, settings_that_differ, warm_start
from deqn.training import checkpoint
from deqn.training import parameters as files
from deqn.training.errors import CannotWrite, Diverged, Stopped, UserError
from deqn.training.run_folder import RunFolder, find, finish, new, project_root, provenance, write_atomically

if TYPE_CHECKING:
    from deqn.equilibrium.problem import EquilibriumProblem
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
    differ = settings_that_differ(experiment.resolved(), files.read(run.parameters))
    if differ:
        key, then, now = differ[0]
        more = f" (and {len(differ) - 1} more)" if len(differ) > 1 else ""
        raise UserError(
            f"--resume: {key} is {now} but {run} was trained with {then}{more}; only lengths may change: set it back "
            "or choose another --run"
        )


def prepare(experiment: Experiment, request: Request) -> EquilibriumProblem:
    """The problem with the weights of --from, if given. Raises UserError for what only built objects can show.

    Nothing is written, so that a mistake leaves no folder behind.
    """
    from deqn.training.phases import Phases

    problem = build_problem(experiment)
    Phases(problem, experiment.file.phases)  # refuses optimisers that cannot be made
    warm_start(experiment)
    if request.start_from is not None:
        _take_network(problem, find(request.start_from, project_root()))
    return problem


def _take_network(problem: EquilibriumProblem, other: RunFolder) -> None:
    from deqn.training import snapshot

    arrays, _ = checkpoint.load(other.checkpoints / checkpoint.BEST)
    weights = {name: value for name, value in arrays.items() if name.startswith("networks/policy/")}
    try:
        snapshot.assign({"networks/policy": list(problem.networks["policy"].weights)}, weights)
    except UserError as error:
        raise UserError(f"--from {other}: {error}") from error
    problem.copy_to_target()
    # Its inputs were standardised on states that the other run visits: start among these, not far from them.
    if latest := checkpoint.latest(other.checkpoints, warn=lambda _: None):
        arrays, _ = checkpoint.load(latest)
        problem.restore({k.removeprefix("host/"): v for k, v in arrays.items() if k.startswith("host/")})


def train(
    experiment: Experiment,
    request: Request,
    run: RunFolder,
    problem: EquilibriumProblem,
    say: Callable[[str], None],
    report: Callable[[Progress], None],
) -> Outcome:
    """Trains what `prepare` gave, and leaves weights, metrics and provenance in the folder.

    Raises Stopped with the command that continues, Diverged, or CannotWrite.
    """
    from deqn.tensorboard import TensorBoard
    from deqn.training.trainer import Trainer

    with run.open(), _stop_requested() as stop_requested, TensorBoard(run.path / "tensorboard", say) as board:
        latest = checkpoint.latest(run.checkpoints, warn=say) if request.resume else None
        record = _begin(run, experiment, request)
        start = warm_start(experiment)
        if latest is None and request.start_from is None and start is not None:
            start(problem, say)

        def both(progress: Progress) -> None:
            report(progress)
            board.report(progress)

        trainer = Trainer(problem, experiment.file, run, report=both, should_stop=stop_requested, say=say)
        trainer.cpu_before = time.process_time()  # the warm start and all before it are part of the cost
        if latest is not None:
            trainer.resume(*checkpoint.load(latest))
            say(f"continues at update {trainer.update} of {trainer.total}")
        try:
            outcome = trainer.train()
        except (Diverged, UserError) as error:
            with contextlib.suppress(CannotWrite):
                _end(run, record, "diverged" if isinstance(error, Diverged) else "failed", {"message": str(error)})
            raise
        _end(run, record, "stopped" if outcome.stopped else "done", _summary(outcome))
    if outcome.stopped:
        again = _resume_command(run, request)
        raise Stopped(f"stopped at update {outcome.updates} of {trainer.total}; continue with: {again}")
    return outcome


def _begin(run: RunFolder, experiment: Experiment, request: Request) -> dict[str, Any]:
    record = provenance(request.command, experiment.file.seed, workers=1)
    record["parameter_file"] = _relative(experiment)
    record["start_from"] = request.start_from
    record["earlier_sittings"] = _earlier(run) if request.resume else []
    write_atomically(run.parameters, files.to_yaml(experiment.resolved()))
    write_atomically(run.provenance, json.dumps(record, indent=1) + "\n")
    return record


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


def _end(run: RunFolder, record: Mapping[str, Any], status: str, more: Mapping[str, Any]) -> None:
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
    """Ctrl-C and SIGTERM ask training to stop at the next update; a second Ctrl-C interrupts at once."""
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
