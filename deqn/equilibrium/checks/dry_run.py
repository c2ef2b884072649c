"""An economy's equations run at a few states before training, so that no mistake is found an hour later.

They run at initial states and the states that follow, with network outputs at zero (where a wide-and-deep network
begins) and near it. Only what is certain is refused: some states may stand at a constraint, a condition may hold by
construction, most conditions may have no expectation; not all states, not all conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from deqn.equilibrium import judging
from deqn.equilibrium.checks import shapes
from deqn.equilibrium.checks.one_pass import OnePass, mistakes_in
from deqn.equilibrium.economy import Economy
from deqn.equilibrium.expectation import Expectation
from deqn.equilibrium.incomplete import fields
from deqn.equilibrium.settings import in_phase
from deqn.project.errors import UserError, nearest

_STATES, _FEWER = 11, 6  # unlikely numbers of ages, so that [11, 11] in a message is understood
_NEAR = 0.1  # standard deviation of the network outputs tried beside zero
_SPREADS = (1.0, 3.0)  # of outputs tried for a condition that nothing moves near zero
_STILL = 1e-9  # change of an error by one unit of an output, below which it does not move
_FAR = (0.3, -0.3, 1.0, -1.0, 3.0, -3.0)  # second chances for an output that seems to do nothing


def check_before_training(economy_type: type[Economy], parameters: Any, settings: Any) -> None:
    """All checks of an economy and of the weights that its file gives to conditions; settings: the whole file.

    Raises UserError as `check_equations`, or for a weight, a threshold or a judge that is no condition, or none that
    can judge.
    """
    frozen = settings.next_period.gradient == "frozen"
    conditions = check_equations(economy_type(parameters, settings.precision), settings.sampling.every_shock, frozen)
    if settings.precision != "float64":
        trace(economy_type(parameters, "float64"))  # as solutions are evaluated
    for number, phase in enumerate(settings.phases):
        try:
            if phase.parameters:
                changed = economy_type(in_phase(parameters, phase.parameters), settings.precision)
                check_equations(changed, settings.sampling.every_shock, frozen)
        except UserError as error:
            raise UserError(f"under phases.{number}.parameters: {error}") from error
    for name in settings.weights:
        if name not in conditions:
            raise UserError(f"weights.{name}: not a condition of the economy;{nearest(name, conditions)}")
    _check_judges(economy_type(parameters, "float64"), settings.validation.decided_by, settings.stop)


def check_equations(economy: Economy, every_shock: bool = False, frozen: bool = False) -> list[str]:
    """The names of the economy's conditions, if nothing is wrong with its equations.

    every_shock: the loss has states under every shock. frozen: no gradient flows through next period.
    Raises UserError: the line of the economy's file, or the field or condition and the state where something is wrong.
    """
    shapes.check_declarations(economy)
    state = _initial_states(economy)
    near = _NEAR * np.random.default_rng(1).standard_normal((_STATES, economy.width))
    near[: _STATES // 3] = 0.0
    whole = OnePass(economy, state, tf.constant(near, economy.dtype), every_shock)
    _check_numbers(whole)
    trace(economy)  # before derivatives are looked at: NumPy's results have none, and that is not what is wrong
    fewer = tf.nest.map_structure(lambda x: x[:_FEWER], state)
    part = OnePass(economy, fewer, whole.output[:_FEWER], every_shock, frozen)
    shapes.check_same_in_a_smaller_batch(whole.reported, part.reported, _FEWER)
    shapes.check_report(economy, state, whole.reported)
    _check_next_period(whole)
    _check_each_condition(whole)
    _check_today(part, frozen)
    _check_each_output(whole)
    _check_signs(whole)
    return list(whole.residuals)


def conditions_that_move(economy: Economy) -> list[str]:
    """The reported conditions that some output of the network changes, near zero or far from it; float64.

    The others hold by construction, as an identity does, or a complementarity that the policy meets exactly.
    """
    return [name for name, sizes in _moving(economy, (_NEAR, *_SPREADS)).items() if sizes]


def _moving(economy: Economy, spreads: Sequence[float]) -> dict[str, list[float]]:
    """By reported condition the first of these spreads of network outputs at which one of them moves it, if any."""
    state, generator = _initial_states(economy), np.random.default_rng(3)
    found: dict[str, list[float]] = {}
    for spread in spreads:
        output = tf.constant(spread * generator.standard_normal((_STATES, economy.width)), economy.dtype)
        whole = OnePass(economy, state, output)
        for name, total in whole.error_sums.items():
            if not found.setdefault(name, []):
                gradients = whole.tape.gradient(total, [whole.output, whole.next_output])
                # In float64 what cancels leaves 1e-16; NaN is a move.
                if any(g is not None and not np.all(np.abs(g) < _STILL) for g in gradients):
                    found[name] = [spread]
        if all(found.values()):
            break
    return found


def _check_judges(economy: Economy, decided_by: str | None, stop: Iterable[str]) -> None:
    """What chooses the best weights and what ends training are figures of conditions, and what chooses can be moved."""
    moving = _moving(economy, (_NEAR, *_SPREADS))
    if judging.WORST in moving:
        raise UserError(f"errors: {judging.WORST} is what validation calls the worst condition; choose another name")
    if not any(moving.values()):
        raise UserError(
            f"errors: none of {', '.join(moving)} changes with what the network says, so that nothing says which "
            "weights are best; report a condition that training lowers"
        )
    if decided_by is not None and decided_by not in moving:
        raise UserError(f"validation.decided_by: {decided_by!r} is not a condition;{nearest(decided_by, moving)}")
    if decided_by is not None and moving[decided_by] != [_NEAR]:
        others = ", ".join(name for name, spread in moving.items() if spread == [_NEAR])
        raise UserError(
            f"validation.decided_by: no output of the network moves {decided_by}, so that the untrained weights would "
            f"be the best; name one of {others}, or leave it out"
        )
    known = judging.figures_of(moving)
    for name in stop:
        if name not in known:
            raise UserError(f"stop.{name}: validation has no such figure;{nearest(name, known)}")


def trace(economy: Economy) -> None:
    """Builds the graph of all equations and computes nothing: finds NumPy on tensors, and types that do not mix.

    In float64, in which solutions are evaluated, it finds types that are written into the equations.
    """
    state = economy.tensors(economy.initial_states(2, np.random.default_rng(0)))
    output = tf.zeros([2, economy.width], economy.dtype)
    try:
        # Without AutoGraph, as in training.
        tf.function(_everything(economy), autograph=False).get_concrete_function(state, output)
    except UserError as error:
        place = "in float64, as solutions are evaluated: " if economy.dtype == "float64" else ""
        raise UserError(f"{place}{error}") from error


def _everything(economy: Economy) -> Callable[[Any, tf.Tensor], None]:
    def called(method: str, *arguments: Any) -> Any:
        with mistakes_in(economy, method):
            return getattr(economy, method)(*arguments)

    def decided(output: tf.Tensor, state: Any) -> Any:
        with mistakes_in(economy, "policy"):
            return economy.decide(output, state)

    def decide(states: Sequence[Any]) -> list[Any]:
        return [decided(tf.zeros([s[0].shape[0], economy.width], economy.dtype), s) for s in states]

    def everything(state: Any, output: tf.Tensor) -> None:
        called("features", state)
        policy = decided(output, state)
        with mistakes_in(economy, "transition"):
            E = Expectation(economy, state, policy, decide, most=1)
        policy = called("complete", state, policy, E)
        for method in ("residuals", "errors", "definitions"):
            called(method, state, policy, E)
        called("flags", state, policy)
        called("constraints", state, policy)
        called("is_inside", state)

    return everything


def _initial_states(economy: Economy) -> Any:
    generator = np.random.default_rng(0)
    with mistakes_in(economy, "initial_states"):
        given = economy.initial_states(_STATES, generator)
        shapes.check_initial_states(economy, given, _STATES)
        shapes.check_initial_states(economy, economy.initial_states(1, generator), 1)
    return economy.tensors(given)


def _check_numbers(whole: OnePass) -> None:
    """No NaN on the way, in the order in which things are computed; and paths that can be followed."""
    state, output, policy = whole.state, whole.output, whole.policy
    advice = "; a policy has to be finite whatever the network says, as with tf.exp, tf.sigmoid, tf.minimum"
    for field, values in policy._asdict().items():
        shapes.finite(f"policy: {field}", values, state, output, more=advice)
    for following in whole.next_states:
        for field, values in following._asdict().items():
            shapes.finite(f"transition: next period's {field}", values, state, output, policy)
    _check_inside(whole)
    for following, decided in zip(whole.next_states, whole.next_policies, strict=True):
        for field, values in fields(decided).items():
            shapes.finite(f"policy: {field} one period later", values, following, more=advice)
    advice = "; look for a power or log of what is below 0"
    for name, values in whole.residuals.items():
        shapes.finite(f"residuals: {name}", values, state, output, policy, advice)


def _check_inside(whole: OnePass) -> None:
    for inside, state in zip([whole.inside, *whole.next_inside], [whole.state, *whole.next_states], strict=True):
        inside = tf.convert_to_tensor(inside)
        if inside.dtype != tf.bool or inside.shape != state[0].shape[:1]:
            raise UserError(
                f"is_inside: gives {inside.dtype.name} of shape {list(inside.shape)}, expected one bool a state, "
                f"{list(state[0].shape[:1])}; use tf.reduce_all(..., axis=1) over ages"
            )
    # Initial states may lie outside: a track is asked for after its first step.
    if not any(np.any(inside) for inside in whole.next_inside):
        first = shapes.at(0, whole.next_states[0])
        raise UserError(
            f"transition: one period after initial states is_inside is false everywhere, {first}; widen "
            "it, or let network outputs of 0 mean a sensible first guess in `policy`"
        )


def _check_next_period(whole: OnePass) -> None:
    """Some condition has to look ahead, or there is nothing dynamic to solve."""
    if not whole.expectations:
        raise UserError(
            "residuals: no condition takes an expectation; write E(lambda s, q: ...) around what depends on next "
            "period's state s and policy q"
        )
    if all(gradient is None for gradient in whole.tape.gradient(whole.total, whole.following)):
        raise UserError(
            "residuals: E is taken, but of nothing that depends on next period; in E(lambda s, q: ...) use s and q, "
            "not today's state and policy"
        )


def _check_each_condition(whole: OnePass) -> None:
    """Each condition depends on what the network says, by derivatives that are numbers."""
    for name, total in whole.sums.items():
        today, later = whole.tape.gradient(total, [whole.output, whole.next_output])
        if today is None and later is None:
            raise UserError(
                f"residuals: {name} does not depend on what the network says, so that no training can lower it; "
                "compute it from `policy`, or report it in `errors`"
            )
        if today is not None and not np.isfinite(today).all():
            row = int(np.argmin(np.isfinite(today).all(axis=1)))
            where = shapes.at(row, whole.state, whole.output, whole.policy)
            raise UserError(
                f"residuals: the derivative of {name} is not finite {where}; look for 0 / 0 or a power "
                "of 0, also in the branch that tf.where does not take"
            )


def _check_today(part: OnePass, frozen: bool) -> None:
    """Some condition moves with today's output, all taken together: one alone may be zero where nothing binds."""
    today = part.tape.gradient(part.total, part.output)
    if today is None or not np.any(today):
        why = "; next_period.gradient is frozen, so that nothing is learned through E" if frozen else ""
        raise UserError(
            f"residuals: none of {', '.join(part.residuals)} changes with what the network says today{why}; today's "
            "policy has to stand in a condition, outside E"
        )


