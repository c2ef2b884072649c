"""The equilibrium of an economy as a problem for the engine: simulate, take the conditions' errors, lower them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import numpy as np
import tensorflow as tf

from deqn.equilibrium import judging, simulation
from deqn.equilibrium.checks.dry_run import conditions_that_move
from deqn.equilibrium.constraints import errors_of, flags_of, products_of
from deqn.equilibrium.decision_rule import NetworkRule
from deqn.equilibrium.economy import Economy
from deqn.equilibrium.memory import varied, with_memory
from deqn.equilibrium.network import build_network, inputs_of
from deqn.equilibrium.reporting import at_stage, results_of
from deqn.equilibrium.sampling import Sampler, Tracks, check_sampling, drawn, of_one_worker
from deqn.equilibrium.settings import NextPeriodSettings, SamplingSettings, in_phase
from deqn.equilibrium.visited import TRACKS, Visited, visited_by
from deqn.equilibrium.warm_start import fit_wide_part, follow_parameters
from deqn.project.errors import UserError
from deqn.training.problem import Losses, Problem, Results

_POOL = 1024  # initial states among which a reset track draws


@final
class Equilibrium(Problem):
    """An economy, a network and the settings of the file as something to train (Azinovic, Gaegauf & Scheidegger).

    minimises  sum over conditions i of  weight_i * mean over states and ages of  residual_i^2 .

    settings: the whole file, EquilibriumSettings and TrainingSettings. rank: of this worker of `ranks`, which validates
    on paths of its own.
    """

    def __init__(
        self, economy_type: type[Economy], parameters: Any, settings: Any, rank: int = 0, ranks: int = 1
    ) -> None:
        if settings.memory:
            economy_type = with_memory(economy_type, settings.memory)
        self.economy_type, self.parameters, self.settings = economy_type, parameters, settings
        self.rank, self.ranks = rank, ranks
        self.compiler = settings.compiler if economy_type.xla else "graph"
        self.updates_per_call = settings.updates_per_call
        self.economy = economy = economy_type(parameters, settings.precision)
        sampling = of_one_worker(settings.sampling, ranks if settings.workers.scaling == "strong" else 1)
        check_sampling(sampling, settings.network, economy)
        if settings.memory and (settings.warm_start is not None or settings.network.own):
            raise UserError("memory: a rule with memory has no warm_start and no network.own; leave these out")
        self.network = build_network(economy, settings.network, settings.seed, settings.further())
        self.target = build_network(economy, settings.network, settings.seed, settings.further())
        self.networks = {"policy": self.network, "target": self.target}
        self.trainable = {"policy": self.network.trainable_variables}
        heads = settings.network.heads == "shock"
        self._use(economy, heads, sampling)
        self.file_rule = self.policy_rule  # under the file's own parameters, which a phase may change
        for number, phase in enumerate(settings.phases):
            self._check_phase(number, phase.parameters)
        shocks = economy.shocks.discrete if sampling.every_shock else 1
        self.states_per_update = self.sampler.minibatch * (shocks or 1)
        self.next_period = settings.next_period
        self.pool = economy.initial_states(_POOL, np.random.default_rng([settings.seed, 1]))
        shown = varied(self.pool, np.random.default_rng([settings.seed, 3]))
        self.network.adapt(np.asarray(economy.features(economy.tensors(shown))))
        self.copy_to_target()
        self._visited, self._validation, self._episode_validation = (
            tf.function(f, jit_compile=economy.xla, autograph=False)
            for f in (visited_by, self._errors_on_fresh_paths, self._errors_on_new_episode)
        )

    def _use(self, economy: Economy, heads: bool, sampling: SamplingSettings) -> None:
        """Trains in this economy."""
        self.economy = economy
        self.policy_rule = NetworkRule(economy, self.network, heads)
        self.target_rule = NetworkRule(economy, self.target, heads)
        self.sampler = Sampler(self.policy_rule, sampling)
        self.updates_per_episode = self.sampler.updates_per_episode

    def _check_phase(self, number: int, changes: Mapping[str, Any]) -> None:
        if not changes:
            return
        before, after = (
            {"inputs": inputs_of(each), "outputs": each.width, "shocks": each.shocks.discrete or "continuous",
             "states": [np.shape(x)[1:] for x in each.initial_states(1, np.random.default_rng(0))]}
            for each in (self.economy, self.economy_type(in_phase(self.parameters, changes), self.economy.dtype))
        )  # fmt: skip
        for name, size in before.items():
            if after[name] != size:
                raise UserError(
                    f"phases.{number}.parameters: {', '.join(changes)} would change the {name} from {size} to "
                    f"{after[name]}; a phase can change numbers in the equations, not how many there are"
                )

    def set_pool(self, state: Any) -> None:
        """These states, [n] of any number, become the ones from which tracks and validation paths begin."""
        self.pool = tf.nest.map_structure(lambda x: np.resize(np.asarray(x), (_POOL, *x.shape[1:])), state)

    def copy_to_target(self) -> None:
        """The target network becomes the policy network."""
        for target, live in zip(self.target.weights, self.network.weights, strict=True):
            target.assign(live)

    # --- training --------------------------------------------------------------------------------------------------

    def start(self, key: tf.Tensor) -> Tracks:
        """The first tracks are drawn from the pool."""
        return self.sampler.start(self.economy.tensors(self.pool), key)

    def losses(self, batch: Any, carry: Tracks, key: tf.Tensor) -> Losses:
        """One minibatch of the episode: errors of every condition, and the tracks moved on when the episode is over."""
        before, carry = carry.resets, self.sampler.next_episode_if_due(carry, key)
        state, policy, weight = self.sampler.under_shocks(self.sampler.states_of_update(carry))
        gradient = self.next_period.gradient
        following = None if gradient == "full" else self.target_rule
        E = self.policy_rule.expectation(state, policy, following, gradient == "frozen")
        policy = self.economy.complete(state, policy, E)
        residuals = self.economy.residuals(state, policy, E)
        means = {name: tf.reduce_mean(_by_state(residual**2) * weight) for name, residual in residuals.items()}
        loss = tf.add_n([self.settings.weights.get(name, 1.0) * mean for name, mean in means.items()])
        record = {f"loss_{name}": mean for name, mean in means.items()} if len(means) > 1 else {}
        left, at_random = tf.unstack(tf.cast(carry.resets - before, tf.float32))
        record |= {"tracks_left": left, "tracks_reset_at_random": at_random}
        constraints = [*self.economy.report.constraints, *self.economy.constraints(state, policy)]
        flags = {
            f"{'constrained' if name in constraints else 'share'}_{name}": tf.reduce_mean(tf.cast(flag, tf.float32))
            for name, flag in flags_of(self.economy, state, policy).items()
        }
        return Losses(
            minimize={"policy": loss},
            carry=carry._replace(position=carry.position + 1),
            record={**record, **flags},
            detail=dict(residuals),
        )

    def after_update(self) -> None:
        """The target network follows the policy network."""
        if self.next_period.gradient != "full":
            keep = self.next_period.average
            for target, live in zip(self.target.trainable_variables, self.network.trainable_variables, strict=True):
                target.assign(keep * target + (1.0 - keep) * live)

    def enter_phase(self, settings: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
        """A phase may change `gradient` and `average` of the next period, and parameters of the economy.

        Validation, its best weights and all results are of the file's own parameters.
        """
        self.next_period = NextPeriodSettings(**{**self.settings.next_period.model_dump(), **settings})
        chosen = in_phase(self.parameters, parameters)
        if chosen != self.economy.p:
            self._use(self.economy_type(chosen, self.economy.dtype), self.policy_rule.heads, self.sampler.settings)
        self.copy_to_target()

    def follow_parameters(self, say: Callable[[str], None]) -> bool:
        """If the file has a warm start, its iteration begins anew from the present rule, and tracks where it ends."""
        if self.settings.warm_start is None or self.settings.warm_start.guess != "iterated":
            return False
        follow_parameters(self, self.settings.warm_start, say)
        self.copy_to_target()
        return True

    def validate(self) -> Mapping[str, float]:
        """Mean, 99.9th percentile and maximum of every condition on fresh paths under the true process, fractions."""
        return _by_name(self._validation(self.economy.tensors(self.pool)))

    def validate_from(self, carry: Tracks) -> Mapping[str, float]:
        """The same on the next episode of the tracks, if the file asks for it."""
        if self.settings.validation.on == "fresh_paths":
            return self.validate()
        return _by_name(self._episode_validation(carry))

    def judged(self, errors: Mapping[str, float]) -> Mapping[str, float]:
        """In front the figures of the condition that the file names, then those of the worst one.

        A condition that holds whatever the network says is reported and is not among those that may be the worst.
        """
        return judging.deciding_first(errors, self._counting, self.settings.validation.decided_by)

    def in_words(self, errors: Mapping[str, float]) -> str:
        """The mean error that decides, in the unit of its condition, which is named."""
        return judging.in_words(errors, self._products)

    @functools.cached_property
    def _counting(self) -> list[str]:
        return conditions_that_move(self.economy_type(self.parameters, "float64"))

    @functools.cached_property
    def _products(self) -> list[str]:
        return products_of(self.economy)

    def _errors_on_fresh_paths(self, pool: Any) -> dict[str, tf.Tensor]:
        settings, rule = self.settings.validation, self.file_rule
        economy = rule.economy
        key = tf.constant([settings.seed, self.rank], tf.int32)
        start = drawn(pool, settings.tracks, key)
        path, _ = simulation.simulate(economy, economy.shocks, rule, start, settings.periods, key, settings.burn_in)
        return _figures_at(rule, tf.nest.map_structure(lambda x: tf.reshape(x, [-1, *x.shape[2:]]), path))

    def _errors_on_new_episode(self, carry: Tracks) -> dict[str, tf.Tensor]:
        key = tf.random.experimental.stateless_fold_in(carry.order, 1)
        return _figures_at(self.policy_rule, self.sampler.episode(carry, key).episode)

    # --- where training begins -------------------------------------------------------------------------------------

    def host_state(self) -> Mapping[str, Any]:
        """The pool of initial states: after a warm start these are states that the economy visits."""
        return self.pool._asdict()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Sets the pool to that of an earlier `host_state`. Raises UserError if State has changed since."""
        if set(state) != set(self.pool._fields):
            raise UserError(
                f"the checkpoint's states are made of {', '.join(sorted(state))}, those of the economy of "
                f"{', '.join(sorted(self.pool._fields))}: State was changed since, train the run anew"
            )
        self.pool = type(self.pool)(**state)

    def start_from(self, host_state: Mapping[str, Any]) -> None:
        """The other run's policy decides the next period too, and tracks begin among the states that it visits."""
        self.copy_to_target()
        if host_state:
            self.restore(host_state)

    def warm_start(self, say: Callable[[str], None]) -> None:
        """A first solution by the wide part of the network, if the file asks for it."""
        if self.settings.warm_start is not None:
            fit_wide_part(self, self.settings.warm_start, say)
            self.copy_to_target()

    # --- what the commands ask -------------------------------------------------------------------------------------

    def describe(self) -> Mapping[str, str]:
        """Says in words which network, sampling and expectation the file asks for."""
        economy, network, sampling = self.economy, self.settings.network, self.sampler.settings
        heads = ", one head a shock" if self.policy_rule.heads else ""
        further = (
            f", with networks of their own for {', '.join(self.settings.networks)}" if self.settings.networks else ""
        )
        kept = f", {self.settings.memory} of them remembered" if self.settings.memory else ""
        hidden = " x ".join(map(str, network.hidden))
        activation = network.activation if isinstance(network.activation, str) else ", ".join(network.activation)
        kinks = f", two kinks of each output by {network.kinks} neurons" if network.kinks else ""
        weights = sum(int(np.prod(variable.shape)) for variable in self.trainable["policy"])
        each = ", each under every shock" if sampling.every_shock else ""
        decided = {
            "full": "the network itself, with gradient",
            "frozen": "a slowly averaged copy of the network, no gradient",
            "held": "a slowly averaged copy of the network, with gradient through the next state",
        }[self.settings.next_period.gradient]
        return {
            "network": f"{network.kind}, {inputs_of(economy)} inputs{kept}, hidden {hidden} {activation}{kinks}, "
            f"{economy.taken.each} outputs{heads}{further}: {weights} weights to train, {economy.dtype}",
            "sampling": f"{sampling.tracks} tracks x {_many(sampling.periods, 'period')} an episode, "
            f"{_many(sampling.epochs, 'epoch')}, {self.sampler.minibatch} states an update{each}"
            f"{', on each rank' if self.ranks > 1 else ''}",
            "expectation": f"{_expectation(economy)}; next period decided by {decided}",
        }

    def visited(self) -> Visited:
        """Where training is with the present weights: on tracks moved as it moves them, from its pool of states."""
        key = tf.constant([self.settings.validation.seed, 1], tf.int32)
        pool = self.economy.tensors(self.pool)
        start, burn_in = drawn(pool, TRACKS, key), self.settings.validation.burn_in
        sampler = Sampler(self.file_rule, self.sampler.settings)
        low, high = self._visited(sampler, start, pool, key, burn_in)
        return Visited(low.numpy().astype(np.float64), high.numpy().astype(np.float64))

    def rule(self) -> NetworkRule:
        """The decision rule of the present weights, in an economy of float64, which knows where it was trained."""
        rule = self._exact_rule()
        rule.visited = self.visited()
        return rule

    def training_rule(self) -> NetworkRule:
        """The same in the precision of the training, in which many tracks take less than half the time."""
        rule = NetworkRule(self.file_rule.economy, self.network, self.file_rule.heads)
        rule.visited = self.visited()
        return rule

    def _exact_rule(self) -> NetworkRule:
        economy = self.economy_type(self.parameters, "float64")
        network = build_network(economy, self.settings.network, self.settings.seed, self.settings.further())
        for exact, weight in zip(network.weights, self.network.weights, strict=True):
            exact.assign(np.asarray(weight))
        return NetworkRule(economy, network, self.policy_rule.heads)

    def results(self) -> Results:
        """Simulates in float64 as the file's `evaluation` asks: errors, moments and distributions along axes."""
        return results_of(self.rule(), self.settings.evaluation)

    def at_stage(self) -> Sequence[Mapping[str, Any]]:
        """Distributions along the first axis under the present weights, on a short path."""
        return at_stage(self._exact_rule())


