"""`deqn check`: the size of a training before it is started. Top floor."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from deqn.experiment import Experiment, build_problem


def estimate(experiment: Experiment) -> Iterator[str]:
    """Weights, memory and time, in lines. Takes the losses of one batch a few times, and changes no weight."""
    problem = build_problem(experiment)
    weights = sum(int(np.prod(v.shape)) for v in problem.trainable["policy"])
    file, economy = experiment.file, problem.economy
    yield f"{experiment.path}: valid"
    for key, old, new in experiment.changed:
        yield f"  {key}: {old} -> {new}"
    size = 8 if file.precision == "float64" else 4
    inputs = int(economy.features(problem.tensors(economy.initial_states(1, np.random.default_rng(0)))).shape[-1])
    yield f"{type(economy).__name__}: {inputs} inputs, {economy.outputs} outputs, {economy.shocks.discrete or 'continuous'} shocks"
    yield f"{weights} weights to train ({weights * size / 2**20:.1f} MiB; a checkpoint about {_checkpoint(problem, size):.1f} MiB)"
    seconds = _seconds_a_gradient(problem)
    updates = sum(phase.updates for phase in file.phases)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield f"memory about {1.3 * memory:.0f} MiB"
    yield (
        f"{updates} updates at about {1000 * seconds:.0f} CPU-milliseconds (losses and gradients measured now, the "
        f"optimiser's work not included): about {updates * seconds:.0f} CPU-seconds, and some 30 more to compile"
    )


def _checkpoint(problem, size: int) -> float:
    carry = sum(int(np.prod(x.shape)) for x in tf.nest.flatten(problem.start(tf.constant([0, 0]))))
    weights = sum(int(np.prod(w.shape)) for network in problem.networks.values() for w in network.weights)
    trained = sum(int(np.prod(v.shape)) for v in problem.trainable["policy"])
    return size * (carry + weights + 3 * trained) / 2**20


def _seconds_a_gradient(problem) -> float:
    """CPU-seconds of losses and gradients of one update, compiled."""

    @tf.function(jit_compile=problem.compiler == "xla")
    def gradients(carry, key):
        with tf.GradientTape() as tape:
            losses = problem.losses((), carry, key)
        return tape.gradient(losses.minimize["policy"], list(problem.trainable["policy"])), losses.carry

    carry, key = problem.start(tf.constant([0, 0])), tf.constant([0, 1])
    _, carry = gradients(carry, key)
    start = time.process_time()
    for _ in range(5):
        _, carry = gradients(carry, key)
    return (time.process_time() - start) / 5
