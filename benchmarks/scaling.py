"""How much faster several ranks are: weak and strong scaling on this machine, and a forecast for more nodes.

    python benchmarks/scaling.py                          # models/olg/benchmark60.yaml, horovod and mpi, a core a rank
    python benchmarks/scaling.py FILE --updates 400 --unpinned --latency 2e-6 --bandwidth 12.5e9

Each line is a training of `updates` updates, without warm start and validation, whose rate is taken over the time in
which all its processes run: "apart" are independent trainings of one rank at the same moment, what a machine can do at
best; "ranks" average their gradients, or their weights after so many local updates as a line says. The exchange alone
is timed on arrays of the network's size, in a loop.

The forecast assumes a ring all-reduce of n ranks (Patarasuk & Yuan 2009) that overlaps with nothing:

    update(n) = compute(n) + 2 (n - 1) latency + 2 (n - 1)/n bytes / bandwidth,
    weak:   compute(n) = w,  what two ranks need for an update besides the exchange
    strong: compute(n) = f + (c - f)/n,  c of one rank; f, what fewer states do not shorten, so that two ranks fit
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FILE = "models/olg/benchmark60.yaml"
EXCHANGES = 200
NODES = (2, 4, 8, 16, 32, 64)


def rank(file: str, updates: int, kind: str, scaling: str, local_updates: str, pinned: bool) -> None:
    """One process of a measurement: trains, times the exchange, prints both as a line of JSON."""
    number = int(os.environ.get("OMPI_COMM_WORLD_LOCAL_RANK", os.environ.get("SCALING_CORE", "0")))
    if pinned:
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})  # before TensorFlow counts them
    from deqn.workers.devices import import_tensorflow

    import_tensorflow()
    from deqn.project.project import Project
    from deqn.tasks.build import build_problem
    from deqn.tasks.parameter_file import read_parameter_file
    from deqn.training.trainer import Trainer
    from deqn.workers.ranks import together

    each_call = max(10, int(local_updates))
    lengths = [f"phases.0.updates={updates}", f"validate_every={10 * updates}", f"updates_per_call={each_call}"]
    shared = [f"workers.scaling={scaling}", f"workers.local_updates={local_updates}"]
    read = read_parameter_file(file, [*lengths, *shared], Project(ROOT))
    with together(kind, read.settings.workers) as workers:
        problem = build_problem(read, workers.rank, workers.size)
        times: list[tuple[float, int]] = []
        trainer = Trainer(
            problem, read.settings, workers=workers, report=lambda p: times.append((time.monotonic(), p.update))
        )
        trainer.train()
        bytes_, seconds = exchange(problem, workers)
        sampler = problem.sampler
        states = sampler.minibatch * (problem.economy.shocks.discrete if sampler.settings.every_shock else 1)
        # Rank 0 tells for all: lines of several processes through one pipe may be cut by each other.
        found = workers.gather({"times": times, "states": states, "bytes": bytes_, "exchange": seconds})
        if workers.rank == 0:
            print("SCALING " + json.dumps(found))


def exchange(problem: Any, workers: Any) -> tuple[int, float]:
    """Bytes of what ranks exchange in an update, and seconds that averaging it takes."""
    import tensorflow as tf

    # One vector of the loss and all gradients, as an update sends it.
    variables = [v for group in problem.trainable.values() for v in group]
    vector = tf.zeros([1 + sum(math.prod(v.shape) for v in variables)], variables[0].dtype)

    @tf.function(autograph=False)
    def several(vector):
        return tf.while_loop(
            lambda i, _: i < EXCHANGES, lambda i, g: (i + 1, workers.average(g)), (tf.constant(0), vector)
        )

    several(vector)
    begun = time.monotonic()
    several(vector)
    return vector.shape[0] * vector.dtype.size, (time.monotonic() - begun) / EXCHANGES


def measure(
    arguments: argparse.Namespace, kind: str, scaling: str, ranks: int, apart: bool = False, local_updates: int = 1
) -> dict[str, float]:
    """States a second of `ranks` processes together, seconds an update, seconds an exchange."""
    own = [sys.executable, __file__, arguments.file, "--updates", str(arguments.updates), "--rank"]
    own += [kind, scaling, str(local_updates)]
    own += ["--unpinned"] if arguments.unpinned else []
    environment = os.environ | {
        "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_mpi_yield_when_idle": "1",
    }  # fmt: skip
    if apart:
        commands, cores = [own] * ranks, [{"SCALING_CORE": str(core)} for core in range(ranks)]
    else:
        commands, cores = [["mpirun", "-np", str(ranks), "--bind-to", "none", "--oversubscribe", *own]], [{}]
    processes = [
        subprocess.Popen(command, cwd=ROOT, env=environment | core, stdout=subprocess.PIPE, text=True)
        for command, core in zip(commands, cores, strict=True)
    ]
    lines = [line for process in processes for line in process.communicate()[0].splitlines()]
    found = [each for line in lines if "SCALING " in line for each in json.loads(line.partition("SCALING ")[2])]
    if len(found) != ranks:
        raise SystemExit(f"deqn: {len(found)} of {ranks} processes reported; see their errors above")
    return {"ranks": ranks, **rates(found)}


def rates(found: list[dict[str, Any]]) -> dict[str, float]:
    """From each process's times of updates: what all did in the time in which all ran, compilation left out."""
    begin = max(each["times"][1][0] for each in found)  # the first call compiles
    end = min(each["times"][-1][0] for each in found)
    speeds = []
    for each in found:
        within = [(moment, update) for moment, update in each["times"] if begin <= moment <= end]
        speeds.append((within[-1][1] - within[0][1]) / (within[-1][0] - within[0][0]))
    return {
        "states_per_second": sum(s * each["states"] for s, each in zip(speeds, found, strict=True)),
        "update": len(speeds) / sum(speeds),
        "exchange": max(each["exchange"] for each in found),
        "bytes": found[0]["bytes"],
    }


