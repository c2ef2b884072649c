"""A trained solution: decision rules and simulations, NumPy in, NumPy out. Top floor.

solution = deqn.load("runs/benchmark60/first")
policy = solution.policy(capital=k, shock=z)
path = solution.simulate(periods=1000, seed=3)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deqn.project.errors import UserError
from deqn.project.project import find, project_root
from deqn.project.run import RunFolder
from deqn.tasks.build import build_economy
from deqn.tasks.parameter_file import Experiment, experiment_of
from deqn.training import checkpoint
from deqn.workers.devices import import_tensorflow


def load(run: str | Path) -> Solution:
    """The solution with a run's best weights: a run folder's path, stem/run, or stem for its latest run.

    Raises UserError if there is no such run, or if its checkpoint is damaged or of another economy.
    """
    path = Path(run)
    return load_run(find(str(run), project_root(path if path.is_dir() else None)))


def load_run(run: RunFolder, weights: str = checkpoint.BEST) -> Solution:
    """The solution with the weights of one of a run's checkpoints."""
    arrays, _ = checkpoint.load(run.checkpoints / weights)
    experiment = experiment_of(run)
    import_tensorflow()
    try:
        return Solution(run, experiment, arrays)
    except UserError as error:
        raise UserError(f"{run.checkpoints / weights}: {error}") from error


class Solution:
    """Decision rules of an economy in float64."""

    def __init__(self, run: RunFolder, experiment: Experiment, arrays: Mapping[str, np.ndarray]) -> None:
        import tensorflow as tf

        from deqn.equilibrium.decision_rule import NetworkRule
        from deqn.equilibrium.problem import build_network
        from deqn.training import position as snapshot

        self.run, self.experiment = run, experiment
        self.economy = build_economy(experiment, "float64")
        settings = experiment.economy.network
        self.network = build_network(self.economy, settings, seed=0)
        policy = {name: value for name, value in arrays.items() if name.startswith("networks/policy/")}
        snapshot.assign({"networks/policy": list(self.network.weights)}, policy)
        self.rule = NetworkRule(self.economy, self.network, settings.heads == "shock")
        self._compiled_rule = tf.function(self.rule, jit_compile=True)

    def policy(self, **state: Any) -> Any:
        """The policy at given states, as the economy's Policy of float64 arrays [M, ...].

        state: one array for each field of the economy's State, such as capital [M, N] and shock [M] (from 0).
        Raises UserError for a missing or unknown field, a wrong shape, NaN, or a state the economy does not allow.
        """
        from deqn.equilibrium.evaluation import map_chunks

        return map_chunks(self._compiled_rule, self.economy.check_states(state))

    def simulate(self, periods: int, seed: int = 0, burn_in: int = 0, tracks: int = 1) -> dict[str, np.ndarray]:
        """Paths under the true process, `tracks` one after the other, from the first initial states.

        Returns arrays by their letters, float64: for the overlapping generations k, z, a, lam, c, and the economy's
        definitions (K, Y, r, w, ...).
        """
        from deqn.equilibrium.evaluation import evaluate

        return self.arrays(evaluate(self.rule, periods + burn_in, burn_in, seed, tracks))

    def arrays(self, evaluation: Any) -> dict[str, np.ndarray]:
        """An evaluation as named arrays: what simulation.npz holds."""
        letters = self.economy.letters
        arrays: dict[str, np.ndarray] = {}
        for named in (evaluation.state, evaluation.policy):
            arrays |= {letters[name]: getattr(named, name) for name in named._fields if name in letters}
        arrays |= {f"{letters[name]}_next": value for name, value in evaluation.successors.items()}
        arrays |= {name: value for name, value in evaluation.definitions.items() if value.ndim == 1}
        return {**arrays, "track": evaluation.track}
