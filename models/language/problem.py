"""A recurrent network learns to continue a text: teacher forcing, truncated back-propagation, perplexity, samples.

The text is cut into streams that are read side by side, a chunk an update; the states at a chunk's end are those with
which the next begins. On the made source, a second-order Markov chain, the best possible perplexity is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, final

import numpy as np
import tensorflow as tf
from scipy import stats

from deqn.project.errors import UserError
from deqn.rnn.language import LanguageNetwork, cross_entropy, perplexity, sample
from deqn.rnn.networks import States
from deqn.rnn.truncated import Chunk, begun, chunks
from deqn.training.problem import Losses, Problem, Results
from deqn.training.settings import TrainingSettings

from .corpus import counted_perplexities, make_corpus
from .parameters import LanguageParameters
from .source import SecondOrderMarkov

_LENGTH = 1000  # letters of a test sequence, at the beginning of which nothing is remembered


@final
class Language(Problem):
    """One network is trained by one loss, J = mean -log p(next letter)."""

    def __init__(
        self, parameters: LanguageParameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1
    ) -> None:
        self.p, self.seed = parameters, settings.seed
        self.corpus = make_corpus(parameters, settings.seed, rank)
        if len(self.corpus.train) <= parameters.streams:
            raise UserError(
                f"parameters.streams: {parameters.streams} for {len(self.corpus.train)} letters to train on, expected "
                "fewer streams than letters"
            )
        self.network = LanguageNetwork(
            len(self.corpus.vocabulary), parameters.embedding, parameters.cell, parameters.units, settings.seed,
            settings.precision,
        )  # fmt: skip
        self.networks = {"language": self.network}

    def describe(self) -> Mapping[str, str]:
        made = self.p.file or "a made second-order Markov chain"
        units = "+".join(map(str, self.p.units))
        return {
            "data": f"{len(self.corpus.train):,} letters of {made}, {len(self.corpus.vocabulary)} different ones",
            "network": f"{self.p.cell} of {units} units, {self.network.count_params():,} weights",
        }

    def start(self, key: tf.Tensor) -> States:
        """Begins with states of zero, because nothing has been read."""
        return self.network.recurrent.zero_states(self.p.streams)

    def batches(self, episode: int) -> Iterator[Chunk]:
        """Yields the whole text once: `streams` pieces of it side by side, and the letter after each."""
        text, streams = self.corpus.train, self.p.streams
        length = (len(text) - 1) // streams
        now, following = (text[i : i + streams * length].reshape(streams, length) for i in (0, 1))
        yield from chunks(now, following, self.p.chunk)

    def losses(self, batch: Chunk, carry: States, key: tf.Tensor) -> Losses:
        """Returns J on a chunk, from the states at the end of the chunk before."""
        logits, states = self.network.advance(batch.inputs, begun(carry, batch.begins), batch.valid)
        return Losses({"language": cross_entropy(logits, batch.targets, batch.valid)}, states)

    def validate(self) -> Mapping[str, float]:
        """Returns the perplexity of a text that is neither trained nor tested on."""
        return {"perplexity": perplexity(self.network, _sequences(self.corpus.validation))}

    def results(self) -> Results:
        """Reports perplexities of network, counts and source on the test text, and pairs of letters in samples."""
        found = perplexity(self.network, _sequences(self.corpus.test))
        on_test = {"network": found, **counted_perplexities(self.corpus)}
        texts = self._sample_texts()
        source = self.corpus.source
        if source is None:
            return Results(
                f"test perplexity {found:.3f}",
                {"perplexity": [{"distribution": name, "test": value} for name, value in on_test.items()]},
                {"samples": texts},
            )
        known = source.perplexities()
        on_test["source"] = source.perplexity(self.corpus.test)
        rows = [
            {"distribution": name, "test": value, "above_best_percent": 100 * (value / known["source"] - 1)}
            for name, value in on_test.items()
        ]
        pairs, arrays = self._pairs(texts, source)
        return Results(
            f"test perplexity {found:.3f}, at best {known['source']:.3f}",
            {"perplexity": rows, "known": [known], "pairs": [pairs]},
            {"samples": texts, **arrays},
        )

    def _pairs(self, texts: np.ndarray, source: SecondOrderMarkov) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The last pair of letters of each text against the source's stationary pairs, by chi squared."""
        n = source.letters
        drawn = np.bincount(n * texts[:, -2] + texts[:, -1], minlength=n * n)
        expected = len(texts) * source.pairs.ravel() / source.pairs.sum()
        found = stats.chisquare(drawn, expected)
        row = {"texts": len(texts), "pairs": n * n, "chi2": float(found.statistic), "p": float(found.pvalue)}
        return row, {"pairs_drawn": drawn.reshape(n, n), "pairs_expected": expected.reshape(n, n)}

    def _sample_texts(self) -> np.ndarray:
        """Independent texts that go on from a letter of the test, int [samples, burn_in + 2]."""
        generator = np.random.default_rng([self.seed, 3])
        begin = generator.choice(self.corpus.test, (self.p.samples, 1)).astype(np.int32)
        return sample(self.network, begin, self.p.burn_in + 1, generator)


def _sequences(text: np.ndarray) -> np.ndarray:
    """The text in pieces of equal length [pieces, length], without a rest."""
    length = min(_LENGTH, len(text))
    return text[: len(text) // length * length].reshape(-1, length)
