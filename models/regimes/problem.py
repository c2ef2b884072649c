"""The regime of an economy is inferred from measured prices alone: by filters, and by a network that learns to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, final

import numpy as np
import tensorflow as tf

from deqn.mlp.minibatches import check_size, minibatches
from deqn.rnn.networks import Recurrent
from deqn.sequence.particles import particle_filter
from deqn.training.problem import Batch, Carry, Losses, Problem, Results
from deqn.training.settings import TrainingSettings

from .economy import REGIMES, Regimes
from .parameters import Parameters


@final
class RegimeInference(Problem):
    """A GRU that sees the prices up to t gives P(z_t); filters that know the economy do the same."""

    def __init__(self, parameters: Parameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1) -> None:
        p = self.p = parameters
        self.dtype, self.seed, self.rank = settings.precision, settings.seed, rank
        generator = np.random.default_rng([settings.seed, 0])
        self.space = Regimes(p, generator)
        train, self.validation, self.test = (
            self.space.sample(count, p.periods, generator) for count in (p.paths, p.tests, p.tests)
        )
        self.mean, self.scale = train[1].mean(axis=(0, 1)), train[1].std(axis=(0, 1))
        self.train = train[0][rank::ranks].astype(np.int32), self.standardised(train[1][rank::ranks])
        check_size(p.batch, len(self.train[0]), "paths of a rank")
        self.network = Recurrent(2, REGIMES, "gru", [p.units], settings.seed, self.dtype)
        self.networks = {"network": self.network}

    def describe(self) -> Mapping[str, str]:
        p = self.p
        return {
            "data": f"{p.paths} paths of {p.periods} periods of return and wage, noise {p.noise[0]:g}, {p.noise[1]:g}",
            "network": f"GRU, {p.units} units, {self.network.count_params()} weights",
        }

    def standardised(self, y: np.ndarray) -> np.ndarray:
        """Returns prices as the network sees them."""
        return ((y - self.mean) / self.scale).astype(self.dtype)

    def batches(self, episode: int) -> Iterator[Batch]:
        """Yields all paths in a new order."""
        z, y = self.train
        for rows in minibatches(len(z), self.p.batch, [self.seed, 1, self.rank, episode]):
            yield z[rows], y[rows]

    def losses(self, batch: Batch, carry: Carry, key: tf.Tensor) -> Losses:
        return Losses({"network": self._cross_entropy(*batch)}, carry)

    def _cross_entropy(self, z: Any, y: Any) -> tf.Tensor:
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(z, self.network(y)))

    def validate(self) -> Mapping[str, float]:
        """Returns cross entropy on paths of its own."""
        z, y = self.validation
        return {"cross_entropy": float(self._cross_entropy(z, tf.constant(self.standardised(y))))}

    def results(self) -> Results:
        """Reports every way of inference on the same test paths."""
        p, (z, y) = self.p, self.test
        generator = np.random.default_rng([self.seed, 2])
        steps = particle_filter(self.space, y, p.particles, generator)
        shown = {
            "particle_filter": np.stack(
                [step.mean(np.eye(REGIMES)[step.particles[..., 0].astype(int)]) for step in steps], axis=1
            ),
            "hmm": self.space.filter_by_history(y, p.memory),
            "hmm_no_memory": self.space.filter_by_history(y, 1),
            "network": tf.nn.softmax(self.network(tf.constant(self.standardised(y)))).numpy().astype(np.float64),
        }
        best = shown["particle_filter"]
        rows = [
            {
                "method": name, "accuracy": float((each.argmax(axis=2) == z).mean()),
                "cross_entropy": float(-np.log(np.take_along_axis(each, z[:, :, None], 2).clip(1e-12)).mean()),
                "difference": float(np.abs(each - best).mean()),
                "agreement": float((each.argmax(axis=2) == best.argmax(axis=2)).mean()),
            }
            for name, each in shown.items()
        ]  # fmt: skip
        by_name = {row["method"]: row for row in rows}
        headline = (
            f"finds {by_name['network']['accuracy']:.1%} of regimes, the particle filter "
            f"{by_name['particle_filter']['accuracy']:.1%}"
        )
        return Results(headline, {"regimes": rows}, {"z": z, "y": y, **{f"p_{n}": each for n, each in shown.items()}})
