"""`deqn check` and the header of `deqn train`: the size of a training before it is started."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from deqn.tasks.build import build_problem, in_user_code
from deqn.tasks.parameter_file import ParameterFile
from deqn.training.problem import Problem

_OPTIMIZER_SLOTS = 3  # numbers that an optimiser keeps beside each weight, at most


def estimate(file: ParameterFile) -> Iterator[str]:
    """Weights, memory and time, in lines. Takes the losses of one batch a few times, and changes no weight.

    Raises UserError for a setting that the problem refuses.
    """
    problem = build_problem(file)
    yield f"{file.path}: valid"
    for key, old, new in file.changed:
        yield f"  {key}: {old} -> {new}"
    yield from (f"{word}: {text}" for word, text in problem.describe().items())
    yield f"{weights(problem)} weights to train; a checkpoint of {checkpoint_mebibytes(problem):.1f} MiB"
    with in_user_code(file, "losses"):
        seconds = _seconds_a_gradient(problem)
    updates = sum(phase.updates for phase in file.settings.phases)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield f"memory about {1.3 * memory:.0f} MiB"
    yield (
        f"{updates} updates at about {1000 * seconds:.{0 if seconds > 0.01 else 2}f} CPU-milliseconds (losses and "
        f"gradients measured now, the optimiser's work not included): about {updates * seconds:.0f} CPU-seconds; "
        "compilation and a warm start come on top"
    )


def weights(problem: Problem) -> int:
    """How many weights are trained."""
    return sum(_numbers(group) for group in problem.trainable.values())


def checkpoint_mebibytes(problem: Problem) -> float:
    """The size of last.npz: networks, their best copies, optimiser, carried tensors and host state; MiB."""
    every = [weight for network in problem.networks.values() for weight in network.weights]
    size = np.dtype(every[0].dtype).itemsize
    kept = sum(np.asarray(array).nbytes for array in problem.host_state().values())
    kept += sum(np.asarray(tensor).nbytes for tensor in tf.nest.flatten(problem.start(tf.constant([0, 0]))))
    return (size * (2 * _numbers(every) + _OPTIMIZER_SLOTS * weights(problem)) + kept) / 2**20


def _numbers(arrays: Any) -> int:
    return sum(int(np.prod(array.shape)) for array in arrays)


def _seconds_a_gradient(problem: Problem) -> float:
    """CPU-seconds of losses and gradients of one update, compiled."""

    @tf.function(jit_compile=problem.compiler == "xla", autograph=False)
    def gradients(batch: Any, carry: Any, key: tf.Tensor) -> Any:
        with tf.GradientTape(persistent=len(problem.trainable) > 1) as tape:
            losses = problem.losses(batch, carry, key)
        taken = {name: tape.gradient(losses.minimize[name], list(group)) for name, group in problem.trainable.items()}
        return taken, losses.carry

    batch, carry, key = next(problem.batches(0)), problem.start(tf.constant([0, 0])), tf.constant([0, 1])
    _, carry = gradients(batch, carry, key)
    start = time.process_time()
    for _ in range(5):
        _, carry = gradients(batch, carry, key)
    return (time.process_time() - start) / 5
