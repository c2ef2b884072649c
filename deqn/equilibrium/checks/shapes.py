"""Checks that each part of an economy gives the right types and shapes, and finite numbers; or a UserError."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from deqn.equilibrium.economy import Economy, axes_of
from deqn.equilibrium.incomplete import Incomplete
from deqn.equilibrium.outputs import check_outputs
from deqn.project.errors import UserError, nearest

_MET = "numbers [batch] met numbers [batch, 1]: write x[:, None] beside [batch, N], x[:, 0] beside [batch]"
_TAKEN = ("variable", "unit", "shock", "mean", "all", "unvisited", "binding", "stage")  # columns and groups of tables
_SAME = 1e-3  # relative and absolute: rounding in float32 stays below, another state's influence does not


def check_declarations(economy: Economy) -> None:
    """State, Policy, shocks, outputs and own are there and fit together."""
    name = type(economy).__name__
    for part in ("State", "Policy"):
        if not getattr(getattr(type(economy), part, None), "_fields", None):
            raise UserError(f"{name}.{part}: not a NamedTuple; write `State, Policy = State, Policy` into the class")
    if getattr(economy, "shocks", None) is None:
        raise UserError(f"{name}: no shocks; write self.shocks = MarkovChain(...) or Gaussian(...) into __init__")
    if economy.perceived is not None and economy.perceived.discrete != economy.shocks.discrete:
        raise UserError(
            f"{name}: of perceived shocks {economy.perceived.discrete or 'none'} are discrete, of the true ones "
            f"{economy.shocks.discrete or 'none'}; expected as many, for one `transition` takes both"
        )
    check_outputs(name, getattr(economy, "outputs", None))
    if economy.shocks.discrete and "shock" not in economy.State._fields:
        raise UserError(f"{name}.State: no field `shock`, in which a Markov chain's state is kept; add it")
    if economy.own is not None and len(economy.own) != economy.width:
        raise UserError(f"{name}: own names {len(economy.own)} inputs, expected {economy.width}, one for each output")
    for axis, labels in economy.axes.items():
        _check_axis(axis, list(labels))


def _check_axis(axis: str, labels: Sequence[Any]) -> None:
    """An axis has a name that may stand in the name of a file, and labels that differ: numbers in order, or names."""
    if not axis.isidentifier() or axis in _TAKEN:
        raise UserError(f"axes: {axis!r} cannot name an axis; choose one word other than {', '.join(_TAKEN)}")
    names = all(isinstance(label, str) for label in labels)
    numbers = labels and not names and all(np.ndim(label) == 0 and np.isreal(label) for label in labels)
    if not labels or not (names or numbers) or len(set(labels)) < len(labels):
        raise UserError(
            f"axes.{axis}: got {labels}, expected labels that differ, all of them numbers or all of them names"
        )


def check_report(economy: Economy, state: Any, reported: Mapping[str, Mapping[str, Any]]) -> None:
    """The report names what there is, gives State and foreseen policies a letter each, and knows every field's axes."""
    report, policy = economy.report, reported["policy"]
    fields = [*economy.State._fields, *policy, *reported["errors"], *reported["definitions"]]
    for part, names, known in (
        ("dims", report.dims, fields),
        ("dims", [axis for each in report.dims.values() for axis in each], economy.axes),
        ("axis_labels", report.axis_labels, economy.axes),
        ("letters", report.letters, [*economy.State._fields, *policy]),
        ("oldest", report.oldest, [*policy, *reported["errors"], *reported["definitions"]]),
        ("foreseen", report.foreseen, policy),
        ("binding", [report.binding] if report.binding else [], policy),
        ("products", report.products, reported["errors"]),
        ("constraints", report.constraints, reported["flags"]),
        ("output", [report.output] if report.output else [], reported["definitions"]),
    ):
        for name in names:
            if name not in known:
                raise UserError(f"report.{part}: {name!r} unknown;{nearest(name, known)}")
    letters = report.letters
    for field in (*economy.State._fields, *report.foreseen):
        if field not in letters:
            raise UserError(f"report.letters: none for {field}; say its name in simulation.npz, as {{{field!r}: 'x'}}")
    if len(set(letters.values())) < len(letters):
        raise UserError(f"report.letters: {dict(letters)} gives two fields one name, and simulation.npz would keep one")
    axes = axes_of(economy)
    for name, values in {**policy, **reported["definitions"], **reported["errors"], **state._asdict()}.items():
        axes.of(name, values.shape[1:])


