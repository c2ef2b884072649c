"""What a reader sees of a training: a header, a live line in a terminal, plain lines in a log, the cost."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from deqn.training.workers import launch

if TYPE_CHECKING:
    from deqn.equilibrium.problem import EquilibriumProblem
    from deqn.experiment import Experiment
    from deqn.training.run_folder import RunFolder
    from deqn.training.settings import WorkerSettings
    from deqn.training.trainer import Outcome, Progress
    from deqn.training.workers import Workers

_LOG_SECONDS = 30.0  # between two lines in a log


def header(
    experiment: Experiment, start_from: str | None, folder: RunFolder, problem: EquilibriumProblem, workers: Workers
) -> Iterator[str]:
    """What will be done: economy, changed settings, network, sampling, expectation, workers, where it writes."""
    from deqn.estimate import checkpoint_mebibytes, inputs, weights

    file, economy = experiment.file, problem.economy
    network, sampling = file.network, problem.sampling
    yield f"economy      {file.economy} of {experiment.path}"
    for key, old, new in experiment.changed:
        yield f"changed      {key}: {old} -> {new}"
    heads = ", one head a shock" if network.heads == "shock" else ""
    yield (
        f"network      {network.kind}, {inputs(problem)} inputs, hidden {' x '.join(map(str, network.hidden))} "
        f"{network.activation}, {economy.outputs} outputs{heads}: {weights(problem)} weights to train, {file.precision}"
    )
    states = sampling.tracks * sampling.periods
    each = "" if workers.size == 1 else ", on each rank"
    judged = ", each under every shock" if sampling.every_shock else ""
    yield (
        f"sampling     {sampling.tracks} tracks x {_many(sampling.periods, 'period')} an episode, "
        f"{_many(sampling.epochs, 'epoch')}, {sampling.minibatch or states} states an update{judged}{each}"
    )
    frozen = file.next_period.gradient == "frozen"
    yield (
        f"expectation  {_expectation(problem)}; next period decided by "
        f"{'a slowly averaged copy of the network, no gradient' if frozen else 'the network itself, with gradient'}"
    )
    if start_from:
        start = f"the network of {start_from}"
    else:
        start = "the economy's warm start" if file.warm_start is not None else "an untrained network"
    updates = sum(phase.updates for phase in file.phases)
    optimizers = ", then ".join(
        f"{phase.updates} x {getattr(phase.optimizer, 'name', 'several')}" for phase in file.phases
    )
    yield f"training     {updates} updates ({optimizers}) from {start}, seed {file.seed}"
    yield f"workers      {_workers(workers, file.workers)}"
    yield (
        f"checkpoints  {checkpoint_mebibytes(problem):.1f} MiB every {file.checkpoints.minutes:g} minutes, "
        f"{file.checkpoints.keep} kept beside last and best"
    )
    yield f"writes       {folder.path}"


def _workers(workers: Workers, settings: WorkerSettings) -> str:
    """How many ranks train, by what they speak to each other, and what the learning rate becomes."""
    if workers.size == 1:
        return "one process"
    launched = launch(os.environ)
    launcher = launched.launcher if launched else "hand"
    return (
        f"{workers.size} ranks started by {launcher}, gradients averaged by {workers.kind}; "
        f"{settings.scaling} scaling, learning rates x {settings.rate(workers.size):.3g}"
    )


def _expectation(problem: EquilibriumProblem) -> str:
    """The rule by which next period's shock is integrated out."""
    shocks = problem.economy.shocks
    if shocks.discrete:
        return f"exact sum over {shocks.discrete} shocks"
    from deqn.estimate import one_state

    return f"quadrature of {int(shocks.successors(one_state(problem))[1].shape[0])} nodes"


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def costs(outcome: Outcome) -> Iterator[str]:
    """After training: updates, CPU-seconds, and the CPU-seconds at which each accuracy was first passed."""
    yield f"trained: {outcome.updates} updates, {outcome.cpu_seconds:.0f} CPU-seconds"
    if outcome.best:
        name, best = next(iter(outcome.best.items()))
        before = outcome.initial.get(name, float("nan"))
        yield f"mean error on fresh paths: {100 * before:.3g} % before training, {100 * best:.3g} % after, best weights"
    if outcome.cost_to_accuracy:
        passed = ", ".join(f"{level} {seconds:g}" for level, seconds in outcome.cost_to_accuracy.items())
        yield f"CPU-seconds until it first passed: {passed}"
    if outcome.skipped or outcome.rollbacks:
        yield f"not applied: {_many(outcome.skipped, 'update')}; {_many(outcome.rollbacks, 'roll-back')}"


class Console:
    """Shows progress: in a terminal one line that changes, elsewhere a plain line every half minute."""

    def __init__(self, silent: bool = False) -> None:
        self.silent = silent  # all ranks but the first
        self.live = sys.stdout.isatty()
        self.start = time.monotonic()
        self.first_update: int | None = None
        self.last_line = -_LOG_SECONDS
        self.error: float | None = None
        self._pending = ""  # the live line, which the next text has to clear

    def say(self, line: str) -> None:
        """A line that stays."""
        self._print(f"{line}\n")

    def report(self, progress: Progress) -> None:
        """The state of training after an episode."""
        now = time.monotonic()
        if self.first_update is None:
            # The first call compiles: speed is measured after it.
            self.first_update, self.start = progress.update, now
        if progress.errors:
            self.error = next(iter(progress.errors.values()))
        finished = progress.update >= progress.updates
        if not (self.live or finished or now - self.last_line >= _LOG_SECONDS):
            return
        self.last_line = now
        line = self._line(progress, now - self.start)
        if self.live and not finished:
            columns = shutil.get_terminal_size().columns
            self._print(line[: columns - 1])  # a line that wraps could not be cleared
            self._pending = line
        else:
            self.say(line)

    def _line(self, progress: Progress, elapsed: float) -> str:
        assert self.first_update is not None
        error = "" if self.error is None else f"  error on fresh paths {100 * self.error:.3g} %"
        rate = (progress.update - self.first_update) / elapsed if elapsed > 0 else 0.0
        left = _clock((progress.updates - progress.update) / rate) if rate else ""
        speed = f"  {rate:.{0 if rate >= 10 else 2}f} updates/s  {left} left" if rate else ""
        return (
            f"update {progress.update}/{progress.updates}  episode {progress.episode}  loss {progress.loss:.2e}"
            f"{error}{speed}"
        )

    def _print(self, text: str) -> None:
        if self.silent:
            return
        sys.stdout.write(f"\r\033[K{text}" if self._pending else text)
        sys.stdout.flush()
        self._pending = ""


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
