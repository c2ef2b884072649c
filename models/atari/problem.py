"""Games of Atari by DQN (Mnih et al. 2015). The games are in ale-py, which `pip install "deqn[atari]"` brings."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import final

import gymnasium
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation, TransformReward

from deqn.project.errors import UserError
from deqn.rl.dqn import DQN
from deqn.rl.environments import Environments
from deqn.rl.gym_environments import GymEnvironments, gym_maker

from .network import AtariNetwork


@final
class Atari(DQN):
    """The agent sees four grey frames of 84 x 84 pixels, one of four of the game's own, and the signs of rewards."""

    def make_network(self) -> AtariNetwork:
        """Makes the network of the paper. Raises UserError if not four frames of 84 x 84 are observed."""
        if self.environments.observation_space.shape != (4, 84, 84):
            raise UserError(
                f"environment: expected four frames of 84 x 84 pixels, but {self.environments.name} shows "
                f"{self.environments.observation_space}"
            )
        return AtariNetwork(self.actions, self.seed, self.dtype)

    def make_environments(self, count: int, stream: Sequence[int]) -> Environments:
        """Makes the named game. Raises UserError without ale-py."""
        missing = [package for package in ("ale_py", "cv2") if importlib.util.find_spec(package) is None]
        if missing:
            raise UserError(
                f'environment: Atari needs {" and ".join(missing)}, an optional part: pip install "deqn[atari]"'
            )
        import ale_py

        gymnasium.register_envs(ale_py)
        game = gym_maker(self.p.environment, frameskip=1, repeat_action_probability=0.0)
        return GymEnvironments(lambda: preprocessed(game(), self.p.noop_max), count, stream)


def preprocessed(game: gymnasium.Env, noop_max: int) -> gymnasium.Env:
    """Returns the game as Mnih et al. show it: frames [4, 84, 84] of bytes; the loss of a life ends no episode."""
    frames = FrameStackObservation(AtariPreprocessing(game, noop_max=noop_max, frame_skip=4, screen_size=84), 4)
    return TransformReward(frames, lambda reward: float(reward > 0) - float(reward < 0))
