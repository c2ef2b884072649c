"""The one training loop: phases of updates, judged on fresh data, rolled back when they diverge, checkpointed."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, final

import numpy as np
import tensorflow as tf

from deqn.project.errors import Diverged, UserError
from deqn.project.run import RunFolder
from deqn.training.optimizers import settle, settled
from deqn.training.phases import Phases
from deqn.training.position import assign, carry_from, read, read_carry
from deqn.training.problem import Batch, Problem
from deqn.training.records import Keeper
from deqn.training.settings import TrainingSettings
from deqn.training.update import Advance, Tally, diagnose, make_advance, update_key
from deqn.training.validation import Judge
from deqn.workers.communication import SingleWorker, Workers, checksum, on_first, reduced

State = tuple[dict[str, np.ndarray], dict[str, Any]]  # arrays, and a rest that JSON can hold


class Progress(NamedTuple):
    """What a reader of a running training sees. errors: empty where nothing was validated."""

    update: int
    updates: int
    episode: int
    loss: float
    errors: Mapping[str, float]
    cpu_seconds: float


class Outcome(NamedTuple):
    """How training ended.

    stopped: interrupted with a checkpoint. thresholds: whether all of `stop` were reached, None if none were asked.
    best: the validation of the best weights, which the networks now hold; empty if the problem does not validate.
    initial: the validation before the first update, that is of the warm start alone.
    """

    updates: int
    stopped: bool
    thresholds: bool | None
    best: Mapping[str, float]
    cpu_seconds: float
    rollbacks: int
    skipped: int
    cost_to_accuracy: Mapping[str, float]
    initial: Mapping[str, float]


@final
class Trainer:
    """Trains a problem through the phases of its settings.

    folder: where metrics and checkpoints go; None keeps all in memory. report: called with each Progress.
    workers: by default one. Of several, each has a trainer of its own and all do the same; rank 0 writes.
    should_stop: asked between episodes; the run then ends with a checkpoint. clock: CPU-seconds used so far.
    say: told in one line of what a reader should know (roll-backs, files that could not be written).
    """

    def __init__(
        self,
        problem: Problem,
        settings: TrainingSettings,
        folder: RunFolder | None = None,
        workers: Workers | None = None,
        report: Callable[[Progress], None] = lambda progress: None,
        should_stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.process_time,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.problem, self.settings, self.folder = problem, settings, folder
        self.workers = workers or SingleWorker()
        self.report, self.should_stop, self.clock, self.say = report, should_stop, clock, say
        self.phases = Phases(problem, settings.phases, settings.workers.rate(self.workers.size))
        self.total = self.phases.total
        self.judge = Judge(settings)
        self.keeper = Keeper(folder if self.workers.rank == 0 else None, settings.checkpoints, self.total, say)
        self.update, self.episode, self.rollbacks, self.skipped = 0, 0, 0, 0
        self.carry = self._start()
        self.validations: dict[str, float] = {}  # of this episode
        self.cpu_before = 0.0  # of earlier sittings
        self._clock_start = clock()
        self._good: State | None = None
        self._advance: Advance | None = None  # compiled for the present phase when first used

    def _start(self) -> Any:
        return self.problem.start(update_key(self.settings.seed, self.workers.rank, tf.constant(2**31 - 1)))

    # --- the loop --------------------------------------------------------------------------------------------------

    def train(self) -> Outcome:
        """Runs to the end, to the thresholds, or until asked to stop; the best weights are then in the networks.

        Raises Diverged if roll-backs did not help; the last good checkpoint stands.
        """
        self._begin_alike()
        if self.update == 0:
            self.judge.begin(reduced(self.workers, self.problem.validate()))
        self.keeper.begin(self.update)
        if self.update == 0:
            self._judge(self.judge.initial)
        self._good = self._good or self._position()
        stopped = False
        while not self._is_over() and not stopped:
            self._run_episode()
            asked, due = zip(*self.workers.gather((self.should_stop(), self.keeper.is_due())), strict=True)
            stopped = any(asked) and not self._is_over()
            last = stopped or self._is_over()
            if last or due[0]:
                state = self._state()
                # A full disk, which rank 0 alone meets, ends all ranks alike.
                on_first(self.workers, functools.partial(self.keeper.state, self.update, *state, last=last))
        if not stopped:
            settle(self.phases.optimizers, self.problem.trainable)
            if self.judge.best_weights:
                assign(self._networks(), self.judge.best_weights)
        return Outcome(
            self.update, stopped, self.judge.thresholds, self.judge.best, self.cpu_seconds(), self.rollbacks,
            self.skipped, dict(self.judge.cost_to_accuracy), self.judge.initial,
        )  # fmt: skip

    def cpu_seconds(self) -> float:
        """Of training so far, compilation and earlier sittings included."""
        return self.cpu_before + self.clock() - self._clock_start

    def _is_over(self) -> bool:
        return self.update >= self.total or bool(self.judge.thresholds) or self.judge.has_lost_patience

    def _run_episode(self) -> None:
        """The updates on one episode's data; if training diverges within it, a roll-back instead."""
        begun, sums, largest, is_judged, self.validations = self.update, dict[str, float](), -math.inf, False, {}
        for batch in self.problem.batches(self.episode):
            if self.phases.due(self.update) != self.phases.number:
                self.phases.follow(self.phases.due(self.update))
                self._advance = None
            count = min(self.problem.updates_per_call, self._next_boundary() - self.update)
            if count <= 0:
                break
            tally, diverged = self._call(batch, count)
            sums = {name: sums.get(name, 0.0) + float(value) for name, value in tally.sums.items()}
            largest = max(largest, float(tally.largest_loss))
            if not diverged and (self.update % self.settings.validate_every == 0 or self.update == self.total):
                is_judged, diverged = True, self._validate()
            if diverged:
                self._roll_back(diverged)
                return
            self._keep_stage()
        if self.update == begun:
            raise ValueError(
                f"{type(self.problem).__name__}.batches({self.episode}) gave no batch, expected one or more"
            )
        self.episode += 1
        means = reduced(self.workers, {name: value / (self.update - begun) for name, value in sums.items()})
        self.keeper.row(self._row(means, largest))
        self.report(
            Progress(self.update, self.total, self.episode, means["loss"], self.validations, self.cpu_seconds())
        )
        if is_judged:
            self._good = self._position()

    def _call(self, batch: Batch, count: int) -> tuple[Tally, str | None]:
        """Makes `count` updates on a batch; says why if a loss was not finite."""
        if self._advance is None:
            example = (batch, self.carry)
            self._advance = make_advance(
                self.problem, self.phases.optimizers, self.settings.seed, self.workers, example
            )
        self.carry, tally = self._advance(batch, self.carry, tf.constant(self.update), tf.constant(count))
        bad = int(tally.first_bad)
        if bad >= 0:
            causes = self.workers.gather(
                diagnose(self.problem, batch, self.carry, self.settings.seed, self.workers.rank, bad)
            )
            return tally, f"{next(filter(None, causes), 'the loss is not finite')} in update {bad}"
        self.update, self.skipped = self.update + count, self.skipped + int(tally.skipped)
        return tally, None

    def _next_boundary(self) -> int:
        """The next update at which Python has to look: validation, end of phase, a stage to keep."""
        every = self.settings.validate_every
        stages = [at for at in self.keeper.stages if at > self.update]
        return min([(self.update // every + 1) * every, self.phases.end(), self.total, *stages])

    # --- judging ---------------------------------------------------------------------------------------------------

    def _validate(self) -> str | None:
        """Judges training since the last good state; says why if it has diverged."""
        assert self._good is not None
        _, good = self._good
        made = self.update - good["update"]
        if self.skipped - good["skipped"] == made:
            return f"no gradient of the last {made} updates, up to {self.update}, was finite"
        with settled(self.phases.optimizers, self.problem.trainable):
            self.validations = reduced(self.workers, self.problem.validate())
            self.weights_checksums()
            return self._judge(self.validations)

    def _judge(self, errors: Mapping[str, float]) -> str | None:
        """Keeps the weights if these errors are the best so far; says why if they are a divergence."""
        diverged = self.judge.divergence(errors)
        if diverged:
            return f"after update {self.update} {diverged}"
        if self.judge.takes(errors, self.cpu_seconds()):
            self.judge.best_weights = read(self._networks())
            self.keeper.best(self.judge.best_weights, {"update": self.update, **errors})
        return None

    def _roll_back(self, reason: str) -> None:
        """Back to the last good state with a smaller rate, or the end. What was best so far stays the best."""
        assert self._good is not None
        limits = self.settings.divergence
        if self.rollbacks >= limits.retries:
            best = f"; the best weights so far stand in {self.folder}" if self.folder and self.judge.best else ""
            raise Diverged(f"{reason}; {self.rollbacks} roll-backs with smaller learning rates did not help{best}")
        self._go_to(*self._good)
        self.rollbacks += 1
        self.phases.cut_rates(limits.cut**self.rollbacks)
        self.keeper.begin(self.update)
        self.say(
            f"{reason}: back to update {self.update}, learning rate x {limits.cut**self.rollbacks:.3g} "
            f"({self.rollbacks} of {limits.retries})"
        )

    # --- several ranks ---------------------------------------------------------------------------------------------

    def _begin_alike(self) -> None:
        """Every rank takes rank 0's weights; ranks that would make other updates are refused, for they would hang."""
        plan = {
            "updates": self.total, "validate_every": self.settings.validate_every, "seed": self.settings.seed,
            "updates_per_call": self.problem.updates_per_call, "at update": self.update,
        }  # fmt: skip
        for rank, other in enumerate(plans := self.workers.gather(plan)):
            if other != plans[0]:
                raise UserError(f"rank {rank} has {other}, rank 0 {plans[0]}: give all ranks the same parameter file")
        if self.workers.size > 1:
            assign(self._variables(), self.workers.broadcast(read(self._variables())))
        self.weights_checksums()

    def weights_checksums(self) -> list[str]:
        """Of every rank's networks. Raises Diverged if they are not all the same."""
        sums = self.workers.gather(checksum(read(self._networks())))
        for rank, other in enumerate(sums):
            if other != sums[0]:
                raise Diverged(
                    f"the weights of rank {rank} differ from rank 0's after update {self.update} ({other}, {sums[0]}); "
                    "is the hardware of the nodes the same? continue from the last checkpoint with --resume"
                )
        return sums

    # --- what is kept ----------------------------------------------------------------------------------------------

    def _networks(self) -> dict[str, list[Any]]:
        return {f"networks/{name}": list(network.weights) for name, network in self.problem.networks.items()}

    def _variables(self) -> dict[str, list[Any]]:
        return self._networks() | {
            f"optimizers/{name}": list(each.variables) for name, each in self.phases.optimizers.items()
        }

    def _position(self) -> State:
        """Where training stands: all that the next update depends on."""
        arrays = read(self._variables()) | read_carry(self.carry)
        arrays |= {f"host/{name}": np.asarray(x) for name, x in self.problem.host_state().items()}
        return arrays, {
            "update": self.update, "episode": self.episode, "phase": self.phases.number, "skipped": self.skipped,
        }  # fmt: skip

    def _go_to(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
        carry = carry_from(arrays, like=self.carry)
        if meta["phase"] != self.phases.number:
            self.phases.enter(meta["phase"])
            self._advance = None
        assign(self._variables(), arrays)
        self.carry = carry
        self.problem.restore({k.removeprefix("host/"): v for k, v in arrays.items() if k.startswith("host/")})
        self.update, self.episode, self.skipped = meta["update"], meta["episode"], meta["skipped"]

    def _state(self) -> State:
        """Everything a resumed run needs: where training stands, where a roll-back would lead, what was reached.

        What a rank has of its own, simulated states and host state, stands under its number, rank 0's without one.
        """
        assert self._good is not None
        arrays, meta = self._position()
        good_arrays, good = self._good
        if good["update"] != self.update:  # else it is this very position
            arrays |= {f"good/{name}": value for name, value in good_arrays.items()}
            meta["good"] = good
        for rank, theirs in enumerate(self.workers.gather({k: v for k, v in arrays.items() if _is_own(k)})):
            if rank != self.workers.rank:
                arrays |= {f"rank{rank}/{name}": value for name, value in theirs.items()}
        reached_arrays, reached = self.judge.state()
        return arrays | reached_arrays, meta | reached | {
            "rollbacks": self.rollbacks,
            "rate_scale": self.phases.cut,
            "cpu_seconds": self.cpu_seconds(),
            "ranks": self.workers.size,
        }  # fmt: skip

    def resume(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
        """Takes up a state that a checkpoint holds. Raises UserError if it belongs to another problem.

        On another number of ranks, those that the checkpoint knows go on with their states if they still have as many
        tracks, the others begin with new ones.
        """
        arrays = self._own_part(arrays, meta)
        self._go_to(arrays, meta)
        if "good" in meta:
            good = {k.removeprefix("good/"): v for k, v in arrays.items() if k.startswith("good/")}
            self._good = good, meta["good"]
        self.judge.restore(arrays, meta)
        self.rollbacks = meta["rollbacks"]
        self.phases.cut_rates(meta["rate_scale"])
        self.cpu_before = float(meta["cpu_seconds"])
        self._clock_start = self.clock()

    def _own_part(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """A checkpoint's arrays with what belongs to this rank, and to no other."""
        rank, ranks = self.workers.rank, meta["ranks"]
        own = {name: value for name, value in arrays.items() if not name.startswith("rank")}
        prefix = f"rank{rank}/"
        own |= {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
        if ranks == self.workers.size:
            return own
        keeps = rank < ranks and self._carry_fits(own)
        if not keeps:
            self.problem.restore({k.removeprefix("host/"): v for k, v in own.items() if k.startswith("host/")})
            begun = read_carry(self._start())
            own = {name: value for name, value in own.items() if not name.removeprefix("good/").startswith("carry/")}
            own |= begun | ({f"good/{name}": value for name, value in begun.items()} if "good" in meta else {})
        kept = [number for number, kept in enumerate(self.workers.gather(keeps)) if kept]
        self.say(
            f"the checkpoint is of {ranks} ranks, these are {self.workers.size}: "
            + (f"the states of ranks 0 to {kept[-1]} go on" if kept else "no rank keeps its states")
            + ("" if len(kept) == self.workers.size else ", others begin anew")
        )
        return own

    def _carry_fits(self, arrays: Mapping[str, np.ndarray]) -> bool:
        try:
            carry_from(arrays, like=self.carry)
        except UserError:
            return False
        return True

    def _keep_stage(self) -> None:
        if self.update in self.keeper.stages:
            with settled(self.phases.optimizers, self.problem.trainable):
                self.keeper.stage(self.update, read(self._networks()))

    def _row(self, means: Mapping[str, float], largest: float) -> dict[str, Any]:
        """A row of metrics.csv: means over the episode's updates, rates at its end."""
        several = len(self.phases.optimizers) > 1
        losses = {f"loss_{name}": means[name] for name in self.phases.optimizers} if several else {}
        rates = {
            f"learning_rate_{name}" if several else "learning_rate": float(each.learning_rate)
            for name, each in self.phases.optimizers.items()
        }
        return {
            "update": self.update,
            "episode": self.episode,
            "loss": means["loss"],
            "loss_max": largest,
            **{name: self.validations.get(name, "") for name in self.judge.initial},
            "cpu_seconds": round(self.cpu_seconds(), 2),
            **rates,
            "rollbacks": self.rollbacks,
            "skipped": self.skipped,
            **losses,
            **{name: value for name, value in means.items() if name not in ("loss", *self.phases.optimizers)},
        }


def _is_own(name: str) -> bool:
    """Whether a part of the state belongs to one rank: its simulated states, its generators."""
    return name.removeprefix("good/").startswith(("carry/", "host/"))
