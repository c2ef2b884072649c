"""Approximating one of Genz's functions from few points, for all dimensions and sizes of sample side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, final

import numpy as np
import tensorflow as tf

from deqn.mlp.backpropagation import HandWrittenMLP
from deqn.mlp.descent import Adam, cosine
from deqn.mlp.ensemble import Ensemble
from deqn.project.errors import UserError
from deqn.training.problem import Losses, Problem, Results
from deqn.training.settings import TrainingSettings

from .functions import FORMULAS, drawn
from .parameters import ApproximationParameters


class Cell(NamedTuple):
    """The repetitions of one dimension d and one number of points N.

    x [repetitions, N, d]; y [repetitions, N] in units of `scale` around `centre`, [repetitions, 1], both of these N
    points alone. test_x [repetitions, test points, d], test_y [repetitions, test points] in f's own units.
    """

    dimension: int
    points: int
    x: np.ndarray
    y: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray

    @property
    def name(self) -> str:
        return f"d{self.dimension}_N{self.points}"


@final
class Approximation(Problem):
    """The loss is the mean squared error of networks with one output, each on points of its own.

    For each (d, N) the repetitions are one Ensemble. In a repetition all N share the function and the test points, and
    the first points of a larger sample are the smaller one: what changes with N is N. Several ranks differ in the
    minibatches that they draw, where there are more points than fit in one.
    """

    updates_per_call = 500  # `losses` draws its minibatches itself

    def __init__(
        self, parameters: ApproximationParameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1
    ) -> None:
        self.p, self.seed, self.dtype = parameters, settings.seed, settings.precision
        try:
            self.cells = list(cells(parameters, settings.seed))
            self.networks = {
                cell.name: Ensemble(
                    parameters.repetitions, cell.dimension, 1, parameters.hidden, parameters.activation,
                    seed=1000 * settings.seed + number, dtype=settings.precision,
                )
                for number, cell in enumerate(self.cells)
            }  # fmt: skip
        except ValueError as error:
            raise UserError(f"parameters.{error}") from error
        self.trainable = {"networks": [v for each in self.networks.values() for v in each.trainable_variables]}
        self.data = [(tf.constant(cell.x, self.dtype), tf.constant(cell.y, self.dtype)) for cell in self.cells]

    def describe(self) -> Mapping[str, str]:
        p, one = self.p, self.networks[self.cells[-1].name].count_params() // self.p.repetitions
        widths = "-".join(map(str, p.hidden))
        constant = sum(int((np.ptp(cell.y, axis=1) == 0).sum()) for cell in self.cells)
        note = f"; constant at all points of {constant} of the samples" if constant else ""
        return {
            "function": f"{p.function}, d = {p.dimensions}, N = {p.points}, {p.repetitions} repetitions{note}",
            "networks": f"{len(self.cells) * p.repetitions} of {widths} {p.activation} (the largest {one} weights)",
        }

    def losses(self, batch: Any, carry: Any, key: tf.Tensor) -> Losses:
        """Returns the mean squared error of each network on a minibatch, summed over networks."""
        total = tf.zeros([], self.dtype)
        for number, (cell, (x, y)) in enumerate(zip(self.cells, self.data, strict=True)):
            if cell.points > self.p.minibatch:
                cell_key = tf.random.experimental.stateless_fold_in(key, number)
                rows = tf.random.stateless_uniform([self.p.minibatch], cell_key, 0, cell.points, tf.int32)
                x, y = tf.gather(x, rows, axis=1), tf.gather(y, rows, axis=1)
            errors = self.networks[cell.name](x)[:, :, 0] - y  # [repetitions, batch]
            total += tf.reduce_sum(tf.reduce_mean(errors**2, axis=1))
        return Losses({"networks": total}, carry)

    def results(self) -> Results:
        """Reports medians of the test errors over repetitions, absolute and in units of the largest |f| there.

        Where f is 0 at all test points, as the discontinuous function may be, only the absolute error counts.
        """
        rows, errors = [], {}
        for cell in self.cells:
            network = self.networks[cell.name]
            answers = np.asarray(network(tf.constant(cell.test_x, self.dtype)), float)[:, :, 0]
            mean, largest = test_errors(cell, answers)
            errors |= {f"mean_{cell.name}": mean, f"max_{cell.name}": largest}
            size = np.abs(cell.test_y).max(axis=1)
            seen = size > 0
            rows.append(
                {
                    "d": cell.dimension,
                    "N": cell.points,
                    "mean_error": float(np.median(mean)),
                    "max_error": float(np.median(largest)),
                    "relative_mean_error": float(np.median(mean[seen] / size[seen])) if seen.any() else "",
                    "relative_max_error": float(np.median(largest[seen] / size[seen])) if seen.any() else "",
                    "constant_samples": int((np.ptp(cell.y, axis=1) == 0).sum()),
                    "zero_at_all_tests": int((~seen).sum()),
                }
            )
        tables = {"errors": rows}
        if self.p.by_hand:
            tables["by_hand"] = list(self._by_hand(errors))
        arrays = {**errors, "dimensions": np.array(self.p.dimensions), "points": np.array(self.p.points)}
        return Results(headline(self.p.function, rows), tables, arrays)

    def _by_hand(self, errors: Mapping[str, np.ndarray]) -> Iterator[dict[str, Any]]:
        """The hand-written network on the first repetitions, from other initial weights, beside the trained one."""
        updates_a_pass = {cell.name: -(-cell.points // self.p.minibatch) for cell in self.cells}
        for cell in self.cells:
            for number in range(min(self.p.by_hand, self.p.repetitions)):
                # The seed stands last, where 0 changes nothing: figures of seed 0 are those of earlier releases.
                generator = np.random.default_rng([number, cell.dimension, cell.points, self.seed])
                network = HandWrittenMLP([cell.dimension, *self.p.hidden, 1], "linear", generator, self.p.activation)
                rate = cosine(0.01, self.p.by_hand_updates)
                passes = self.p.by_hand_updates // updates_a_pass[cell.name]
                network.fit(cell.x[number], cell.y[number], Adam(rate), passes, self.p.minibatch, generator)
                mean, largest = test_errors(cell, network(cell.test_x[number])[None, :, 0], number)
                yield {
                    "d": cell.dimension, "N": cell.points, "repetition": number,
                    "mean_error": float(errors[f"mean_{cell.name}"][number]), "mean_error_by_hand": float(mean[0]),
                    "max_error": float(errors[f"max_{cell.name}"][number]), "max_error_by_hand": float(largest[0]),
                }  # fmt: skip


def cells(p: ApproximationParameters, seed: int) -> Iterator[Cell]:
    """Yields the data of all (d, N), functions of (seed, function, d, repetition)."""
    for dimension in p.dimensions:
        most = max(p.points)
        functions, x, test_x = [], [], []
        for repetition in range(p.repetitions):
            generator = np.random.default_rng([seed, list(FORMULAS).index(p.function), dimension, repetition])
            functions.append(drawn(p.function, dimension, generator))
            test_x.append(generator.uniform(size=(p.test_points, dimension)))
            x.append(generator.uniform(size=(most, dimension)))
        values = np.stack([f(points) for f, points in zip(functions, x, strict=True)])  # [repetitions, most]
        tests = np.stack([f(points) for f, points in zip(functions, test_x, strict=True)])
        for points in p.points:
            y = values[:, :points]
            centre, scale = y.mean(axis=1, keepdims=True), y.std(axis=1, keepdims=True)
            # The discontinuous function is often 0 at all of ten points: a constant is then learned.
            scale = np.where(np.ptp(y, axis=1, keepdims=True) > 0, scale, 1.0)
            yield Cell(
                dimension, points, np.stack(x)[:, :points], (y - centre) / scale, centre, scale,
                np.stack(test_x), tests,
            )  # fmt: skip


def test_errors(cell: Cell, answers: np.ndarray, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and maximum absolute error on the test points of the repetitions from `first`, each [repetitions].

    answers: [repetitions, test points] in the units of training.
    """
    chosen = slice(first, first + len(answers))
    errors = np.abs(answers * cell.scale[chosen] + cell.centre[chosen] - cell.test_y[chosen])
    return errors.mean(axis=1), errors.max(axis=1)


def headline(function: str, rows: list[dict[str, Any]]) -> str:
    """Says how the error at the fewest points compares with that at the most, by dimension."""
    ratios = []
    for dimension in dict.fromkeys(row["d"] for row in rows):
        own = [row["mean_error"] for row in rows if row["d"] == dimension]
        ratios.append(f"{own[0] / own[-1]:.1f} (d={dimension})")
    fewest, most = rows[0]["N"], rows[-1]["N"]
    return f"{function}: mean error of N={fewest} over N={most}: {', '.join(ratios)}"
