"""The one training loop: phases of updates, judged on fresh data, rolled back when they diverge, checkpointed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, final

import numpy as np
import tensorflow as tf

from deqn.training import checkpoint
from deqn.training.errors import CannotWrite, Diverged, UserError
from deqn.training.optimizers import optimizer
from deqn.training.problem import Problem
from deqn.training.run_folder import Metrics, RunFolder
from deqn.training.settings import OptimizerSettings, TrainingSettings
from deqn.training.snapshot import assign, read
from deqn.training.update import Advance, Tally, make_advance, update_key
from deqn.training.workers import SingleWorker, Workers

STAGES = (1, 5, 100)  # percent of training at which weights are kept for figure 5 of AGS19
MILESTONES = (6e-4, 2e-4, 1e-4, 5e-5, 2e-5)  # validation errors whose cost is recorded


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
        self.total = sum(phase.updates for phase in settings.phases)
        self.rate_scale = tf.Variable(1.0, trainable=False)
        self.update, self.episode, self.phase = 0, 0, 0
        self.carry = problem.start(update_key(settings.seed, self.workers.rank, tf.constant(2**31 - 1)))
        self.validations: dict[str, float] = {}
        self.initial: dict[str, float] = {}  # before the first update: the warm start alone
        self.best: dict[str, float] = {}
        self.best_weights: dict[str, np.ndarray] = {}
        self.rollbacks, self.skipped = 0, 0
        self.cost_to_accuracy: dict[str, float] = {}
        self.cpu_before = 0.0  # of earlier sittings
        self.metrics: Metrics | None = None
        self._clock_start = clock()
        self._last_saved = time.monotonic()
        self._enter_phase()

    # --- the loop --------------------------------------------------------------------------------------------------

    def train(self) -> Outcome:
        """Runs to the end, to the thresholds, or until asked to stop; the best weights are then in the networks.

        Raises Diverged if roll-backs did not help; the last good checkpoint stands.
        """
        if self.folder is not None and self.metrics is None:
            self.metrics = Metrics(self.folder.metrics, keep_through=self.update)
        if self.update == 0:
            self._validate()
            self.initial = self.validations
        self._good = self._state()
        stopped = False
        while self.update < self.total and not self._thresholds() and not stopped:
            self._run_episode()
            stopped = self.should_stop() and self.update < self.total
            self._save(last=stopped or self.update >= self.total)
        thresholds = self._thresholds() if self.settings.stop else None
        if self.best_weights and not stopped:
            assign(self._networks(), self.best_weights)
        return Outcome(
            self.update, stopped, thresholds, self.best, self.cpu_seconds(), self.rollbacks, self.skipped,
            dict(self.cost_to_accuracy), self.initial,
        )  # fmt: skip

    def cpu_seconds(self) -> float:
        """Of training so far, compilation and earlier sittings included."""
        return self.cpu_before + self.clock() - self._clock_start

    def _run_episode(self) -> None:
        done, sums, largest = 0, dict[str, float](), 0.0
        for batch in self.problem.batches(self.episode):
            if self.update == self._phase_end() and self.phase + 1 < len(self.settings.phases):
                self.phase += 1
                self._enter_phase()
            count = min(self.problem.updates_per_call, self._next_boundary() - self.update)
            if count <= 0:
                break
            example = (batch, self.carry)
            if self._advance is None:
                self._advance = make_advance(self.problem, self.optimizers, self.settings.seed, self.workers, example)
            carry, tally = self._advance(batch, self.carry, tf.constant(self.update), tf.constant(count))
            if int(tally.first_bad) >= 0 or int(tally.skipped) == count:
                self._roll_back(self._diagnosis(batch, tally))
                return
            self.carry, self.skipped = carry, self.skipped + int(tally.skipped)
            self.update, done = self.update + count, done + count - int(tally.skipped)
            sums = {name: sums.get(name, 0.0) + float(value) for name, value in tally.sums.items()}
            largest = max(largest, float(tally.largest_loss))
            if self.update % self.settings.validate_every == 0 or self.update == self.total:
                reason = self._validate()
                if reason:
                    self._roll_back(reason)
                    return
            self._keep_stage()
        self.episode += 1
        means = {name: value / max(done, 1) for name, value in sums.items()}
        self._write_row(means, largest)
        self.report(
            Progress(self.update, self.total, self.episode, means["loss"], self.validations, self.cpu_seconds())
        )
        if self.validations:
            self._good = self._state()
        self.validations = {}

    def _phase_end(self) -> int:
        return sum(phase.updates for phase in self.settings.phases[: self.phase + 1])

    def _next_boundary(self) -> int:
        """The next update at which Python has to look: validation, end of phase, a stage to keep."""
        every = self.settings.validate_every
        stages = [at for at in self._stage_updates() if at > self.update]
        return min([(self.update // every + 1) * every, self._phase_end(), self.total, *stages])

    def _enter_phase(self) -> None:
        phase = self.settings.phases[self.phase]
        self.problem.enter_phase(phase.problem)
        chosen = phase.optimizer
        by_loss = {
            name: chosen if isinstance(chosen, OptimizerSettings) else chosen.get(name, OptimizerSettings())
            for name in self.problem.trainable
        }
        if not isinstance(chosen, OptimizerSettings) and set(chosen) != set(self.problem.trainable):
            raise UserError(
                f"phases.{self.phase}.optimizer: names {sorted(chosen)}, expected one optimiser, or one for each of "
                f"{sorted(self.problem.trainable)}"
            )
        self.optimizers = {name: optimizer(by_loss[name], phase.updates, self.rate_scale) for name in by_loss}
        for name, each in self.optimizers.items():
            each.build(list(self.problem.trainable[name]))
        self._advance: Advance | None = None

    # --- judging ---------------------------------------------------------------------------------------------------

    def _validate(self) -> str | None:
        """Validates and keeps the best weights; says why if this is a divergence."""
        self.validations = dict(self.problem.validate())
        if not self.validations:
            return None
        name, value = next(iter(self.validations.items()))
        best = self.best.get(name, math.inf)
        if not math.isfinite(value):
            return f"the error on fresh data, {name}, is {value} after update {self.update}"
        if value > self.settings.divergence.factor * best:
            return (
                f"the error on fresh data, {name}, is {value:.3g} after update {self.update}, more than "
                f"{self.settings.divergence.factor:g} times the best so far, {best:.3g}"
            )
        for milestone in MILESTONES:
            if value < milestone:
                self.cost_to_accuracy.setdefault(f"{100 * milestone:g} %", round(self.cpu_seconds(), 1))
        if value < best:
            self.best = self.validations
            self.best_weights = read(self._networks())
            self._write(checkpoint.BEST, self.best_weights, {"update": self.update, **self.best})
        return None

    def _thresholds(self) -> bool:
        """Whether every error named in `stop` was below its threshold at one validation (Algorithm 1)."""
        unknown = set(self.settings.stop) - set(self.best)
        if unknown and self.best:
            raise UserError(f"stop: {sorted(unknown)} is not validated; expected any of {sorted(self.best)}")
        return bool(self.settings.stop) and all(
            self.best.get(name, math.inf) < threshold for name, threshold in self.settings.stop.items()
        )

    def _diagnosis(self, batch: Any, tally: Tally) -> str:
        """Where a loss stopped being finite: update, condition and age."""
        update = int(tally.first_bad)
        if update < 0:
            return f"no gradient of the last {int(tally.skipped)} updates, up to {self.update}, was finite"
        key = update_key(self.settings.seed, self.workers.rank, tf.constant(update))
        losses = tf.function(self.problem.losses)(batch, self.carry, key)
        for condition, errors in losses.detail.items():
            bad = ~np.isfinite(errors.numpy())
            if bad.any():
                where = ""
                if bad.ndim > 1:
                    age = int(np.argmax(bad.reshape(-1, bad.shape[-1]).any(axis=0)))
                    where = f", first at age group {age + 1} of {bad.shape[-1]}"
                return (
                    f"condition {condition!r} is not finite in update {update}{where} ({bad.mean():.1%} of its entries)"
                )
        return f"the loss is not finite in update {update}"

    def _roll_back(self, reason: str) -> None:
        """Back to the last good state with a smaller rate, or the end."""
        limits = self.settings.divergence
        if self.rollbacks >= limits.retries:
            raise Diverged(
                f"{reason}; {self.rollbacks} roll-backs with smaller learning rates did not help"
                + (f"; the best weights so far stand in {self.folder}" if self.folder is not None and self.best else "")
            )
        rollbacks = self.rollbacks + 1
        self._restore(*self._good)
        self.rollbacks = rollbacks
        self.rate_scale.assign(limits.cut**rollbacks)
        if self.metrics is not None and self.folder is not None:
            self.metrics = Metrics(self.folder.metrics, keep_through=self.update)
        self.say(
            f"{reason}: back to update {self.update}, learning rate x {limits.cut**rollbacks:.3g} "
            f"({rollbacks} of {limits.retries})"
        )

    # --- what is kept ----------------------------------------------------------------------------------------------

    def _networks(self) -> dict[str, list[Any]]:
        return {f"networks/{name}": list(network.weights) for name, network in self.problem.networks.items()}

    def _state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Everything a resumed run needs: arrays and a JSON-like rest."""
        variables = self._networks() | {
            f"optimizers/{name}": list(each.variables) for name, each in self.optimizers.items()
        }
        arrays = read(variables) | {
            f"carry/{number}": np.asarray(x) for number, x in enumerate(tf.nest.flatten(self.carry))
        }
        arrays |= {f"host/{name}": np.asarray(x) for name, x in self.problem.host_state().items()}
        arrays |= {f"best/{name}": value for name, value in self.best_weights.items()}
        meta = {
            "update": self.update,
            "episode": self.episode,
            "phase": self.phase,
            "best": self.best,
            "initial": self.initial,
            "rollbacks": self.rollbacks,
            "skipped": self.skipped,
            "rate_scale": float(self.rate_scale.numpy()),
            "cost_to_accuracy": self.cost_to_accuracy,
            "cpu_seconds": self.cpu_seconds(),
            "ranks": self.workers.size,
        }
        return arrays, meta

    def resume(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
        """Takes up a state that a checkpoint holds. Raises UserError if it belongs to another problem."""
        self.cpu_before = float(meta["cpu_seconds"])
        self._clock_start = self.clock()
        self._restore(arrays, meta)

    def _restore(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
        if meta["phase"] != self.phase:
            self.phase = meta["phase"]
            self._enter_phase()
        variables = self._networks() | {
            f"optimizers/{name}": list(each.variables) for name, each in self.optimizers.items()
        }
        assign(variables, arrays)
        flat = tf.nest.flatten(self.carry)
        restored = [tf.constant(arrays[f"carry/{number}"], x.dtype) for number, x in enumerate(flat)]
        self.carry = tf.nest.pack_sequence_as(self.carry, restored)
        self.problem.restore({k.removeprefix("host/"): v for k, v in arrays.items() if k.startswith("host/")})
        self.best_weights = {k.removeprefix("best/"): v for k, v in arrays.items() if k.startswith("best/")}
        self.update, self.episode, self.best = meta["update"], meta["episode"], dict(meta["best"])
        self.initial = dict(meta["initial"])
        self.rollbacks, self.skipped = meta["rollbacks"], meta["skipped"]
        self.rate_scale.assign(meta["rate_scale"])
        self.cost_to_accuracy = dict(meta["cost_to_accuracy"])

    def _save(self, last: bool) -> None:
        minutes = (time.monotonic() - self._last_saved) / 60
        if self.folder is None or not (last or minutes >= self.settings.checkpoints.minutes):
            return
        arrays, meta = self._state()
        self._write(checkpoint.LAST, arrays, meta, needed=last)
        if self.settings.checkpoints.keep and not last:
            self._write(checkpoint.numbered(self.update), arrays, meta)
            checkpoint.prune(self.folder.checkpoints, self.settings.checkpoints.keep)
        self._last_saved = time.monotonic()

    def _stage_updates(self) -> dict[int, int]:
        return {max(1, round(self.total * percent / 100)): percent for percent in STAGES}

    def _keep_stage(self) -> None:
        percent = self._stage_updates().get(self.update)
        if percent is not None:
            self._write(f"stage-{percent}.npz", read(self._networks()), {"update": self.update, "percent": percent})

    def _write(
        self, name: str, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any], needed: bool = False
    ) -> None:
        """Writes a checkpoint; a full disk is said, and ends the run only where the checkpoint was the point."""
        if self.folder is None or self.workers.rank != 0:
            return
        try:
            checkpoint.save(self.folder.checkpoints, name, arrays, meta)
        except CannotWrite as error:
            if needed:
                raise
            self.say(f"{error}; training goes on")

    def _write_row(self, means: Mapping[str, float], largest: float) -> None:
        if self.metrics is None:
            return
        rates = {
            f"learning_rate_{name}" if len(self.optimizers) > 1 else "learning_rate": float(each.learning_rate)
            for name, each in self.optimizers.items()
        }
        row = {
            "update": self.update,
            "episode": self.episode,
            "loss": means.get("loss", ""),
            "loss_max": largest if means else "",
            **{name: self.validations.get(name, "") for name in self.best},
            "cpu_seconds": round(self.cpu_seconds(), 2),
            **rates,
            "rollbacks": self.rollbacks,
            "skipped": self.skipped,
            **{name: value for name, value in means.items() if name not in ("loss", *self.problem.trainable)},
        }
        try:
            self.metrics.append(row)
        except CannotWrite as error:
            self.say(f"{error}; training goes on without this row")
