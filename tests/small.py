"""Economies small enough for proofs: a tiny parameter file, a network of random weights, states at random; float64."""

import fcntl
import functools
import os
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf
from projects import ROOT, deqn, make_project, typed

from deqn.equilibrium.decision_rule import NetworkRule
from deqn.equilibrium.expectation import Expectation
from deqn.equilibrium.network import build_network
from deqn.equilibrium.settings import NetworkSettings
from deqn.project.project import Project
from deqn.tasks.build import class_of
from deqn.tasks.parameter_file import read_parameter_file

TINY = ROOT / "models/olg/tiny.yaml"
THREE = ["parameters.cohorts=3", "parameters.labour=[0.6, 1.4, 0.5]"]
CHAIN = np.array([[0.49, 0.49, 0.01, 0.01]] * 2 + [[0.125, 0.125, 0.375, 0.375]] * 2)  # tiny.yaml's, typed again


def file_of(path, *overrides):
    """A parameter file of this project, with these settings changed."""
    return read_parameter_file(path, overrides, Project(ROOT))


def economy_of(path, *overrides, dtype="float64"):
    """The economy of a parameter file with these settings changed."""
    file = file_of(path, *overrides)
    return class_of(file)(file.parameters, dtype)


def olg(*overrides, dtype="float64"):
    """The overlapping-generations economy of tiny.yaml with these settings changed."""
    return economy_of(TINY, *overrides, dtype=dtype)


def randomize(network, scale=0.1, seed=0):
    """Random weights everywhere: what starts at zero would hide half of a network from a test."""
    rng = np.random.default_rng(seed)
    for weight in network.trainable_variables:
        weight.assign(scale * rng.standard_normal(weight.shape) / np.sqrt(weight.shape[0]))


def rule_of(economy, heads=True, seed=0, scale=0.1):
    """A decision rule whose network has random weights and sees standardised inputs."""
    settings = NetworkSettings(kind="mlp", hidden=[8], activation="tanh", heads="shock" if heads else "none")
    network = build_network(economy, settings, seed)
    network.adapt(np.asarray(economy.features(states_of(economy, 200))))
    randomize(network, scale, seed)
    return NetworkRule(economy, network, heads)


def states_of(economy, count, seed=0):
    """Initial states of the economy but the first, as tensors."""
    state = economy.tensors(economy.initial_states(count + 1, np.random.default_rng(seed)))
    return tf.nest.map_structure(lambda x: x[1:], state)


def constant(economy, output):
    """What decides at a list of states, as E wants it, if the network gives this number everywhere."""

    def decide(states):
        shape = [states[0][0].shape[0], economy.outputs]
        return [economy.policy(tf.fill(shape, tf.constant(output, tf.float64)), state) for state in states]

    return decide


def euler_of(economy, decide, count=100):
    """Euler errors where these are the decisions at a list of states, with initial states and the policies there."""
    state = states_of(economy, count)
    (policy,) = decide([state])
    E = Expectation(economy, state, policy, decide)
    return economy.residuals(state, policy, E)["euler"].numpy(), state, policy


def rows(state, chosen):
    """Some of the states or policies of a NamedTuple."""
    return tf.nest.map_structure(lambda x: tf.gather(x, chosen), state)


def train(folder, file, *settings, run="one", seed=0, command=deqn):
    """What `deqn train models/FILE.yaml` leaves in a project made for it: errors of all states, path, run folder.

    The errors are by condition; the path has an array for each letter. command: `deqn` or, in this process, `typed`.
    """
    if not (folder / "models").exists():
        make_project(folder, file.split("/")[0])
    words = [word for each in settings for word in ("--set", each)]
    done = command(folder, "train", f"models/{file}.yaml", "--run", run, "--seed", seed, *words)
    assert done.returncode == 0, done.stderr
    made = folder / "runs" / file.split("/")[1] / run
    errors = pd.read_csv(made / "errors.csv").query("group == 'all'").set_index("condition")
    with np.load(made / "simulation.npz") as arrays:
        return errors, dict(arrays), made


@functools.cache
def trained_project():
    """A project folder with the run runs/tiny/one of a four-cohort economy, hardly trained.

    The processes of a test run share it, so whoever changes it takes a copy.
    """
    folder = Path(os.environ["DEQN_TESTS_SHARED"]) / "trained_project"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            settings = [
                "parameters.cohorts=4", "parameters.labour=[0.5, 0.88, 2.2, 0.7]", "network.hidden=[8]",
                "network.components=3", "sampling.tracks=32", "phases.0.updates=100", "validation.periods=5",
                "warm_start.stages=[[3, 0], [3, 3]]", "network.quadratics=3", "evaluation.periods=400",
                "evaluation.burn_in=100", "checkpoints.stages=[5]",
            ]  # fmt: skip
            train(make_project(folder, "*"), "olg/tiny", *settings, command=typed)
    return folder
