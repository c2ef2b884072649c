r"""A decision rule with memory: (state, memory) -> (policy, memory), of any network of the parameter file.

The network sees m_t beside what the economy shows of s_t, and says z_t and n_t beside what `policy` takes of it:

    m_{t+1} = sigma(z_t) o m_t + (1 - sigma(z_t)) o tanh(n_t),   m_0 = 0,

a gated recurrent unit (Cho et al. 2014) whose gate and candidate are outputs of the network. What is observed and is no
state of the economy, such as past growth that tells of a hidden regime, can be kept there.

The memory is a field of State, and what it is after this period a field of Policy. So it lives in the tracks and moves
on in simulations, and E asks next period's rule with the memory after this period. The economy's file knows nothing of
it.
"""

from __future__ import annotations

import collections
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from deqn.equilibrium.economy import Economy
from deqn.equilibrium.incomplete import marked
from deqn.project.errors import UserError

MEMORY, AFTER = "memory", "memory_after"  # the fields of State and Policy


@functools.cache
def with_memory(economy_type: type[Economy], units: int) -> type[Remembering]:
    """The economy whose states have a memory of so many numbers. Raises UserError if it has a field of that name."""
    for part, name in ((economy_type.State, MEMORY), (economy_type.Policy, AFTER)):
        if name in part._fields:
            raise UserError(f"memory: {economy_type.__name__} has a field {name} of its own; rename it")
    report = economy_type.report
    fields = {
        "units_remembered": units,
        "State": _longer(economy_type.State, MEMORY),
        "Policy": _longer(economy_type.Policy, AFTER),
        "report": report._replace(
            letters={**report.letters, MEMORY: MEMORY}, dims={**report.dims, MEMORY: (), AFTER: ()}
        ),
        "__module__": economy_type.__module__,
    }
    return type(economy_type.__name__, (Remembering, economy_type), fields)


class Remembering(Economy):
    """What an economy gives, with the memory beside it."""

    units_remembered: int

    def __init__(self, parameters: Any, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        self._takes_names = isinstance(self.outputs, Mapping)
        own = self.outputs if isinstance(self.outputs, Mapping) else {"policy": (self.outputs,)}
        self.outputs = {**own, MEMORY: (2 * self.units_remembered,)}

    def features(self, state: Any) -> tf.Tensor:
        shown = super().features(state)  # type: ignore[safe-super]
        if len(shown.shape) != 2:
            raise UserError("memory: one network over many agents has none; leave it out")
        return tf.concat([shown, state.memory], axis=1)

    def decide(self, output: tf.Tensor, state: Any) -> Any:
        """No gradient flows from here into what is kept: `remembered` has it, over many periods."""
        groups = self.taken.grouped(output)
        own = self.policy(groups if self._takes_names else groups.policy, state)
        return marked(self._policy(own, tf.stop_gradient(self.kept(output, state))))

    def kept(self, output: tf.Tensor, state: Any) -> tf.Tensor:
        """The memory after this period, [batch, units]."""
        gate, candidate = tf.split(self.taken.grouped(output).memory, 2, axis=1)
        keep = tf.sigmoid(gate)
        return keep * state.memory + (1 - keep) * tf.tanh(candidate)

    def complete(self, state: Any, policy: Any, E: Any) -> Any:
        return self._policy(super().complete(state, policy, E), policy.memory_after)

    def transition(self, state: Any, policy: Any, shock: Any) -> Any:
        return self._state(super().transition(state, policy, shock), policy.memory_after)  # type: ignore[safe-super]

    def initial_states(self, count: int, generator: np.random.Generator) -> Any:
        own = super().initial_states(count, generator)  # type: ignore[safe-super]
        return self._state(own, np.zeros((count, self.units_remembered)))

    def _state(self, own: Any, memory: Any) -> Any:
        return self.State(*own[: len(self.State._fields) - 1], memory)

    def _policy(self, own: Any, memory: Any) -> Any:
        return self.Policy(*own[: len(self.Policy._fields) - 1], memory)

    def check_states(self, state: Mapping[str, Any]) -> Any:
        """A state without a memory has nothing behind it: its memory is zero."""
        count = len(np.atleast_1d(next(iter(state.values()), [])))
        return super().check_states({MEMORY: np.zeros((count, self.units_remembered)), **state})


def varied(states: Any, generator: np.random.Generator) -> Any:
    """States of arrays, with memories over all of their range if they have any: a network standardises from these."""
    if MEMORY not in states._fields:
        return states
    return states._replace(memory=generator.uniform(-1, 1, np.shape(states.memory)))


def remembered(rule: Any, states: Sequence[Any]) -> list[Any]:
    """States [tracks] of successive periods with the memory that the present rule has of them.

    So the loss of a period moves what was kept in those before it, back to the first, whose memory is taken as it is.
    """
    found = [states[0]]
    for now in states[1:]:
        before = found[-1]
        found.append(now._replace(memory=rule.economy.kept(rule.output(before), before)))
    return found


def as_seen_by(rule: Any, states: Any, tracks: int) -> Any:
    """The states of a path [tracks * periods], a track after the other, as a rule has them that has gone along.

    Without a memory they are what they are; else each has the memory of those before it on its track, at first zero.
    """
    economy = rule.economy
    own = economy.State(*(getattr(states, name) for name in economy.State._fields if name != MEMORY))
    if MEMORY not in economy.State._fields:
        return own
    none = np.zeros((tracks, economy.units_remembered))
    by_period = [np.swapaxes(np.reshape(x, (tracks, -1, *x.shape[1:])), 0, 1) for x in own if x is not None]
    path = economy.tensors(economy.State(*by_period, np.broadcast_to(none, (len(by_period[0]), *none.shape))))

    @tf.function(autograph=False)
    def along(path: Any) -> tf.Tensor:
        def after(memory: tf.Tensor, now: Any) -> tf.Tensor:
            now = now._replace(memory=memory)
            return economy.kept(rule.output(now), now)

        return tf.scan(after, path, path.memory[0])

    before = np.concatenate([none[None], along(path).numpy()[:-1]])
    return own._replace(memory=np.swapaxes(before, 0, 1).reshape(-1, none.shape[1]))


def _longer(part: Any, name: str) -> Any:
    """The NamedTuple with one field more, which the economy's own file leaves out."""
    return collections.namedtuple(part.__name__, [*part._fields, name], defaults=[None])  # type: ignore[misc]
