"""Deep Equilibrium Nets as a problem for the engine: simulate, take the conditions' errors, hand on the states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from deqn.equilibrium import simulation
from deqn.equilibrium.decision_rule import NetworkRule
from deqn.equilibrium.economy import Economy
from deqn.equilibrium.exogenous import MarkovChain
from deqn.equilibrium.settings import EquilibriumSettings, NetworkSettings, NextPeriodSettings, SamplingSettings
from deqn.mlp.networks import MLP, WideAndDeep
from deqn.training.errors import UserError, nearest
from deqn.training.problem import Losses, Problem

_POOL = 1024  # initial states among which a reset track draws


class Tracks(NamedTuple):
    """What lives between updates.

    now: the states [tracks] at which the next episode begins. episode: the states [tracks * periods] of this one.
    pool: states [1024] from which a reset track starts. position: updates made on this episode. order: int32 [2], the
    key of the order in which this episode's states are visited. resets: tracks reset so far, by leaving and at random.
    """

    now: Any
    episode: Any
    pool: Any
    position: tf.Tensor
    order: tf.Tensor
    resets: tf.Tensor


class EquilibriumProblem(Problem):
    """An economy, a network and the settings of the file as something to train (Azinovic, Gaegauf & Scheidegger).

    minimises  sum over conditions i of  weight_i * mean over states and ages of  residual_i^2 .

    rank: of this worker, which validates on paths of its own. sharing: workers among whom the file's tracks are split.
    """

    def __init__(
        self, economy: Economy, settings: EquilibriumSettings, seed: int, rank: int = 0, sharing: int = 1
    ) -> None:
        self.economy = economy
        self.settings = settings
        self.compiler = settings.compiler
        self.updates_per_call = settings.updates_per_call
        self.seed, self.rank = seed, rank
        self.sampling = _share(settings.sampling, sharing)
        self.minibatch = self.sampling.minibatch or self.sampling.tracks * self.sampling.periods
        self._check()
        self.network = build_network(economy, settings.network, seed)
        self.target = build_network(economy, settings.network, seed)
        self.networks = {"policy": self.network, "target": self.target}
        self.trainable = {"policy": self.network.trainable_variables}
        heads = settings.network.heads == "shock"
        self.rule = NetworkRule(economy, self.network, heads)
        self.target_rule = NetworkRule(economy, self.target, heads)
        self.next_period = settings.next_period
        self.chain = MarkovChain(self.sampling.chain) if self.sampling.chain is not None else economy.shocks
        self.pool = self._initial_pool()
        self.network.adapt(np.asarray(economy.features(economy.tensors(self.pool))))
        self.copy_to_target()
        self._validation = tf.function(self._fresh_errors, jit_compile=True)
        # Compiled even where the update is not: one operation at a time, a period of one track takes twice as long.
        self._simulated_episode = tf.function(self._episode, jit_compile=True)

    def _check(self) -> None:
        """What only economy and settings together can show."""
        sampling, discrete = self.sampling, self.economy.shocks.discrete
        states = sampling.tracks * sampling.periods
        if states % self.minibatch:
            raise UserError(
                f"sampling.minibatch: got {self.minibatch}, expected a divisor of tracks x periods = {states}"
            )
        if discrete is None and (sampling.chain or sampling.every_shock or self.settings.network.heads == "shock"):
            raise UserError(
                "sampling.chain, sampling.every_shock and network.heads: shock need a discrete shock, which "
                f"{type(self.economy).__name__} does not have; leave them out"
            )
        if sampling.every_shock and self.settings.network.heads != "shock":
            raise UserError("sampling.every_shock: needs network.heads: shock, got none")
        if sampling.chain is not None and len(sampling.chain) != discrete:
            raise UserError(f"sampling.chain: got {len(sampling.chain)} rows, expected {discrete}, one a shock")
        if not self.settings.network.standardize and self.settings.network.kind != "mlp":
            raise UserError(f"network.standardize: false needs network.kind: mlp, got {self.settings.network.kind}")
        if self.settings.network.own and self.economy.own is None:
            raise UserError(f"network.own: {type(self.economy).__name__} names no own inputs; set it to false")

    def _initial_pool(self) -> Any:
        generator = np.random.default_rng([self.seed, 1])
        return self.economy.initial_states(_POOL, generator)

    def take_pool(self, state: Any) -> None:
        """These states, [n] of any number, become the ones from which tracks and validation paths begin."""
        self.pool = tf.nest.map_structure(lambda x: np.resize(np.asarray(x), (_POOL, *x.shape[1:])), state)

    def advance(self, state: Any, key: tf.Tensor) -> tuple[Any, tf.Tensor]:
        """Tracks one period later under the sampling chain, with resets; and how many were reset."""
        keys = [tf.random.experimental.stateless_fold_in(key, number) for number in range(2)]
        following = simulation.step(self.economy, self.chain, self.rule, state, keys[0])
        return self._reset(following, self.economy.tensors(self.pool), keys[1])

    def copy_to_target(self) -> None:
        """The target network becomes the policy network."""
        for target, live in zip(self.target.weights, self.network.weights, strict=True):
            target.assign(live)

    # --- what the engine calls -------------------------------------------------------------------------------------

    def start(self, key: tf.Tensor) -> Tracks:
        """Tracks drawn from the pool; the first episode is simulated by the first update."""
        sampling = self.sampling
        pool = self.economy.tensors(self.pool)
        now = _rows(pool, sampling.tracks, key)
        episode = tf.nest.map_structure(lambda x: tf.repeat(x, sampling.periods, axis=0), now)
        return Tracks(now, episode, pool, tf.zeros([], tf.int32), key, tf.zeros([2], tf.int32))

    def losses(self, batch: Any, carry: Tracks, key: tf.Tensor) -> Losses:
        """One minibatch of the episode: errors of every condition, and the tracks moved on when the episode is over."""
        before, carry = carry.resets, self._next_episode_if_due(carry, key)
        state = self._minibatch(carry)
        state, policy, weight = self._judged(state)
        frozen = self.next_period.gradient == "frozen"
        operator = self.rule.expectation(state, policy, self.target_rule if frozen else None, frozen)
        residuals = self.economy.residuals(state, policy, operator)
        means = {name: tf.reduce_mean(_by_state(residual**2) * weight) for name, residual in residuals.items()}
        loss = tf.add_n([self.settings.weights.get(name, 1.0) * mean for name, mean in means.items()])
        record = {f"loss_{name}": mean for name, mean in means.items()} if len(means) > 1 else {}
        left, drawn = tf.unstack(tf.cast(carry.resets - before, tf.float32))
        record |= {"tracks_left": left, "tracks_reset_at_random": drawn}
        flags = {
            f"share_{name}": tf.reduce_mean(tf.cast(flag, tf.float32))
            for name, flag in self.economy.flags(state, policy).items()
        }
        return Losses(
            minimize={"policy": loss},
            carry=carry._replace(position=carry.position + 1),
            record={**record, **flags},
            detail=dict(residuals),
        )

    def after_update(self) -> None:
        """The target network follows the policy network."""
        if self.next_period.gradient == "frozen":
            keep = self.next_period.average
            for target, live in zip(self.target.trainable_variables, self.network.trainable_variables, strict=True):
                target.assign(keep * target + (1.0 - keep) * live)

    def enter_phase(self, settings: Mapping[str, Any]) -> None:
        """A phase may change `gradient` and `average` of the next period."""
        self.next_period = NextPeriodSettings(**{**self.settings.next_period.model_dump(), **settings})
        self.copy_to_target()

    def validate(self) -> Mapping[str, float]:
        """Errors of the first reported condition on fresh paths under the true process, fractions."""
        mean, p999, largest = self._validation(self.economy.tensors(self.pool))
        return {"error_mean": float(mean), "error_p999": float(p999), "error_max": float(largest)}

    def host_state(self) -> Mapping[str, Any]:
        """The pool of initial states: after a warm start these are states that the economy visits."""
        return self.pool._asdict()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes the pool back."""
        self.pool = type(self.pool)(**state)

    # --- sampling --------------------------------------------------------------------------------------------------

    def _next_episode_if_due(self, carry: Tracks, key: tf.Tensor) -> Tracks:
        """Simulates a new episode from the last states when all epochs over the present one are done."""
        sampling = self.sampling
        updates = sampling.epochs * (sampling.tracks * sampling.periods // self.minibatch)
        if updates == 1:
            return self._simulated_episode(carry, key)
        return tf.cond(
            tf.equal(carry.position % updates, 0), lambda: self._simulated_episode(carry, key), lambda: carry
        )

    def _episode(self, carry: Tracks, key: tf.Tensor) -> Tracks:
        sampling = self.sampling
        keys = [tf.random.experimental.stateless_fold_in(key, number) for number in range(2)]
        if sampling.periods == 1:
            episode, following = carry.now, simulation.step(self.economy, self.chain, self.rule, carry.now, keys[0])
        else:
            path, following = simulation.simulate(
                self.economy, self.chain, self.rule, carry.now, sampling.periods, keys[0]
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
        chosen = tf.logical_and(uniform < self.sampling.resets, ~outside)
        anew, fresh = tf.logical_or(outside, chosen), _rows(pool, tracks, keys[1])
        state = tf.nest.map_structure(
            lambda new, old: tf.where(tf.reshape(anew, [-1] + [1] * (len(old.shape) - 1)), new, old), fresh, state
        )
        return state, tf.reduce_sum(tf.cast([outside, chosen], tf.int32), axis=1)

    def _minibatch(self, carry: Tracks) -> Any:
        states = self.sampling.tracks * self.sampling.periods
        if self.minibatch == states:
            return carry.episode
        per_epoch = states // self.minibatch
        order_key = tf.random.experimental.stateless_fold_in(carry.order, carry.position // per_epoch)
        order = tf.argsort(tf.random.stateless_uniform([states], order_key))  # the same through an epoch
        chosen = tf.slice(order, [(carry.position % per_epoch) * self.minibatch], [self.minibatch])
        return tf.nest.map_structure(lambda x: tf.gather(x, chosen), carry.episode)

    def _judged(self, state: Any) -> tuple[Any, Any, tf.Tensor]:
        """The states whose errors count, their policies, and their weights (mean one)."""
        if not self.sampling.every_shock:
            return state, self.rule(state), tf.ones([1], self.economy.dtype)
        state_count = tf.shape(state[0])[0]
        state, policy = self.rule.under_every_shock(state)
        assert isinstance(self.economy.shocks, MarkovChain)  # _check has seen to it
        frequency = self.economy.shocks.stationary**self.sampling.shock_weight
        weight = tf.constant(frequency / frequency.mean(), self.economy.dtype)
        return state, policy, tf.repeat(weight, state_count)

    # --- validation ------------------------------------------------------------------------------------------------

    def _fresh_errors(self, pool: Any) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        settings = self.settings.validation
        key = tf.constant([settings.seed, self.rank], tf.int32)
        start = _rows(pool, settings.tracks, key)
        path, _ = simulation.simulate(
            self.economy, self.economy.shocks, self.rule, start, settings.periods, key, settings.burn_in
        )
        state = tf.nest.map_structure(lambda x: tf.reshape(x, [-1, *x.shape[2:]]), path)
        policy = self.rule(state)
        errors = self.economy.errors(state, policy, self.rule.expectation(state, policy))
        first = tf.abs(next(iter(errors.values())))
        ordered = tf.sort(tf.reshape(first, [-1]))
        count = ordered.shape[0]
        return tf.reduce_mean(first), ordered[int(0.999 * (count - 1))], ordered[-1]


def _share(sampling: SamplingSettings, sharing: int) -> SamplingSettings:
    """What one of `sharing` workers samples. Raises UserError if tracks or minibatch can't be split evenly."""
    for name, number in (("tracks", sampling.tracks), ("minibatch", sampling.minibatch or sharing)):
        if number % sharing:
            raise UserError(
                f"sampling.{name}: got {number}, expected a multiple of {sharing}, the workers that share them "
                "(workers.scaling: strong)"
            )
    minibatch = sampling.minibatch and sampling.minibatch // sharing
    return sampling.model_copy(update={"tracks": sampling.tracks // sharing, "minibatch": minibatch})


def build_network(economy: Economy, settings: NetworkSettings, seed: int) -> keras.Model:
    """The network of the settings for an economy's inputs and outputs."""
    state = economy.tensors(economy.initial_states(2, np.random.default_rng(0)))
    inputs = int(economy.features(state).shape[-1])
    heads = economy.shocks.discrete if settings.heads == "shock" else 1
    _check_activations(settings)
    common: dict[str, Any] = {
        "inputs": inputs,
        "outputs": economy.outputs,
        "heads": heads,
        "hidden": settings.hidden,
        "activation": settings.activation,
        "seed": seed,
        "dtype": economy.dtype,
    }
    if settings.kind == "mlp":
        return MLP(**common, standardized=settings.standardize)
    if (settings.components or 0) > inputs:
        raise UserError(
            f"network.components: got {settings.components}, expected at most the {inputs} inputs there are"
        )
    return WideAndDeep(
        **common,
        components=settings.components or inputs,
        quadratics=settings.quadratics,
        output_scale=settings.output_scale,
        own=economy.own if settings.own else None,
    )


def _check_activations(settings: NetworkSettings) -> None:
    """Raises UserError for a name that Keras does not know, or for another number of names than of hidden layers."""
    names = [settings.activation] if isinstance(settings.activation, str) else settings.activation
    if not isinstance(settings.activation, str) and len(names) != len(settings.hidden):
        raise UserError(
            f"network.activation: got {len(names)} names, expected one, or one for each of the {len(settings.hidden)} "
            "hidden layers"
        )
    for name in names:
        try:
            keras.activations.get(name)
        except ValueError as error:
            known = [each for each in dir(keras.activations) if each.islower() and not each.startswith("_")]
            raise UserError(
                f"network.activation: {name!r}; expected a Keras activation;{nearest(name, known)}"
            ) from error


def _rows(pool: Any, count: int, key: tf.Tensor) -> Any:
    """`count` rows of a pool of states, drawn with replacement."""
    index = tf.random.stateless_uniform([count], key, 0, tf.shape(pool[0])[0], dtype=tf.int32)
    return tf.nest.map_structure(lambda x: tf.gather(x, index), pool)


def _by_state(squared: tf.Tensor) -> tf.Tensor:
    """Mean over everything but the batch: [batch, ...] -> [batch]."""
    return tf.reduce_mean(tf.reshape(squared, [tf.shape(squared)[0], -1]), axis=1)
