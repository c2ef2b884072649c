r"""Impulse responses to what is done to a period's shock, Azinovic, Gaegauf & Scheidegger (2019), section 6.

    R_h(s) = ( E[ X_{t+h} | do(z_t = s) ] - E[ X_{t+h} ] ) / | E[ X_{t+h} ] |

for every variable X: a ratio of means, not a mean of ratios. A track begins in period t - 1 at a state of the ergodic
distribution, or it runs there from a given state. There it forks into one track for each value of z_t, on which the
same random numbers decide what happens later. With the probabilities p of these values and the law f of z_{t-1}, both
known,

    E[ X_{t+h} ] = sum_z f(z) sum_s p(z, s) E[ X_{t+h} | z_{t-1} = z, do(z_t = s) ],

so that neither the shock of period t nor how often each z_{t-1} was drawn moves the base: rare shocks that come in
bouts would make it vary by more than some responses. Normal innovations have no such values: there the base is one
track that draws them. Tracks come in blocks, whose sums alone are kept; standard errors are those of a ratio of means
(delta method) from how the blocks differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium import simulation
from deqn.equilibrium.decision_rule import DecisionRule
from deqn.equilibrium.exogenous import Exogenous, Joint, MarkovChain
from deqn.equilibrium.interventions import Intervention, values_of_chain
from deqn.project.errors import UserError
from deqn.report.responses import OWN_LAW

_BLOCKS = 40  # of tracks: enough for a standard error, few enough to be large
_APART = 4  # periods between two states that the ergodic tracks give
_ERGODIC = 128  # tracks at most that give the states from which the others begin
_OUTSIDE = "outside"
_SURE = 4.0  # standard errors: a mean nearer to zero than so many is nothing to take a share of

Sums = dict[str, np.ndarray]


class Plan(NamedTuple):
    """period: of the shock, at least 1; the first state is that of period 0. periods: of a track. paths: how many.

    burn_in: periods before the first states of the ergodic distribution are taken.
    """

    period: int = 25
    periods: int = 50
    paths: int = 200_000
    seed: int = 0
    burn_in: int = 2000


class Response(NamedTuple):
    """The response of every variable to one intervention, by name: fractions, .01 = 1 %.

    values: [H + 1] by horizon for one number a state; on impact alone for what has axes, [N, ...]. NaN where the mean
    is not clearly different from zero. standard_errors: of these. means: E[X] without the intervention. along: the
    names of what has axes.
    """

    shock: str
    values: Mapping[str, np.ndarray]
    standard_errors: Mapping[str, np.ndarray]
    means: Mapping[str, np.ndarray]
    along: Sequence[str]


def impulse_responses(
    rule: DecisionRule, interventions: Sequence[Intervention], plan: Plan, start: Any = None, own_law: bool = False
) -> tuple[list[Response], float]:
    """The responses, and the share of the tracks' periods that lie where the rule was not trained.

    start: states of NumPy arrays from which tracks begin, in turn, instead of the ergodic distribution. own_law: with a
    last response to what is drawn from the shock's own law, which is zero but for its standard error.
    Raises UserError for a period that is none of the track's, or a variable that is not finite.
    """
    if not 1 <= plan.period < plan.periods:
        raise UserError(
            f"--period: got {plan.period} of {plan.periods} periods, expected 1 to {plan.periods - 1}: period 0 "
            "is that of the first state"
        )
    chain = [each for each in interventions if each.component is None]
    normal = [each for each in interventions if each.component is not None]
    found, outside = [], []
    for group in filter(None, (chain, normal)):
        responses, share = _of_one_kind(rule, group, plan, start, own_law)
        found += responses
        outside.append(share)
    return found, max(outside)


def _of_one_kind(
    rule: DecisionRule, interventions: Sequence[Intervention], plan: Plan, start: Any, own_law: bool
) -> tuple[list[Response], float]:
    economy, shocks = rule.economy, rule.economy.shocks
    fork = _at_every_value if interventions[0].component is None else _at_draws
    chain = _chain(shocks)
    strata = 1 if chain is None else len(chain.transition)
    waiting = 0 if start is None else plan.period - 1  # of the ergodic distribution all periods are alike

    @tf.function(jit_compile=economy.xla, autograph=False)
    def before(state: Any, key: tf.Tensor) -> tuple[Any, tf.Tensor, Any]:
        """The stratum of each track before the shock, the weights [A, G, batch] of its forks, and their states."""
        last = state
        if waiting:
            _, last = simulation.simulate(economy, shocks, rule, state, 1, key, waiting - 1)
        weights, happening = fork(rule, last, interventions, own_law, tf.random.experimental.stateless_fold_in(key, -1))
        policy = rule(last)
        forks = [economy.transition(last, policy, shock) for shock in happening]
        stratum = tf.zeros_like(weights[0, 0], tf.int32) if chain is None else last.shock
        return tf.one_hot(stratum, strata, dtype=weights.dtype), weights, forks

    follow = tf.function(_follower(rule, plan.periods - plan.period - 1), jit_compile=economy.xla, autograph=False)
    blocks: list[Sums] = []
    counts: list[np.ndarray] = []
    along: list[str] = []
    for number, states in enumerate(_starts(rule, plan, start)):
        # Keys of their own: what decides later must not have decided on the way to the fork.
        stratum, weights, forks = before(states, tf.constant([plan.seed, 3 * number + 1], tf.int32))
        key = tf.constant([plan.seed, 3 * number + 2], tf.int32)
        sums = [follow(fork, each, stratum, key) for fork, each in zip(forks, weights, strict=True)]
        along = list(sums[0][1])
        by_fork = [{name: x.numpy() for part in each for name, x in part.items()} for each in sums]
        blocks.append({name: np.sum([each[name] for each in by_fork], axis=0) for name in by_fork[0]})
        counts.append(stratum.numpy().sum(axis=0))
    joined = {name: np.stack([each[name] for each in blocks]) for name in blocks[0]}
    outside = joined.pop(_OUTSIDE).mean(axis=-1).sum(axis=(0, 2))  # of the base and of each intervention, [G]
    law = np.ones(1) if chain is None else _law(chain, waiting, start)
    names = [each.name for each in interventions] + ([OWN_LAW] if own_law else [])
    responses = list(_responses(joined, np.stack(counts), law, names, along))
    return responses, float(outside.max() / np.sum(counts))


def _chain(shocks: Exogenous) -> MarkovChain | None:
    """The chain that moves the state's shock, if the process is known to be one."""
    if isinstance(shocks, Joint) and shocks.chain:
        return shocks.parts[shocks.chain]
    return shocks if isinstance(shocks, MarkovChain) else None


