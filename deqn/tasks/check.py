"""`deqn check` and the header of `deqn train`: the size of a training before it is started. Top floor."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from deqn.equilibrium.problem import EquilibriumProblem
from deqn.tasks.build import build_problem, told_in, warm_start
from deqn.tasks.parameter_file import EconomyFile, Experiment, StudyFile
from deqn.training.problem import Problem

_OPTIMIZER_SLOTS = 3  # numbers that an optimiser keeps beside each weight, at most


def estimate(experiment: Experiment) -> Iterator[str]:
    """Weights, memory and time, in lines. Takes the losses of one batch a few times, and changes no weight.

    Raises UserError for a setting that the problem refuses.
    """
    problem = build_problem(experiment)
    warm_start(experiment)
    yield f"{experiment.path}: valid"
    for key, old, new in experiment.changed:
        yield f"  {key}: {old} -> {new}"
    yield from sizes(experiment, problem)
    yield f"{weights(problem)} weights to train; a checkpoint of {checkpoint_mebibytes(problem):.1f} MiB"
    with told_in(experiment, "losses") if isinstance(experiment.file, StudyFile) else contextlib.nullcontext():
        seconds = _seconds_a_gradient(problem)
    updates = sum(phase.updates for phase in experiment.file.phases)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield f"memory about {1.3 * memory:.0f} MiB"
    warm = isinstance(experiment.file, EconomyFile) and experiment.file.warm_start is not None
    on_top = "compilation and the warm start come" if warm else "compilation comes"
    yield (
        f"{updates} updates at about {1000 * seconds:.{0 if seconds > 0.01 else 2}f} CPU-milliseconds (losses and "
        f"gradients measured now, the optimiser's work not included): about {updates * seconds:.0f} CPU-seconds; "
        f"{on_top} on top"
    )


def sizes(experiment: Experiment, problem: Problem) -> Iterator[str]:
    """What is put in and out of an economy's network; of a study, what it says of itself."""
    if isinstance(problem, EquilibriumProblem):
        economy = problem.economy
        shocks = f"{economy.shocks.discrete} shocks" if economy.shocks.discrete else "continuous shocks"
        yield f"{type(economy).__name__}: {inputs(problem)} inputs, {economy.outputs} outputs, {shocks}"
    elif isinstance(problem, Problem):
        yield from (f"{word}: {text}" for word, text in problem.describe().items())


def inputs(problem: EquilibriumProblem) -> int:
    """How many numbers the network sees of a state."""
    return int(problem.economy.features(one_state(problem)).shape[-1])


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


def one_state(problem: EquilibriumProblem) -> Any:
    """A state [1] of the economy, as tensors."""
    return problem.economy.tensors(problem.economy.initial_states(1, np.random.default_rng(0)))


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