def _check_signs(whole: OnePass) -> None:
    """A multiplier or slack that is negative wherever one looks is written with the wrong sign."""
    for name, pair in whole.constraints.items():
        for part, values in zip(("multiplier", "slack"), pair, strict=True):
            if np.all(values < 0):
                raise UserError(
                    f"constraints: the {part} of {name} is below 0 at every state, such as {np.max(values):.3g} "
                    f"{shapes.at(0, whole.state, whole.output, whole.policy)}; expected 0 <= multiplier and slack >= "
                    "0: is it written with the wrong sign?"
                )


def _check_each_output(whole: OnePass) -> None:
    """Each output of the network moves a policy and a condition, near zero or else far from it."""
    economy, silent = whole.economy, _silent(whole)
    if not any(each.any() for each in silent.values()):
        return
    for size in _FAR:
        far = OnePass(economy, whole.state, tf.fill(whole.output.shape, tf.constant(size, economy.dtype)))
        silent = {what: each & _silent(far)[what] for what, each in silent.items()}
    for what, cure in (
        ("policy", f"set self.outputs to what `policy` takes, now {economy.outputs}"),
        ("residuals", "add the condition that determines it"),
    ):
        if silent[what].any():
            number = int(np.argmax(silent[what]))
            name = economy.taken.name_of(number)
            raise UserError(f"outputs: the network's {name} changes nothing in {what}; {cure}")


def _silent(whole: OnePass) -> dict[str, np.ndarray]:
    """[outputs] whether an output moves neither policies nor, today and next period, conditions; NaN is a move."""
    moves = {
        "policy": whole.tape.gradient(whole.policies, [whole.output]),
        "residuals": whole.tape.gradient(whole.total, [whole.output, whole.next_output]),
    }
    count = whole.economy.width
    return {
        what: ~np.any([np.any(np.reshape(g, [-1, count]), axis=0) for g in each if g is not None] or [[False]], axis=0)
        for what, each in moves.items()
    }
