"""A trained solution: decision rules and simulations, NumPy in, NumPy out.

solution = deqn.load("runs/benchmark60/first")
policy = solution.policy(capital=k, shock=z)
path = solution.simulate(periods=1000, seed=3)
"""

from __future__ import annotations

import functools
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deqn.project.errors import UserError
from deqn.project.library import named_run
from deqn.project.run import RunFolder
from deqn.project.writing import write_arrays
from deqn.report.tidy import Simulation
from deqn.tasks.build import load_problem
from deqn.tasks.parameter_file import edited_since, parameter_file_of, refuse_strangers
from deqn.tasks.trained import Trained

if TYPE_CHECKING:
    from deqn.equilibrium.economy import Economy
    from deqn.equilibrium.responses import Response
    from deqn.training.problem import Problem


def load(run: str | Path, as_trained: bool = True, trust: bool = False) -> Solution | Trained:
    """The solution with a run's best weights: a run folder's path, stem/run, or stem for its latest run.

    What a run of a problem has trained that decides in no economy is a `Trained`, with its networks and `predict`.

    A folder of solutions that comes with deqn, such as models/olg/solutions/benchmark60, is named like a run.

    A solution is Python that runs: the equations. as_trained: those that the run folder keeps from its training, else
    the present ones in models/, with a warning if they have been edited since. trust: run Python that lies outside the
    project around the working directory, such as that of a run folder of somebody else.

    Raises UserError if there is no such run, if its Python lies outside the project and is not trusted, if its
    checkpoint is damaged or of another economy.
    """
    folder = named_run(run)
    as_trained = as_trained and folder.as_trained.is_dir()  # an earlier release kept no copy
    if not trust:
        refuse_strangers(folder, as_trained, Path.cwd())
    edited = None if as_trained else edited_since(folder)
    if edited:
        warnings.warn(f"{edited}, and is used as it is now; as_trained=True uses the run's own copy", stacklevel=2)
    return opened(folder, as_trained)


def opened(run: RunFolder, as_trained: bool = False) -> Solution | Trained:
    """What a run has trained, a Solution if it decides in an economy."""
    problem = load_problem(run, parameter_file_of(run, as_trained))
    from deqn.training.problem import Problem  # TensorFlow's noise has been held back by now

    decides = type(problem).rule is not Problem.rule
    return Solution(run, as_trained, problem) if decides else Trained(run, problem)


class Solution:
    """Decision rules of an economy in float64."""

    def __init__(self, run: RunFolder, as_trained: bool = False, problem: Problem | None = None) -> None:
        """problem: that of the run, if it has been loaded already."""
        problem = problem or load_problem(run, parameter_file_of(run, as_trained))
        import tensorflow as tf

        self.run = run
        self._problem = problem
        self.rule = problem.rule()
        self.economy = self.rule.economy
        self._compiled_rule = tf.function(
            lambda state: self.rule.completed(state)[0], jit_compile=self.economy.xla, autograph=False
        )
        self._policy_type = _with_evidence(self.economy.Policy)

    def policy(self, **state: Any) -> Any:
        """The policy at given states, as the economy's Policy of float64 arrays [M, ...], with two attributes more:

        inside: bool [M], whether the state lies where the rule was trained and the economy's is_inside holds.
        error: [M], the largest absolute error of the relative conditions there; computed when first asked for.

        state: one array for each field of the economy's State, such as capital [M, N] and shock [M] (from 0).
        Warns of states that are not inside. Raises UserError for a missing or unknown field, a wrong shape, NaN, or a
        state the economy does not allow.
        """
        from deqn.equilibrium.evaluation import map_chunks

        states = self.economy.check_states(state)
        policy = self._policy_type(*map_chunks(self._compiled_rule, states))
        policy.inside = self._inside(states, policy)
        policy.errors_there = lambda: self._error(states)
        if not policy.inside.all():
            warnings.warn(
                f"policy: {(~policy.inside).sum()} of {len(policy.inside)} states lie where the rule was not trained; "
                "look at .inside and .error of what it returns",
                stacklevel=2,
            )
        return policy

    def _inside(self, states: Any, policy: Any) -> np.ndarray:
        """Bool [M]; false too where the policy is no number."""
        from deqn.equilibrium.evaluation import inside_and_visited

        inside, visited = inside_and_visited(self.rule, states)
        finite = [np.isfinite(x).reshape(len(x), -1).all(axis=1) for x in policy]
        return np.all([inside, visited, *finite], axis=0)

    def _error(self, states: Any) -> np.ndarray:
        from deqn.equilibrium.evaluation import at_states, largest_error

        _, _, _, errors, _, _ = at_states(self.rule, states)
        return largest_error(self.economy, errors)

    def simulate(
        self,
        periods: int,
        seed: int = 0,
        burn_in: int = 0,
        tracks: int = 1,
        initial_state: Mapping[str, Any] | None = None,
        shocks: Any = None,
    ) -> Simulation:
        """Paths, `tracks` one after the other, by default under the true process from the first initial states.

        initial_state: where they begin, an array [tracks, ...] for each field of State, as `policy` takes them.
        shocks: what happens instead of draws: an array [periods - 1, ...], or [periods - 1, tracks, ...], of which each
        row leads from a period to the next; by name for the parts of a `Joint`; a chain's values count from 0. Of
        two paths that differ in one shock the difference is its impulse response.
        Returns arrays by their letters, float64: for the overlapping generations k, z, a, lam, c, and the economy's
        definitions (K, Y, r, w, ...); and inside, bool: whether the state lies where the rule was trained. They are a
        dictionary that also has `array(letter)` with named axes, `to_dataframe("long" or "wide")` and `export(file)`.
        Raises UserError for states or shocks that do not fit.
        """
        from deqn.equilibrium.evaluation import evaluate
        from deqn.equilibrium.reporting import arrays_by_letter, description_of

        start = None if initial_state is None else self.economy.check_states(initial_state)
        path = evaluate(self.rule, periods + burn_in, burn_in, seed, tracks, start, shocks)
        described = {"aggregates": self.economy.report.aggregates, **description_of(self.economy)}
        return Simulation(arrays_by_letter(self.economy, path), described)

    def impulse_response(
        self,
        shock: int | str,
        period: int = 25,
        periods: int = 50,
        paths: int = 200_000,
        seed: int = 0,
        initial_state: Mapping[str, Any] | None = None,
        size: float = 1.0,
    ) -> Response:
        """The response of every variable to a shock that is set in one period, whatever it would have been.

        shock: a chain's value, from 1 as commands count; a normal innovation by its number, or by the name of its part
        of a `Joint` ("e", "e.2"), which is set to `size` standard deviations. initial_state: states as `policy` takes
        them, from which tracks run until the period of the shock, instead of the ergodic distribution.
        Returns values, standard_errors and means by name: [periods - period] by horizon for one number a state, and on
        impact alone for what has axes. Values are fractions: .01 is 1 % of the mean without the intervention.
        Raises UserError for shocks, states or periods that do not fit.
        """
        from deqn.equilibrium.interventions import interventions_of
        from deqn.equilibrium.responses import Plan, impulse_responses

        rule = self._problem.training_rule()
        start = None if initial_state is None else self.economy.check_states(initial_state)
        asked = interventions_of(rule.economy, [str(shock)], size)
        (response,), _ = impulse_responses(rule, asked, Plan(period, periods, paths, seed), start)
        return response


