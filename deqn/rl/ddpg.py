r"""Deep deterministic policy gradient (Lillicrap et al. 2016).

    critic   L = mean of ( y - Q(s, a) )^2,   y = r + gamma (1 - terminated) Q'(s', mu'(s'))
    actor    L = - mean of Q(s, mu(s))
    targets  theta' <- (1 - tau) theta' + tau theta   after each update

over a minibatch of past transitions. Unit actions lie in [-1, 1]^d: mu ends in a tanh.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from deqn.rl.environments import box_of_actions, inputs_of, to_box
from deqn.rl.networks import perceptron, sample_of_inputs
from deqn.rl.off_policy import OffPolicy
from deqn.rl.parameters import DDPGSettings
from deqn.rl.targets import copy, move_towards, td_target
from deqn.training.problem import Batch, Losses


class DDPG(OffPolicy):
    """An agent with a vector of actions in a box. Subclasses are final and say in which environments it acts."""

    p: DDPGSettings

    def build(self) -> None:
        """Makes actor, critic and their targets. Raises UserError if the actions are no box."""
        self.low, self.high = box_of_actions(self.environments, "DDPG")
        inputs, actions = inputs_of(self.environments, "DDPG"), len(self.low)
        self._noise = np.zeros((self.environments.count, actions))
        sizes = {"actor": (inputs, actions), "critic": (inputs + actions, 1)}
        self.networks = {
            name + suffix: perceptron(self.p, *sizes[name], 2 * self.seed + (name == "critic"), self.dtype)
            for suffix in ("", "_target")
            for name in sizes
        }
        if self.p.standardize:
            self._adapt()
        for name in sizes:
            copy(self.networks[f"{name}_target"], self.networks[name])
        self.trainable = {name: self.networks[name].trainable_variables for name in sizes}
        self._greedy = tf.function(self.actor, jit_compile=True, autograph=False, reduce_retracing=True)

    def _adapt(self) -> None:
        seen = sample_of_inputs(self.make_environments(self.environments.count, (self.seed, 0, 3)), 0)
        actions = np.random.default_rng(0).uniform(-1, 1, (len(seen), len(self.low)))
        self.networks["actor"].adapt(seen)
        self.networks["critic"].adapt(np.concatenate([seen, actions], axis=1))

    def actor(self, observation: tf.Tensor, suffix: str = "") -> tf.Tensor:
        """Returns mu(s), unit actions [batch, d]."""
        return tf.tanh(self.networks[f"actor{suffix}"](tf.cast(observation, self.dtype))[:, 0, :])

    def critic(self, observation: tf.Tensor, action: tf.Tensor, suffix: str = "") -> tf.Tensor:
        """Returns Q(s, a), [batch]."""
        inputs = tf.concat([tf.cast(observation, self.dtype), tf.cast(action, self.dtype)], axis=1)
        return self.networks[f"critic{suffix}"](inputs)[:, 0, 0]

    def losses(self, batch: Batch, carry: tf.Tensor, key: tf.Tensor) -> Losses:
        """Returns the losses above; each has its own variables, so the actor's does not move the critic."""
        t = self.chosen(batch, carry)
        next_value = self.critic(t.next_observation, self.actor(t.next_observation, "_target"), "_target")
        y = td_target(self.p.reward_scale * t.reward, t.terminated, next_value, self.p.discount)
        q = self.critic(t.observation, t.action)
        best = self.critic(t.observation, self.actor(t.observation))
        return Losses(
            {"critic": tf.reduce_mean((y - q) ** 2), "actor": -tf.reduce_mean(best)},
            carry + 1,
            record={"mean_q": tf.reduce_mean(q)},
        )

    def after_update(self) -> None:
        for name in self.trainable:
            move_towards(self.networks[f"{name}_target"], self.networks[name], self.p.averaging)

    def greedy(self, observations: np.ndarray) -> np.ndarray:
        return self._greedy(observations).numpy()

    def explore(self, observations: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Returns mu(s) + noise, cut to the box; e' = rho e + sqrt(1 - rho^2) sigma n, n ~ N(0, 1)."""
        rho = self.p.noise_correlation
        fresh = np.sqrt(1 - rho**2) * self.p.noise * generator.standard_normal(self._noise.shape)
        self._noise = rho * self._noise + fresh
        return np.clip(self.greedy(observations) + self._noise, -1, 1).astype(self.dtype)

    def episodes_ended(self, ended: np.ndarray) -> None:
        """Begins the noise of a new episode at zero: it is none of the new episode's past."""
        self._noise[ended] = 0.0

    def random(self, generator: np.random.Generator) -> np.ndarray:
        return generator.uniform(-1, 1, self._noise.shape).astype(self.dtype)

    def to_environment(self, actions: np.ndarray) -> np.ndarray:
        return to_box(actions, self.low, self.high)

    def host_state(self) -> Mapping[str, Any]:
        """Returns the noise, too, because it is carried from step to step."""
        return {**super().host_state(), "noise": self._noise.copy()}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self._noise = np.array(state["noise"])
