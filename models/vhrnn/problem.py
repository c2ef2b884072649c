"""VRNN and VHRNN are trained on synthetic sequences, after "Variational Hyper RNN for Sequence Modeling", section 4."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import final

import numpy as np

from deqn.mlp.minibatches import check_size, minibatches
from deqn.sequence.bounds import Examined, elbo, examine
from deqn.sequence.variational import Data
from deqn.training.problem import Batch, Results
from deqn.training.settings import TrainingSettings

from . import synthetic
from .by_bound import ByBound
from .claims import Shown, claims
from .parameters import Parameters


@final
class Synthetic(ByBound):
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
        self.set_network(p, Data(2, "gaussian", 0.0, float(np.abs(train.x).mean())), settings)

    def describe(self) -> Mapping[str, str]:
        p = self.p
        data = f"{p.sequences} sequences of {p.periods} steps, ten matrices of radius {p.radius[0]}-{p.radius[1]}"
        return {"data": data, **self.of_network()}

    def batches(self, episode: int) -> Iterator[Batch]:
        """Yields all sequences in a new order."""
        for rows in minibatches(len(self.train), self.p.batch, [self.seed, 1, self.rank, episode]):
            yield self.train[rows]

    def predict(self, inputs: np.ndarray, network: str | None = None) -> np.ndarray:
        """Returns FIVO of sequences [n, T, 2], [n]: in expectation no more than ln p of each."""
        return self.evaluate(np.asarray(inputs), self.p.test_particles).log_p

    def validate(self) -> Mapping[str, float]:
        """Returns negative FIVO a step with eight times the particles of training, always of the same draws."""
        log_p = self.evaluate(self.validation, 8 * self.p.particles).log_p
        return {"negative_fivo": float(np.mean(log_p)) / -self.p.periods}

    def results(self) -> Results:
        """Reports Table 1's row, the bounds beside an ideal observer's likelihood, claims, and steps as in figures."""
        p, rows, arrays, shown = self.p, [], dict[str, np.ndarray](), {}
        for name, sequences in self.tests.items():
            found: Examined = self.evaluate(sequences.x, p.test_particles, examine)
            per_step = found.log_p.astype(np.float64) / sequences.x.shape[1]
            rows.append({"setting": name, "fivo": per_step.mean(), "standard_error": _error(per_step)})
            shown[name] = Shown(found.divergence, found.mean, found.log_variance)
            arrays |= {f"fivo_{name}": per_step, f"x_{name}": sequences.x, f"sigma_{name}": sequences.sigma}
            arrays |= {f"{field}_{name}": value for field, value in shown[name]._asdict().items()}
        tables = {
            "settings": rows, "bounds": self._bounds(arrays["fivo_test"]), "fit": self._fit(arrays["fivo_test"]),
            "claims": claims(self.tests, shown),
        }  # fmt: skip
        holding = sum(row["holds"] for row in tables["claims"])
        return Results(f"FIVO a step {rows[0]['fivo']:.3f}, {holding} of 4 claims hold", tables, arrays)

    def _fit(self, fivo_test: np.ndarray) -> list[dict[str, float | str]]:
        """FIVO on as many sequences that were trained on as are tested on, and how far below an ideal observer's ln p.

        The sequences of the two parts differ in their noise; below the ideal observer that difference is gone.
        """
        p, trained_on = self.p, self.train[: self.p.held_out]
        found = {
            "train": (trained_on, self.evaluate(trained_on, p.test_particles).log_p.astype(np.float64) / p.periods),
            "test": (self.tests["test"].x, fivo_test),
        }
        rows: list[dict[str, float | str]] = []
        for name, (x, fivo) in found.items():
            below = synthetic.exact_log_likelihood(x.astype(np.float64), self.matrices) / p.periods - fivo
            means = {"fivo": fivo.mean(), "below_ideal": below.mean(), "standard_error": _error(below)}
            rows.append({"part": name, **means})
        return rows

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
