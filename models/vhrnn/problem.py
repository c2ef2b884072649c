"""VRNN and VHRNN are trained on synthetic sequences, after "Variational Hyper RNN for Sequence Modeling", section 4."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import final

import numpy as np
import tensorflow as tf

from deqn.mlp.minibatches import check_size, minibatches
from deqn.sequence.bounds import BOUNDS, Bound, elbo, fivo
from deqn.sequence.hyper import VHRNN
from deqn.sequence.variational import VRNN, Data
from deqn.training.problem import Batch, Carry, Losses, Problem, Results
from deqn.training.settings import TrainingSettings

from . import synthetic
from .parameters import Parameters


@final
class Synthetic(Problem):
    """The network maximises a bound per step on sequences of one matrix each and noise that changes twice."""

    def __init__(self, parameters: Parameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1) -> None:
        p, self.dtype = parameters, settings.precision
        self.p, self.seed, self.rank = p, settings.seed, rank
        generator = np.random.default_rng([settings.seed, 0])
        matrices = synthetic.random_matrices(p.radius, generator)
        others = synthetic.random_matrices(p.radius, generator)
        train = synthetic.training_sequences(p.sequences, p.periods, matrices, generator)
        self.validation = synthetic.training_sequences(p.held_out, p.periods, matrices, generator).x.astype(self.dtype)
        self.tests = {
            name: synthetic.setting(name, p.held_out, p.periods, matrices, others, generator)
            for name in synthetic.SETTINGS
        }
        self.matrices = matrices
        own = train.x[rank::ranks]
        check_size(p.batch, len(own), f"sequences of rank {rank} of {ranks}")
        self.train = own.astype(self.dtype)
        # One scale for both coordinates, the same on all ranks; no centre, for the sequences have none. Not the
        # standard deviation: the few sequences that grow make it so large that the others are too small to be seen.
        data = Data(2, "gaussian", 0.0, float(np.abs(train.x).mean()))
        more = {} if p.network == "vrnn" else {"omega_width": p.omega_width, "hyper_inputs": p.hyper_inputs}
        self.network = {"vrnn": VRNN, "vhrnn": VHRNN}[p.network](
            data, p.latent, p.hidden, p.layers, settings.seed, dtype=self.dtype, **more
        )
        self.compiled: dict[tuple[Callable[..., Bound], int], Callable[[tf.Tensor], Bound]] = {}
        self.networks = {"network": self.network}
        self.trainable = {"network": self.network.live_weights()}

    def describe(self) -> Mapping[str, str]:
        p = self.p
        return {
            "data": f"{p.sequences} sequences of {p.periods} steps, ten matrices of radius {p.radius[0]}-{p.radius[1]}",
            "network": f"{p.network.upper()}, z = {p.latent}, h = {p.hidden}: {self.network.parameters()} weights in "
            f"use, {self.network.parameters(live=False)} as the paper counts",
            "bound": f"{p.bound}, {p.particles} particles",
        }

    def batches(self, episode: int) -> Iterator[Batch]:
        """Yields all sequences in a new order."""
        for rows in minibatches(len(self.train), self.p.batch, [self.seed, 1, self.rank, episode]):
            yield self.train[rows]

    def losses(self, batch: Batch, carry: Carry, key: tf.Tensor) -> Losses:
        """Returns the negative bound, in nats a step."""
        bound = BOUNDS[self.p.bound](self.network, batch, key, self.p.particles)
        divergence = tf.reduce_mean(bound.divergence)
        return Losses({"network": -tf.reduce_mean(bound.log_p) / batch.shape[1]}, carry, {"divergence": divergence})

    def validate(self) -> Mapping[str, float]:
        """Returns negative FIVO a step with eight times the particles of training, always of the same draws."""
        log_p = self.evaluate(self.validation, 8 * self.p.particles).log_p
        return {"negative_fivo": float(np.mean(log_p)) / -self.p.periods}

    def predict(self, inputs: np.ndarray, network: str | None = None) -> np.ndarray:
        """Returns FIVO of sequences [n, T, 2], [n]: in expectation no more than ln p of each."""
        return self.evaluate(np.asarray(inputs), self.p.test_particles).log_p

    def evaluate(self, x: np.ndarray, particles: int, bound: Callable[..., Bound] = fivo) -> Bound:
        """Returns a bound on sequences [n, T, 2], with draws that depend on the seed of the file alone."""
        key = tf.constant([self.seed, 77])
        if (bound, particles) not in self.compiled:  # compiled anew for other shapes only
            self.compiled[bound, particles] = tf.function(
                lambda x: bound(self.network, x, key, particles), jit_compile=True, autograph=False
            )
        return Bound(*(each.numpy() for each in self.compiled[bound, particles](tf.constant(x, self.dtype))))

    def results(self) -> Results:
        """Reports Table 1's row, the bounds beside the likelihood of an ideal observer, and KL by step."""
        p, rows, arrays = self.p, [], {}
        for name, sequences in self.tests.items():
            bound = self.evaluate(sequences.x, p.test_particles)
            per_step = bound.log_p.astype(np.float64) / sequences.x.shape[1]
            rows.append({"setting": name, "fivo": per_step.mean(), "standard_error": _error(per_step)})
            arrays |= {f"fivo_{name}": per_step, f"kl_{name}": bound.divergence, f"x_{name}": sequences.x}
        tables = {"settings": rows, "bounds": self._bounds(arrays["fivo_test"])}
        return Results(f"FIVO a step {rows[0]['fivo']:.3f}", tables, arrays)

    def _bounds(self, fivo_test: np.ndarray) -> list[dict[str, float | str]]:
        """The bounds on the test sequences beside the likelihoods of observers who know the process."""
        p, test = self.p, self.tests["test"]
        values = {
            "elbo": self.evaluate(test.x, p.particles, elbo).log_p / p.periods,
            f"fivo_{p.particles}": self.evaluate(test.x, p.particles).log_p / p.periods,
            f"fivo_{p.test_particles}": fivo_test,
            "ideal_observer": synthetic.exact_log_likelihood(test.x, self.matrices) / p.periods,
            "true_parameters": synthetic.oracle_log_likelihood(test) / p.periods,
        }
        return [
            {
                "bound": name, "nats_a_step": float(np.mean(value)),
                "below_ideal": float(np.mean(values["ideal_observer"] - value)),
                "standard_error": _error(values["ideal_observer"] - value),
            }
            for name, value in values.items()
        ]  # fmt: skip


def _error(values: np.ndarray) -> float:
    """Standard error of the mean over sequences."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
