"""What a training leaves on disk while it runs: checkpoints, weights at stages of training, rows of metrics.csv."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, final

import numpy as np

from deqn.project.errors import CannotWrite, UserError
from deqn.project.metrics import Metrics
from deqn.project.run import RunFolder
from deqn.training import checkpoint
from deqn.training.settings import CheckpointSettings

Arrays = Mapping[str, np.ndarray]


@final
class RunRecords:
    """Writes into a run folder; a full disk is told to `say` and training goes on.

    folder: None writes nothing (tests, all workers but the first). total: the updates of the whole training.
    stages: the percentage of training by the update after which weights are kept. identity: of the run, written into
    every checkpoint; None where nobody has given it one.
    """

    def __init__(
        self, folder: RunFolder | None, settings: CheckpointSettings, total: int, say: Callable[[str], None]
    ) -> None:
        self.folder, self.settings, self.say = folder, settings, say
        self.stages = {max(1, round(total * percent / 100)): percent for percent in settings.stages}
        self.identity: str | None = None
        self._metrics: Metrics | None = None
        self._row_lost = False
        self._last_saved = time.monotonic()
        self._began_as_run = folder is not None and folder.is_run

    @property
    def _folder_is_gone(self) -> bool:
        """Whether somebody has removed the run's folder since; a new one in its place has no parameters.yaml."""
        return self._began_as_run and self.folder is not None and not self.folder.is_run

    def open_metrics(self, update: int) -> None:
        """Opens metrics.csv for what follows `update`: later rows, which were undone or interrupted, are dropped."""
        if self.folder is not None:
            self._metrics = Metrics(self.folder.metrics, keep_through=update)

    def add_row(self, row: Mapping[str, Any]) -> None:
        """Adds a row to metrics.csv."""
        if self._metrics is None or self._folder_is_gone:
            return
        try:
            self._metrics.append(row)
            self._row_lost = False
        except CannotWrite as error:
            if not self._row_lost:  # once, not for every row that a full disk takes
                self.say(f"{error}; training goes on without this row")
            self._row_lost = True

    def write_best(self, weights: Arrays, meta: Mapping[str, Any]) -> None:
        """Writes best.npz, which an evaluation reads."""
        self._write(checkpoint.BEST, weights, meta)

    def repair_best(self, weights: Arrays, meta: Mapping[str, Any]) -> None:
        """Writes best.npz unless it holds these weights: a full disk may have kept an earlier one there."""
        if self.folder is None or not weights:
            return
        try:
            there, _ = checkpoint.load(self.folder.checkpoints / checkpoint.BEST)
        except UserError:  # it is missing or damaged
            there = {}
        same = there.keys() == weights.keys() and all(np.array_equal(there[name], weights[name]) for name in weights)
        if not same:
            self.write_best(weights, meta)

    def write_stage(self, update: int, weights: Arrays) -> None:
        """Writes stage-5.npz or another after an update that is in `stages`."""
        percent = self.stages[update]
        self._write(checkpoint.stage(percent), weights, {"update": update, "percent": percent})

    def checkpoint_is_due(self) -> bool:
        """Whether so many minutes have passed that a checkpoint has to be written, or it no longer can be."""
        minutes = (time.monotonic() - self._last_saved) / 60
        return self.folder is not None and (minutes >= self.settings.minutes or self._folder_is_gone)

    def write_checkpoint(self, update: int, arrays: Arrays, meta: Mapping[str, Any], last: bool) -> None:
        """Writes the checkpoint to resume from.

        Raises CannotWrite if it is the last one and can't be written: training would be lost. Raises UserError if the
        run's folder is gone.
        """
        if self.folder is None:
            return
        if self._folder_is_gone:
            raise UserError(
                f"{self.folder.path}: somebody has removed the run's folder while it was trained, and its checkpoints "
                f"with it; training ends at update {update}: start it again"
            )
        if last:
            checkpoint.save(self.folder.checkpoints, checkpoint.LAST, arrays, self._signed(meta))
        elif self._write(checkpoint.LAST, arrays, meta) and self.settings.keep:
            self._write(checkpoint.numbered(update), arrays, meta)
            checkpoint.prune(self.folder.checkpoints, self.settings.keep)
        self._last_saved = time.monotonic()

    def _write(self, name: str, arrays: Arrays, meta: Mapping[str, Any]) -> bool:
        if self.folder is None or self._folder_is_gone:
            return False
        try:
            checkpoint.save(self.folder.checkpoints, name, arrays, self._signed(meta))
        except CannotWrite as error:
            self.say(f"{error}; training goes on")
            return False
        return True

    def _signed(self, meta: Mapping[str, Any]) -> dict[str, Any]:
        """The meta of a checkpoint with the run's identity."""
        return dict(meta) if self.identity is None else {**meta, "identity": self.identity}