def check_initial_states(economy: Economy, given: Any, count: int) -> None:
    """Arrays [count, ...] of finite numbers, at least one field real, a discrete shock in its range."""
    _check_type("initial_states", given, economy.State)
    for field, values in zip(given._fields, given, strict=True):
        array = np.asarray(values)
        if array.dtype.kind not in "fiu" or array.ndim == 0 or len(array) != count:
            raise UserError(
                f"initial_states: {field} is {array.dtype} of shape {list(array.shape)}, expected numbers "
                f"[{count}] or [{count}, N] for count = {count}"
            )
        if not np.isfinite(array).all():
            raise UserError(f"initial_states: {field} holds {array[~np.isfinite(array)][0]}, expected finite numbers")
    if not any(np.asarray(values).dtype.kind == "f" for values in given):
        raise UserError("initial_states: all fields hold whole numbers, expected a real one; write 1.0 for 1")
    discrete = economy.shocks.discrete
    if not discrete:
        return
    shock = np.asarray(given.shock)
    if shock.dtype.kind not in "iu" or shock.ndim > 1 or shock.min() < 0 or shock.max() >= discrete:
        raise UserError(
            f"initial_states: shock is {shock.dtype} from {shock.min():g} to {shock.max():g}, expected whole numbers "
            f"from 0 to {discrete - 1}, [count]"
        )


def check_features(economy: Economy, state: Any) -> None:
    """Features have to be [batch, inputs], or [batch, agents, inputs], and finite."""
    features, count = tf.convert_to_tensor(economy.features(state)), state[0].shape[0]
    if features.shape.rank not in (2, 3) or features.shape[0] != count:
        raise UserError(
            f"features: shape {list(features.shape)} at {count} states, expected [{count}, inputs]; write x[:, None] "
            "for one input, tf.stack([x, y], axis=1) for two ([batch, agents, inputs] for one network over agents)"
        )
    check_dtype("features", features, economy)
    finite("features", features, state)


def check_policy(economy: Economy, policy: Any, state: Any, method: str = "policy") -> None:
    """Every field of Policy has an entry for each state, in the economy's type; None only before `complete`."""
    _check_type(method, policy, economy.Policy)
    count, completes = state[0].shape[0], type(economy).complete is not Economy.complete
    for field, given in policy._asdict().items():
        if isinstance(given, Incomplete) and method == "policy" and completes:
            continue
        if given is None or isinstance(given, Incomplete):
            cure = "let it give all that `policy` leaves out" if completes else (
                "give it here or, if it is an expectation, in `complete(state, policy, E)`"
            )  # fmt: skip
            raise UserError(f"{method}: {field} is None, expected [{count}] or [{count}, N]; {cure}")
        values = tf.convert_to_tensor(given)
        if values.shape.rank == 0 or values.shape[0] != count:
            raise UserError(
                f"{method}: {field} has shape {list(values.shape)} at {count} states, expected [{count}] or "
                f"[{count}, N]"
            )
        if values.dtype.is_floating:
            check_dtype(f"{method}: {field}", values, economy)


def check_following(economy: Economy, state: Any, states: Sequence[Any], every_shock: bool) -> None:
    """States like the ones before in every shape and type; with `every_shock` they differ in the shock alone."""
    row = economy.shocks.discrete or 1
    for number, following in enumerate(states):
        _check_type("transition", following, economy.State)
        rows = following[0].shape[0]
        for field, before, after in zip(state._fields, state, map(tf.convert_to_tensor, following), strict=True):
            if list(after.shape[1:]) != list(before.shape[1:]) or after.shape[:1] != [rows] or not after.shape.rank:
                raise UserError(
                    f"transition: {field} has shape {list(after.shape)}, expected {[rows, *before.shape[1:]]} as "
                    f"initial_states gives{'; ' + _MET if after.shape[1:] == [rows] else ''}"
                )
            if after.dtype != before.dtype:
                raise UserError(
                    f"transition: {field} is {after.dtype.name}, but {before.dtype.name} at initial states; real "
                    "numbers there are written 1.0, and here tf.cast(x, self.dtype) makes them"
                )
            if field == "shock" and economy.shocks.discrete and tf.reduce_any(after != number % row):
                raise UserError(
                    "transition: the next state's shock is not the one drawn; write State(..., shock=shock)"
                )
            under_another = every_shock and economy.shocks.discrete and field != "shock"
            if under_another and _differ(after, getattr(states[number - number % row], field)):
                raise UserError(
                    f"sampling.every_shock: next period's {field} depends on next period's shock, and a state cannot "
                    "stand under another one; keep in State what is decided before the shock, compute the rest in "
                    "a method, or set sampling.every_shock to false"
                )


