"""Recurrent networks that learn to infer the hidden states of an HMM: Choe, Shin and Spencer (2017), section 4."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, final

import numpy as np
import tensorflow as tf

from deqn.mlp.minibatches import check_size, minibatches
from deqn.project.errors import UserError
from deqn.rnn.networks import Recurrent
from deqn.sequence.hmm import HMM, Filtered, random_hmm
from deqn.sequence.particles import HMMParticles, particle_filter
from deqn.training.problem import Batch, Carry, Losses, Problem, Results
from deqn.training.settings import TrainingSettings

from .parameters import Parameters

_CLEAR = 0.15  # filtered probabilities further apart than this leave no doubt which state is likelier
_MANY_PARTICLES = 1000
_DRAWS = 200  # models drawn before giving up


class Paths(NamedTuple):
    """Hidden states and observations of n paths, int [n, T]."""

    hidden: np.ndarray
    observed: np.ndarray


@final
class HiddenStates(Problem):
    """Networks are trained side by side to predict H_t from x_1..x_t; the forward algorithm knows the HMM."""

    def __init__(self, parameters: Parameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1) -> None:
        p = self.p = parameters
        self.seed, self.rank, self.dtype = settings.seed, rank, settings.precision
        self.models, self.train, self.validation, self.test = {}, {}, {}, {}
        self.networks: dict[str, Recurrent] = {}
        for m in p.states:
            generator = np.random.default_rng([settings.seed, 0, m])
            self.models[m] = hmm = _own(m, p) if p.model else _drawn(m, p, generator)
            train = Paths(*hmm.sample(p.paths, p.periods, generator))
            self.train[m] = Paths(*(each[rank::ranks].astype(np.int32) for each in train))
            self.validation[m] = Paths(*hmm.sample(p.tests, p.periods, generator))
            self.test[m] = Paths(*hmm.sample(p.tests, p.periods, generator))
            for k in p.hidden:
                for start in range(p.starts):
                    seed = settings.seed * p.starts + start
                    self.networks[f"m{m}_k{k}_s{start}"] = Recurrent(p.symbols, m, "rnn", [k], seed, self.dtype)
        self.rows = len(next(iter(self.train.values())).hidden)
        check_size(p.batch, self.rows, f"paths of rank {rank}")

    def describe(self) -> Mapping[str, str]:
        p = self.p
        return {
            "data": f"{p.paths} paths of {p.periods} observations, {p.symbols} symbols, hidden states "
            f"{', '.join(map(str, p.states))}",
            "networks": f"recurrent, units {', '.join(map(str, p.hidden))}, from {p.starts} initial weights each",
        }

    def batches(self, episode: int) -> Iterator[Batch]:
        """Yields the paths in a new order, the same rows of every model's data."""
        for rows in minibatches(self.rows, self.p.batch, [self.seed, 1, self.rank, episode]):
            yield {m: (paths.hidden[rows], paths.observed[rows]) for m, paths in self.train.items()}

    def losses(self, batch: Batch, carry: Carry, key: tf.Tensor) -> Losses:
        """Returns cross entropy of the hidden state, mean over paths and periods, of each network by itself."""
        return Losses({name: self._loss(name, *batch[_states(name)]) for name in self.networks}, carry)

    def _loss(self, name: str, hidden: Any, observed: Any) -> tf.Tensor:
        logits = self.networks[name](tf.one_hot(observed, self.p.symbols, dtype=self.dtype))
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(hidden, logits))

    def validate(self) -> Mapping[str, float]:
        """Returns cross entropy on paths of its own, mean over the networks."""
        return {"cross_entropy": float(np.mean([self._validation_loss(name) for name in self.networks]))}

    def _validation_loss(self, name: str) -> float:
        return float(self._loss(name, *self.validation[_states(name)]))

    def _best(self, m: int, k: int) -> Recurrent:
        """The network of one size that does best on the validation paths."""
        names = [f"m{m}_k{k}_s{start}" for start in range(self.p.starts)]
        return self.networks[min(names, key=self._validation_loss)]

    def results(self) -> Results:
        """Reports every way of inference on the same test paths."""
        rows, exact = [], {m: hmm.filter(self.test[m].observed) for m, hmm in self.models.items()}
        for m in self.p.states:
            parameters = m * m + m * self.p.symbols - m - 1  # transition, emission and initial, less what sums to one
            rows.append(self._row(m, "forward", m, exact[m].states, exact[m], parameters))
        for m, k in itertools.product(self.p.states, self.p.hidden):
            network = self._best(m, k)
            inputs = tf.one_hot(self.test[m].observed, self.p.symbols, dtype=self.dtype)
            shown = tf.nn.softmax(network(inputs)).numpy()
            rows.append(self._row(m, "rnn", k, shown, exact[m], network.count_params()))
        for m in self.p.states if self.p.particles else ():
            for count in [*self.p.particles, _MANY_PARTICLES]:
                for method, shown in self._by_particles(m, count).items():
                    rows.append(self._row(m, method, count, shown, exact[m], 0))
        networks = [row for row in rows if row["method"] == "rnn"]
        worst = max(abs(row["accuracy"] - _forward(rows, row["states"])) for row in networks)
        least = np.nanmin([row["agreement_clear"] for row in networks])
        return Results(f"accuracy within {worst:.3f} of forward, clear agreement {least:.3f}", {"inference": rows})

    def _by_particles(self, m: int, count: int) -> dict[str, np.ndarray]:
        """The filter's shares of particles, and with H_t summed out, each [n, T, m]."""
        generator = np.random.default_rng([self.seed, 2, m, count])
        space, observed = HMMParticles(self.models[m]), self.test[m].observed
        plain, summed, before = [], [], None
        for t, step in enumerate(particle_filter(space, observed, count, generator)):
            plain.append(step.shares(m))
            summed.append(space.rao_blackwell(before, observed[:, t]))
            before = step
        return {"particles": np.stack(plain, axis=1), "rao_blackwell": np.stack(summed, axis=1)}

    def _row(self, m: int, method: str, size: int, shown: np.ndarray, exact: Filtered, weights: int) -> dict[str, Any]:
        """shown: [n, T, m] probabilities. agreement_clear: where the exact ones of the two likeliest states differ by
        more than .15; difference: mean distance of all probabilities."""
        agrees = shown.argmax(axis=2) == exact.states.argmax(axis=2)
        ordered = np.sort(exact.states, axis=2)
        is_clear = ordered[..., -1] - ordered[..., -2] > _CLEAR
        return {
            "states": m, "method": method, "size": size,
            "accuracy": float((shown.argmax(axis=2) == self.test[m].hidden).mean()),
            "agreement": float(agrees.mean()),
            "agreement_clear": float(agrees[is_clear].mean()) if is_clear.any() else np.nan,
            "difference": float(np.abs(shown - exact.states).mean()), "parameters": weights,
        }  # fmt: skip


