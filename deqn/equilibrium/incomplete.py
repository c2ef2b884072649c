"""Fields of a policy that `complete` computes from an expectation, and that nothing may take before."""

from __future__ import annotations

from typing import Any, NoReturn

from deqn.project.errors import UserError


class Incomplete:
    """Stands in a policy for a field that `policy` leaves None; whoever computes with it gets a UserError."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise UserError(
            f"policy: {self._name} is None there, for `complete` computes it from E: `transition`, and functions inside"
            f" E, can take only what `policy` itself gives; if next period's {self._name} is needed, learn it: give it "
            "an output of the network and a condition"
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("shape", "dtype", "graph"):  # what TensorFlow asks of every object
            raise AttributeError(name)
        self._refuse()

    __tf_tensor__ = __array__ = __getitem__ = __iter__ = __len__ = __bool__ = __float__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __pow__ = __rpow__ = __neg__ = __abs__ = __matmul__ = __rmatmul__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse


def marked(policy: Any) -> Any:
    """A policy with a mark in every field that is None."""
    missing = {name: Incomplete(name) for name, x in policy._asdict().items() if x is None}
    return policy._replace(**missing) if missing else policy


def fields(policy: Any) -> dict[str, Any]:
    """The fields that are there, by name."""
    return {name: x for name, x in policy._asdict().items() if not isinstance(x, Incomplete)}
