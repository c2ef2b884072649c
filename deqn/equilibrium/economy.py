"""What an economist writes: states, policies and the conditions of an equilibrium.

class MyEconomy(Economy):
    State, Policy         NamedTuples of tensors, batch first
    features              what the network sees
    policy                network output -> an admissible policy
    transition            the state one period later
    residuals             the conditions, zero in equilibrium; E(f) is the conditional expectation
    initial_states        where simulations begin
    report                by which names and in which units results are written
"""

from __future__ import annotations

import abc
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium.exogenous import Exogenous
from deqn.equilibrium.incomplete import marked
from deqn.equilibrium.outputs import Declared, Outputs
from deqn.project.errors import UserError
from deqn.project.user_code import folder_of, mistakes_in_user_code
from deqn.report.axes import Axes

AnyState = Any  # a NamedTuple of tensors, batch first: the economy's own State
AnyPolicy = Any
ExpectationOperator = Callable[[Callable[[AnyState, AnyPolicy], tf.Tensor]], tf.Tensor]


class Report(NamedTuple):
    """How results are named and read.

    letters: the name in simulation.npz of each field of State, and of those of Policy that are written there.
    units: by field of State and Policy, or by name in `definitions`; figures and tables show them.
    dims: by field, error or definition the names of its axes in order, {"savings": ("age", "asset")}; () says that its
        numbers belong to no axis. Needless where a field has one axis and exactly one of the economy's has its length.
    axis_labels: what an axis is called in figures; else its own name.
    oldest: policies, errors and definitions [batch, N-1] that belong to ages 2..N; without it, to ages 1..N-1. Fields
        of State of this size always belong to 2..N, because the newborn hold nothing.
    foreseen: policies that are written for every shock that may follow, under their letter and "_next".
    binding: a policy, [batch] or [batch, N], above 0 where a constraint binds; errors are shown with and without it.
    products: the errors that are products (a multiplier times a slack) and not relative to anything.
    constraints: the flags that say where a constraint holds, which is information; all others are guards, and where
        one of them is active something is wrong.
    output: the definition with which moments show the correlation of all others.
    aggregates: definitions that are drawn along the simulated path and must not drift, each with its name in words; by
        default all that are one number a period.
    condition_names: what a reader calls an error; else its name in `errors`.
    relative_to: for a policy that may be zero or negative, the policy or definition of whose size its implied error is
        a share; else its own mean size.
    figures: by the name of a figure, the variables along an axis that it shows, "log10_" before the name of an error;
        else each variable has a figure NAME_by_AXIS.
    stage_variables, shock_variables: rows of the figure of stages, panels of the figure by shock.
    """

    letters: Mapping[str, str] = {}
    units: Mapping[str, str] = {}
    dims: Mapping[str, Sequence[str]] = {}
    axis_labels: Mapping[str, str] = {}
    oldest: Sequence[str] = ()
    foreseen: Sequence[str] = ()
    binding: str | None = None
    products: Sequence[str] = ()
    constraints: Sequence[str] = ()
    output: str | None = None
    aggregates: Mapping[str, str] = {}
    condition_names: Mapping[str, str] = {}
    relative_to: Mapping[str, str] = {}
    figures: Mapping[str, Sequence[str]] = {}
    stage_variables: Sequence[str] = ()
    shock_variables: Sequence[str] = ()


