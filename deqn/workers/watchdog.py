"""A thread that ends the process when another rank stays away from an exchange."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf


@final
class Watchdog:
    """Ends this process when one exchange has lasted too long: `with watchdog: exchange`.

    In a graph: `watchdog.around(tensor, exchange)`. seconds: how long this rank waits in one exchange.
    """

    def __init__(self, rank: int, seconds: float) -> None:
        self.rank, self.seconds = rank, seconds
        self._since: float | None = None
        threading.Thread(target=self._watch, daemon=True).start()

    def __enter__(self) -> None:
        self._since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._since = None

    def around(self, tensor: tf.Tensor, exchange: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
        """What an exchange in a graph makes of a tensor; the clock starts when the tensor has been computed."""
        import tensorflow as tf

        # The clock is started and stopped without the tensor: what passes through Python is copied.
        with tf.control_dependencies([tensor]):
            started = tf.numpy_function(self._start, [], tf.int32)
        with tf.control_dependencies([started]):
            exchanged = exchange(tf.identity(tensor))
        with tf.control_dependencies([exchanged]):
            ended = tf.numpy_function(self._end, [], tf.int32)
        with tf.control_dependencies([ended]):
            return tf.identity(exchanged)

    def _start(self) -> Any:
        self.__enter__()
        return np.int32(0)

    def _end(self) -> Any:
        self.__exit__()
        return np.int32(0)

    def _watch(self) -> None:
        while True:
            time.sleep(min(1.0, self.seconds / 4))
            since = self._since
            if since is not None and time.monotonic() - since > self.seconds:
                # The exchange itself can't be interrupted, and an exception here would end nothing but this thread.
                print(
                    f"deqn: rank {self.rank}: waited {self.seconds:g} seconds for another rank, which hangs or has "
                    "ended; the job ends here, continue with --resume",
                    file=sys.stderr,
                    flush=True,
                )
                exit_at_once(1)


def exit_at_once(status: int) -> None:
    """Ends this process without MPI's end, which would wait for ranks that never come there; the launcher ends them."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
