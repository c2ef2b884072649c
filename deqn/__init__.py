"""Deep Equilibrium Nets: dynamic stochastic economies solved on the states that they visit.

import deqn
solution = deqn.train("models/olg/benchmark60.yaml", {"parameters.borrowing_limit": -0.5})
solution = deqn.load("runs/benchmark60/first")
policy = solution.policy(capital=k, shock=z)
path = solution.simulate(periods=1000, seed=3)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deqn.commands.notebook import train
    from deqn.tasks.solution import Solution, load

__all__ = ["Solution", "load", "train"]


def __getattr__(name: str) -> Any:
    """What imports TensorFlow, or takes time, is imported when first used."""
    if name == "train":
        from deqn.commands.notebook import train

        return train
    if name in __all__:
        from deqn.tasks import solution

        return getattr(solution, name)
    raise AttributeError(f"deqn has no {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
