"""Deep Equilibrium Nets: dynamic stochastic economies solved on the states that they visit.

import deqn
solution = deqn.load("runs/benchmark60/first")
policy = solution.policy(capital=k, shock=z)
path = solution.simulate(periods=1000, seed=3)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deqn.tasks.solution import Solution, load

__all__ = ["Solution", "load"]


def __getattr__(name: str) -> Any:
    """`load` and `Solution` import TensorFlow, so they are imported when first used."""
    if name in __all__:
        from deqn.tasks import solution

        return getattr(solution, name)
    raise AttributeError(f"deqn has no {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
