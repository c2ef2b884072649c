"""What a reader sees of a training: a header, a live line in a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deqn.experiment import Experiment
    from deqn.training.run_folder import RunFolder
    from deqn.training.trainer import Progress

_LOG_SECONDS = 30.0  # between two lines in a log


def header(experiment: Experiment, request: Any, folder: RunFolder) -> Iterator[str]:
    """What will be done: economy, changed parameters, network, sampling, expectation, workers, where it writes."""
    file = experiment.file
    yield f"economy      {file.economy} of {experiment.path}"
    for key, old, new in experiment.changed:
        yield f"changed      {key}: {old} -> {new}"
    network, sampling = file.network, file.sampling
    yield (
        f"network      {network.kind}, hidden {' x '.join(map(str, network.hidden))} {network.activation}"
        f"{', one head a shock' if network.heads == 'shock' else ''}, {file.precision}"
    )
    states = sampling.tracks * sampling.periods
    judged = ", each under every shock" if sampling.every_shock else ""
    yield (
        f"sampling     {sampling.tracks} tracks x {sampling.periods} periods an episode, "
        f"{sampling.epochs} epochs, {sampling.minibatch or states} states an update{judged}"
    )
    frozen = file.next_period.gradient == "frozen"
    yield f"next period  {'an averaged copy of the network, no gradient' if frozen else 'the network itself'}"
    if request.start_from:
        start = f"the network of {request.start_from}"
    else:
        start = "the economy's warm start" if file.warm_start is not None else "an untrained network"
    updates = sum(phase.updates for phase in file.phases)
    optimizers = ", then ".join(
        f"{phase.updates} x {getattr(phase.optimizer, 'name', 'several')}" for phase in file.phases
    )
    yield f"training     {updates} updates ({optimizers}) from {start}, seed {file.seed}, one worker"
    yield f"checkpoints  every {file.checkpoints.minutes:g} minutes, {file.checkpoints.keep} kept beside last and best"
    yield f"writes       {folder.path}"


class Console:
    """Shows progress: in a terminal one line that changes, elsewhere a plain line every half minute."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.live = sys.stdout.isatty()
        self.start, self.first_update, self.last_line = time.monotonic(), None, -_LOG_SECONDS
        self.errors: dict[str, float] = {}

    def say(self, line: str) -> None:
        """A line that stays."""
        self._print(f"\r\033[K{line}\n" if self.live else f"{line}\n")

    def report(self, progress: Progress) -> None:
        """The state of training after an episode."""
        if self.first_update is None:
            # The first call compiles: speed is measured after it.
            self.first_update, self.start = progress.update, time.monotonic()
        self.errors = dict(progress.errors) or self.errors
        now = time.monotonic()
        finished = progress.update >= progress.updates
        if not (self.live or finished or now - self.last_line >= _LOG_SECONDS):
            return
        self.last_line = now
        rate = (progress.update - self.first_update) / max(now - self.start, 1e-9)
        left = (progress.updates - progress.update) / rate if rate > 0 else float("nan")
        errors = ""
        if self.errors:
            mean = next(iter(self.errors.values()))
            errors = f"  error on fresh paths {100 * mean:.4f} %"
        line = (
            f"update {progress.update}/{progress.updates}  episode {progress.episode}  loss {progress.loss:.2e}{errors}"
            f"  {rate:.0f} updates/s  {_minutes(left)} left"
        )
        self._print(f"\r\033[K{line}" if self.live else f"{line}\n")

    def close(self) -> None:
        """Ends the live line."""
        if self.live:
            self._print("\n")

    def _print(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def _minutes(seconds: float) -> str:
    return "?" if seconds != seconds else f"{int(seconds // 60)}:{int(seconds % 60):02d}"
