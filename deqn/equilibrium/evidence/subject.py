"""What the checks look at: a decision rule, what it visits from several starts, and its implied error there."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, final

import numpy as np
import tensorflow as tf

from deqn.equilibrium.decision_rule import OutputRule
from deqn.equilibrium.evaluation import Evaluation, evaluate, map_chunks
from deqn.equilibrium.fixed_point import thinned
from deqn.equilibrium.implied import STATES, ImpliedError, Measured, implied_error, measured, unaffordable
from deqn.equilibrium.settings import EvaluationSettings, VerifySettings
from deqn.project.errors import UserError

STARTS = 5  # initial states from which the periods are simulated
_SEED = 2_000_003  # added to the evaluation's, so that a certificate does not repeat its path


@final
class Subject:
    """A solution at work.

    path: what it visits. starts: how many tracks begin at different states of one economy; 1 if tracks are of several
    economies. seed: of the path.
    """

    def __init__(self, rule: OutputRule, settings: VerifySettings, path: Evaluation, starts: int, seed: int) -> None:
        self.rule, self.settings, self.path, self.starts, self.seed = rule, settings, path, starts, seed

    @functools.cached_property
    def implied(self) -> ImpliedError | UserError:
        """The implied error at a sample of the path's states; a UserError that says why there is none."""
        if said := unaffordable(self.rule.economy):
            return UserError(said)
        try:
            return implied_error(self.rule, self.path.state)
        except np.linalg.LinAlgError as error:
            return UserError(f"the conditions' derivatives are not finite numbers ({error})")

    @functools.cached_property
    def sample(self) -> Any:
        """At most 2,048 states of the path, evenly spaced."""
        return tf.nest.map_structure(lambda x: thinned(x, STATES), self.path.state)

    @functools.cached_property
    def measured(self) -> Measured:
        """The policies at the sample, and the units in which they are measured."""
        return measured(self.rule, self.sample)

    def distances(self, policies: Mapping[str, np.ndarray], name: str) -> np.ndarray:
        """By what this rule's policy differs from another at the sample, [M, ...], in the unit of its implied error."""
        return (self.measured.policy[name] - policies[name]) / self.measured.levels[name]

    def unit(self, name: str) -> str:
        """What a policy's distances and implied errors are measured in, in words."""
        unit = self.measured.unit[name]
        return {"own level": "itself", "own mean size": "its mean size"}.get(unit, unit.replace("_", " "))


def subject_of(rule: OutputRule, path: EvaluationSettings, settings: VerifySettings) -> Subject:
    """Simulates as many periods as the evaluation of the file, from five initial states instead of one.

    Where the evaluation has several tracks, these are of economies whose parameters are states, and stay as they are.
    """
    starts = STARTS if path.tracks == 1 else 1
    periods = path.periods - path.burn_in
    seed = path.seed + _SEED
    if starts > 1:
        periods = max(-(-periods // starts), 1)
        first = rule.economy.initial_states(starts, np.random.default_rng(seed))
        found = evaluate(rule, periods + path.burn_in, path.burn_in, seed, start=first)
    else:
        found = evaluate(rule, path.periods, path.burn_in, seed, path.tracks)
    return Subject(rule, settings, found, starts, seed)


def policies_at(rule: OutputRule, state: Any) -> dict[str, np.ndarray]:
    """The policies of a rule at states of NumPy arrays, by field."""
    compiled = tf.function(lambda at: rule.completed(at)[0], jit_compile=rule.economy.xla, autograph=False)
    return dict(map_chunks(compiled, state)._asdict())
