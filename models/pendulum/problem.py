"""A pendulum swung up by DDPG, or another environment of gymnasium with real-valued actions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final

from deqn.rl.ddpg import DDPG
from deqn.rl.environments import Environments
from deqn.rl.gym_environments import GymEnvironments, gym_maker


@final
class Pendulum(DDPG):
    """The agent chooses a torque from angle and angular velocity."""

    def make_environments(self, count: int, stream: Sequence[int]) -> Environments:
        return GymEnvironments(gym_maker(self.p.environment, Path(__file__).parent), count, stream)
