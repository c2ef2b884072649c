"""The user's part of the parameter files of this folder."""

from __future__ import annotations

from deqn.project.schema import setting
from deqn.rl.parameters import DDPGSettings


class Parameters(DDPGSettings):
    """DDPG acts in any environment of gymnasium that shows a vector and takes one within bounds."""

    environment: str = setting(
        "Pendulum-v1", source="a name that gymnasium knows, or MODULE:CLASS beside the parameter file"
    )
