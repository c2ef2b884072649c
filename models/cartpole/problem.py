"""A pole on a cart, or another environment of gymnasium, by REINFORCE and by DQN."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final

from deqn.rl.dqn import DQN
from deqn.rl.environments import Environments
from deqn.rl.gym_environments import GymEnvironments, gym_maker
from deqn.rl.reinforce import Reinforce


@final
class ByReinforce(Reinforce):
    """The agent makes one update on one episode of each cart."""

    def make_environments(self, count: int, stream: Sequence[int]) -> Environments:
        return GymEnvironments(gym_maker(self.p.environment, Path(__file__).parent), count, stream)


@final
class ByDQN(DQN):
    """The agent learns from minibatches of all past transitions."""

    def make_environments(self, count: int, stream: Sequence[int]) -> Environments:
        return GymEnvironments(gym_maker(self.p.environment, Path(__file__).parent), count, stream)
