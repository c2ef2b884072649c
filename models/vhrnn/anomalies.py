"""Which steps of a sequence are unusual, and what comes next, by a variational recurrent network trained on clean data.

A step is as unusual as it is improbable, -ln p(x_t | x_<t); on made sequences an ideal observer knows that density.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import final

import numpy as np
import tensorflow as tf
from scipy import stats

from deqn.mlp.minibatches import check_size, minibatches
from deqn.project.errors import UserError
from deqn.project.tables import read_series
from deqn.sequence.bounds import fivo
from deqn.sequence.prediction import follow, sample_ahead
from deqn.sequence.variational import VRNN, Data
from deqn.training.problem import Batch, Carry, Losses, Problem, Results
from deqn.training.settings import TrainingSettings

from . import synthetic
from .anomalies_parameters import AnomaliesParameters

_SHOWN = 10  # steps of a file that are listed
_INTERVAL = 0.8


@final
class Anomalies(Problem):
    """A VRNN maximises FIVO on clean sequences; steps of other sequences are scored by their improbability."""

    def __init__(
        self, parameters: AnomaliesParameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1
    ) -> None:
        p, self.seed, self.rank, self.dtype = parameters, settings.seed, rank, settings.precision
        self.p = p
        generator = np.random.default_rng([settings.seed, 0])
        if p.file:
            train, self.validation, self.test = self._of_file()
        else:
            self.matrices = synthetic.random_matrices(p.radius, generator)
            train, self.validation, self.test = (
                synthetic.training_sequences(count, p.periods, self.matrices, generator).x
                for count in (p.sequences, p.held_out // 4, p.held_out)
            )
            if p.past + p.horizon > p.periods:
                raise UserError(
                    f"parameters.past: {p.past} and horizon {p.horizon}, expected at most {p.periods} together"
                )
        self.center = train.mean(axis=(0, 1)) if p.file else 0.0
        self.scale = train.std(axis=(0, 1)) if p.file else float(np.abs(train).mean())  # see Synthetic in problem.py
        if np.any(np.equal(self.scale, 0)):
            raise UserError(
                "parameters.columns: a column never changes where it is trained on, expected that it varies"
            )
        self.train = train[rank::ranks].astype(self.dtype)
        check_size(p.batch, len(self.train), f"sequences of rank {rank}")
        data = Data(train.shape[2], "gaussian", self.center, self.scale)
        self.network = VRNN(data, p.latent, p.hidden, 2, settings.seed, build_unused_reverse=False, dtype=self.dtype)
        self.networks = {"network": self.network}

    def _of_file(self) -> list[np.ndarray]:
        """Sequences of the file's first 60 % of rows, of the next 15 %, and of the rest."""
        p = self.p
        self.records = read_series(p.file, p.columns or None, date=p.date, date_format=p.date_format)
        rows = len(self.records.values)
        self.cuts = [round(0.6 * rows), round(0.75 * rows)]
        parts = [part[: len(part) // p.periods * p.periods].reshape(-1, p.periods, part.shape[1])
                 for part in np.split(self.records.values, self.cuts)]  # fmt: skip
        if not all(len(part) for part in parts):
            raise UserError(
                f"parameters.file: {p.file} has {rows} rows, expected at least {round(p.periods / 0.15) + 1} for "
                f"sequences of parameters.periods = {p.periods} in each part"
            )
        return parts

    def describe(self) -> Mapping[str, str]:
        p = self.p
        source = p.file or "made data"
        return {
            "data": f"{len(self.train)} sequences of {p.periods} steps of {source}, {len(self.test)} to test",
            "network": f"VRNN, z = {p.latent}, h = {p.hidden}, {self.network.parameters()} weights",
        }

    def batches(self, episode: int) -> Iterator[Batch]:
        """Yields all sequences in a new order."""
        for rows in minibatches(len(self.train), self.p.batch, [self.seed, 1, self.rank, episode]):
            yield self.train[rows]

    def losses(self, batch: Batch, carry: Carry, key: tf.Tensor) -> Losses:
        """Returns the negative bound, in nats a step."""
        return Losses(
            {"network": -tf.reduce_mean(fivo(self.network, batch, key, self.p.particles).log_p) / batch.shape[1]}, carry
        )

    def validate(self) -> Mapping[str, float]:
        """Returns negative FIVO a step with eight times the particles of training, always of the same draws."""
        return {"negative_fivo": -float(np.mean(self.log_densities(self.validation, 8 * self.p.particles)))}

    def log_densities(self, x: np.ndarray, particles: int) -> np.ndarray:
        """Returns ln p(x_t | x_<t) of sequences [n, T, d], [n, T]."""
        if not hasattr(self, "_following"):
            key = tf.constant([self.seed, 77])
            self._following = tf.function(
                lambda x, particles: follow(self.network, x, key, particles).log_densities,
                jit_compile=True,
                autograph=False,
            )
        return self._following(tf.constant(x, self.dtype), particles).numpy().astype(np.float64)

    def results(self) -> Results:
        """Reports how well improbability finds replaced steps; of a file, the most improbable steps."""
        return self._found_in_file() if self.p.file else self._found_in_made()

    def _found_in_made(self) -> Results:
        p, generator = self.p, np.random.default_rng([self.seed, 3])
        x, replaced = with_outliers(self.test, p.outliers, p.outlier_sd, generator)
        scores = {
            "network": -self.log_densities(x, p.test_particles),
            "ideal observer": -ideal_log_densities(x, self.matrices),
            "size of the change": np.linalg.norm(np.diff(x, axis=1, prepend=x[:, :1]), axis=2),
        }
        rows = [{"score": name, "auc": auc(each[:, 1:], replaced[:, 1:])} for name, each in scores.items()]
        drawn = sample_ahead(self.network, self.test[:, : p.past], p.horizon, p.samples, self.seed)
        low, high = np.quantile(drawn, [(1 - _INTERVAL) / 2, (1 + _INTERVAL) / 2], axis=1)
        future = self.test[:, p.past : p.past + p.horizon]
        inside = (future >= low) & (future <= high)
        intervals = [{"steps ahead": h + 1, "coverage": inside[:, h].mean()} for h in range(p.horizon)]
        return Results(
            f"AUC {rows[0]['auc']:.3f}, ideal {rows[1]['auc']:.3f}; intervals cover {inside.mean():.3f}",
            {"anomalies": rows, "intervals": [*intervals, {"steps ahead": "all", "coverage": inside.mean()}]},
            {"x": x, "replaced": replaced, "low": low, "high": high, "future": future}
            | {name.replace(" ", "_"): each for name, each in scores.items()},
        )

    def _found_in_file(self) -> Results:
        scores = -self.log_densities(self.test, self.p.test_particles).ravel()
        time = self.records.time[self.cuts[1] :][: len(scores)]
        order = np.argsort(-scores)[:_SHOWN]
        every = [{"date": str(date), "score": score} for date, score in zip(time, scores, strict=True)]
        return Results(
            f"most unusual: {time[order[0]]}",
            {"most_unusual": [every[number] for number in order], "scores": every},
            {"scores": scores},
            printed=["most_unusual"],
        )


def with_outliers(
    x: np.ndarray, share: float, sd: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Replaces a share of the steps of x [n, T, d] but the first by N(0, sd^2); returns x and where, bool [n, T]."""
    replaced = generator.uniform(size=x.shape[:2]) < share
    replaced[:, 0] = False
    return np.where(replaced[:, :, None], sd * generator.normal(size=x.shape), x), replaced


def ideal_log_densities(x: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Returns ln p(x_t | x_<t), [n, T], of an observer who knows the ten matrices but not which, nor the noise.

    The forward algorithm of `synthetic.exact_log_likelihood`, over matrices too, whose sum over t is that likelihood.
    """
    n, periods = x.shape[:2]
    levels, changes = synthetic.LEVELS, 2
    states = list(itertools.product(range(len(levels)), range(changes + 1)))
    level_of = [level for level, _ in states]
    likelihoods = np.stack(
        [
            np.stack(
                [synthetic._log_normal(x, np.broadcast_to(W, (n, 1, 2, 2)), np.full((n, 1), s)) for s in levels], axis=2
            )
            for W in matrices
        ],
        axis=1,
    )  # [n, matrices, T, levels]
    with np.errstate(divide="ignore"):
        first = np.log([float(done == 0) / len(levels) / len(matrices) for _, done in states])
        moves = [np.log(synthetic._transition(states, changes, periods - t)) for t in range(1, periods)]
    belief = np.broadcast_to(first, (n, len(matrices), len(states)))
    found = [synthetic._log_first(x)]
    for t in range(1, periods):
        belief = np.logaddexp.reduce(belief[..., :, None] + moves[t - 1], axis=2) + likelihoods[:, :, t, level_of]
        norm = np.logaddexp.reduce(belief.reshape(n, -1), axis=1)
        found.append(norm)
        belief = belief - norm[:, None, None]
    return np.stack(found, axis=1)


def auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Returns the area under the receiver operating characteristic: P(a replaced step has a higher score)."""
    ranks = stats.rankdata(scores.ravel()).reshape(scores.shape)
    hits = int(positive.sum())
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * (positive.size - hits)))
