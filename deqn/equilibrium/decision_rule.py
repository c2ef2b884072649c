"""The policy at any state of an economy, as a network, a grid or a formula decides it."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, final

import keras
import numpy as np
import tensorflow as tf

from deqn.equilibrium.economy import Economy
from deqn.equilibrium.exogenous import shock_of
from deqn.equilibrium.expectation import Expectation
from deqn.equilibrium.visited import Visited
from deqn.project.errors import UserError


class DecisionRule(abc.ABC):
    """state -> policy, in the precision of `economy`.

    visited: where it was trained; None where that is not known, as of a rule on a grid.
    """

    economy: Economy
    visited: Visited | None = None

    @abc.abstractmethod
    def __call__(self, state: Any) -> Any:
        """The policy at each state [batch], in TensorFlow."""

    def of_successors(self, states: Sequence[Any]) -> list[Any]:
        """The policies at successor states, as `Expectation` lists them."""
        return [self(state) for state in states]

    def expectation(self, state: Any, policy: Any, following: DecisionRule | None = None, frozen: bool = False) -> Any:
        """E at these states; `following` (by default this rule) decides in the next period."""
        return Expectation(self.economy, state, policy, (following or self).of_successors, frozen)

    def completed(self, state: Any) -> tuple[Any, Any]:
        """The policy with what `Economy.complete` adds, and E, at these states."""
        policy = self(state)
        E = self.expectation(state, policy)
        return self.economy.complete(state, policy, E), E


class OutputRule(DecisionRule):
    """A rule that decides through the numbers that `Economy.policy` takes, as a network gives them."""

    @abc.abstractmethod
    def output(self, state: Any) -> tf.Tensor:
        """What `Economy.policy` takes at each state, [batch, outputs]."""

    def outputs_of_successors(self, states: Sequence[Any]) -> list[tf.Tensor]:
        """What `Economy.policy` takes at each of the successor states that `Expectation` lists."""
        return [self.output(state) for state in states]

    def __call__(self, state: Any) -> Any:
        """The policy at each state's own shock."""
        return self.economy.decide(self.output(state), state)

    def of_successors(self, states: Sequence[Any]) -> list[Any]:
        """The policies at successor states, as `Expectation` lists them."""
        outputs = self.outputs_of_successors(states)
        return [self.economy.decide(output, state) for output, state in zip(outputs, states, strict=True)]


@final
class NetworkRule(OutputRule):
    """What a network decides.

    With `heads`, the network gives one output for each value of the discrete shock from features that do not depend
    on it; one pass then serves all successors of a state, and gives the policy under every shock. Raises
    UserError if the features do depend on it.
    """

    def __init__(self, economy: Economy, network: keras.Model, heads: bool) -> None:
        if heads:
            _check_features(economy)
        self.economy = economy
        self.network = network
        self.heads = heads

    def output(self, state: Any) -> tf.Tensor:
        """The network's output under each state's own shock, [batch, outputs]."""
        output = self.network(self.economy.features(state))  # [batch, heads, outputs]
        return tf.gather(output, state.shock, axis=1, batch_dims=1) if self.heads else output[:, 0, :]

    def outputs_of_successors(self, states: Sequence[Any]) -> list[tf.Tensor]:
        """The network's outputs at successor states; with heads, one for each shock in order."""
        if not self.heads:
            return [self.output(state) for state in states]
        # They differ in the shock alone, which the features do not see: one pass serves all.
        return self.network.by_head(self.economy.features(states[0]))  # for each head [batch, outputs]

    def under_every_shock(self, state: Any) -> tuple[Any, Any]:
        """Each state under each shock, [S * batch] with the shock moving slowest, and the policy there."""
        heads, batch = self.economy.shocks.discrete, tf.shape(state.shock)[0]
        tiled = tf.nest.map_structure(lambda x: tf.tile(x, [heads] + [1] * (len(x.shape) - 1)), state)
        tiled = tiled._replace(shock=tf.repeat(tf.range(heads, dtype=tf.int32), batch))
        output = tf.concat(self.network.by_head(self.economy.features(state)), axis=0)  # [heads * batch, outputs]
        return tiled, self.economy.decide(output, tiled)


def _check_features(economy: Economy) -> None:
    """Features that depend on next period's shock would give the successors wrong policies, and nobody would notice."""
    state = economy.tensors(economy.initial_states(4, np.random.default_rng(0)))
    count = state[0].shape[0]
    policy = economy.decide(tf.zeros([count, economy.width], economy.dtype), state)
    shocks, _ = economy.shocks.successors(state)
    features = [
        economy.features(economy.transition(state, policy, shock_of(shocks, number, count)))
        for number in range(economy.shocks.discrete or 0)
    ]
    if any(tf.reduce_any(tf.abs(each - features[0]) > 0) for each in features):
        raise UserError(
            f"network.heads: shock needs features that do not depend on next period's shock, but those of "
            f"{type(economy).__name__} do: leave the shock and what it moves out of them, or set network.heads to none"
        )
