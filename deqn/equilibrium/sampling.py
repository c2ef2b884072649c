"""The states on which an equilibrium is trained: tracks simulated under the present rule, an episode at a time."""

from __future__ import annotations

from typing import Any, NamedTuple, final

import tensorflow as tf

from deqn.equilibrium import simulation
from deqn.equilibrium.decision_rule import NetworkRule
from deqn.equilibrium.economy import Economy
from deqn.equilibrium.exogenous import Joint, MarkovChain
from deqn.equilibrium.memory import Remembering, remembered
from deqn.equilibrium.settings import NetworkSettings, SamplingSettings
from deqn.project.errors import UserError


class Tracks(NamedTuple):
    """What lives between updates.

    now: the states [tracks] at which the next episode begins. episode: the states [tracks * periods] of this one.
    pool: states from which a reset track starts. position: updates made on this episode. order: int32 [2], the key of
    the order in which this episode's states are visited. resets: tracks reset so far, by leaving and at random.
    """

    now: Any
    episode: Any
    pool: Any
    position: tf.Tensor
    order: tf.Tensor
    resets: tf.Tensor


@final
class Sampler:
    """Moves tracks of an economy under a rule, and chooses from them the states of each update.

    settings: of this worker alone, see `of_one_worker`.
    """

    def __init__(self, rule: NetworkRule, settings: SamplingSettings) -> None:
        self.rule, self.economy, self.settings = rule, rule.economy, settings
        self.states = settings.tracks * settings.periods
        self.minibatch = settings.minibatch or self.states
        self.updates_per_episode = settings.epochs * (self.states // self.minibatch)
        self.chain = self.economy.shocks
        if settings.chain is not None:
            chain = MarkovChain(settings.chain)
            self.chain = self.chain.with_chain(chain) if isinstance(self.chain, Joint) else chain
        # Compiled even where the update is not: one operation at a time, a period of one track takes twice as long.
        self._simulated_episode = tf.function(self.episode, jit_compile=self.economy.xla, autograph=False)

    def start(self, pool: Any, key: tf.Tensor) -> Tracks:
        """Tracks drawn from the pool; the first episode is simulated by the first update."""
        now = drawn(pool, self.settings.tracks, key)
        episode = tf.nest.map_structure(lambda x: tf.repeat(x, self.settings.periods, axis=0), now)
        return Tracks(now, episode, pool, tf.zeros([], tf.int32), key, tf.zeros([2], tf.int32))

    def next_episode_if_due(self, carry: Tracks, key: tf.Tensor) -> Tracks:
        """Simulates a new episode from the last states when all epochs over the present one are done."""
        if self.updates_per_episode == 1:
            return self._simulated_episode(carry, key)
        return tf.cond(
            tf.equal(carry.position % self.updates_per_episode, 0),
            lambda: self._simulated_episode(carry, key),
            lambda: carry,
        )

    def states_of_update(self, carry: Tracks) -> Any:
        """The next minibatch of the episode; of a rule with memory the whole, with what it remembers now."""
        if isinstance(self.economy, Remembering):
            return self._remembered(carry.episode)
        if self.minibatch == self.states:
            return carry.episode
        per_epoch = self.states // self.minibatch
        order_key = tf.random.experimental.stateless_fold_in(carry.order, carry.position // per_epoch)
        order = tf.argsort(tf.random.stateless_uniform([self.states], order_key))  # the same through an epoch
        chosen = tf.slice(order, [(carry.position % per_epoch) * self.minibatch], [self.minibatch])
        return tf.nest.map_structure(lambda x: tf.gather(x, chosen), carry.episode)

    def _remembered(self, episode: Any) -> Any:
        periods = self.settings.periods
        paths = tf.nest.map_structure(lambda x: tf.reshape(x, [periods, -1, *x.shape[1:]]), episode)
        each = [tf.nest.map_structure(lambda x, t=t: x[t], paths) for t in range(periods)]
        return tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=0), *remembered(self.rule, each))

    def under_shocks(self, state: Any) -> tuple[Any, Any, tf.Tensor]:
        """The states of the loss, under every shock if the file asks for it; policies there, weights of mean one."""
        if not self.settings.every_shock:
            return state, self.rule(state), tf.ones([1], self.economy.dtype)
        state_count = tf.shape(state[0])[0]
        state, policy = self.rule.under_every_shock(state)
        assert isinstance(self.economy.shocks, MarkovChain | Joint)  # check_sampling has seen to it
        frequency = self.economy.shocks.stationary**self.settings.shock_weight
        weight = tf.constant(frequency / frequency.mean(), self.economy.dtype)
        return state, policy, tf.repeat(weight, state_count)

    def advance(self, state: Any, pool: Any, key: tf.Tensor) -> tuple[Any, tf.Tensor]:
        """Tracks one period later under the sampling chain, with resets; and how many were reset."""
        keys = [tf.random.experimental.stateless_fold_in(key, number) for number in range(2)]
        following = simulation.step(self.economy, self.chain, self.rule, state, keys[0])
        return self._reset(following, pool, keys[1])

    def episode(self, carry: Tracks, key: tf.Tensor) -> Tracks:
        """The next episode, from the states at which the last one ended."""
        if self.settings.periods == 1:
            episode, (following, resets) = carry.now, self.advance(carry.now, carry.pool, key)
        else:
            keys = [tf.random.experimental.stateless_fold_in(key, number) for number in range(2)]
            path, following = simulation.simulate(
                self.economy, self.chain, self.rule, carry.now, self.settings.periods, keys[0]
            )
            episode = tf.nest.map_structure(lambda x: tf.reshape(x, [-1, *x.shape[2:]]), path)
            following, resets = self._reset(following, carry.pool, keys[1])
        tracks = Tracks(following, episode, carry.pool, tf.zeros_like(carry.position), key, carry.resets + resets)
        return tf.nest.map_structure(tf.stop_gradient, tracks)

    def _reset(self, state: Any, pool: Any, key: tf.Tensor) -> tuple[Any, tf.Tensor]:
        """Tracks that left the region worth following, and a few at random, start anew from the pool; their numbers."""
        keys = [tf.random.experimental.stateless_fold_in(key, number) for number in range(2)]
        tracks = tf.shape(state[0])[0]
        uniform = tf.random.stateless_uniform([tracks], keys[0])
        outside = ~self.economy.is_inside(state)
        chosen = tf.logical_and(uniform < self.settings.resets, ~outside)
        anew, fresh = tf.logical_or(outside, chosen), drawn(pool, tracks, keys[1])
        state = tf.nest.map_structure(
            lambda new, old: tf.where(tf.reshape(anew, [-1] + [1] * (len(old.shape) - 1)), new, old), fresh, state
        )
        return state, tf.reduce_sum(tf.cast([outside, chosen], tf.int32), axis=1)


