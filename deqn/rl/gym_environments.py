"""Environments of gymnasium side by side.

A checkpoint holds the seed and the actions of each unfinished episode; repeating them brings the environment back, for
gymnasium promises that seed and actions determine what it does.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import gymnasium
import numpy as np
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from deqn.project.errors import UserError, nearest
from deqn.project.user_code import load_module
from deqn.rl.environments import Environments


@final
class GymEnvironments(Environments):
    """Environments of gymnasium, run as one vector.

    make: makes one. stream: whole numbers from which the seeds of all episodes are drawn, such as (seed, rank).
    """

    def __init__(self, make: Callable[[], gymnasium.Env], count: int, stream: Sequence[int], name: str = "") -> None:
        self._vector = SyncVectorEnv([make] * count, autoreset_mode=AutoresetMode.DISABLED)
        spec = self._vector.envs[0].spec
        self.name, self.count = name or (spec.id if spec else type(self._vector.envs[0].unwrapped).__name__), count
        self.observation_space = self._vector.single_observation_space
        self.action_space = self._vector.single_action_space
        self._stream = list(stream)
        self._episode = np.full(count, -1)
        self._seeds = np.zeros(count, np.int64)
        self._actions: list[list[np.ndarray]] = [[] for _ in range(count)]
        super().__init__()

    def begin(self, chosen: np.ndarray) -> np.ndarray:
        """Begins with seeds that depend on the stream, the environment's number and the episode's."""
        for number in np.flatnonzero(chosen):
            self._episode[number] += 1
            entropy = np.random.SeedSequence([*self._stream, int(number), int(self._episode[number])])
            self._seeds[number] = entropy.generate_state(1)[0]
            self._actions[number] = []
        observation, _ = self._vector.reset(seed=self._seeds.tolist(), options={"reset_mask": np.array(chosen)})
        return observation

    def advance(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        for number in range(self.count):
            self._actions[number].append(actions[number])
        observation, rewards, terminated, truncated, _ = self._vector.step(actions)
        return observation, rewards, terminated, truncated

    def own_state(self) -> Mapping[str, np.ndarray]:
        """Returns seeds, and the actions since each episode began, one environment after the other."""
        lengths = np.array([len(actions) for actions in self._actions])
        flat = [action for actions in self._actions for action in actions]
        example = np.asarray(self.action_space.sample())
        actions = np.stack(flat) if flat else np.zeros((0, *example.shape), example.dtype)
        return {"episode": self._episode, "seeds": self._seeds, "lengths": lengths, "actions": actions}

    def restore_own(self, state: Mapping[str, np.ndarray]) -> np.ndarray:
        """Begins each episode with its seed and repeats its actions."""
        self._episode, self._seeds = np.array(state["episode"]), np.array(state["seeds"])
        ends = np.cumsum(state["lengths"])
        observation, _ = self._vector.reset(seed=self._seeds.tolist())
        for number, (environment, end, length) in enumerate(
            zip(self._vector.envs, ends, state["lengths"], strict=True)
        ):
            self._actions[number] = list(state["actions"][end - length : end])
            for action in self._actions[number]:
                observation[number] = environment.step(action)[0]
        return observation


def gym_maker(name: str, folder: Path | None = None, **options: Any) -> Callable[[], gymnasium.Env]:
    """Returns a function that makes an environment.

    name: one that gymnasium knows, or MODULE:CLASS, a gymnasium.Env in MODULE.py of `folder` or in a module that Python
    finds. Raises UserError for others.
    """
    if ":" in name:
        return _checked_maker(name, _class_of(name, folder), options)
    if name not in gymnasium.registry:
        known = [each for each in gymnasium.registry if "/" not in each]
        raise UserError(
            f"environment: gymnasium does not know {name!r};{nearest(name, known)}; one of your own is MODULE:CLASS"
        )

    def make() -> gymnasium.Env:
        try:
            return gymnasium.make(name, disable_env_checker=True, **options)
        except gymnasium.error.DependencyNotInstalled as error:
            raise UserError(f"environment: {name} needs what is not installed: {error}") from error

    return make


def _class_of(name: str, folder: Path | None) -> type[gymnasium.Env]:
    module_name, _, class_name = name.partition(":")
    if folder is not None and (folder / f"{module_name}.py").is_file():
        module = load_module(folder, module_name)
    else:
        try:
            module = importlib.import_module(module_name)
        except ImportError as error:
            where = f"{folder / module_name}.py" if folder else f"{module_name}.py"
            raise UserError(f"environment: {name}: no file {where}, and Python can't import it: {error}") from error
    known = {
        key: each for key, each in vars(module).items() if isinstance(each, type) and issubclass(each, gymnasium.Env)
    }
    if class_name not in known:
        raise UserError(f"environment: {name}: no gymnasium.Env of that name;{nearest(class_name, known)}")
    return known[class_name]


def _checked_maker(name: str, kind: type[gymnasium.Env], options: Mapping[str, Any]) -> Callable[[], gymnasium.Env]:
    """Makes one for gymnasium's own checks of spaces, `reset` and `step`, the first of which that fails is told."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_env(kind(**options), skip_render_check=True)
    except Exception as error:
        raise UserError(
            f"environment: {name} does not pass gymnasium's checks: {error or type(error).__name__}"
        ) from error
    return lambda: kind(**options)
