"""The protocol between what is solved and the engine that trains it.

What differs between an equilibrium, a regression, a sequence model and an agent is where an episode's data come from,
what is minimised, and what lives between updates. A problem supplies these three; the engine owns the update.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

Batch = Any
Carry = Any


class Losses(NamedTuple):
    """What one batch says about the networks.

    minimize: one scalar for each entry of `Problem.trainable`.
    carry: tensors that live between updates (simulated tracks, hidden state); same structure and shapes as came in.
    record: scalars for metrics.csv, averaged over the updates of an episode.
    detail: errors by condition, each [batch, age] or [batch], so that a NaN can name where it began.
    """

    minimize: Mapping[str, tf.Tensor]
    carry: Carry
    record: Mapping[str, tf.Tensor] = {}
    detail: Mapping[str, tf.Tensor] = {}


class Problem(abc.ABC):
    """Something to train. Subclasses are final.

    networks: saved in checkpoints and kept equal on all workers: target networks and normalisers too.
    trainable: the variables that each loss trains; the same key names the loss, the variables and their optimiser.
    compiler: "xla", or "graph" where XLA can't compile (a while_loop without a bound).
    updates_per_call: updates made on one batch before Python sees the result; above 1 only where `losses` makes its
        own data from carry and key.
    """

    networks: Mapping[str, keras.Model]
    trainable: Mapping[str, Sequence[keras.Variable]]
    compiler: Literal["xla", "graph"] = "xla"
    updates_per_call: int = 1

    def start(self, key: tf.Tensor) -> Carry:
        """First tracks, zero hidden state; `key` is a stateless seed, int32 [2]."""
        return ()

    def batches(self, episode: int) -> Iterator[Batch]:
        """The data of one episode, made on the host: by default one empty batch, because `losses` simulates."""
        yield ()

    @abc.abstractmethod
    def losses(self, batch: Batch, carry: Carry, key: tf.Tensor) -> Losses:
        """Pure TensorFlow (branches and loops on tensors are tf.cond and tf.while_loop).

        All randomness comes from `key`, int32 [2].
        """

    def after_update(self) -> None:  # noqa: B027 - by default nothing follows
        """Runs in the graph after the variables have changed: averages of target networks."""

    def enter_phase(self, settings: Mapping[str, Any]) -> None:
        """What a phase of training changes in the problem itself; the update is compiled anew afterwards."""
        if settings:
            raise ValueError(f"phases: {type(self).__name__} has nothing that a phase can change, got {dict(settings)}")

    def validate(self) -> Mapping[str, float]:
        """Errors on data that training never sees; the first entry chooses the best weights. Empty: none is kept.

        Over several workers their mean is taken, the largest where the name ends in _max.
        """
        return {}

    def host_state(self) -> Mapping[str, Any]:
        """NumPy arrays that live on the host between episodes: replay buffers, environments."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: B027 - by default there is nothing to take back
        """Takes back what `host_state` gave."""
