"""A trained solution: decision rules and simulations, NumPy in, NumPy out.

solution = deqn.load("runs/benchmark60/first")
policy = solution.policy(capital=k, shock=z)
path = solution.simulate(periods=1000, seed=3)
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from deqn.project.errors import UserError
from deqn.project.project import Project
from deqn.project.run import RunFolder
from deqn.project.writing import write_arrays
from deqn.tasks.build import load_problem


def load(run: str | Path) -> Solution:
    """The solution with a run's best weights: a run folder's path, stem/run, or stem for its latest run.

    Raises UserError if there is no such run, if its checkpoint is damaged or of another economy, or if what it trained
    decides in no economy.
    """
    folder = RunFolder(Path(run))
    return Solution(folder if folder.is_run else Project.around(Path.cwd()).run(run))


class Solution:
    """Decision rules of an economy in float64."""

    def __init__(self, run: RunFolder) -> None:
        problem = load_problem(run)
        import tensorflow as tf

        self.run = run
        self.rule = problem.rule()
        self.economy = self.rule.economy
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
        from deqn.equilibrium.reporting import arrays_by_letter

        return arrays_by_letter(self.economy, evaluate(self.rule, periods + burn_in, burn_in, seed, tracks))


def write_policy(run: RunFolder, states: str, out: str) -> int:
    """`deqn policy`: reads states by their letters (z, k) from an .npz and writes the policy's (a, lam, c).

    Returns their number. Raises UserError for states that are missing, misshapen, not finite or not of this economy.
    """
    solution = Solution(run)
    letters = solution.economy.report.letters
    given = _read_arrays(states)
    fields = {letters.get(name, name): name for name in solution.economy.State._fields}
    missing = sorted(set(fields) - set(given))
    if missing:
        raise UserError(f"{states}: no array {', '.join(missing)} among {sorted(given)}; expected {', '.join(fields)}")
    policy = solution.policy(**{name: given[letter] for letter, name in fields.items()})
    arrays = {letters[name]: value for name, value in policy._asdict().items() if name in letters}
    write_arrays(Path(out), arrays)
    return len(next(iter(arrays.values())))


def _read_arrays(path: str) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    # TypeError: a single array, .npy, is no archive to open.
    except (OSError, ValueError, TypeError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: cannot be read as an .npz of arrays ({error}); save it with numpy.savez") from error