def check_named(name: str, values: Any, state: Any, economy: Economy) -> None:
    """What residuals, errors, definitions and flags give: by name, [batch] or [batch, ...]."""
    if not isinstance(values, Mapping) or (not values and name in ("residuals", "errors")):
        seen = "an empty one" if isinstance(values, Mapping) else kind(values)
        raise UserError(f"{name}: gives {seen}, expected a dictionary by name such as {{'euler': error}}")
    count = state[0].shape[0]
    for key, given in values.items():
        array = tf.convert_to_tensor(given)
        if not array.shape.rank or array.shape[0] != count:
            raise UserError(
                f"{name}: {key} has shape {list(array.shape)} at {count} states, expected [{count}] or [{count}, N]: "
                "an entry for each state, means and sums over axis=1 only"
            )
        if name in ("residuals", "errors"):
            check_dtype(f"{name}: {key}", array, economy)


def check_constraints(constraints: Any, errors: Mapping[str, Any], state: Any) -> None:
    """By name (multiplier, slack) of one shape, [batch] or [batch, N], under names that no error has."""
    count = state[0].shape[0]
    if not isinstance(constraints, Mapping):
        raise UserError(
            f"constraints: gives {kind(constraints)}, expected a dictionary: {{'limit': (multiplier, slack)}}"
        )
    for name, pair in constraints.items():
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise UserError(f"constraints: {name} is {kind(pair)}, expected a pair (multiplier, slack)")
        shapes = [list(tf.convert_to_tensor(x).shape) for x in pair]
        if shapes[0] != shapes[1] or shapes[0][:1] != [count]:
            raise UserError(
                f"constraints: of {name} the multiplier has shape {shapes[0]} and the slack {shapes[1]} at {count} "
                f"states, expected [{count}] or [{count}, N], the same of both"
            )
        if name in errors:
            raise UserError(
                f"constraints: {name} is one of `errors` too; the product is reported by itself, drop it there"
            )


def check_dtype(what: str, values: tf.Tensor, economy: Economy) -> None:
    """Real numbers have to be of the economy's type."""
    if values.dtype != economy.dtype:
        raise UserError(
            f"{what} is {values.dtype.name}, expected {economy.dtype}, the economy's `self.dtype`: write "
            "tf.constant(values, self.dtype), or tf.cast(x, self.dtype)"
        )


def check_same_in_a_smaller_batch(
    whole: Mapping[str, Mapping[str, Any]], part: Mapping[str, Mapping[str, Any]], count: int
) -> None:
    """A state's numbers may not depend on the rest of its batch: `part` is `whole` at its first `count` states."""
    for method, values in whole.items():
        for name, here in values.items():
            alone = part[method][name]
            if here.shape[1:] != alone.shape[1:]:
                raise UserError(
                    f"{method}: {name} has shape {list(here.shape)} at {here.shape[0]} states and {list(alone.shape)} "
                    f"at {count}, expected [batch] or [batch, N]; {_MET}"
                )
            if here.dtype.is_floating and not np.allclose(here[:count], alone, _SAME, _SAME, equal_nan=True):
                raise UserError(
                    f"{method}: {name} at a state changes with the other states of the batch; take means and sums over "
                    "axis=1, and let no list of numbers by shock or age meet [batch] (self.by_shock, x[:, None])"
                )


def finite(what: str, values: tf.Tensor, state: Any, output: Any = None, policy: Any = None, more: str = "") -> None:
    """Refuses NaN and infinity, with the first state at which they stand."""
    array = values.numpy()
    bad = ~np.isfinite(array)
    if bad.any():
        place = tuple(np.argwhere(bad)[0])
        where = f"{what}[{', '.join(map(str, place))}] is {array[place]}"
        raise UserError(f"{where}, {at(place[0], state, output, policy)}{more}")


def at(row: int, state: Any, output: Any = None, policy: Any = None) -> str:
    """Describes one row of states, network outputs and policies."""
    words = "where " + _fields(row, state)
    if output is not None:
        words += f" and the network says {_number(output[row])}"
    return words + (f"; the policy there is {_fields(row, policy)}" if policy is not None else "")


def kind(x: Any) -> str:
    """Names what something is, for a message."""
    if x is None:
        return "nothing (does it return?)"
    return "a tensor" if isinstance(x, tf.Tensor) else f"a {type(x).__name__}"


def _differ(x: tf.Tensor, y: tf.Tensor) -> bool:
    """Whether any entries differ; NaN, which other checks find, does not count."""
    return bool(tf.reduce_any(tf.abs(x - y) > 0))


def _fields(row: int, named: Any) -> str:
    return ", ".join(f"{field} = {_number(values[row])}" for field, values in zip(named._fields, named, strict=True))


def _number(values: Any) -> str:
    return np.array2string(np.asarray(values), precision=4, threshold=6, edgeitems=2, separator=", ").replace("\n", "")


def _check_type(method: str, given: Any, expected: Any) -> None:
    if not isinstance(given, expected):
        fields = ", ".join(expected._fields)
        raise UserError(f"{method}: gives {kind(given)}, expected {expected.__name__}({fields})")
