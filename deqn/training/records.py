"""What a training leaves on disk while it runs: checkpoints, weights at three stages, rows of metrics.csv."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, final

import numpy as np

from deqn.project.errors import CannotWrite
from deqn.project.metrics import Metrics
from deqn.project.run import RunFolder
from deqn.training import checkpoint
from deqn.training.settings import CheckpointSettings

STAGES = (1, 5, 100)  # percent of training at which weights are kept for figure 5 of AGS19

Arrays = Mapping[str, np.ndarray]


@final
class Keeper:
    """Writes into a run folder; a full disk is told to `say` and training goes on.

    folder: None writes nothing (tests, all workers but the first). total: the updates of the whole training.
    stages: the percentage of training at each update whose weights are kept.
    """

    def __init__(
        self, folder: RunFolder | None, settings: CheckpointSettings, total: int, say: Callable[[str], None]
    ) -> None:
        self.folder, self.settings, self.say = folder, settings, say
        self.stages = {max(1, round(total * percent / 100)): percent for percent in STAGES}
        self._metrics: Metrics | None = None
        self._row_lost = False
        self._last_saved = time.monotonic()

    def begin(self, update: int) -> None:
        """Opens metrics.csv for what follows `update`: later rows, of an undone or interrupted stretch, are dropped."""
        if self.folder is not None:
            self._metrics = Metrics(self.folder.metrics, keep_through=update)

    def row(self, row: Mapping[str, Any]) -> None:
        """Adds a row to metrics.csv."""
        if self._metrics is None:
            return
        try:
            self._metrics.append(row)
            self._row_lost = False
        except CannotWrite as error:
            if not self._row_lost:  # once, not for every row that a full disk takes
                self.say(f"{error}; training goes on without this row")
            self._row_lost = True

    def best(self, weights: Arrays, meta: Mapping[str, Any]) -> None:
        """Writes best.npz, which an evaluation reads."""
        self._write(checkpoint.BEST, weights, meta)

    def stage(self, update: int, weights: Arrays) -> None:
        """Writes stage-P.npz after an update that is in `stages`."""
        percent = self.stages[update]
        self._write(f"stage-{percent}.npz", weights, {"update": update, "percent": percent})

    def is_due(self) -> bool:
        """Whether so many minutes have passed that the state has to be written."""
        return self.folder is not None and (time.monotonic() - self._last_saved) / 60 >= self.settings.minutes

    def state(self, update: int, arrays: Arrays, meta: Mapping[str, Any], last: bool) -> None:
        """Writes the state to resume from.

        Raises CannotWrite if it is the last one and can't be written: then the checkpoint is the point.
        """
        if self.folder is None:
            return
        if last:
            checkpoint.save(self.folder.checkpoints, checkpoint.LAST, arrays, meta)
        elif self._write(checkpoint.LAST, arrays, meta) and self.settings.keep:
            self._write(checkpoint.numbered(update), arrays, meta)
            checkpoint.prune(self.folder.checkpoints, self.settings.keep)
        self._last_saved = time.monotonic()

    def _write(self, name: str, arrays: Arrays, meta: Mapping[str, Any]) -> bool:
        if self.folder is None:
            return False
        try:
            checkpoint.save(self.folder.checkpoints, name, arrays, meta)
        except CannotWrite as error:
            self.say(f"{error}; training goes on")
            return False
        return True