def _law(chain: MarkovChain, periods: int, start: Any) -> np.ndarray:
    """The probability of each value of the chain so many periods after the first, [S]."""
    if start is None:
        return chain.stationary
    first = np.bincount(start.shock, minlength=len(chain.transition)) / len(start.shock)
    return first @ np.linalg.matrix_power(chain.transition, periods)


# --- where tracks fork ------------------------------------------------------------------------------------------------


def _at_every_value(
    rule: DecisionRule, state: Any, interventions: Sequence[Intervention], own_law: bool, key: tf.Tensor
) -> tuple[tf.Tensor, list[Any]]:
    """Weights [A, G, batch] and shocks of the forks: one for each value of the chain.

    Rows of weights: the base, whose weights are the probabilities; each intervention; what was drawn.
    """
    economy = rule.economy
    drawn = economy.shocks.draw(state, key)
    forks = values_of_chain(economy)
    _, probability = economy.shocks.successors(state)  # [J, batch or 1], the chain moving fastest
    by_value = tf.reduce_sum(
        tf.reshape(probability, [-1, len(forks), probability.shape[1] or tf.shape(state[0])[0]]), 0
    )
    came = forks[0].of(drawn)  # [batch]
    rows = [by_value + tf.zeros([1, tf.shape(came)[0]], by_value.dtype)]
    rows += [
        tf.stack([tf.fill(tf.shape(came), tf.cast(f.value == i.value, rows[0].dtype)) for f in forks])
        for i in interventions
    ]
    if own_law:
        rows.append(tf.stack([tf.cast(came == int(f.value), rows[0].dtype) for f in forks]))
    return tf.stack(rows, axis=1), [fork.done(drawn) for fork in forks]


