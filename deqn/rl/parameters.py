"""What a parameter file may say of an agent: its data, networks and exploration. Imports no TensorFlow."""

from __future__ import annotations

import pydantic

from deqn.project.schema import Section, setting


class AgentSettings(Section):
    """All agents have these. In each episode of the engine they act in all their environments, then make updates."""

    environments: int = setting(1, unit="environments side by side", ge=1)
    discount: float = setting(0.99, unit="per step", ge=0, le=1)
    hidden: list[int] = setting([64, 64], unit="units by hidden layer")
    activation: str = setting("relu", source="any of keras.activations")
    standardize: bool = setting(False, source="inputs by mean and spread under random actions, before training")
    evaluation_episodes: int = setting(20, unit="greedy episodes a validation", ge=1)
    longest_episode: int = setting(
        10_000, unit="steps after which an episode is truncated where the environment has no limit of its own", ge=1
    )


class ReplaySettings(Section):
    """The buffer of past transitions from which minibatches are drawn."""

    capacity: int = setting(50_000, unit="transitions", ge=1)
    minibatch: int = setting(64, unit="transitions an update", ge=1)
    begin: int = setting(1000, unit="transitions by random actions before the first update", ge=1)

    @pydantic.model_validator(mode="after")
    def _begin_fits(self) -> ReplaySettings:
        if self.begin > self.capacity:
            raise ValueError(f"begin: got {self.begin}, expected at most capacity, {self.capacity}")
        return self


class OffPolicySettings(AgentSettings):
    """DQN and DDPG share these: `steps` in each environment, then `updates` on minibatches from the buffer."""

    steps: int = setting(1, unit="steps in each environment between updates", ge=1)
    updates: int = setting(1, unit="updates after these steps", ge=1)
    replay: ReplaySettings = setting(ReplaySettings())


class ExplorationSettings(Section):
    """The share of random actions falls along a line."""

    first: float = setting(1.0, unit="share of actions", ge=0, le=1)
    last: float = setting(0.05, unit="share of actions", ge=0, le=1)
    over: int = setting(10_000, unit="transitions until the last share is reached", ge=1)

    def share(self, transitions: int) -> float:
        """Returns the share after so many transitions."""
        return self.first + (self.last - self.first) * min(transitions / self.over, 1.0)


class DQNSettings(OffPolicySettings):
    """Settings of a deep Q-network (Mnih et al. 2015)."""

    exploration: ExplorationSettings = setting(ExplorationSettings())
    target_every: int = setting(1, unit="engine's episodes between copies to the target network", ge=1)


class DDPGSettings(OffPolicySettings):
    """Settings of deep deterministic policy gradient (Lillicrap et al. 2016)."""

    averaging: float = setting(0.005, unit="share of the way that targets go an update", gt=0, le=1, source="tau")
    noise: float = setting(0.1, unit="standard deviation, half the width of the action space = 1", ge=0)
    noise_correlation: float = setting(
        0.0, unit="from step to step; 0 is white noise, above it the discretised Ornstein-Uhlenbeck process", ge=0, lt=1
    )
    reward_scale: float = setting(1.0, unit="what rewards are multiplied by in the critic's target", gt=0)


class ReinforceSettings(AgentSettings):
    """Settings of REINFORCE (Williams 1992): one update on one episode of each environment."""

    steps: int = setting(500, unit="steps after which an episode is cut off, in place of longest_episode", ge=1)
    standardize_returns: bool = setting(True, source="over a batch: a baseline and a scale in one")
    average_over: int = setting(100, unit="episodes over which the mean return is taken", ge=1)


class EconomyDDPGSettings(DDPGSettings):
    """Settings of DDPG in an economy, whose own discount factor takes the place of `discount`."""

    horizon: int = setting(200, unit="periods after which a track begins anew", ge=1)


class GridSettings(Section):
    """Settings of value function iteration in an economy."""

    grid: tuple[float, float] = setting(unit="the state's own: the first and the last grid point")
    points: int = setting(1000, unit="grid points", ge=3)

    @pydantic.field_validator("grid")
    @classmethod
    def _ascends(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] < value[1]:
            raise ValueError(f"got {list(value)}, expected [lowest, highest], both above 0")
        return value
