"""Training with many quadrature nodes: memory does not grow with their number."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

LIMIT = 2e9  # bytes, of which TensorFlow itself takes about a quarter

# d countries without a link, each with its own shock: c^-2 = beta E[ r' c'^-2 ], one network for all of them.
SCRIPT = """
import sys
from typing import NamedTuple
import numpy as np, tensorflow as tf
from deqn.equilibrium import Economy, Gaussian
from deqn.equilibrium.problem import Equilibrium
from deqn.equilibrium.settings import EquilibriumSettings
from deqn.training.settings import TrainingSettings
from toys import advance_of

d, degree = map(int, sys.argv[1:])

class Settings(EquilibriumSettings, TrainingSettings):
    pass

class State(NamedTuple):
    capital: tf.Tensor  # [batch, d]
    logs: tf.Tensor  # [batch, d]

class Policy(NamedTuple):
    consumption: tf.Tensor  # [batch, d]
    savings: tf.Tensor  # [batch, d]

class Countries(Economy):
    State, Policy = State, Policy

    def __init__(self, parameters, dtype="float32"):
        super().__init__(parameters, dtype)
        self.shocks, self.outputs = Gaussian(d, rule="monomial", degree=degree), d

    def features(self, state):
        return tf.concat([tf.math.log(state.capital), state.logs], axis=1)

    def policy(self, output, state):
        y, x = tf.exp(state.logs) * state.capital**0.36, 1.0 + output
        return Policy(tf.sigmoid(x) * y, tf.sigmoid(-x) * y)

    def transition(self, state, policy, shock):
        return State(policy.savings, 0.9 * state.logs + 0.01 * shock)

    def residuals(self, state, policy, E):
        r = lambda s: 0.36 * tf.exp(s.logs) * s.capital ** (0.36 - 1)
        return {"euler": 0.96 * E(lambda s, q: r(s) * (policy.consumption / q.consumption) ** 2) - 1}

    def initial_states(self, count, generator):
        return State(generator.uniform(0.15, 0.25, (count, d)), 0.02 * generator.normal(size=(count, d)))

adam = {"name": "Adam", "learning_rate": 1e-3}
file = {"network": {"kind": "mlp", "hidden": [128, 128]}, "sampling": {"tracks": 512}, "updates_per_call": 1}
settings = Settings.model_validate(file | {"phases": [{"updates": 9, "optimizer": adam}]})
problem = Equilibrium(Countries, None, settings)
advance, carry, _ = advance_of(problem, adam)
for update in range(2):
    carry, tally = advance((), carry, tf.constant(update), tf.constant(1))
# Not getrusage: of a process that was just forked it remembers the memory of its parent.
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(problem.economy.shocks.successors(carry.now)[1].shape[0], float(tally.largest_loss), peak)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("dimensions", "degree", "nodes"), [(51, 3, 102), (50, 5, 5001)])
def test_512_states_train_with_gradients_through_e_within_two_gigabytes(dimensions, degree, nodes):
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(dimensions), str(degree)],
        env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    count, loss, kilobytes = done.stdout.split()
    assert int(count) == nodes and np.isfinite(float(loss))
    assert 1024 * int(kilobytes) < LIMIT
