"""Scalars for TensorBoard: `tensorboard --logdir runs` compares runs while they train."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import tensorflow as tf

if TYPE_CHECKING:
    from deqn.training.trainer import Progress

_FAILURES = (tf.errors.OpError, OSError)


class TensorBoard:
    """Writes loss and errors on fresh paths over updates into a folder; a full disk ends the log, not the training."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.folder, self.say = folder, say
        self._writer: Any = None
        self._failed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._writer is not None:
            with contextlib.suppress(*_FAILURES):
                self._writer.close()

    def report(self, progress: Progress) -> None:
        """The scalars of an episode; called by the trainer."""
        if self._failed:
            return
        try:
            if self._writer is None:
                self._writer = tf.summary.create_file_writer(str(self.folder))
            with self._writer.as_default(step=progress.update):
                tf.summary.scalar("loss", progress.loss)
                tf.summary.scalar("cpu_seconds", progress.cpu_seconds)
                for name, value in progress.errors.items():
                    tf.summary.scalar(f"fresh_paths/{name}", value)
            if progress.errors:
                self._writer.flush()
        except _FAILURES as error:
            self._failed = True
            cause = str(error).splitlines()[0].rpartition("; ")[2]
            self.say(f"{self.folder}: TensorBoard's log ends here ({cause}); training goes on")
