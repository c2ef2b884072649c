"""Checks against what is known without the network: a closed form, a grid, a steady state, present values.

What an economist can say of them stands in `evidence.py` beside the economy (`FILE_evidence.py` beside FILE.py), in
functions of NumPy that import nothing of deqn or of the economy. Each may be left out, or return a sentence that says
why it has nothing to say of these parameters.

    closed_form(parameters, state) -> {policy: array}      the solution, by fields of Policy
    grid(parameters, state) -> {policy: array}             another numerical solution, on a grid
    paid(parameters, state, policy, next_state, next_policy) -> {policy: (payoff, discount)}
                                                           of what is defined forward: x = E[payoff + discount x']
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium.evidence.check import FAIL, PASS, Check, at_most, not_applicable
from deqn.equilibrium.evidence.subject import Subject
from deqn.equilibrium.incomplete import fields
from deqn.equilibrium.linear_solution import WithoutShocks
from deqn.project.errors import UserError, nearest

_REST = 2000  # periods after which a rule under a shock that is held is taken to rest
_STATES, _REPLICATIONS, _PERIODS = 16, 512, 120  # of present values


class Declared(NamedTuple):
    """What `evidence.py` says, by function; None where it says nothing."""

    closed_form: Callable[..., Any] | None = None
    grid: Callable[..., Any] | None = None
    paid: Callable[..., Any] | None = None


def distances(name: str, subject: Subject, policies: Mapping[str, np.ndarray]) -> Iterator[Check]:
    """Mean and 99.9th percentile of the distance of each policy from another solution's, at the sample of states."""
    mine = subject.measured.policy
    for field, values in policies.items():
        if field not in mine:
            raise UserError(f"{name}: {field!r} is no field of Policy;{nearest(field, mine)}")
        if np.shape(values) != mine[field].shape:
            raise UserError(
                f"{name}: {field} has shape {list(np.shape(values))}, expected {list(mine[field].shape)} as the rule's"
            )
        sizes = np.abs(subject.distances(policies, field))
        words = f"{name}: {field.replace('_', ' ')}"
        note = f"of {subject.unit(field)}, {len(sizes)} states"
        yield at_most(f"{words}, mean", sizes.mean(), subject.settings.mean, note)
        yield at_most(f"{words}, p99.9", np.percentile(sizes, 99.9), subject.settings.tail, note)


def known_solution(name: str, subject: Subject, solve: Callable[..., Any] | None) -> Iterator[Check]:
    """Against a closed form or a grid, if the economy declares one."""
    if solve is None:
        yield not_applicable(name, "the economy declares none")
        return
    found = solve(subject.rule.economy.p, subject.sample)
    if isinstance(found, str):
        yield not_applicable(name, found)
    else:
        yield from distances(name, subject, found)


def steady_state(subject: Subject) -> Iterator[Check]:
    """The deterministic steady state, by SciPy's root of the economy's own conditions with the shocks switched off.

    Under risk the rule's decisions there differ from it, rightly. So the distance is a check only where the file has
    one shock; otherwise it is told.
    """
    name, rule = "steady state", subject.rule
    economy, path = rule.economy, subject.path.state
    shocks = economy.shocks.discrete
    held = int(np.bincount(path.shock, minlength=shocks).argmax()) if shocks else 0
    near = WithoutShocks(type(economy), economy.p, held)
    rest = _at_rest(rule, near, path)
    try:
        s, o = near.steady_state((near.flat(rest), rule.output(economy.tensors(rest)).numpy()[0]))
    except UserError as error:
        yield not_applicable(name, str(error).partition(": ")[2].partition(";")[0])  # without the advice to who trains
        return
    state = tf.nest.map_structure(np.asarray, near.state(s[None]))
    policy = near.economy.decide(tf.constant(o[None]), near.economy.tensors(state))
    there, mine = fields(policy), fields(rule(economy.tensors(state)))
    sizes = {name: np.abs(x).mean() for name, x in there.items() if name != economy.report.binding}
    distance = max(float(np.abs(mine[name] - there[name]).mean() / size) for name, size in sizes.items() if size > 0)
    if shocks == 1:
        yield at_most(name, distance, subject.settings.mean, "of a decision's mean size")
        return
    without = f"shock {held + 1} for ever" if shocks else "shocks at zero"
    yield not_applicable(
        name, f"the file has risk, which moves decisions away from those of a steady state; with {without} there is "
        f"one, at which the rule's decisions differ by {100 * distance:.2g} %", distance=distance,
    )  # fmt: skip


