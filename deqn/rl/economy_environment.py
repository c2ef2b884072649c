"""Environments made from an economy of this package: an agent faces the planner's problem.

    observation   the economy's features, and for a Markov economy the shock as zeros and a one
    action        a share in [0, 1], cut to [.01, .99], which the economy's `policy_from_share` turns into a policy
    reward        its `period_utility`, less a constant: the first initial state's under the network's output zero
    discount      its discount factor

No state is final: an episode is truncated after `horizon` periods, or where `is_inside` says that the track has left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

import gymnasium
import numpy as np
import tensorflow as tf

from deqn.equilibrium.economy import Economy
from deqn.rl.environments import Environments
from deqn.rl.planner import planner_of

MARGIN = 0.01  # from either end: with nothing to eat, utility is minus infinity
_BOX = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)


class Dynamics:
    """One period of an economy, compiled; states are NumPy arrays outside, tensors inside."""

    def __init__(self, economy: Economy) -> None:
        self.economy = economy = planner_of(economy)
        self.discount = float(economy.p.discount_factor)
        first = economy.tensors(economy.initial_states(1, np.random.default_rng(0)))
        policy = economy.decide(tf.zeros([1, economy.width], economy.dtype), first)
        self.neutral_utility = economy.period_utility(first, policy)[0]
        self.inputs = int(self.observed(first).shape[-1])
        self._observe = tf.function(self.observed, jit_compile=True, autograph=False)
        self._advance = tf.function(self.advanced, jit_compile=True, autograph=False)

    def observed(self, state: Any) -> tf.Tensor:
        """Returns what is observed in tensors, [batch, inputs], float32."""
        features = tf.cast(self.economy.features(state), tf.float32)
        if not (self.economy.shocks.discrete and "shock" in state._fields):
            return features
        return tf.concat([features, tf.one_hot(state.shock, self.economy.shocks.discrete)], axis=1)

    def advanced(self, state: Any, share: tf.Tensor, key: tf.Tensor) -> tuple[Any, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns next states, observations there, rewards [batch], and whether the tracks are inside."""
        policy = self.economy.policy_from_share(tf.cast(cut(share), self.economy.dtype), state)
        reward = self.economy.period_utility(state, policy) - self.neutral_utility
        following = self.economy.transition(state, policy, self.economy.shocks.draw(state, key))
        return following, self.observed(following), reward, self.economy.is_inside(following)

    def observe(self, state: Any) -> np.ndarray:
        """Returns what is observed, [batch, inputs], float32."""
        return self._observe(self.economy.tensors(state)).numpy()

    def advance(self, state: Any, share: np.ndarray, key: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
        """Does what `advanced` does for NumPy arrays; share: [batch], key: int32 [2]."""
        answer = self._advance(self.economy.tensors(state), tf.constant(share), tf.constant(key, tf.int32))
        return tf.nest.map_structure(lambda x: x.numpy(), answer)

    def initial(self, count: int, generator: np.random.Generator) -> Any:
        """Draws states from which episodes begin; an economy's own first one is always the same, and left out."""
        states = self.economy.initial_states(count + 1, generator)
        return tf.nest.map_structure(lambda x: np.asarray(x)[1:], states)

    def observation_space(self) -> gymnasium.spaces.Box:
        return gymnasium.spaces.Box(-np.inf, np.inf, (self.inputs,), np.float32)


@final
class EconomyEnv(gymnasium.Env):
    """One economy as an environment for any library that speaks gymnasium.

    horizon: periods after which an episode is truncated.
    """

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(self, economy: Economy, horizon: int = 200) -> None:
        self.dynamics, self.horizon = Dynamics(economy), horizon
        self.observation_space, self.action_space = self.dynamics.observation_space(), _BOX
        self._state: Any = None
        self._period = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self._state, self._period = self.dynamics.initial(1, self.np_random), 0
        return self.dynamics.observe(self._state)[0], {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Makes one period. Raises ValueError if the action is outside its box."""
        share = _checked(action, (1,))
        key = self.np_random.integers(2**31 - 1, size=2)
        self._state, seen, reward, inside = self.dynamics.advance(self._state, share, key)
        self._period += 1
        return seen[0], float(reward[0]), False, bool(self._period >= self.horizon or not inside[0]), {}


@final
class EconomyEnvironments(Environments):
    """Many tracks of one economy; a period of all of them is one compiled step.

    stream: whole numbers from which all randomness is drawn.
    """

    def __init__(self, economy: Economy, count: int, stream: Sequence[int], horizon: int = 200) -> None:
        self.dynamics, self.horizon = Dynamics(economy), horizon
        self.name, self.count, self.discount = type(economy).__name__, count, self.dynamics.discount
        self.observation_space, self.action_space = self.dynamics.observation_space(), _BOX
        self._stream, self._draws = list(stream), 0
        self._age = np.zeros(count, np.int64)
        self._state = self.dynamics.initial(count, self._generator())
        super().__init__()

    def _generator(self) -> np.random.Generator:
        self._draws += 1
        return np.random.default_rng([*self._stream, self._draws])

    def begin(self, chosen: np.ndarray) -> np.ndarray:
        fresh = self.dynamics.initial(self.count, self._generator())
        self._state = tf.nest.map_structure(lambda new, old: _where(chosen, new, old), fresh, self._state)
        self._age[chosen] = 0
        return self.dynamics.observe(self._state)

    def advance(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Makes one period. Raises ValueError if an action is outside its box."""
        key = self._generator().integers(2**31 - 1, size=2)
        self._state, seen, reward, inside = self.dynamics.advance(self._state, _checked(actions, (self.count, 1)), key)
        self._age += 1
        return seen, reward.astype(float), np.zeros(self.count, bool), (self._age >= self.horizon) | ~inside

    def own_state(self) -> Mapping[str, np.ndarray]:
        """Returns states of the economy, periods since each began, and draws so far."""
        fields = {f"state_{name}": value for name, value in self._state._asdict().items()}
        return {**fields, "age": self._age, "draws": np.array(self._draws)}

    def restore_own(self, state: Mapping[str, np.ndarray]) -> np.ndarray:
        self._state = type(self._state)(**{name: np.array(state[f"state_{name}"]) for name in self._state._fields})
        self._age, self._draws = np.array(state["age"]), int(state["draws"])
        return self.dynamics.observe(self._state)


def cut(share: tf.Tensor) -> tf.Tensor:
    """Cuts a share so that something is left on either side."""
    return tf.clip_by_value(share, MARGIN, 1 - MARGIN)


def _checked(action: Any, shape: tuple[int, ...]) -> np.ndarray:
    share = np.asarray(action, np.float32)
    if share.shape != shape:
        raise ValueError(f"action: shape is {list(share.shape)}, expected {list(shape)}")
    bad = ~((share >= _BOX.low) & (share <= _BOX.high))
    if bad.any():
        raise ValueError(f"action: got {share[bad][0]:g}, expected a share from 0 to 1")
    return share[..., 0] if share.ndim > 1 else share


def _where(chosen: np.ndarray, new: np.ndarray, old: np.ndarray) -> np.ndarray:
    return np.where(chosen.reshape(-1, *[1] * (old.ndim - 1)), new, old).astype(old.dtype)