def _by_state(squared: tf.Tensor) -> tf.Tensor:
    """Mean over everything but the batch: [batch, ...] -> [batch]."""
    return tf.reduce_mean(tf.reshape(squared, [tf.shape(squared)[0], -1]), axis=1)


def _figures_at(rule: NetworkRule, state: Any) -> dict[str, tf.Tensor]:
    """Mean, 99.9th percentile and maximum of every condition's absolute errors at these states."""
    errors = errors_of(rule.economy, state, *rule.completed(state))
    return {name: _mean_p999_max(error) for name, error in errors.items()}


def _by_name(errors: Mapping[str, tf.Tensor]) -> dict[str, float]:
    """Each figure of `_figures_at` under the name of its condition and its own."""
    return {
        f"{condition}.{statistic}": value if np.isfinite(mean) else mean  # XLA's maximum may pass over a NaN
        for condition, figures in errors.items()
        for mean, values in [(float(figures[0]), figures.numpy().tolist())]
        for statistic, value in zip(judging.STATISTICS, values, strict=True)
    }


def _mean_p999_max(error: tf.Tensor) -> tf.Tensor:
    """Of absolute values, all entries pooled: [3]."""
    ordered = tf.sort(tf.reshape(tf.abs(error), [-1]))
    count = ordered.shape[0]
    return tf.stack([tf.reduce_mean(ordered), ordered[int(0.999 * (count - 1))], ordered[-1]])


def _expectation(economy: Economy) -> str:
    """How next period's shock is integrated out."""
    expected = economy.perceived or economy.shocks
    state = economy.tensors(economy.initial_states(1, np.random.default_rng(0)))
    nodes = expected.successors(state)[1].shape[0] // (expected.discrete or 1)
    exact = [f"exact sum over {expected.discrete} shocks"] if expected.discrete else []
    return " times ".join(exact + ([f"quadrature of {nodes} nodes"] if nodes > 1 or not exact else []))


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
