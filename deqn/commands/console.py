"""What a reader sees of a training: a header, a live line in a terminal, plain lines in a log, the cost."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from deqn.workers.launch import read_launch

if TYPE_CHECKING:
    from deqn.project.run import RunFolder
    from deqn.tasks.parameter_file import ParameterFile
    from deqn.training.problem import Problem
    from deqn.training.trainer import Outcome, Progress
    from deqn.workers.settings import WorkerSettings
    from deqn.workers.workers import Workers

_LOG_SECONDS = 30.0  # between two lines in a log


def header(
    file: ParameterFile, start_from: str | None, run: RunFolder, problem: Problem, workers: Workers
) -> Iterator[str]:
    """What will be done: the problem, changed settings, what it says of itself, workers, where it writes."""
    from deqn.tasks.check import checkpoint_mebibytes

    settings = file.settings
    yield _line(settings.names, f"{file.named} of {file.path}")
    for key, old, new in file.changed:
        yield _line("changed", f"{key}: {old} -> {new}")
    yield from (_line(word, text) for word, text in problem.describe().items())
    updates = sum(phase.updates for phase in settings.phases)
    optimizers = ", then ".join(
        f"{phase.updates} x {getattr(phase.optimizer, 'name', 'several')}" for phase in settings.phases
    )
    if start_from:
        start = f"the network of {start_from}"
    else:
        start = "a warm start" if getattr(settings, "warm_start", None) is not None else "an untrained network"
    yield _line("training", f"{updates} updates ({optimizers}) from {start}, seed {settings.seed}")
    yield _line("workers", _workers(workers, settings.workers))
    yield _line(
        "checkpoints",
        f"{checkpoint_mebibytes(problem):.1f} MiB every {settings.checkpoints.minutes:g} minutes, "
        f"{settings.checkpoints.keep} kept beside last and best",
    )
    yield _line("writes", str(run.path))


def _line(word: str, text: str) -> str:
    return f"{word:<12} {text}"


def _workers(workers: Workers, settings: WorkerSettings) -> str:
    """How many ranks train, by what they speak to each other, and what the learning rate becomes."""
    if workers.size == 1:
        return "one process"
    launched = read_launch(os.environ)
    launcher = launched.launcher if launched else "hand"
    return (
        f"{workers.size} ranks started by {launcher}, gradients averaged by {workers.kind}; "
        f"{settings.scaling} scaling, learning rates x {settings.rate(workers.size):.3g}"
    )


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def costs(outcome: Outcome, in_words: Callable[[Mapping[str, float]], str]) -> Iterator[str]:
    """After training: updates, CPU-seconds, and the CPU-seconds at which each accuracy was first passed.

    in_words: says the figure of a validation that decides.
    """
    yield f"trained: {outcome.updates} updates, {outcome.cpu_seconds:.0f} CPU-seconds"
    if outcome.best:
        yield f"before training: {in_words(outcome.initial)}"
        yield f"best weights: {in_words(outcome.best)}"
    if outcome.cost_to_accuracy:
        passed = ", ".join(f"{level} {seconds:g}" for level, seconds in outcome.cost_to_accuracy.items())
        yield f"CPU-seconds until it first passed: {passed}"
    if outcome.skipped or outcome.rollbacks:
        yield f"not applied: {_many(outcome.skipped, 'update')}; {_many(outcome.rollbacks, 'roll-back')}"


class Console:
    """Shows progress: in a terminal one line that changes, elsewhere a plain line every half minute."""

    def __init__(self, in_words: Callable[[Mapping[str, float]], str], silent: bool = False) -> None:
        self.in_words = in_words  # says the figure of a validation that decides
        self.silent = silent  # all ranks but the first
        self.live = sys.stdout.isatty()
        self.start = time.monotonic()
        self.first_update: int | None = None
        self.last_line = -_LOG_SECONDS
        self.error = ""
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
            self.error = f"  {self.in_words(progress.errors)}"
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
        rate = (progress.update - self.first_update) / elapsed if elapsed > 0 else 0.0
        left = _clock((progress.updates - progress.update) / rate) if rate else ""
        speed = f"  {rate:.{0 if rate >= 10 else 2}f} updates/s  {left} left" if rate else ""
        return (
            f"update {progress.update}/{progress.updates}  episode {progress.episode}  loss {progress.loss:.2e}"
            f"{self.error}{speed}"
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