def drawn(pool: Any, count: int, key: tf.Tensor) -> Any:
    """`count` states of a pool, with replacement."""
    index = tf.random.stateless_uniform([count], key, 0, tf.shape(pool[0])[0], dtype=tf.int32)
    return tf.nest.map_structure(lambda x: tf.gather(x, index), pool)


def of_one_worker(settings: SamplingSettings, sharing: int) -> SamplingSettings:
    """What one of `sharing` workers samples. Raises UserError if tracks or minibatch can't be split evenly."""
    for name, number in (("tracks", settings.tracks), ("minibatch", settings.minibatch or sharing)):
        if number % sharing:
            raise UserError(
                f"sampling.{name}: got {number}, expected a multiple of {sharing}, the workers that share them "
                "(workers.scaling: strong)"
            )
    minibatch = settings.minibatch and settings.minibatch // sharing
    return settings.model_copy(update={"tracks": settings.tracks // sharing, "minibatch": minibatch})


def check_sampling(sampling: SamplingSettings, network: NetworkSettings, economy: Economy) -> None:
    """Raises UserError for settings that do not fit each other or the economy's shocks."""
    states, discrete = sampling.tracks * sampling.periods, economy.shocks.discrete
    if states % (sampling.minibatch or states):
        raise UserError(
            f"sampling.minibatch: got {sampling.minibatch}, expected a divisor of tracks x periods = {states}"
        )
    if isinstance(economy, Remembering) and (sampling.periods < 2 or sampling.minibatch not in (None, states)):
        raise UserError(
            f"sampling: {sampling.periods} periods in minibatches of {sampling.minibatch or states} states, expected "
            "at least 2 periods and no minibatch: what a rule remembers is learned from the periods that follow"
        )
    if discrete is None and (sampling.chain or sampling.every_shock or network.heads == "shock"):
        raise UserError(
            "sampling.chain, sampling.every_shock and network.heads: shock need a discrete shock, which "
            f"{type(economy).__name__} does not have; leave them out"
        )
    if sampling.every_shock and network.heads != "shock":
        raise UserError("sampling.every_shock: needs network.heads: shock, got none")
    if sampling.chain is not None and len(sampling.chain) != discrete:
        raise UserError(f"sampling.chain: got {len(sampling.chain)} rows, expected {discrete}, one a shock")
