"""Error against CPU-seconds of benchmark60 for this tree, beside what the paper's recipe would cost on this machine.

    python benchmarks/olg60.py [RUN ...] [--updates 10] [--train]
    python benchmarks/olg60.py --speed                  # the cost of an update of benchmark60 alone: a minute

An update of benchmark60 is timed side by side with a matrix product of fixed size, and told in such products: that
number hardly changes when other work slows the machine, so that a later change that costs speed is seen.
paper60.yaml: an update and a simulated episode are timed after compilation; nothing is trained to the end.
RUN: trained runs of benchmark60, as the commands take them; by default the latest one. Its validations are printed.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich import box
from rich.table import Table

from deqn.project.errors import UserError
from deqn.project.project import Project
from deqn.project.run import RunFolder
from deqn.report import tables

ROOT = Path(__file__).resolve().parents[1]
PAPER, BENCHMARK = "models/olg/paper60.yaml", "models/olg/benchmark60.yaml"
MILESTONES = ("0.05 %", "0.02 %", "0.01 %", "0.005 %", "0.002 %")  # as provenance.json names them
ERRORS = ("mean", "p50", "p90", "p99.9", "max")
TABLE_3 = (".06", ".04", ".13", ".54", "1.31")  # AGS19, Table 3: relative Euler error, %


class Seconds(NamedTuple):
    """CPU time of all threads, and time on the clock."""

    cpu: float
    wall: float


class Cost(NamedTuple):
    """updates: of the whole recipe. update, episode: of one minibatch's update; of one episode's simulation."""

    updates: int
    updates_an_episode: int
    update: Seconds
    episode: Seconds

    def per_update(self) -> Seconds:
        """An update with its share of the episode's simulation."""
        return Seconds(*(u + e / self.updates_an_episode for u, e in zip(self.update, self.episode, strict=True)))

    def total(self) -> Seconds:
        """The whole recipe, without validation and compilation."""
        return Seconds(*(self.updates * seconds for seconds in self.per_update()))


def _first_phase(file: str | Path, overrides: Sequence[str]) -> tuple[Any, Any, Any, Callable[..., Any]]:
    """Settings, problem, first carry and compiled updates of a parameter file's first phase."""
    from deqn.workers.devices import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    from deqn.tasks.build import build_problem
    from deqn.tasks.parameter_file import read_parameter_file
    from deqn.training.optimizers import optimizer
    from deqn.training.update import make_advance
    from deqn.workers.workers import SingleWorker

    read = read_parameter_file(ROOT / file, overrides, Project(ROOT))
    settings, problem = read.settings, build_problem(read)
    phase = settings.phases[0]
    optimizers = {"policy": optimizer(phase.optimizer, phase.updates, tf.Variable(1.0))}
    optimizers["policy"].build(list(problem.trainable["policy"]))
    carry = problem.start(tf.constant([settings.seed, 0]))
    return settings, problem, carry, make_advance(problem, optimizers, settings.seed, SingleWorker(), ((), carry))


def measure(file: str | Path, updates: int, overrides: Sequence[str] = ()) -> Cost:
    """Times `updates` updates of a parameter file that trains minibatches of simulated episodes."""
    settings, problem, carry, advance = _first_phase(file, overrides)
    import tensorflow as tf

    an_episode = problem.updates_per_episode
    if not 1 <= updates < an_episode:
        raise UserError(f"--updates: got {updates}, expected 1 to {an_episode - 1}: an episode has {an_episode}")

    def run(first: int, count: int) -> None:
        nonlocal carry
        carry, tally = advance((), carry, tf.constant(first), tf.constant(count))
        float(tally.largest_loss)  # waits for the result

    run(0, 1)  # compiles, and simulates the first episode
    several = _timed(lambda: run(1, updates))
    carry = carry._replace(position=tf.constant(an_episode))  # the episode is over: the next update simulates
    with_episode = _timed(lambda: run(1 + updates, 1))
    update = Seconds(*(seconds / updates for seconds in several))
    # Of two noisy times the difference may be negative where an episode is short.
    episode = Seconds(*(max(a - b, 0.0) for a, b in zip(with_episode, update, strict=True)))
    return Cost(sum(each.updates for each in settings.phases), an_episode, update, episode)