def forecast(
    one: dict[str, float], weak: dict[str, float], strong: dict[str, float], latency: float, bandwidth: float
) -> list[tuple[int, float, float]]:
    """Ranks, and how many times as many states a second as one rank: weak, strong."""
    update = one["update"]
    split = strong["update"] - strong["exchange"]
    fixed = max(0.0, 2 * split - update)
    rows = [(1, 1.0, 1.0)]
    for ranks in NODES:
        together = 2 * (ranks - 1) * latency + 2 * (ranks - 1) / ranks * one["bytes"] / bandwidth
        alike = ranks * update / (weak["update"] - weak["exchange"] + together)
        rows.append((ranks, alike, update / (fixed + (update - fixed) / ranks + together)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", default=FILE)
    parser.add_argument("--updates", type=int, default=300)
    parser.add_argument("--unpinned", action="store_true", help="let the system place processes on cores")
    parser.add_argument("--latency", type=float, default=2e-6, help="seconds a message, of your network")
    parser.add_argument("--bandwidth", type=float, default=12.5e9, help="bytes a second, of your network")
    parser.add_argument("--local-updates", type=int, default=10, help="of ranks that average weights")
    parser.add_argument("--rank", nargs=3, metavar=("KIND", "SCALING", "LOCAL"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.rank:
        rank(arguments.file, arguments.updates, *arguments.rank, pinned=not arguments.unpinned)
        return
    place = "placed by the system" if arguments.unpinned else "a core a process"
    print(f"{arguments.file}, {arguments.updates} updates, {place}\n")
    one = measure(arguments, "single", "weak", 1, apart=True)
    two_apart = measure(arguments, "single", "weak", 2, apart=True)
    print("| what | states a second | of one rank | of two apart | ms an update | ms an exchange | its share |")
    print("|---|---|---|---|---|---|---|")
    rows = [("1 rank", one), ("2 apart", two_apart)]
    pairs = []
    for kind in ("horovod", "mpi"):
        pairs.append([measure(arguments, kind, scaling, 2) for scaling in ("weak", "strong")])
        rows += [(f"2 ranks, {kind}, {name}", row) for name, row in zip(("weak", "strong"), pairs[-1], strict=True)]
        local = measure(arguments, kind, "weak", 2, local_updates=arguments.local_updates)
        rows.append((f"2 ranks, {kind}, weak, {arguments.local_updates} local updates", local))
    for name, row in rows:
        alone = name in ("1 rank", "2 apart")
        ratios = (row["states_per_second"] / each["states_per_second"] for each in (one, two_apart))
        exchange = ("-", "-") if alone else (f"{1e3 * row['exchange']:.1f}", f"{row['exchange'] / row['update']:.0%}")
        print(
            f"| {name} | {row['states_per_second']:,.0f} | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} | "
            f"{1e3 * row['update']:.1f} | {' | '.join(exchange)} |"
        )
    if arguments.unpinned:
        return  # one rank had all cores here: nothing to go by for nodes, of which each rank has one
    print(
        f"\nforecast from the faster of both, ring all-reduce of {one['bytes'] / 2**20:.1f} MiB, "
        f"latency {arguments.latency:g} s, {arguments.bandwidth / 1e9:g} GB/s:\n"
    )
    print("| ranks | weak: states a second, times one rank's | strong |\n|---|---|---|")
    fastest = min(pairs, key=lambda pair: pair[0]["update"])
    for ranks, weak, strong in forecast(one, *fastest, arguments.latency, arguments.bandwidth):
        print(f"| {ranks} | {weak:.1f} | {strong:.1f} |")


if __name__ == "__main__":
    main()
