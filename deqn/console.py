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
    from deqn.experiment import EconomyFile, Experiment
    from deqn.training.run_folder import RunFolder
    from deqn.training.settings import WorkerSettings
    from deqn.training.study import Study
    from deqn.training.trainer import Outcome, Progress
    from deqn.training.workers import Workers

_LOG_SECONDS = 30.0  # between two lines in a log
_WORDS = {"error_mean": "mean error on fresh paths"}


def header(
    experiment: Experiment,
    start_from: str | None,
    folder: RunFolder,
    problem: EquilibriumProblem | Study,
    workers: Workers,
) -> Iterator[str]:
    """What will be done: economy or problem, changed settings, network, data, workers, where it writes."""
    from deqn.equilibrium.problem import EquilibriumProblem
    from deqn.estimate import checkpoint_mebibytes

    file = experiment.file
    equilibrium = isinstance(problem, EquilibriumProblem)
    yield _line(
        *(("economy", experiment.economy.economy) if equilibrium else ("problem", type(problem).__name__)),
        f"of {experiment.path}",
    )
    for key, old, new in experiment.changed:
        yield _line("changed", f"{key}: {old} -> {new}")
    if isinstance(problem, EquilibriumProblem):
        yield from _of_equilibrium(experiment.economy, problem, workers)
    else:
        yield from (_line(word, text) for word, text in problem.describe().items())
    if start_from:
        start = f"the network of {start_from}"
    else:
        warm = equilibrium and experiment.economy.warm_start is not None
        start = "the economy's warm start" if warm else "an untrained network"
    updates = sum(phase.updates for phase in file.phases)
    optimizers = ", then ".join(
        f"{phase.updates} x {getattr(phase.optimizer, 'name', 'several')}" for phase in file.phases
    )
    yield _line("training", f"{updates} updates ({optimizers}) from {start}, seed {file.seed}")
    yield _line("workers", _workers(workers, file.workers))
    yield _line(
        "checkpoints",
        f"{checkpoint_mebibytes(problem):.1f} MiB every {file.checkpoints.minutes:g} minutes, "
        f"{file.checkpoints.keep} kept beside last and best",
    )
    yield _line("writes", str(folder.path))


def _line(word: str, *text: str) -> str:
    return f"{word:<12} {' '.join(text)}"


def _of_equilibrium(file: EconomyFile, problem: EquilibriumProblem, workers: Workers) -> Iterator[str]:
    """Network, sampling and expectation."""
    from deqn.estimate import inputs, weights

    economy, network, sampling = problem.economy, file.network, problem.sampling
    heads = ", one head a shock" if network.heads == "shock" else ""
    activation = network.activation if isinstance(network.activation, str) else ", ".join(network.activation)
    yield _line(
        "network",
        f"{network.kind}, {inputs(problem)} inputs, hidden {' x '.join(map(str, network.hidden))} "
        f"{activation}, {economy.outputs} outputs{heads}: {weights(problem)} weights to train, "
        f"{file.precision}",
    )
    states = sampling.tracks * sampling.periods
    each = "" if workers.size == 1 else ", on each rank"
    judged = ", each under every shock" if sampling.every_shock else ""
    yield _line(
        "sampling",
        f"{sampling.tracks} tracks x {_many(sampling.periods, 'period')} an episode, "
        f"{_many(sampling.epochs, 'epoch')}, {sampling.minibatch or states} states an update{judged}{each}",
    )
    frozen = file.next_period.gradient == "frozen"
    yield _line(
        "expectation",
        f"{_expectation(problem)}; next period decided by "
        f"{'a slowly averaged copy of the network, no gradient' if frozen else 'the network itself, with gradient'}",
    )


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
        yield f"{measured(name, before)} before training, {shown(name, best)} after, best weights"
    if outcome.cost_to_accuracy:
        passed = ", ".join(f"{level} {seconds:g}" for level, seconds in outcome.cost_to_accuracy.items())
        yield f"CPU-seconds until it first passed: {passed}"
    if outcome.skipped or outcome.rollbacks:
        yield f"not applied: {_many(outcome.skipped, 'update')}; {_many(outcome.rollbacks, 'roll-back')}"


def measured(name: str, value: float) -> str:
    """A validation's first figure with its name, in words."""
    return f"{_WORDS.get(name, name.replace('_', ' '))} {shown(name, value)}"


def shown(name: str, value: float) -> str:
    """An economy's error in %, any other figure as it is."""
    return f"{100 * value:.3g} %" if name in _WORDS else f"{value + 0.0:.4g}"  # never -0


class Console:
    """Shows progress: in a terminal one line that changes, elsewhere a plain line every half minute."""

    def __init__(self, silent: bool = False) -> None:
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
            self.error = f"  {measured(*next(iter(progress.errors.items())))}"
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
