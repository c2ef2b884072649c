"""DDPG in an economy: the agent observes states, divides resources and receives utility; it knows no equation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from deqn.rl.ddpg import DDPG
from deqn.rl.economy_environment import Dynamics, EconomyEnvironments, cut
from deqn.rl.environments import Environments
from deqn.rl.parameters import EconomyDDPGSettings
from deqn.rl.rules import PlannersProblem, ShareRule
from deqn.training.problem import Results
from deqn.training.settings import TrainingSettings


class AgentInEconomy(PlannersProblem, DDPG):
    """DDPG acts in many tracks of an economy. Final subclasses say in which one."""

    p: EconomyDDPGSettings

    def __init__(
        self, parameters: EconomyDDPGSettings, settings: TrainingSettings, rank: int = 0, ranks: int = 1
    ) -> None:
        self.p = parameters
        discount = self.make_economy("float32").p.discount_factor
        super().__init__(parameters.model_copy(update={"discount": discount}), settings, rank, ranks)
        self.states_per_update = self.minibatch

    def make_environments(self, count: int, stream: Sequence[int]) -> Environments:
        return EconomyEnvironments(self.make_economy("float32"), count, stream, self.p.horizon)

    def rule(self) -> ShareRule:
        """Returns the rule of the actor's share, in an economy of float64."""
        economy = self.make_economy("float64")
        observed = Dynamics(economy).observed

        def share(state: Any) -> tf.Tensor:
            unit = tf.cast(self.actor(observed(state))[:, 0], economy.dtype)
            return cut(0.5 * (unit + 1))

        return ShareRule(economy, share)

    def results(self) -> Results:
        """Reports the rule's errors on its own path."""
        row = {"states seen": self.replay.added, **self.errors_of(self.rule())}
        errors = [f"{name} {value:.2g}" for name, value in row.items() if name.endswith("error, mean")]
        finished = self.environments.finished
        return Results(
            headline="; ".join(errors),
            tables={"agent": [row]},
            arrays={"transitions": finished[:, 0], "return": finished[:, 1]},
        )