def _timed(work: Callable[[], None]) -> Seconds:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Seconds(time.process_time() - cpu, time.perf_counter() - wall)


def _fixed_product() -> Callable[[], Any]:
    """Eight [512, 512] products one after the other: 1.07e9 multiply-adds."""
    import tensorflow as tf

    matrix = tf.random.stateless_uniform([512, 512], [0, 0])

    @tf.function(jit_compile=True)
    def product() -> tf.Tensor:
        x = matrix
        for _ in range(8):
            x = tf.matmul(x, matrix) / 256.0
        return x

    return lambda: product().numpy()


def _own_products(problem: Any) -> Callable[[], Any]:
    """The products of an update's layers and nothing else: no economy, no optimiser, which has products of its own.

    A layer is applied to the states of the update and, by the averaged copy, to what follows each under every shock;
    gradients of its inputs and of its weights are two products more.
    """
    import tensorflow as tf

    states, heads = problem.sampler.minibatch, problem.economy.shocks.discrete
    kernels = [each for each in problem.network.trainable_variables if len(each.shape) == 2]

    def random(*shape: int) -> tf.Tensor:
        return tf.random.stateless_uniform(shape, [0, sum(shape)])

    given = [(random(rows, columns), random(states, rows), random(heads * states, rows), random(states, columns))
             for rows, columns in (kernel.shape for kernel in kernels)]  # fmt: skip

    @tf.function(jit_compile=True)
    def products(given: Any) -> Any:
        return [(x @ kernel, following @ kernel, tf.matmul(gradient, kernel, transpose_b=True),
                 tf.matmul(x, gradient, transpose_a=True)) for kernel, x, following, gradient in given]  # fmt: skip

    return lambda: products(given)[0][0].numpy()


def speed(
    file: str | Path, updates: int, overrides: Sequence[str] = (), repetitions: int = 12
) -> tuple[float, float, float]:
    """CPU-seconds of an update, and the same in units of a product of fixed size and of its own layers' products.

    Medians over repetitions in which `updates` updates and four of each reference take turns.
    """
    _, problem, carry, advance = _first_phase(file, overrides)
    import tensorflow as tf

    references = [_fixed_product(), _own_products(problem)]

    def run(first: int) -> None:
        nonlocal carry
        carry, tally = advance((), carry, tf.constant(first), tf.constant(updates))
        float(tally.largest_loss)  # waits for the result

    run(0)  # compiles
    for reference in references:
        reference()
    rows = []
    for number in range(repetitions):
        fixed, own = (min(_timed(reference).cpu for _ in range(4)) for reference in references)
        update = _timed(lambda: run((1 + number) * updates)).cpu / updates  # noqa: B023
        rows.append((update, update / fixed, update / own))
    seconds, of_fixed, of_own = (statistics.median(column) for column in zip(*rows, strict=True))
    return seconds, of_fixed, of_own


def curve(run: RunFolder) -> list[tuple[int, float, float, float]]:
    """Each validation of a run: updates, CPU-seconds so far, mean and 99.9th percentile of the error in %."""
    try:
        with run.metrics.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row.get("optimality.mean")]
    except OSError as error:
        raise UserError(f"{run}: {run.metrics.name} can't be read: {error.strerror}") from error
    names = ("cpu_seconds", "optimality.mean", "optimality.p99.9")
    return [
        (int(row["update"]), *(float(row[n]) * f for n, f in zip(names, (1, 100, 100), strict=True))) for row in rows
    ]


def curve_table(run: RunFolder) -> Table:
    """Error on fresh paths against CPU-seconds."""
    table = Table(box=box.SIMPLE_HEAD, title=str(run))
    for name in ("updates", "CPU-s", "mean %", "p99.9 %"):
        table.add_column(name, justify="right")
    for update, seconds, *errors in curve(run):
        table.add_row(f"{update:,}", f"{seconds:,.0f}", *map(tables.digits, errors))
    return table


