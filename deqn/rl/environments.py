"""Environments side by side, in which agents act, and whose state a checkpoint holds.

An episode ends as *terminated* or as *truncated*, and a new one begins at once, in the same call: there is no step that
only resets, so none can enter a buffer.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from deqn.project.errors import UserError


class Transition(NamedTuple):
    """The results of one step, one row for each environment.

    observation, next_observation: [n, ...]; the latter is what the action led to, not where a new episode began.
    action: [n] or [n, d]. reward: float [n]. terminated, truncated: bool [n].
    """

    observation: Any
    action: Any
    reward: Any
    next_observation: Any
    terminated: Any
    truncated: Any


class Environments(abc.ABC):
    """Copies of an environment, as many as `count`. Subclasses are final and set these before `super().__init__`.

    name: for messages. count: how many. observation_space, action_space: of one of them.
    discount: with which returns are added up in reports; 1 for the classics of the field.
    longest: steps after which an episode that goes on is truncated, whatever the environment says: without a limit an
    evaluation might never end, nor hear that it is asked to.

    observation: [count, ...] what is seen now. steps: made by each. finished: [episodes, 3], transitions so far of all
    environments when an episode ended, its return, its length.
    """

    name: str
    count: int
    observation_space: gymnasium.Space
    action_space: gymnasium.Space
    discount: float = 1.0
    longest: int = 10_000

    def __init__(self) -> None:
        self.steps = 0
        self._return, self._length = np.zeros(self.count), np.zeros(self.count, np.int64)
        self._finished: list[tuple[float, float, float]] = []
        self.observation = self.begin(np.ones(self.count, bool))

    @abc.abstractmethod
    def begin(self, chosen: np.ndarray) -> np.ndarray:
        """Begins new episodes where `chosen`, bool [count]; returns the observations [count, ...] of all."""

    @abc.abstractmethod
    def advance(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Makes a step; returns next observations [count, ...], rewards, terminated, truncated; nothing begins anew."""

    @abc.abstractmethod
    def own_state(self) -> Mapping[str, np.ndarray]:
        """Returns what determines the future of the environments besides the actions to come."""

    @abc.abstractmethod
    def restore_own(self, state: Mapping[str, np.ndarray]) -> np.ndarray:
        """Restores what `own_state` gave; returns the observations [count, ...]."""

    def step(self, actions: np.ndarray, counted: np.ndarray | None = None) -> Transition:
        """Makes one step in each; where an episode ends the next begins.

        counted: bool [count], whose episodes enter `finished`; by default all.
        Raises UserError for a reward that is no number.
        """
        before, taken = self.observation, np.asarray(actions)
        following, rewards, terminated, truncated = self.advance(taken)
        truncated = truncated | (~terminated & (self._length + 1 >= self.longest))
        self.steps += 1
        if not np.isfinite(rewards).all():
            bad = rewards[~np.isfinite(rewards)][0]
            raise UserError(f"{self.name}: the reward of step {self.steps} is {bad}, expected finite numbers")
        self._count(rewards, terminated | truncated, np.ones(self.count, bool) if counted is None else counted)
        self.observation = self.begin(terminated | truncated) if (terminated | truncated).any() else following
        return Transition(before, taken, rewards, following, terminated, truncated)

    def begin_anew(self) -> None:
        """Begins a new episode everywhere; unfinished ones are forgotten."""
        self._return[:], self._length[:] = 0, 0
        self.observation = self.begin(np.ones(self.count, bool))

    def _count(self, rewards: np.ndarray, ended: np.ndarray, counted: np.ndarray) -> None:
        self._return += self.discount**self._length * rewards
        self._length += 1
        for number in np.flatnonzero(ended & counted):
            self._finished.append((self.steps * self.count, self._return[number], self._length[number]))
        self._return[ended], self._length[ended] = 0, 0

    @property
    def finished(self) -> np.ndarray:
        """Returns [episodes, 3]: transitions made when it ended, return, length."""
        return np.array(self._finished, float).reshape(-1, 3)

    def state(self) -> dict[str, np.ndarray]:
        """Returns arrays from which `restore` makes equal environments."""
        own = {f"own/{name}": np.array(value) for name, value in self.own_state().items()}
        return own | {
            "steps": np.array(self.steps), "return": self._return.copy(), "length": self._length.copy(),
            "finished": self.finished,
        }  # fmt: skip

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Restores what `state` gave."""
        self.steps = int(state["steps"])
        self._return, self._length = np.array(state["return"]), np.array(state["length"])
        self._finished = [tuple(row) for row in np.asarray(state["finished"]).tolist()]
        own = {name.removeprefix("own/"): value for name, value in state.items() if name.startswith("own/")}
        self.observation = self.restore_own(own)


def discrete_actions(environments: Environments, agent: str) -> int:
    """Returns the number of actions. Raises UserError if they are not discrete."""
    space = environments.action_space
    if not isinstance(space, gymnasium.spaces.Discrete):
        raise UserError(f"{agent} needs a Discrete action space, but {environments.name} has {space}; DDPG takes a Box")
    if space.start != 0:
        raise UserError(f"{agent} counts actions from 0, but {environments.name} from {space.start}: wrap it")
    return int(space.n)


def box_of_actions(environments: Environments, agent: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the bounds [d] of the actions. Raises UserError if they are discrete, unbounded or no vector."""
    space = environments.action_space
    if not isinstance(space, gymnasium.spaces.Box):
        raise UserError(f"{agent} needs a Box action space, but {environments.name} has {space}; DQN takes a Discrete")
    if len(space.shape) != 1 or not space.is_bounded():
        raise UserError(f"{agent} needs a vector of actions with finite bounds, but {environments.name} has {space}")
    return space.low, space.high


def to_box(actions: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Scales actions from [-1, 1] to the bounds [d]; what lies outside is cut off, within the box to the last digit."""
    return np.clip(low + 0.5 * (high - low) * (actions + 1), low, high).astype(low.dtype)


def inputs_of(environments: Environments, agent: str) -> int:
    """Returns the length of the observed vector. Raises UserError if no vector of numbers is observed."""
    space = environments.observation_space
    if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
        raise UserError(f"{agent} needs to observe a vector (a Box of one axis), but {environments.name} has {space}")
    return int(space.shape[0])


def returns_of(environments: Environments, act: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Returns the return of one episode in each environment, [count]; act: observations [count, ...] -> actions."""
    environments.begin_anew()
    returns, weight, running = np.zeros(environments.count), 1.0, np.ones(environments.count, bool)
    while running.any():
        step = environments.step(act(environments.observation))
        returns += weight * np.where(running, step.reward, 0.0)
        weight *= environments.discount
        running &= ~(step.terminated | step.truncated)
    return returns


def observed(environments: Environments, steps: int, generator: np.random.Generator) -> np.ndarray:
    """Returns what is observed under random actions: [steps * count, ...]."""
    seen = []
    for _ in range(steps):
        seen.append(environments.observation)
        environments.step(random_actions(environments, generator))
    return np.concatenate(seen)


def random_actions(environments: Environments, generator: np.random.Generator) -> np.ndarray:
    """Draws actions uniformly, one for each environment."""
    space, count = environments.action_space, environments.count
    if isinstance(space, gymnasium.spaces.Discrete):
        return generator.integers(space.n, size=count)
    assert isinstance(space, gymnasium.spaces.Box)
    return generator.uniform(space.low, space.high, (count, *space.shape)).astype(space.dtype)