def write_policy(run: RunFolder, states: str, out: str, as_trained: bool = False) -> str:
    """`deqn policy`: reads states by their letters (z, k) from an .npz and writes the policy's (a, lam, c).

    It also writes `inside` and `error` of each state. Returns a line that says how many there are, and how many are
    outside. Raises UserError for states that are missing, misshapen, not finite or not of this economy.
    """
    solution = Solution(run, as_trained)
    letters = solution.economy.report.letters
    with warnings.catch_warnings(action="ignore"):  # the line below says it
        policy = solution.policy(**states_of(solution.economy, states))
    arrays = {letters[name]: value for name, value in policy._asdict().items() if name in letters}
    write_arrays(Path(out), {**arrays, "inside": policy.inside, "error": policy.error})
    outside = ~policy.inside
    line = f"policy at {len(outside)} states written to {out}; largest error {100 * policy.error.max():.2g} %"
    if outside.any():
        worst = 100 * policy.error[outside].max()
        line += f"; {outside.sum()} of them lie where the rule was not trained (largest error there {worst:.2g} %)"
    return line


def write_simulation(
    run: RunFolder, out: str, periods: int, seed: int, states: str | None, shocks: str | None, as_trained: bool = False
) -> str:
    """`deqn simulate`: writes paths from the states and along the shocks of .npz files, or drawn ones; see `export`.

    shocks: an array `shock`, or one for each part of a joint process. Returns a line that says how many periods there
    are, and how many of them are outside. Raises UserError as `Solution.simulate`.
    """
    solution = Solution(run, as_trained)
    start = None if states is None else states_of(solution.economy, states)
    given: Any = None if shocks is None else _read_arrays(shocks)
    if given is not None and list(given) == ["shock"]:
        given = given["shock"]
    path = solution.simulate(periods, seed, initial_state=start, shocks=given)
    path.export(out)
    outside = np.count_nonzero(~path["inside"])
    tracks = path["track"].max() + 1
    return (
        f"{tracks} path{'' if tracks == 1 else 's'} of {periods} periods written to {out}; {outside} periods lie where "
        "the rule was not trained"
    )


def states_of(economy: Economy, file: str) -> dict[str, np.ndarray]:
    """A file's arrays by letter as states by field. Raises UserError if one is missing."""
    letters = economy.report.letters
    given = _read_arrays(file)
    fields = {letters.get(name, name): name for name in economy.State._fields}
    missing = sorted(set(fields) - set(given))
    if missing:
        raise UserError(f"{file}: no array {', '.join(missing)} among {sorted(given)}; expected {', '.join(fields)}")
    return {name: given[letter] for letter, name in fields.items()}


def _with_evidence(policy: type) -> type:
    """The economy's own Policy, whose instances also have `inside` and `error`; as tuples they are the same."""

    class Policy(policy):  # type: ignore[misc, valid-type]
        inside: np.ndarray
        errors_there: Callable[[], np.ndarray]

        @functools.cached_property
        def error(self) -> np.ndarray:
            return self.errors_there()

    Policy.__name__ = Policy.__qualname__ = policy.__name__
    return Policy


def _read_arrays(path: str) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    # TypeError: a single array, .npy, is no archive to open.
    except (OSError, ValueError, TypeError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: cannot be read as an .npz of arrays ({error}); save it with numpy.savez") from error
