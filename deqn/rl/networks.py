"""The perceptron that an agent has by default, and a sample of its inputs."""

from __future__ import annotations

import numpy as np

from deqn.mlp.networks import MLP
from deqn.rl.environments import Environments, observed
from deqn.rl.parameters import AgentSettings

_SAMPLE = 1024  # observations from which inputs are standardised


def perceptron(p: AgentSettings, inputs: int, outputs: int, seed: int, dtype: str) -> MLP:
    """Makes a perceptron [batch, inputs] -> [batch, 1, outputs]."""
    return MLP(inputs, outputs, 1, p.hidden, p.activation, seed, dtype, standardized=p.standardize)


def sample_of_inputs(environments: Environments, seed: int) -> np.ndarray:
    """Returns about 1024 observations under random actions; equal environments give the same on every rank."""
    return observed(environments, -(-_SAMPLE // environments.count), np.random.default_rng([seed, 3]))
