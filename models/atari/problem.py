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


@final
class Atari(DQN):
    """Four grey frames of 84 x 84 pixels, each the fourth of the game's own; rewards cut to their signs."""

    def make_environments(self, count: int, stream: Sequence[int]) -> Environments:
        """The named game. Raises UserError without ale-py."""
        missing = [package for package in ("ale_py", "cv2") if importlib.util.find_spec(package) is None]
        if missing:
            raise UserError(
                f'environment: Atari needs {" and ".join(missing)}, an optional part: pip install "deqn[atari]"'
            )
        import ale_py

        gymnasium.register_envs(ale_py)
        game = gym_maker(self.p.environment, frameskip=1, repeat_action_probability=0.0)
        return GymEnvironments(lambda: seen_as_in_the_paper(game(), self.p.noop_max), count, stream)


def seen_as_in_the_paper(game: gymnasium.Env, noop_max: int) -> gymnasium.Env:
    """Frames [4, 84, 84] of bytes; the loss of a life does not end an episode."""
    frames = FrameStackObservation(AtariPreprocessing(game, noop_max=noop_max, frame_skip=4, screen_size=84), 4)
    return TransformReward(frames, lambda reward: float(reward > 0) - float(reward < 0))