def _at_draws(
    rule: DecisionRule, state: Any, interventions: Sequence[Intervention], own_law: bool, key: tf.Tensor
) -> tuple[tf.Tensor, list[Any]]:
    """Weights [A, G, batch] and shocks of the forks: the base as drawn, each intervention, another draw."""
    draw = rule.economy.shocks.draw
    drawn = draw(state, key)
    forks = [drawn, *(each.done(drawn) for each in interventions)]
    if own_law:
        forks.append(draw(state, tf.random.experimental.stateless_fold_in(key, 1)))
    weights = tf.eye(len(forks), dtype=rule.economy.dtype)[:, :, None]
    return tf.tile(weights, [1, 1, tf.shape(state[0])[0]]), forks


# --- following tracks -------------------------------------------------------------------------------------------------


def _follower(rule: DecisionRule, horizons: int) -> Callable[..., tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]]:
    """A function that follows tracks and sums every variable over them, with weights and by stratum.

    It gives two dictionaries: of what is one number a state [G, strata, horizons + 1], with a count of the states that
    lie where the rule was not trained; and, on impact, of what has axes [G, strata, N, ...].
    """
    economy = rule.economy

    def observed(state: Any) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor], Any]:
        """Variables that are one number a state, those that have axes, and the policy that leads on."""
        policy = rule(state)
        E = rule.expectation(state, policy)
        completed = economy.complete(state, policy, E)
        named = {**state._asdict(), **completed._asdict(), **economy.definitions(state, completed, E)}
        named = {name: x for name, x in named.items() if x.dtype.is_floating}
        inside = economy.is_inside(state)
        inside &= True if rule.visited is None else rule.visited.holds(economy.seen(state))
        single = {name: x for name, x in named.items() if len(x.shape) == 1} | {
            _OUTSIDE: tf.cast(~inside, economy.dtype)
        }
        return single, {name: x for name, x in named.items() if name not in single}, policy

    def follow(state: Any, weights: tf.Tensor, stratum: tf.Tensor, key: tf.Tensor) -> Any:
        rows = tf.cast(weights[:, :, None] * stratum, tf.float64)  # [G, batch, strata]

        def summed(x: tf.Tensor) -> tf.Tensor:
            flat = tf.cast(tf.reshape(x, [tf.shape(x)[0], -1]), tf.float64)
            return tf.reshape(tf.einsum("gbz,bn->gzn", rows, flat), [*rows.shape[::2], *x.shape[1:]])

        def advance(h: tf.Tensor, now: Any, policy: Any, totals: tf.TensorArray) -> tuple[Any, ...]:
            shock = economy.shocks.draw(now, tf.random.experimental.stateless_fold_in(key, h))
            now = economy.transition(now, policy, shock)
            values, _, policy = observed(now)
            totals = totals.write(h - 1, summed(tf.stack([values[name] for name in names], axis=1)))
            return h + 1, now, policy, totals

        single, along, policy = observed(state)
        names = list(single)
        path = summed(tf.stack([single[name] for name in names], axis=1))[None]  # [1, G, strata, names]
        if horizons:
            totals = tf.TensorArray(path.dtype, size=horizons, element_shape=path.shape[1:])
            loop = (tf.constant(1), state, policy, totals)
            *_, totals = tf.while_loop(lambda h, *_: h <= horizons, advance, loop, maximum_iterations=horizons)
            path = tf.concat([path, totals.stack()], axis=0)
        over_time = {name: tf.transpose(path[..., n], [1, 2, 0]) for n, name in enumerate(names)}
        return over_time, {name: summed(x) for name, x in along.items()}

    return follow


