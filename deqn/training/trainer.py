"""The one training loop: phases of updates, validated on fresh data, undone when they diverge, checkpointed."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, final

import numpy as np
import tensorflow as tf

from deqn.project.errors import Diverged
from deqn.project.run import RunFolder
from deqn.training import position, several_ranks
from deqn.training.optimizers import averages_in_use, use_averages
from deqn.training.phases import Phases
from deqn.training.position import Position
from deqn.training.problem import Batch, Problem
from deqn.training.records import RunRecords
from deqn.training.settings import TrainingSettings
from deqn.training.update import Advance, Tally, diagnose, make_advance, update_key
from deqn.training.validation import Validations
from deqn.workers.collective import on_first, reduced
from deqn.workers.workers import SingleWorker, Workers


class Progress(NamedTuple):
    """What a reader of a running training sees. errors: of the episode's validation, empty if there was none."""

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
    initial: the validation before the first update, of the warm start alone. cost_to_accuracy: CPU-seconds by the
    level of the deciding error that was then passed, such as {"0.05 %": 12.3}.
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
    workers: by default one. Each of several has a trainer of its own, and all do the same; only rank 0 writes.
    should_stop: asked between episodes; if it says so, the run ends with a checkpoint. clock: CPU-seconds used so far.
    say: called with one line about what a reader should know (roll-backs, files that could not be written).
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
        self.validations = Validations(settings)
        self.records = RunRecords(folder if self.workers.rank == 0 else None, settings.checkpoints, self.total, say)
        self.update, self.episode, self.rollbacks, self.skipped = 0, 0, 0, 0
        self.best_update = 0  # after which the best weights were reached
        self.carry = self._start()
        self.errors: dict[str, float] = {}  # of this episode's validation, if there was one
        self.cpu_before = 0.0  # of earlier sittings of this training
        self._clock_start = clock()
        self._last_good: Position | None = None
        self._advance: Advance | None = None  # compiled for the present phase when first used

    def _start(self) -> Any:
        return self.problem.start(update_key(self.settings.seed, self.workers.rank, tf.constant(2**31 - 1)))

    # --- the loop --------------------------------------------------------------------------------------------------

    def train(self) -> Outcome:
        """Runs to the end, to the thresholds, or until asked to stop; the best weights are then in the networks.

        Raises Diverged if roll-backs did not help; the last good checkpoint stands.
        """
        plan = {
            "updates": self.total, "validate_every": self.settings.validate_every, "seed": self.settings.seed,
            "updates_per_call": self.problem.updates_per_call, "at update": self.update,
        }  # fmt: skip
        several_ranks.begin_alike(self.workers, plan, self._variables())
        self.weights_checksums()
        if self.update == 0:
            self.validations.begin(self._validated())
        self.records.open_metrics(self.update)
        no_number = self._take(self.validations.initial) if self.update == 0 else None
        self._last_good = self._last_good or self._position()
        stopped = False
        while not self._is_over() and not stopped:
            self._run_episode()
            asked, due = zip(*self.workers.gather((self.should_stop(), self.records.checkpoint_is_due())), strict=True)
            stopped = any(asked) and not self._is_over()
            last = stopped or self._is_over()
            if last or due[0]:
                write = functools.partial(self.records.write_checkpoint, self.update, *self.state(), last=last)
                on_first(self.workers, write)  # a full disk, which rank 0 alone meets, ends all ranks alike
        if not stopped:
            if no_number and not self.validations.best:
                raise Diverged(f"{no_number}, and no later validation was better: no weights are the best ones")
            use_averages(self.phases.optimizers, self.problem.trainable)
            self._repair_best()
            if self.validations.best_weights:
                position.assign(position.network_groups(self.problem), self.validations.best_weights)
        reached = self.validations
        return Outcome(
            self.update, stopped, reached.thresholds, reached.best, self.cpu_seconds(), self.rollbacks, self.skipped,
            dict(reached.cost_to_accuracy), reached.initial,
        )  # fmt: skip

    def cpu_seconds(self) -> float:
        """The cost of training so far, compilation and earlier sittings included."""
        return self.cpu_before + self.clock() - self._clock_start

    def _is_over(self) -> bool:
        return self.update >= self.total or bool(self.validations.thresholds) or self.validations.patience_is_over

    def _run_episode(self) -> None:
        """Makes the updates on one episode's data, or a roll-back if training diverges within it."""
        begun, sums, largest, is_validated, self.errors = self.update, dict[str, float](), -math.inf, False, {}
        for batch in self.problem.batches(self.episode):
            if self.phases.due(self.update) != self.phases.number:
                if self.phases.follow(self.phases.due(self.update), self.say):
                    several_ranks.make_alike(self.workers, self._variables())
                    self.carry = self._start()
                self._advance = None
            count = min(self.problem.updates_per_call, self._next_boundary() - self.update)
            if count <= 0:
                break
            tally, diverged = self._call(batch, count)
            sums = {name: sums.get(name, 0.0) + float(value) for name, value in tally.sums.items()}
            largest = max(largest, float(tally.largest_loss))
            if not diverged and (self.update % self.settings.validate_every == 0 or self.update == self.total):
                is_validated, diverged = True, self._validate()
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
        self.records.add_row(self._row(means, largest))
        self.report(Progress(self.update, self.total, self._episodes(), means["loss"], self.errors, self.cpu_seconds()))
        if is_validated:
            self._last_good = self._position()

    def _episodes(self) -> int:
        """How many episodes have begun, whether the host makes their data or the losses simulate them."""
        each = self.problem.updates_per_episode
        return -(-self.update // each) if each else self.episode

    def _call(self, batch: Batch, count: int) -> tuple[Tally, str | None]:
        """Makes `count` updates on a batch. Returns their tally, and the cause if a loss was not finite."""
        if self._advance is None:
            example = (batch, self.carry)
            self._advance = make_advance(
                self.problem,
                self.phases.optimizers,
                self.settings.seed,
                self.workers,
                example,
                self.settings.workers.local_updates,
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
        """The next update after which Python has something to do: a validation, a new phase, weights to keep."""
        every = self.settings.validate_every
        stages = [at for at in self.records.stages if at > self.update]
        return min([(self.update // every + 1) * every, self.phases.end(), self.total, *stages])

    def _keep_stage(self) -> None:
        if self.update in self.records.stages:
            with averages_in_use(self.phases.optimizers, self.problem.trainable):
                self.records.write_stage(self.update, position.read(position.network_groups(self.problem)))

    # --- validation and roll-backs ---------------------------------------------------------------------------------

    def _validate(self) -> str | None:
        """Validates what training has made since the last good position; says why if it has diverged."""
        assert self._last_good is not None
        good = self._last_good.counts
        made = self.update - good["update"]
        if self.skipped - good["skipped"] == made:
            return f"no gradient of the last {made} updates, up to {self.update}, was finite"
        with averages_in_use(self.phases.optimizers, self.problem.trainable):
            self.errors = self._validated()
            self.weights_checksums()
            return self._take(self.errors)

    def _validated(self) -> dict[str, float]:
        """The figures of a validation over all workers, the deciding one first."""
        return dict(self.problem.judged(reduced(self.workers, self.problem.validate_from(self.carry))))

    def _take(self, errors: Mapping[str, float]) -> str | None:
        """Keeps the weights if these errors are the best so far; says why if they are a divergence.

        In a phase with parameters of its own training is about another problem than validation: its loss alone tells.
        """
        diverged = self.validations.divergence(errors)
        if diverged and not self.phases.has_own_parameters:
            return f"after update {self.update} {diverged}"
        if self.validations.add(errors, self.cpu_seconds()):
            self.validations.best_weights = position.read(position.network_groups(self.problem))
            self.best_update = self.update
            self.records.write_best(self.validations.best_weights, {"update": self.update, **errors})
        return None

    def _repair_best(self) -> None:
        """What an evaluation reads becomes the best weights that this training knows, if it is not."""
        self.records.repair_best(self.validations.best_weights, {"update": self.best_update, **self.validations.best})

    def _roll_back(self, reason: str) -> None:
        """Goes back to the last good position with a smaller rate, or raises Diverged; the best weights stay."""
        assert self._last_good is not None
        limits = self.settings.divergence
        if self.rollbacks >= limits.retries:
            best = f"; the best weights so far stand in {self.folder}" if self.folder and self.validations.best else ""
            raise Diverged(f"{reason}; {self.rollbacks} roll-backs with smaller learning rates did not help{best}")
        self._go_to(self._last_good)
        self.rollbacks += 1
        self.phases.cut_rates(limits.cut**self.rollbacks)
        self.records.open_metrics(self.update)
        self.say(
            f"{reason}: back to update {self.update}, learning rate x {limits.cut**self.rollbacks:.3g} "
            f"({self.rollbacks} of {limits.retries})"
        )

    # --- what is kept ----------------------------------------------------------------------------------------------

    def _variables(self) -> dict[str, Sequence[Any]]:
        return position.variable_groups(self.problem, self.phases.optimizers)

    def _position(self) -> Position:
        counts = {
            "update": self.update, "episode": self.episode, "phase": self.phases.number, "skipped": self.skipped,
        }  # fmt: skip
        return Position(position.read(self._variables()), position.own_arrays(self.problem, self.carry), counts)

    def _go_to(self, goal: Position) -> None:
        carry = goal.carry(like=self.carry)  # first, so that a checkpoint of another problem changes nothing
        if goal.counts["phase"] != self.phases.number:
            self.phases.enter(goal.counts["phase"])
            self._advance = None
        position.assign(self._variables(), goal.shared)
        self.carry = carry
        self.problem.restore(goal.host_state())
        self.update, self.episode, self.skipped = (goal.counts[name] for name in ("update", "episode", "skipped"))

    def state(self) -> tuple[position.Arrays, dict[str, Any]]:
        """The arrays and the meta of a checkpoint from which training can be resumed."""
        assert self._last_good is not None
        best_weights = self.validations.best_weights
        arrays, meta = position.pack(self._position(), self._last_good, best_weights, self.workers)
        return arrays, meta | self.validations.summary() | {
            "best_update": self.best_update, "rollbacks": self.rollbacks, "rate_scale": self.phases.cut,
            "cpu_seconds": self.cpu_seconds(),
        }  # fmt: skip

    def resume(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
        """Continues from a checkpoint's arrays and meta. Raises UserError if it belongs to another problem.

        On another number of ranks, those that the checkpoint knows go on with their states if they still have as many
        tracks, the others begin with new ones.
        """
        now, last_good, best_weights = position.unpack(arrays, meta, self.workers.rank)
        if not several_ranks.goes_on(now, meta["ranks"], self.workers, self.carry, self.say):
            self.problem.restore(now.host_state())  # first, because a new carry may begin with what it holds
            carry = self._start()
            now, last_good = now.with_carry(carry), last_good.with_carry(carry)
        self._go_to(now)
        self._last_good = last_good
        self.validations.restore(best_weights, meta)
        self.best_update = meta.get("best_update", meta["update"])
        self._repair_best()
        self.rollbacks = meta["rollbacks"]
        self.phases.cut_rates(meta["rate_scale"])
        self.cpu_before = float(meta["cpu_seconds"])
        self._clock_start = self.clock()

    def weights_checksums(self) -> list[str]:
        """The checksum of every rank's networks. Raises Diverged if they are not all the same."""
        return several_ranks.weights_checksums(self.workers, self.problem, self.update)

    def _row(self, means: Mapping[str, float], largest: float) -> dict[str, Any]:
        """A row of metrics.csv, with means over the episode's updates and the learning rates at its end."""
        several = len(self.phases.optimizers) > 1
        losses = {f"loss_{name}": means[name] for name in self.phases.optimizers} if several else {}
        rates = {
            f"learning_rate_{name}" if several else "learning_rate": float(each.learning_rate)
            for name, each in self.phases.optimizers.items()
        }
        return {
            "update": self.update,
            "episode": self._episodes(),
            "loss": means["loss"],
            "loss_max": largest,
            **{name: self.errors.get(name, "") for name in self.validations.initial},
            "cpu_seconds": round(self.cpu_seconds(), 2),
            **rates,
            "rollbacks": self.rollbacks,
            "skipped": self.skipped,
            **losses,
            **{name: value for name, value in means.items() if name not in ("loss", *self.phases.optimizers)},
        }
