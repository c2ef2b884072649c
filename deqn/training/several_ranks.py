"""What several ranks make sure of: that they begin alike, that their weights stay equal, whose tracks go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from deqn.project.errors import Diverged, UserError
from deqn.training.position import Position, assign, network_groups, read
from deqn.training.problem import Carry, Problem
from deqn.workers.collective import checksum
from deqn.workers.workers import Workers


def begin_alike(workers: Workers, plan: Mapping[str, Any], variables: Mapping[str, Sequence[Any]]) -> None:
    """Gives every rank the values of rank 0's variables, if all have the same plan.

    plan: what decides how many updates a rank makes. Raises UserError if ranks differ in it: they would wait for each
    other for ever.
    """
    for rank, other in enumerate(plans := workers.gather(plan)):
        if other != plans[0]:
            raise UserError(f"rank {rank} has {other}, rank 0 {plans[0]}: give all ranks the same parameter file")
    make_alike(workers, variables)


def make_alike(workers: Workers, variables: Mapping[str, Sequence[Any]]) -> None:
    """Gives every rank the values of rank 0's variables."""
    if workers.size > 1:
        assign(variables, workers.broadcast(read(variables)))


def weights_checksums(workers: Workers, problem: Problem, update: int) -> list[str]:
    """The checksum of every rank's networks. Raises Diverged if they are not all the same."""
    sums = workers.gather(checksum(read(network_groups(problem))))
    for rank, other in enumerate(sums):
        if other != sums[0]:
            raise Diverged(
                f"the weights of rank {rank} differ from rank 0's after update {update} ({other}, {sums[0]}); "
                "is the hardware of the nodes the same? continue from the last checkpoint with --resume"
            )
    return sums


def goes_on(saved: Position, ranks: int, workers: Workers, carry: Carry, say: Callable[[str], None]) -> bool:
    """Whether this rank goes on with the carry that a checkpoint of so many ranks has for it, or begins a new one.

    On another number of ranks it goes on if the checkpoint knows this rank and its carry has the shapes of `carry`.
    """
    if ranks == workers.size:
        return True
    fits = workers.rank < ranks
    try:
        saved.carry(like=carry)
    except UserError:
        fits = False
    known = [rank for rank, known in enumerate(workers.gather(fits)) if known]
    say(
        f"the checkpoint is of {ranks} ranks, these are {workers.size}: "
        + (f"the states of ranks 0 to {known[-1]} go on" if known else "no rank keeps its states")
        + ("" if len(known) == workers.size else ", others begin anew")
    )
    return fits
