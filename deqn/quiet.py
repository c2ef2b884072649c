"""TensorFlow without its log noise. Its C++ parts write to the terminal before any level can be set."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import tempfile
from collections.abc import Iterator


@functools.cache
def import_tensorflow() -> None:
    """Imports TensorFlow and starts XLA with stderr held back; if that fails, what was held back is shown."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _held_stderr():
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")  # AutoGraph's warnings too
        tf.function(lambda x: x + 1.0, jit_compile=True)(tf.constant(0.0))


@contextlib.contextmanager
def _held_stderr() -> Iterator[None]:
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            held.seek(0)
            sys.stderr.write(held.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
