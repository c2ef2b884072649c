"""`deqn check` and the header of `deqn train`: the size of a training before it is started. Top floor."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from deqn.equilibrium.problem import EquilibriumProblem
from deqn.experiment import Experiment, build_problem, warm_start

_OPTIMIZER_SLOTS = 3  # numbers that an optimiser keeps beside each weight, at most


def estimate(experiment: Experiment) -> Iterator[str]:
    """Weights, memory and time, in lines. Takes the losses of one batch a few times, and changes no weight.

    Raises UserError for a setting that the problem refuses.
    """
    problem = build_problem(experiment)
    warm_start(experiment)
    file, economy = experiment.file, problem.economy
    yield f"{experiment.path}: valid"
    for key, old, new in experiment.changed:
        yield f"  {key}: {old} -> {new}"
    shocks = f"{economy.shocks.discrete} shocks" if economy.shocks.discrete else "continuous shocks"
    yield f"{type(economy).__name__}: {inputs(problem)} inputs, {economy.outputs} outputs, {shocks}"
    yield f"{weights(problem)} weights to train; a checkpoint of {checkpoint_mebibytes(problem):.1f} MiB"
    seconds = _seconds_a_gradient(problem)
    updates = sum(phase.updates for phase in file.phases)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield f"memory about {1.3 * memory:.0f} MiB"
    on_top = "compilation comes" if file.warm_start is None else "compilation and the warm start come"
    yield (
        f"{updates} updates at about {1000 * seconds:.0f} CPU-milliseconds (losses and gradients measured now, the "
        f"optimiser's work not included): about {updates * seconds:.0f} CPU-seconds; {on_top} on top"
    )


def inputs(problem: EquilibriumProblem) -> int:
    """How many numbers the network sees of a state."""
    return int(problem.economy.features(one_state(problem)).shape[-1])


def weights(problem: EquilibriumProblem) -> int:
    """How many weights are trained."""
    return _numbers(problem.trainable["policy"])


def checkpoint_mebibytes(problem: EquilibriumProblem) -> float:
    """The size of last.npz: networks, their best copies, optimiser, simulated tracks and initial states; MiB."""
    networks = _numbers([weight for network in problem.networks.values() for weight in network.weights])
    carry = tf.nest.flatten(problem.start(tf.constant([0, 0])))
    states = _numbers(carry) + _numbers(list(problem.host_state().values()))
    size = 8 if problem.economy.dtype == "float64" else 4
    return size * (2 * networks + _OPTIMIZER_SLOTS * weights(problem) + states) / 2**20


def one_state(problem: EquilibriumProblem) -> Any:
    """A state [1] of the economy, as tensors."""
    return problem.economy.tensors(problem.economy.initial_states(1, np.random.default_rng(0)))


def _numbers(arrays: Any) -> int:
    return sum(int(np.prod(array.shape)) for array in arrays)


def _seconds_a_gradient(problem: EquilibriumProblem) -> float:
    """CPU-seconds of losses and gradients of one update, compiled."""

    @tf.function(jit_compile=problem.compiler == "xla")
    def gradients(carry: Any, key: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            losses = problem.losses((), carry, key)
        return tape.gradient(losses.minimize["policy"], list(problem.trainable["policy"])), losses.carry

    carry, key = problem.start(tf.constant([0, 0])), tf.constant([0, 1])
    _, carry = gradients(carry, key)
    start = time.process_time()
    for _ in range(5):
        _, carry = gradients(carry, key)
    return (time.process_time() - start) / 5
