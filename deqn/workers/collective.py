"""What several ranks do together: act on rank 0 alone, reduce errors, compare arrays."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from typing import Any

from deqn.project.errors import UserError
from deqn.workers.workers import Value, Workers


def on_first(workers: Workers, action: Callable[[], Value]) -> Value:
    """What `action` gives on rank 0, on every rank; a UserError of it is raised on every rank."""
    outcome: tuple[bool, Any] = (True, None)
    if workers.rank == 0:
        try:
            outcome = True, action()
        except UserError as error:
            outcome = False, error
    succeeded, value = workers.broadcast(outcome)
    if not succeeded:
        value.is_common = True
        raise value
    return value


def reduced(workers: Workers, values: Mapping[str, float]) -> dict[str, float]:
    """Scalars by name over all ranks: their mean, or the largest where the name ends in max; NaN stays NaN."""
    if workers.size == 1:
        return dict(values)
    all_values = workers.gather(dict(values))
    return {
        name: max((each[name] for each in all_values), key=lambda x: math.inf if math.isnan(x) else x)
        if name.endswith(("_max", ".max"))
        else sum(each[name] for each in all_values) / workers.size
        for name in values
    }


def checksum(arrays: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits that differ if any bit of any array does."""
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted(arrays):
        digest.update(name.encode() + arrays[name].tobytes())
    return digest.hexdigest()
