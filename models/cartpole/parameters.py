"""The user's part of the parameter files of this folder."""

from __future__ import annotations

from deqn.project.schema import setting
from deqn.rl.parameters import DQNSettings, ReinforceSettings


class ByReinforceParameters(ReinforceSettings):
    """REINFORCE acts in any environment of gymnasium that shows a vector."""

    environment: str = setting(
        "CartPole-v1", source="a name that gymnasium knows, or MODULE:CLASS beside the parameter file"
    )


class ByDQNParameters(DQNSettings):
    """DQN acts in any environment of gymnasium that shows a vector and takes numbered actions."""

    environment: str = setting(
        "CartPole-v1", source="a name that gymnasium knows, or MODULE:CLASS beside the parameter file"
    )
