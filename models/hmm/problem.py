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
    """Networks are trained side by side to predict H_t from x_1..x_t; the forward algorithm knows the HMM.

    Each network counts with the weights that were best on the validation paths, whatever the others did: those that see
    few paths are at their best long before those that see many.
    """

    def __init__(self, parameters: Parameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1) -> None:
        p = self.p = parameters
        self.seed, self.rank, self.dtype = settings.seed, rank, settings.precision
        self.models, self.train, self.validation, self.test = {}, {}, {}, {}
        self.networks: dict[str, Recurrent] = {}
        self.best: dict[str, tuple[float, list[np.ndarray]]] = {}  # validation loss and weights, by network
        largest = p.sizes_of_data()[-1]
        for m in p.states:
            generator = np.random.default_rng([settings.seed, 0, m])
            self.models[m] = hmm = _own(m, p) if p.model else _drawn(m, p, generator)
            train = Paths(*hmm.sample(largest, p.periods, generator))
            self.train[m] = Paths(*(each[rank::ranks].astype(np.int32) for each in train))
            self.validation[m] = Paths(*hmm.sample(p.tests, p.periods, generator))
            self.test[m] = Paths(*hmm.sample(p.tests, p.periods, generator))
            for name in self._names(m):
                units, start = _number(name, "k"), _number(name, "s")
                seed = settings.seed * p.starts_of(units) + start
                self.networks[name] = Recurrent(p.symbols, m, "rnn", [units], seed, self.dtype)
        self.rows = {n: len(range(rank, n, ranks)) for n in p.sizes_of_data()}
        check_size(p.batch, min(self.rows.values()), f"paths of rank {rank}")

    def _names(self, m: int, k: int | None = None, n: int | None = None) -> list[str]:
        """The networks of one model, such as m2_k20_s0, or m2_k20_s0_n5000 with several numbers of paths."""
        sizes, ks = self.p.sizes_of_data(), self.p.hidden if k is None else [k]
        return [
            f"m{m}_k{units}_s{start}" + (f"_n{size}" if len(sizes) > 1 else "")
            for size in (sizes if n is None else [n])
            for units in ks
            for start in range(self.p.starts_of(units))
        ]

    def describe(self) -> Mapping[str, str]:
        p = self.p
        return {
            "data": f"{', '.join(map(str, p.sizes_of_data()))} paths of {p.periods} observations, {p.symbols} symbols, "
            f"hidden states {', '.join(map(str, p.states))}",
            "networks": f"recurrent, units {', '.join(map(str, p.hidden))}, initial weights tried: {p.starts}",
        }

    def batches(self, episode: int) -> Iterator[Batch]:
        """Yields the paths in a new order, the same rows of every model's data; small data come several times."""
        for rows in minibatches(max(self.rows.values()), self.p.batch, [self.seed, 1, self.rank, episode]):
            yield {
                f"m{m}_n{n}": (paths.hidden[rows % count], paths.observed[rows % count])
                for m, paths in self.train.items()
                for n, count in self.rows.items()
            }

    def losses(self, batch: Batch, carry: Carry, key: tf.Tensor) -> Losses:
        """Returns cross entropy of the hidden state, mean over paths and periods, of each network by itself."""
        return Losses({name: self._loss(name, *batch[self._data_of(name)]) for name in self.networks}, carry)

    def _data_of(self, name: str) -> str:
        """The key of a network's data in a batch."""
        sizes = self.p.sizes_of_data()
        return f"m{_number(name, 'm')}_n{_number(name, 'n') if len(sizes) > 1 else sizes[0]}"

    def _loss(self, name: str, hidden: Any, observed: Any) -> tf.Tensor:
        logits = self.networks[name](tf.one_hot(observed, self.p.symbols, dtype=self.dtype))
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(hidden, logits))

    def validate(self) -> Mapping[str, float]:
        """Returns cross entropy on paths of its own, mean over the networks; each network's best weights are kept."""
        losses = {name: float(self._loss(name, *self.validation[_number(name, "m")])) for name in self.networks}
        for name, loss in losses.items():
            if name not in self.best or loss < self.best[name][0]:
                self.best[name] = loss, [np.array(weight) for weight in self.networks[name].weights]
        return {"cross_entropy": float(np.mean(list(losses.values())))}

    def host_state(self) -> Mapping[str, Any]:
        return {
            f"{name}/{number}": value
            for name, (loss, weights) in self.best.items()
            for number, value in enumerate([np.array(loss), *weights])
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.best = {}
        for name, network in self.networks.items():
            if f"{name}/0" in state:
                weights = [state[f"{name}/{number}"] for number in range(1, len(network.weights) + 1)]
                self.best[name] = float(state[f"{name}/0"]), weights

    def _best(self, m: int, k: int, n: int | None = None) -> Recurrent:
        """The network of one size that did best on the validation paths, with the weights of that time."""
        if not self.best:
            self.validate()
        name = min(self._names(m, k, n or self.p.sizes_of_data()[-1]), key=lambda each: self.best[each][0])
        self.networks[name].set_weights(self.best[name][1])
        return self.networks[name]

    def predict(self, inputs: np.ndarray, network: str | None = None) -> np.ndarray:
        """Returns probabilities of the hidden states [n, T, m] after each of the symbols int [n, T].

        network: a name such as m2_k20_s0; by default the best one of the first model and the largest size.
        """
        best = self._best(self.p.states[0], max(self.p.hidden)) if network is None else self.networks[network]
        return tf.nn.softmax(best(tf.one_hot(inputs, self.p.symbols, dtype=self.dtype))).numpy()

    def results(self) -> Results:
        """Reports every way of inference on the same test paths."""
        rows, by_period = [], dict[str, np.ndarray]()
        exact = {m: hmm.filter(self.test[m].observed) for m, hmm in self.models.items()}
        for m in self.p.states:
            parameters = m * m + m * self.p.symbols - m - 1  # transition, emission and initial, less what sums to one
            rows.append(self._row(m, "forward", m, exact[m].states, exact[m], parameters))
            by_period[f"right_m{m}_forward"] = self._right(m, exact[m].states)
        for m, n, k in itertools.product(self.p.states, self.p.sizes_of_data(), self.p.hidden):
            network = self._best(m, k, n)
            inputs = tf.one_hot(self.test[m].observed, self.p.symbols, dtype=self.dtype)
            shown = tf.nn.softmax(network(inputs)).numpy()
            rows.append(self._row(m, "rnn", k, shown, exact[m], network.count_params(), n))
            by_period[f"right_m{m}_k{k}_n{n}"] = self._right(m, shown)
            agrees = shown.argmax(axis=2) == exact[m].states.argmax(axis=2)
            by_period[f"agrees_m{m}_k{k}_n{n}"] = agrees.mean(axis=0)
        for m in self.p.states if self.p.particles else ():
            for count in [*self.p.particles, _MANY_PARTICLES]:
                for method, shown in self._by_particles(m, count).items():
                    rows.append(self._row(m, method, count, shown, exact[m], 0))
        networks = [row for row in rows if row["method"] == "rnn"]
        worst = max(abs(row["accuracy"] - _forward(rows, row["states"])) for row in networks)
        least = np.nanmin([row["agreement_clear"] for row in networks])
        headline = f"accuracy within {worst:.3f} of forward, clear agreement {least:.3f}"
        return Results(headline, {"inference": rows}, by_period)

    def _right(self, m: int, shown: np.ndarray) -> np.ndarray:
        """The share of hidden states found in each period, [T]."""
        return (shown.argmax(axis=2) == self.test[m].hidden).mean(axis=0)

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

    def _row(
        self, m: int, method: str, size: int, shown: np.ndarray, exact: Filtered, weights: int, paths: int = 0
    ) -> dict[str, Any]:
        """shown: [n, T, m] probabilities. agreement_clear: where the exact ones of the two likeliest states differ by
        more than .15; difference: mean distance of all probabilities."""
        agrees = shown.argmax(axis=2) == exact.states.argmax(axis=2)
        ordered = np.sort(exact.states, axis=2)
        is_clear = ordered[..., -1] - ordered[..., -2] > _CLEAR
        return {
            "states": m, "method": method, "size": size, "paths": paths,
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


def _number(name: str, letter: str) -> int:
    """The number that follows a letter in a network's name."""
    return next(int(part[1:]) for part in name.split("_") if part[0] == letter)


def _forward(rows: list[dict[str, Any]], m: int) -> float:
    return next(row["accuracy"] for row in rows if row["method"] == "forward" and row["states"] == m)
