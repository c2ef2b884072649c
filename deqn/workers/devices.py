"""TensorFlow without its log noise, which its C++ parts write to the terminal before any level can be set; GPUs."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from deqn.project.errors import UserError
from deqn.workers.launch import read_launch


def import_tensorflow(threads: int | None = None) -> None:
    """Imports TensorFlow and starts XLA with stderr held back; if that fails, what was held back is shown.

    threads: that share an operation; None: as the environment says, or one for each core. Only the first call counts.
    """
    if threads is not None:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads))  # read when TensorFlow starts
    _start_tensorflow()


@functools.cache
def _start_tensorflow() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _check_flags(os.environ)
    with _held_stderr():
        with _hidden("sklearn", "matplotlib"):
            import tensorflow as tf

        tf.get_logger().setLevel("ERROR")  # AutoGraph's warnings too
        _choose_gpu(tf.config, os.environ)
        tf.function(lambda x: x + 1.0, jit_compile=True)(tf.constant(0.0))


def _check_flags(environment: Mapping[str, str]) -> None:
    """XLA ends the process, without an exception, if it does not know a flag: another process tries them first."""
    if not environment.get("XLA_FLAGS"):
        return
    code = "import tensorflow as tf; tf.function(lambda x: x + 1.0, jit_compile=True)(tf.constant(0.0))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "flag" in line.lower()] or done.stderr.splitlines()
        raise UserError(
            f"XLA_FLAGS={environment['XLA_FLAGS']}: XLA refuses them ({said[-1].strip()}); correct or unset"
        )


def _choose_gpu(config: Any, environment: Mapping[str, str]) -> None:
    """Of several ranks on a host each takes a GPU; memory is taken as it is needed (tensorflow.org/guide/gpu).

    Not measured: written for machines with GPUs on one without. Raises UserError if ranks outnumber GPUs.
    """
    gpus, launched = config.list_physical_devices("GPU"), read_launch(environment)
    # SLURM may have given each task GPUs of its own: then all that is seen is this rank's.
    if launched and launched.size > 1 and gpus and "SLURM_GPUS_PER_TASK" not in environment:
        if launched.local_rank >= len(gpus):
            raise UserError(
                f"rank {launched.rank} is number {launched.local_rank + 1} on its host, which shows {len(gpus)} GPUs; "
                "start at most as many ranks a node, or set CUDA_VISIBLE_DEVICES= to train without"
            )
        gpus = [gpus[launched.local_rank]]
        config.set_visible_devices(gpus, "GPU")
    for gpu in gpus:
        config.experimental.set_memory_growth(gpu, True)


@contextlib.contextmanager
def _hidden(*names: str) -> Iterator[None]:
    """Within it these packages seem not to be installed, unless they were imported before.

    Keras would import them for wrappers and plots of its own, which deqn does not use: a third of TensorFlow's start.
    """
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


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