def _own(m: int, p: Parameters) -> HMM:
    """The model of the parameter file."""
    assert p.model is not None
    try:
        hmm = HMM(*(np.array(each) for each in (p.model.initial, p.model.transition, p.model.emission)))
    except ValueError as error:
        raise UserError(f"parameters.model: {error}") from error
    if (p.states, p.symbols) != ([hmm.states], hmm.symbols):
        raise UserError(
            f"parameters.model: has {hmm.states} states and {hmm.symbols} symbols; write states: [{hmm.states}] and "
            f"symbols: {hmm.symbols} (got {p.states} and {p.symbols})"
        )
    return hmm


def _drawn(m: int, p: Parameters, generator: np.random.Generator) -> HMM:
    """A random model of m states, in which the filter predicts each often enough."""
    for _ in range(_DRAWS):
        hmm = random_hmm(m, p.symbols, generator)
        predicted = hmm.filter(hmm.sample(p.tests, p.periods, generator)[1]).states.argmax(axis=2)
        if np.bincount(predicted.ravel(), minlength=m).min() >= p.least_share * predicted.size:
            return hmm
    raise UserError(
        f"parameters.least_share: {p.least_share}; none of {_DRAWS} models with {m} states has it, expected less"
    )


def _states(name: str) -> int:
    """The m of a network's name."""
    return int(name.split("_")[0].removeprefix("m"))


def _forward(rows: list[dict[str, Any]], m: int) -> float:
    return next(row["accuracy"] for row in rows if row["method"] == "forward" and row["states"] == m)