def _at_rest(rule: Any, near: WithoutShocks, path: Any) -> Any:
    """Where the rule leads if the shocks are held, from the path's first state: a State of NumPy arrays, [1, ...]."""
    economy = rule.economy
    certain = near.economy.shocks

    @tf.function(jit_compile=economy.xla, autograph=False)
    def follow(state: Any) -> Any:
        key = tf.zeros([2], tf.int32)

        def step(t: tf.Tensor, now: Any) -> tuple[tf.Tensor, Any]:
            return t + 1, economy.transition(now, rule(now), certain.draw(now, key))

        return tf.while_loop(lambda t, _: t < _REST, step, (tf.constant(0), state), maximum_iterations=_REST)[1]

    first = tf.nest.map_structure(lambda x: x[:1], path)
    if near.held is not None:
        first = first._replace(shock=np.full_like(first.shock, near.held))
    return tf.nest.map_structure(lambda x: x.numpy(), follow(economy.tensors(first)))


def present_values(subject: Subject, paid: Callable[..., Any] | None) -> Iterator[Check]:
    """What is defined forward, against payoffs discounted along simulated tracks with the rule's value at their end.

    After n periods a share of the value is still to be paid, for which the rule's own value stands. To first order an
    error e of the rule shows as e (1 - share); so e is the difference over 1 - share. Of all horizons the one is taken
    at which the standard error of e is smallest.
    """
    name = "present value"
    if paid is None:
        yield not_applicable(name, "the economy declares nothing that is defined forward")
        return
    horizons = _along_tracks(subject, paid)
    if isinstance(horizons, str):
        yield not_applicable(name, horizons)
        return
    for field, found in horizons.items():
        best = int(np.argmin([error for _, error, _ in found]))
        yield _told(f"{name}: {field.replace('_', ' ')}", *found[best], best + 1, subject)


def _along_tracks(subject: Subject, paid: Callable[..., Any]) -> dict[str, list[tuple[float, float, float]]] | str:
    """For each field and horizon: e, its standard error, and the share that is still to be paid."""
    rule, economy = subject.rule, subject.rule.economy
    chosen = np.linspace(0, len(subject.path.track) - 1, _STATES).round().astype(int)
    state = tf.nest.map_structure(lambda x: np.repeat(x[chosen], _REPLICATIONS, axis=0), subject.path.state)

    @tf.function(jit_compile=economy.xla, autograph=False)
    def follow(now: Any, key: tf.Tensor) -> tuple[Any, Any]:
        following = economy.transition(now, rule(now), economy.shocks.draw(now, key))
        return following, rule.completed(following)[0]

    compiled = tf.function(lambda now: rule.completed(now)[0], jit_compile=economy.xla, autograph=False)
    policy = tf.nest.map_structure(lambda x: x.numpy(), compiled(economy.tensors(state)))
    first, ones = policy._asdict(), np.ones(_STATES * _REPLICATIONS)
    value: dict[str, Any] = {}
    factor: dict[str, Any] = {}
    found: dict[str, list[tuple[float, float, float]]] = {}
    for t in range(_PERIODS):
        key = tf.random.experimental.stateless_fold_in(tf.constant([subject.seed, 2], tf.int32), t)
        following, ahead = tf.nest.map_structure(lambda x: x.numpy(), follow(economy.tensors(state), key))
        payments = paid(economy.p, state, policy, following, ahead)
        if isinstance(payments, str):
            return payments
        for field, (payoff, discount) in payments.items():
            value[field] = value.get(field, 0.0) + factor.get(field, ones) * payoff
            factor[field] = factor.get(field, ones) * discount
            whole = (value[field] + factor[field] * getattr(ahead, field)) / first[field]
            each = whole.reshape(_STATES, _REPLICATIONS)
            left = float((factor[field] * getattr(ahead, field) / first[field]).mean())
            error = float(np.sqrt((each.var(axis=1, ddof=1) / _REPLICATIONS).sum()) / _STATES)
            paid_share = max(1 - left, 1e-12)
            found.setdefault(field, []).append((float(1 - whole.mean()) / paid_share, error / paid_share, left))
        state, policy = following, ahead
    return found


def _told(name: str, off: float, error: float, left: float, periods: int, subject: Subject) -> Check:
    threshold = subject.settings.tail
    note = (
        f"the rule's is {100 * off:.2g} % too high, standard error {100 * error:.2g} %; {_STATES * _REPLICATIONS:,} "
        f"tracks of {periods} periods, after which {left:.0%} is still to be paid"
    )
    figures = {"standard_error": error, "left": left}
    if abs(off) + 2 * error <= threshold:
        return Check(name, PASS, abs(off), threshold, "%", note, figures)
    if abs(off) - 2 * error <= threshold:
        return not_applicable(name, f"too few tracks to tell: {note}", off=off, **figures)
    return Check(name, FAIL, abs(off), threshold, "%", note, figures)
