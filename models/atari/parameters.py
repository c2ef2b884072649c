"""The user's part of the parameter files of this folder."""

from __future__ import annotations

from deqn.project.schema import setting
from deqn.rl.parameters import DQNSettings


class Parameters(DQNSettings):
    """Parameters of DQN in a game of Atari."""

    environment: str = setting("ALE/Breakout-v5", source="a game that ale-py knows")
    noop_max: int = setting(30, unit="idle frames at most at the start, which tell episodes apart", ge=1)
