r"""Deep Q-networks (Mnih et al. 2015, Nature 518).

    L = mean of  h( r + gamma (1 - terminated) max_a' Q^-(s', a')  -  Q(s, a) )

over a minibatch of past transitions; h: Huber's loss; Q^-: the target network, a copy of Q made every few episodes.
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from deqn.rl.environments import discrete_actions, inputs_of
from deqn.rl.networks import perceptron, sample_of_inputs
from deqn.rl.off_policy import OffPolicy
from deqn.rl.parameters import DQNSettings
from deqn.rl.targets import copy, td_target
from deqn.training.problem import Batch, Losses


class DQN(OffPolicy):
    """An agent with few actions. Subclasses are final and say in which environments it acts."""

    p: DQNSettings

    def build(self) -> None:
        """Makes Q and its copy. Raises UserError if actions are not discrete."""
        self.actions = discrete_actions(self.environments, "DQN")
        self.q_network, self.target = self.make_network(), self.make_network()
        copy(self.target, self.q_network)
        self.networks = {"q": self.q_network, "target": self.target}
        self.trainable = {"q": self.q_network.trainable_variables}
        self._best = tf.function(
            lambda seen: tf.argmax(self.q_values(seen), axis=1), autograph=False, reduce_retracing=True
        )

    def make_network(self) -> keras.Model:
        """Makes a network of what is observed: by default a perceptron of a vector."""
        network = perceptron(self.p, inputs_of(self.environments, "DQN"), self.actions, self.seed, self.dtype)
        if self.p.standardize:
            network.adapt(sample_of_inputs(self.make_environments(self.environments.count, (self.seed, 0, 3)), 0))
        return network

    def q_values(self, observation: tf.Tensor) -> tf.Tensor:
        """Returns Q(s, a), [batch, actions]."""
        return self.q_network(tf.cast(observation, self.dtype))[:, 0, :]

    def losses(self, batch: Batch, carry: tf.Tensor, key: tf.Tensor) -> Losses:
        t = self.chosen(batch, carry)
        next_value = tf.reduce_max(self.target(tf.cast(t.next_observation, self.dtype))[:, 0, :], axis=1)  # [batch]
        q = tf.gather(self.q_values(t.observation), t.action, batch_dims=1)
        td_error = td_target(t.reward, t.terminated, next_value, self.p.discount) - q
        return Losses({"q": tf.reduce_mean(huber(td_error))}, carry + 1, record={"mean_q": tf.reduce_mean(q)})

    def before_updates(self, episode: int) -> None:
        """Copies Q to the target network, every few episodes."""
        if episode % self.p.target_every == 0:
            copy(self.target, self.q_network)

    def greedy(self, observations: np.ndarray) -> np.ndarray:
        return self._best(observations).numpy()

    def explore(self, observations: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Takes the best action, or any with the probability of the schedule."""
        at_random = generator.random(len(observations)) < self.p.exploration.share(self.replay.added)
        return np.where(at_random, self.random(generator), self.greedy(observations))

    def random(self, generator: np.random.Generator) -> np.ndarray:
        return generator.integers(self.actions, size=self.environments.count)


def huber(error: tf.Tensor) -> tf.Tensor:
    """Returns Huber's loss (1964): e^2 / 2 up to |e| = 1, |e| - 1/2 beyond."""
    size = tf.abs(error)
    return tf.where(size < 1.0, 0.5 * error**2, size - 0.5)
