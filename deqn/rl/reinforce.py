r"""REINFORCE (Williams 1992), for discrete actions and for a vector of real ones.

    L = - mean over steps of  log pi(a_t | s_t) G_t,   G_t = r_t + gamma G_{t+1}

pi is a softmax of the network's outputs, or N(mu, sigma^2) of mu and ln sigma, by component. Over the batch the G_t are
standardised, or taken as they are.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import tensorflow as tf

from deqn.mlp.bounded import bounded
from deqn.rl.environments import Environments, box_of_actions, discrete_actions, inputs_of, returns_of, to_box
from deqn.rl.networks import perceptron, sample_of_inputs
from deqn.rl.off_policy import FRESH, summary
from deqn.rl.parameters import ReinforceSettings
from deqn.training.problem import Batch, Losses, Problem, Results
from deqn.training.settings import TrainingSettings

_LOG_SD = (-5.0, 1.0)  # bounds of ln sigma: a policy that is certain of itself learns nothing any more

_NOT_YET = 1e9  # what a validation says before there are enough episodes


class Rollout(NamedTuple):
    """Steps of whole episodes: observation [T, n, ...], action [T, n(, d)], weight (G) and counts (0 or 1) [T, n]."""

    observation: Any
    action: Any
    weight: Any
    counts: Any


class Reinforce(Problem):
    """An agent that learns from whole episodes of its present policy. Subclasses are final and say where it acts.

    One update is made on one episode of each environment. An episode that a clock cuts off, the environment's or
    `steps`, has no value estimate to stand for what would have followed: its G counts what was received.
    """

    def __init__(
        self, parameters: ReinforceSettings, settings: TrainingSettings, rank: int = 0, ranks: int = 1
    ) -> None:
        self.p, self.seed, self.rank, self.dtype = parameters, settings.seed, rank, settings.precision
        self.environments = self.make_environments(parameters.environments, (self.seed, rank, 0))
        self.environments.longest = parameters.steps
        self.discrete = isinstance(self.environments.action_space, gymnasium.spaces.Discrete)
        if self.discrete:
            outputs = discrete_actions(self.environments, "REINFORCE")
        else:
            self.low, self.high = box_of_actions(self.environments, "REINFORCE")
            outputs = 2 * len(self.low)
        self.policy = perceptron(parameters, inputs_of(self.environments, "REINFORCE"), outputs, self.seed, self.dtype)
        if parameters.standardize:
            self.policy.adapt(sample_of_inputs(self.make_environments(parameters.environments, (self.seed, 0, 3)), 0))
        self.networks = {"policy": self.policy}
        self._outputs = tf.function(self.outputs, jit_compile=True, autograph=False, reduce_retracing=True)

    @abc.abstractmethod
    def make_environments(self, count: int, stream: Sequence[int]) -> Environments:
        """Makes `count` environments whose randomness comes from `stream`."""

    def outputs(self, observation: tf.Tensor) -> tf.Tensor:
        """Returns the network's outputs at each observation, [batch, outputs]."""
        return self.policy(tf.cast(observation, self.dtype))[:, 0, :]

    def log_probability(self, output: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        """Returns log pi(a | s), [batch]; action: [batch] numbers from 0, or [batch, d]."""
        if self.discrete:
            return -tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(action, tf.int32), output)
        mean, log_sd = mean_and_log_sd(output)
        standard = (tf.cast(action, output.dtype) - mean) * tf.exp(-log_sd)
        return tf.reduce_sum(-0.5 * standard**2 - log_sd - 0.5 * math.log(2 * math.pi), axis=1)

    def act(self, observation: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Draws actions from pi: [n] or [n, d]."""
        output = self._outputs(observation)
        if self.discrete:  # the largest of logits and Gumbel noise is a draw from their softmax
            return np.argmax(output.numpy() + generator.gumbel(size=output.shape), axis=1)
        mean, log_sd = (each.numpy() for each in mean_and_log_sd(output))
        return mean + np.exp(log_sd) * generator.standard_normal(mean.shape)

    def to_environment(self, action: np.ndarray) -> np.ndarray:
        """Real actions are drawn around the middle of the box in units of half its width, and cut off at its bounds."""
        return action if self.discrete else to_box(action, self.low, self.high)

    # --- what the engine calls -------------------------------------------------------------------------------------

    def batches(self, episode: int) -> Iterator[Batch]:
        """Yields one episode of each environment, padded to `steps` so that the update is compiled once."""
        rollout = self._episodes(np.random.default_rng([self.seed, self.rank, 2, episode]))
        yield Rollout(*(_padded(each, self.p.steps) for each in rollout))

    def _episodes(self, generator: np.random.Generator) -> Rollout:
        self.environments.begin_anew()
        rows: list[tuple[np.ndarray, ...]] = []
        running = np.ones(self.environments.count, bool)
        while running.any():  # `steps` at most
            action = self.act(self.environments.observation, generator)
            step = self.environments.step(self.to_environment(action), running)
            rows.append((step.observation, action, step.reward, running))
            running = running & ~(step.terminated | step.truncated)
        seen, actions, rewards, counted = (np.stack(column) for column in zip(*rows, strict=True))
        weight = returns(rewards * counted, self.p.discount)
        if self.p.standardize_returns:
            weight = (weight - weight[counted].mean()) / (weight[counted].std() + 1e-8)
        return Rollout(seen, actions, weight.astype(self.dtype), counted.astype(self.dtype))

    def losses(self, batch: Batch, carry: Any, key: tf.Tensor) -> Losses:
        """Returns the loss above; padding and what followed an episode's end do not count."""
        observation, action, weight, counts = (tf.reshape(each, [-1, *each.shape[2:]]) for each in batch)
        log_pi = self.log_probability(self.outputs(observation), action)
        steps = tf.reduce_sum(counts)
        return Losses(
            {"policy": -tf.reduce_sum(counts * log_pi * weight) / steps},
            carry,
            record={"steps": steps / counts.shape[0] * batch.counts.shape[0]},
        )

    def validate(self) -> Mapping[str, float]:
        """Returns minus the mean return of the last episodes of training: nothing is run for it."""
        last = self.environments.finished[-self.p.average_over :, 1]
        # A few lucky episodes at the beginning must not choose the weights.
        return {"minus_return": -float(last.mean()) if len(last) == self.p.average_over else _NOT_YET}

    def host_state(self) -> Mapping[str, Any]:
        return self.environments.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        self.environments.restore(state)

    # --- what is reported ------------------------------------------------------------------------------------------

    def describe(self) -> Mapping[str, str]:
        return {
            "environment": f"{self.environments.name}, {self.environments.count} side by side",
            "weights": f"policy {self.policy.count_params():,}",
        }

    def predict(self, inputs: np.ndarray, network: str | None = None) -> np.ndarray:
        """Returns the likeliest actions at observations [n, ...], as the environment takes them."""
        output = self._outputs(np.asarray(inputs))
        return self.to_environment(np.argmax(output, axis=1) if self.discrete else mean_and_log_sd(output)[0].numpy())

    def results(self) -> Results:
        """Reports returns of the saved weights in fresh episodes, acting at random as the policy says, and in training.

        What chose the weights is the mean of the last episodes of training, of which the highest is too high a guess of
        what the weights are worth, and the policies that played these episodes were earlier ones.
        """
        finished, over = self.environments.finished, self.p.average_over
        fresh = self.make_environments(FRESH, (self.seed, self.rank, 4))
        fresh.longest = self.p.steps
        generator = np.random.default_rng([self.seed, self.rank, 5])
        played = returns_of(fresh, lambda seen: self.to_environment(self.act(seen, generator)))
        rows = [{"episodes": f"{FRESH} fresh ones of the saved weights", **summary(played)}]
        headline = f"mean return {rows[0]['mean']:.4g} in {FRESH} fresh episodes"
        if len(finished) >= over:
            running = np.convolve(finished[:, 1], np.ones(over) / over, mode="valid")
            best = int(running.argmax())
            rows += [
                {"episodes": f"{which} {over} of training's {len(finished)}", **summary(finished[at : at + over, 1])}
                for which, at in (("best", best), ("last", len(finished) - over))
            ]
            headline += f", {running[best]:.4g} in {over} of training after {best + over} episodes"
        return Results(
            headline=headline,
            tables={"returns": rows},
            arrays={"transitions": finished[:, 0], "return": finished[:, 1]},
        )


def returns(rewards: np.ndarray, discount: float) -> np.ndarray:
    """Returns G_t = r_t + gamma G_{t+1} down the first axis: [T, n] -> [T, n]."""
    g, following = np.zeros_like(rewards, float), 0.0
    for t in reversed(range(len(rewards))):
        g[t] = following = rewards[t] + discount * following
    return g


def mean_and_log_sd(output: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Splits the network's outputs [batch, 2 d] in mu and ln sigma, each [batch, d]."""
    mean, log_sd = tf.split(output, 2, axis=1)
    return mean, bounded(log_sd, *_LOG_SD)


def _padded(rows: np.ndarray, length: int) -> np.ndarray:
    return np.concatenate([rows, np.zeros((length - len(rows), *rows.shape[1:]), rows.dtype)])