class Economy(abc.ABC):
    """A dynamic stochastic economy as its equations.

    parameters: an instance of the economy's schema. dtype: float32 in training, float64 in evaluation.

    Subclasses are final and set, in `__init__`,
    shocks: the exogenous process; a Markov economy's State has a field `shock`.
    perceived: the process over which E integrates, where the economy's people do not know the true one, from which
        nature draws; by default the same. Its shocks are as those of `shocks`, its weights may depend on the state.
    outputs: how many numbers `policy` takes from the network for a state; or by name, such as {"bonds": N, "price": 1},
        and `policy` takes output.bonds [batch, N] and output.price [batch] (see `deqn.equilibrium.outputs`).
    xla: False (for a class) of an economy that moves many numbers one by one, as a histogram from bin to bin: XLA takes
        ten times as long for it on a CPU, so that TensorFlow's graphs run instead, whatever the file's `compiler`.
    own: for each output the index of the feature nearest to it (a cohort's own wealth), or None.
    axes: the labels, in order, of each axis of the economy's fields: {"age": ages} for fields [batch, N] and
        [batch, N-1], {"country": names}; numbers, or names. Results are written along them.
    """

    Parameters: ClassVar[Any]
    State: ClassVar[Any]
    Policy: ClassVar[Any]
    report: ClassVar[Report] = Report()
    xla: ClassVar[bool] = True

    shocks: Exogenous
    perceived: Exogenous | None = None
    outputs: Declared
    own: Sequence[int] | None = None
    axes: Mapping[str, Sequence[float] | Sequence[str] | np.ndarray] = {}

    def __init__(self, parameters: Any, dtype: str = "float32") -> None:
        self.p = parameters
        self.dtype = dtype

    @functools.cached_property
    def taken(self) -> Outputs:
        """What `outputs` says, of each of the agents that `features` shows."""
        with mistakes_in_user_code(folder_of(type(self)), "features"):
            shown = self.features(self.tensors(self.initial_states(1, np.random.default_rng(0))))
        return Outputs(self.outputs, tuple(shown.shape[1:-1]))

    def seen(self, state: AnyState) -> tf.Tensor:
        """`features` in one row for each state, [batch, inputs of all agents]."""
        shown = self.features(state)
        return shown if len(shown.shape) == 2 else tf.reshape(shown, [shown.shape[0] or -1, math.prod(shown.shape[1:])])

    @property
    def width(self) -> int:
        """How many numbers the network gives for a state."""
        return self.taken.width

    def decide(self, output: tf.Tensor, state: AnyState) -> AnyPolicy:
        """`policy` of what the network says, [batch, width]; what it leaves None is marked."""
        policy = self.policy(self.taken.grouped(output), state)
        return marked(policy) if isinstance(policy, tuple) and hasattr(policy, "_fields") else policy

    def by_shock(self, values: Any, shock: tf.Tensor) -> tf.Tensor:
        """The entry of a list of parameters that belongs to each state's shock: [S, ...] -> [batch, ...]."""
        return tf.gather(tf.constant(np.asarray(values), self.dtype), shock)

    def tensors(self, state: AnyState) -> AnyState:
        """A state of NumPy arrays as tensors: real numbers in the economy's type, whole ones as int32."""
        return tf.nest.map_structure(
            lambda x: tf.constant(x, self.dtype if np.issubdtype(np.asarray(x).dtype, np.floating) else tf.int32), state
        )

    @abc.abstractmethod
    def features(self, state: AnyState) -> tf.Tensor:
        """What the network sees, [batch, inputs], in the economy's own units: the network standardises.

        [batch, agents, inputs] for one network that decides for each of many agents, from what it sees of each: it then
        gives `outputs` numbers for every agent, and `policy` takes [batch, agents, outputs].
        """

    @abc.abstractmethod
    def policy(self, output: Any, state: AnyState) -> AnyPolicy:
        """An admissible policy from the network's output, as `outputs` says; no expectation: E itself calls it."""

    @abc.abstractmethod
    def transition(self, state: AnyState, policy: AnyPolicy, shock: tf.Tensor) -> AnyState:
        """The state one period later, when `shock` has been drawn."""

    @abc.abstractmethod
    def residuals(self, state: AnyState, policy: AnyPolicy, E: ExpectationOperator) -> Mapping[str, tf.Tensor]:
        """What is minimised, by condition: [batch, ...] or [batch], zero in equilibrium, unit-free."""

    @abc.abstractmethod
    def initial_states(self, count: int, generator: np.random.Generator) -> AnyState:
        """States from which simulations begin, NumPy arrays; the first of them start evaluation paths."""

    def errors(self, state: AnyState, policy: AnyPolicy, E: ExpectationOperator) -> Mapping[str, tf.Tensor]:
        """What is reported, by condition; the worst one decides which weights are best. By default the residuals."""
        return self.residuals(state, policy, E)

    def is_inside(self, state: AnyState) -> tf.Tensor:
        """Whether a track is worth following, bool [batch]; others are reset. By default: all numbers are finite."""
        finite = [tf.reshape(tf.math.is_finite(x), [tf.shape(x)[0], -1]) for x in state if x.dtype.is_floating]
        return tf.reduce_all(tf.concat(finite, axis=1), axis=1)

    def flags(self, state: AnyState, policy: AnyPolicy) -> Mapping[str, tf.Tensor]:
        """Where a floor or clip was active, by name: bool [batch, ...]; their shares are printed.

        Those that the report calls `constraints` say where a constraint holds, as `constraints` does of itself.
        """
        return {}

    def constraints(self, state: AnyState, policy: AnyPolicy) -> Mapping[str, tuple[tf.Tensor, tf.Tensor]]:
        """0 <= multiplier ⟂ slack >= 0 by name: (multiplier, slack), of one shape, best in units in which both compare.

        Their product is reported beside `errors`, with the share of entries at which the multiplier is the larger, so
        that the constraint binds; what is below zero is told as a finding.
        """
        return {}

    def complete(self, state: AnyState, policy: AnyPolicy, E: ExpectationOperator) -> AnyPolicy:
        """The policy with the fields that are expectations and that `policy` left None, such as a bond's price.

        Inside E, and in `transition`, these fields are not there: what E itself needs has to be learned.
        """
        return policy

    def definitions(self, state: AnyState, policy: AnyPolicy, E: ExpectationOperator) -> Mapping[str, tf.Tensor]:
        """Further variables to report: prices and aggregates [batch], variables by age or country."""
        return {}

    def correction(self, output: Any, state: AnyState, policy: AnyPolicy, E: ExpectationOperator) -> Any:
        """By how much the network's output should change for the conditions to hold here, in the form of `output`.

        Only a warm start asks for it; it may be rough. output: what `policy` takes.
        """
        raise NotImplementedError

    def check_states(self, state: Mapping[str, Any]) -> AnyState:
        """States that a user gives, as the economy's State of NumPy arrays; UserError says what is wrong with them."""
        example = self.initial_states(1, np.random.default_rng(0))
        for names, words in (
            (set(state) - set(self.State._fields), "unknown"),
            (set(self.State._fields) - set(state), "missing"),
        ):
            if names:
                raise UserError(f"states: {', '.join(sorted(names))} {words}; expected {', '.join(self.State._fields)}")
        arrays: dict[str, np.ndarray] = {}
        for name, like in zip(self.State._fields, example, strict=True):
            arrays[name] = _checked_array(name, state[name], like)
        count = len(arrays[self.State._fields[0]])
        for name, array in arrays.items():
            if len(array) != count:
                raise UserError(
                    f"states: {name} has {len(array)} rows, expected {count} as {self.State._fields[0]} has"
                )
        if self.shocks.discrete and "shock" in arrays:
            shock = arrays["shock"]
            if shock.min(initial=0) < 0 or shock.max(initial=0) >= self.shocks.discrete:
                bad = int(np.argmax((shock < 0) | (shock >= self.shocks.discrete)))
                raise UserError(
                    f"states: shock[{bad}] is {shock[bad]}, expected 0 to {self.shocks.discrete - 1} (arrays count "
                    "from 0)"
                )
        return self.State(**arrays)

    def describe_shocks(self) -> Sequence[str]:
        """A name for each value of a discrete shock, in order."""
        return [f"shock {number + 1}" for number in range(self.shocks.discrete or 0)]


