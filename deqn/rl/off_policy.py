"""DQN and DDPG have this in common: they act, store transitions, and learn from minibatches of stored ones."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from deqn.project.errors import UserError
from deqn.rl.environments import Environments, returns_of
from deqn.rl.parameters import OffPolicySettings
from deqn.rl.replay import Minibatch, Replay
from deqn.training.problem import Batch, Problem, Results
from deqn.training.settings import TrainingSettings

FRESH = 100  # episodes in which the best weights are reported, none of which chose them


class OffPolicy(Problem):
    """An agent that learns from a replay buffer. Final subclasses say in which environments; they own the networks.

    One of the engine's episodes: `steps` of all environments, then `updates` on as many minibatches, which go to the
    compiled update together; its carry counts which of them is next.

    A *unit action* is the agent's own form of an action; the buffer holds unit actions.
    """

    def __init__(
        self, parameters: OffPolicySettings, settings: TrainingSettings, rank: int = 0, ranks: int = 1
    ) -> None:
        self.p, self.seed, self.rank, self.dtype = parameters, settings.seed, rank, settings.precision
        share = ranks if settings.workers.scaling == "strong" else 1
        for name, number in (("environments", parameters.environments), ("minibatch", parameters.replay.minibatch)):
            if number % share:
                raise UserError(f"{name}: got {number}, expected a multiple of {share}, the workers that share them")
        self.minibatch = parameters.replay.minibatch // share
        self.environments = self.limited_environments(parameters.environments // share, (self.seed, rank, 0))
        self.updates_per_call = parameters.updates
        self._validation: tuple[Environments, dict[str, np.ndarray]] | None = None
        self.build()
        self.replay = Replay(parameters.replay.capacity, self._example(), self.dtype)

    @abc.abstractmethod
    def make_environments(self, count: int, stream: Sequence[int]) -> Environments:
        """Makes `count` environments whose randomness comes from `stream`."""

    def limited_environments(self, count: int, stream: Sequence[int]) -> Environments:
        """Makes environments whose episodes end at `longest_episode`."""
        environments = self.make_environments(count, stream)
        environments.longest = self.p.longest_episode
        return environments

    @abc.abstractmethod
    def build(self) -> None:
        """Sets networks and trainable; the environments exist already."""

    @abc.abstractmethod
    def greedy(self, observations: np.ndarray) -> np.ndarray:
        """Returns the unit actions that are best by the networks, [n] or [n, d]."""

    @abc.abstractmethod
    def explore(self, observations: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Returns unit actions to try in training."""

    @abc.abstractmethod
    def random(self, generator: np.random.Generator) -> np.ndarray:
        """Returns unit actions for the time before the first update."""

    def to_environment(self, actions: np.ndarray) -> np.ndarray:
        """Returns unit actions as the environment takes them."""
        return actions

    def before_updates(self, episode: int) -> None:
        """Changes the networks between acting and learning, if the agent does so."""

    def episodes_ended(self, ended: np.ndarray) -> None:
        """Forgets what an agent carries from step to step of an episode where `ended`, bool [n]."""

    def predict(self, inputs: np.ndarray, network: str | None = None) -> np.ndarray:
        """Returns the best actions at observations [n, ...], as the environment takes them."""
        return self.to_environment(self.greedy(np.asarray(inputs)))

    def act(self, actions: np.ndarray) -> None:
        """Makes one step and stores it."""
        transition = self.environments.step(self.to_environment(actions))
        self.replay.add(transition._replace(action=actions))
        self.episodes_ended(transition.terminated | transition.truncated)

    def _example(self) -> Minibatch:
        actions = self.random(np.random.default_rng(0))[:1]
        seen = self.environments.observation[:1]
        return Minibatch(seen, actions, np.zeros(1), seen, np.zeros(1))

    # --- what the engine calls -------------------------------------------------------------------------------------

    def start(self, key: tf.Tensor) -> tf.Tensor:
        """Begins at the first minibatch."""
        return tf.constant(0)

    def batches(self, episode: int) -> Iterator[Batch]:
        """Yields [updates, minibatch, ...] of each field of a Minibatch; all draws depend on the episode."""
        generator = np.random.default_rng([self.seed, self.rank, 2, episode])
        while self.replay.added < self.p.replay.begin:
            self.act(self.random(generator))
        for _ in range(self.p.steps):
            self.act(self.explore(self.environments.observation, generator))
        self.before_updates(episode)
        yield self.replay.sample((self.p.updates, self.minibatch), generator)

    def chosen(self, batch: Batch, carry: tf.Tensor) -> Minibatch:
        """Returns the minibatch whose number the carry is, [minibatch, ...] each."""
        return Minibatch(*(tf.gather(each, carry % self.p.updates) for each in batch))

    def validate(self) -> Mapping[str, float]:
        """Returns minus the mean return of greedy episodes, which begin in the same states every time."""
        return {"minus_return": -float(self.validation_returns().mean())}

    def validation_returns(self) -> np.ndarray:
        """Returns the returns of the episodes that choose the weights."""
        if self._validation is None:
            environments = self.limited_environments(self.p.evaluation_episodes, (self.seed, self.rank, 1))
            self._validation = environments, environments.state()
        environments, begun = self._validation
        environments.restore(begun)
        return self.greedy_returns(environments)

    def greedy_returns(self, environments: Environments) -> np.ndarray:
        """Returns the return of one greedy episode in each environment."""
        return returns_of(environments, lambda seen: self.to_environment(self.greedy(seen)))

    def host_state(self) -> Mapping[str, Any]:
        return {
            **{f"environments/{name}": value for name, value in self.environments.state().items()},
            **{f"replay/{name}": value for name, value in self.replay.state().items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        for name, part in (("environments", self.environments), ("replay", self.replay)):
            part.restore({k.removeprefix(f"{name}/"): v for k, v in state.items() if k.startswith(f"{name}/")})

    # --- what is reported ------------------------------------------------------------------------------------------

    def describe(self) -> Mapping[str, str]:
        weights = ", ".join(f"{name} {network.count_params():,}" for name, network in self.networks.items())
        return {"environment": f"{self.environments.name}, {self.environments.count} side by side", "weights": weights}

    def results(self) -> Results:
        """Reports greedy returns of the best weights, in the episodes that chose them and in others."""
        fresh = self.limited_environments(FRESH, (self.seed, self.rank, 4))
        rows = [
            {"episodes": words, **summary(returns)}
            for words, returns in (
                ("that chose the weights", self.validation_returns()), ("100 others", self.greedy_returns(fresh)),
            )
        ]  # fmt: skip
        finished = self.environments.finished
        return Results(
            headline=f"greedy return {rows[0]['mean']:.4g}, in fresh episodes {rows[1]['mean']:.4g}",
            tables={"returns": rows},
            arrays={"transitions": finished[:, 0], "return": finished[:, 1], "length": finished[:, 2]},
        )


def summary(returns: np.ndarray) -> dict[str, float]:
    """Returns number, mean, standard deviation, least and largest of returns [n]."""
    return {
        "count": len(returns), "mean": float(returns.mean()), "sd": float(returns.std()),
        "min": float(returns.min()), "max": float(returns.max()),
    }  # fmt: skip