def _starts(rule: DecisionRule, plan: Plan, start: Any) -> Iterator[Any]:
    """States [paths of a block, ...] for each block: those given, in turn, or of the ergodic distribution."""
    economy = rule.economy
    blocks = min(_BLOCKS, plan.paths)
    size = -(-plan.paths // blocks)
    if start is not None:
        for number in range(blocks):
            chosen = np.arange(number * size, (number + 1) * size) % len(start[0])
            yield economy.tensors(tf.nest.map_structure(lambda x, chosen=chosen: x[chosen], start))
        return
    tracks = min(_ERGODIC, size)
    each = -(-size // tracks)

    def visited(state: Any, key: tf.Tensor, burn_in: int, periods: int) -> tuple[Any, Any]:
        path, following = simulation.simulate(economy, economy.shocks, rule, state, periods, key, burn_in)
        taken = tf.nest.map_structure(lambda x: tf.reshape(x[::_APART], [-1, *x.shape[2:]])[:size], path)
        return taken, following

    run = tf.function(visited, jit_compile=economy.xla, autograph=False)
    now = economy.tensors(economy.initial_states(tracks, np.random.default_rng(plan.seed)))
    if plan.burn_in:
        _, now = run(now, tf.constant([plan.seed, 0], tf.int32), plan.burn_in - 1, 1)
    for number in range(blocks):
        states, now = run(now, tf.constant([plan.seed, 3 * number + 3], tf.int32), 0, _APART * each)
        yield states


# --- from sums to responses -------------------------------------------------------------------------------------------


def _responses(
    sums: Sums, counts: np.ndarray, law: np.ndarray, names: Sequence[str], along: Sequence[str]
) -> Iterator[Response]:
    """sums: by variable [blocks, G, strata, ...], the base first. counts: of tracks [blocks, strata]. law: [strata]."""
    total = counts.sum(axis=0)
    weight = np.where(total > 0, law / np.maximum(total, 1), 0)
    weight *= law.sum() / (weight @ total)  # a value that few tracks never met
    means, errors = {}, {}
    for name, values in sums.items():
        if not np.isfinite(values).all():
            raise UserError(f"responses: {name} is not finite on some tracks; look at `deqn evaluate`, or train longer")
        means[name] = np.einsum("z,bz...->...", weight, values[:, 0])
        errors[name] = _standard_error(values[:, 0], counts, weight)
    for number, shock in enumerate(names, start=1):
        found: Sums = {}
        deviations: Sums = {}
        for name, values in sums.items():
            sure = np.abs(means[name]) > _SURE * errors[name]
            scale = np.where(sure, np.abs(means[name]), np.nan)
            forced = np.einsum("z,bz...->...", weight, values[:, number])
            found[name] = (forced - means[name]) / scale
            # The delta method: what varies is the numerator minus the ratio times the denominator.
            ratio = np.where(sure, forced / np.where(sure, means[name], 1), 0)
            deviations[name] = _standard_error(values[:, number] - ratio * values[:, 0], counts, weight) / scale
        yield Response(shock, found, deviations, means, along)


def _standard_error(sums: np.ndarray, counts: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Of sum_z weight_z (sum over blocks of `sums` [blocks, strata, ...]), a mean that is weighted by stratum."""
    blocks = len(sums)
    total = np.maximum(counts.sum(axis=0), 1)
    shape = [*counts.shape, *[1] * (sums.ndim - 2)]
    centred = sums - counts.reshape(shape) * (sums.sum(axis=0) / total.reshape(shape[1:]))
    by_block = np.einsum("z,bz...->b...", weight, centred)
    return np.sqrt(blocks / max(blocks - 1, 1) * (by_block**2).sum(axis=0))
