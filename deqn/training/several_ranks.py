"""What several ranks make sure of: that they begin alike, that their weights stay equal, whose tracks go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from deqn.project.errors import Diverged, UserError
from deqn.training.position import Saved, assign, network_groups, read
from deqn.training.problem import Carry, Problem
from deqn.workers.collective import checksum
from deqn.workers.workers import Workers


def begin_alike(workers: Workers, plan: Mapping[str, Any], variables: Mapping[str, Sequence[Any]]) -> None:
    """Gives every rank the values of rank 0's variables.

    plan: what decides how many updates a rank makes. Raises UserError if ranks differ in it: they would wait for each
    other for ever.
    """
    for rank, other in enumerate(plans := workers.gather(plan)):
        if other != plans[0]:
            raise UserError(f"rank {rank} has {other}, rank 0 {plans[0]}: give all ranks the same parameter file")
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


def fit_to_ranks(
    saved: Saved,
    workers: Workers,
    problem: Problem,
    carry: Carry,
    start: Callable[[], Carry],
    say: Callable[[str], None],
) -> Saved:
    """A checkpoint of another number of ranks, as this rank continues it.

    Ranks that the checkpoint knows go on with their tracks if they still have as many, the others begin with new ones.
    carry: of the shapes that this rank has. start: makes a new one.
    """
    ranks = saved.rest["ranks"]
    if ranks == workers.size:
        return saved
    goes_on = workers.rank < ranks and _fits(saved, carry)
    if not goes_on:
        problem.restore(saved.position.host_state())
        begun = start()
        position, last_good = saved.position.with_carry(begun), saved.last_good.with_carry(begun)
        saved = saved._replace(position=position, last_good=last_good)
    known = [rank for rank, known in enumerate(workers.gather(goes_on)) if known]
    say(
        f"the checkpoint is of {ranks} ranks, these are {workers.size}: "
        + (f"the states of ranks 0 to {known[-1]} go on" if known else "no rank keeps its states")
        + ("" if len(known) == workers.size else ", others begin anew")
    )
    return saved


def _fits(saved: Saved, carry: Carry) -> bool:
    try:
        saved.position.carry(like=carry)
    except UserError:
        return False
    return True
