"""The replay buffer: past transitions, from which minibatches are drawn uniformly (Lin 1992)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, final

import numpy as np

from deqn.rl.environments import Transition


class Minibatch(NamedTuple):
    """The data of an update of Q, [batch, ...] each; truncated transitions are among those that did not terminate."""

    observation: Any
    action: Any
    reward: Any
    next_observation: Any
    terminated: Any


@final
class Replay:
    """A ring of the last `capacity` transitions.

    example: a transition of the shapes to come; observations keep their type (uint8 for images).
    dtype: of rewards, and of `terminated` as 0 or 1.
    """

    def __init__(self, capacity: int, example: Minibatch, dtype: str = "float32") -> None:
        self.capacity, self.added = capacity, 0
        self._rows = Minibatch(*(
            np.zeros((capacity, *each.shape[1:]), dtype if name in ("reward", "terminated") else each.dtype)
            for name, each in zip(Minibatch._fields, example, strict=True)
        ))  # fmt: skip

    def __len__(self) -> int:
        return min(self.added, self.capacity)

    def add(self, transition: Transition) -> None:
        """Stores the rows of one step; without room they replace the oldest ones."""
        rows = (self.added + np.arange(len(transition.reward))) % self.capacity
        for name, kept in self._rows._asdict().items():
            kept[rows] = getattr(transition, name)
        self.added += len(rows)

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> Minibatch:
        """Draws uniformly with replacement: [*shape, ...] each."""
        rows = generator.integers(len(self), size=shape)
        return Minibatch(*(kept[rows] for kept in self._rows))

    def state(self) -> dict[str, np.ndarray]:
        """Returns copies of the filled part."""
        rows = {name: each[: len(self)].copy() for name, each in self._rows._asdict().items()}
        return rows | {"added": np.array(self.added)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Restores what `state` gave."""
        self.added = int(state["added"])
        for name, kept in self._rows._asdict().items():
            kept[: len(self)] = state[name]