def axes_of(economy: Economy) -> Axes:
    """The economy's axes, with what its report says of them, as reports read them."""
    labels = {
        axis: [x if isinstance(x, str) else float(x) for x in along] for axis, along in economy.axes.items()
    }  # fmt: skip
    return Axes(labels, economy.report.dims, [*economy.State._fields, *economy.report.oldest])


def _checked_array(name: str, given: Any, like: np.ndarray) -> np.ndarray:
    """A field of a user's states in the type and shape of an example [1, ...]."""
    try:
        array = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"states: {name} is not an array of numbers: {error}") from error
    expected = ", ".join(["M", *map(str, like.shape[1:])])
    if array.shape[1:] != like.shape[1:] or array.ndim != like.ndim or not len(array):
        raise UserError(f"states: {name} has shape {list(array.shape)}, expected [{expected}] with M states")
    bad = ~np.isfinite(array)
    if bad.any():
        place = ", ".join(map(str, np.argwhere(bad)[0]))
        raise UserError(f"states: {name}[{place}] is {array[bad][0]}, expected finite numbers")
    if not np.issubdtype(like.dtype, np.integer):
        return array
    if (array != np.round(array)).any():
        raise UserError(f"states: {name} holds {array[array != np.round(array)][0]:g}, expected whole numbers")
    return array.astype(np.int32)