def run_row(run: RunFolder) -> list[str]:
    """A run's row: updates, CPU-seconds in all and to each accuracy, multiplier-free errors in %."""
    try:
        record: dict[str, Any] = json.loads(run.provenance.read_text())
        reached, updates, seconds = (
            record[key] for key in ("cost_to_accuracy_cpu_seconds", "updates", "training_cpu_seconds")
        )
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{run}: provenance.json does not say what training cost; let it train to the end") from error
    (errors,) = (row for row in tables.error_rows(run.path) if row["condition"] == "optimality")
    costs = [f"{reached[each]:.0f}" if each in reached else "" for each in MILESTONES]
    sizes = [tables.digits(100 * errors[each]) for each in ERRORS]
    return [str(run), f"{updates:,}", f"{seconds:,.0f}", *costs, *sizes]


def comparison(cost: Cost, runs: Sequence[RunFolder]) -> Table:
    """The paper's recipe here (time only), the paper's own table, and the runs."""
    table = Table(box=box.SIMPLE_HEAD)
    names = [f"to {each}" for each in MILESTONES]
    for name in ("", "updates", "CPU-s", *names, *(f"{each} %" for each in ERRORS)):
        table.add_column(name, justify="right" if name else "left")
    nothing = [""] * len(MILESTONES)
    estimated = f"{cost.total().cpu:,.0f}"
    table.add_row("paper60 here, estimated", f"{cost.updates:,}", estimated, *nothing, *[""] * len(ERRORS))
    table.add_row("AGS19, Table 3", "1,000,000", "", *nothing, *TABLE_3)
    for run in runs:
        table.add_row(*run_row(run))
    return table


def summary(cost: Cost, measured: int) -> Iterator[str]:
    """The cost of the paper's recipe, in lines."""
    each, total = cost.per_update(), cost.total()
    yield (
        f"paper60: {1000 * cost.update.cpu:.0f} CPU-ms an update ({1000 * cost.update.wall:.0f} ms on the clock), mean "
        f"of {measured} after compilation; an episode's simulation {cost.episode.cpu:.1f} CPU-s, once in "
        f"{cost.updates_an_episode} updates"
    )
    yield (
        f"together {1000 * each.cpu:.0f} CPU-ms an update: {cost.updates:,} updates would take {total.cpu / 3600:.0f} "
        f"CPU-hours, {total.wall / 3600:.0f} hours on the clock at the present load"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints both; trains benchmark60 only if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", metavar="RUN", help="trained runs of benchmark60; by default the latest")
    parser.add_argument("--updates", type=int, default=10, help="updates of paper60 that are timed")
    parser.add_argument("--train", action="store_true", help="train benchmark60 first")
    parser.add_argument("--speed", action="store_true", help="time an update of benchmark60, and nothing else")
    chosen = parser.parse_args(arguments)
    try:
        seconds, of_fixed, of_own = speed(BENCHMARK, chosen.updates)
        print(
            f"benchmark60: {1000 * seconds:.1f} CPU-ms an update, {of_fixed:.2f} times 1.07e9 multiply-adds, "
            f"{of_own:.2f} times the matrix products of its layers alone\n"
        )
        if chosen.speed:
            return
        if chosen.train:
            subprocess.run([Path(sys.executable).with_name("deqn"), "train", BENCHMARK], cwd=ROOT, check=True)
        runs = [Project(ROOT).run(name) for name in chosen.runs or ["benchmark60"]]
        cost = measure(PAPER, chosen.updates)
        table = tables.text(comparison(cost, runs))
    except UserError as error:
        print(f"olg60: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    print(*(tables.text(curve_table(run)) for run in runs), sep="\n")
    print(*summary(cost, chosen.updates), "", table, sep="\n")
    print("CPU-s of a run: training with warm start and compilation, to its end and until fresh paths first had the")
    print("mean error named; errors: multiplier-free, on its evaluation path (AGS19: with the network's multiplier).")


if __name__ == "__main__":
    main()
