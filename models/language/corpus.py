"""The text of a language network, and the perplexity that counts of letters and pairs reach."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from deqn.project.errors import UserError
from deqn.rnn.vocabulary import Vocabulary

from .parameters import LanguageParameters
from .source import SecondOrderMarkov


class Corpus(NamedTuple):
    """The text as numbers of letters, int [n], in three parts. source: what made it, or None for a file."""

    vocabulary: Vocabulary
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    source: SecondOrderMarkov | None


def make_corpus(parameters: LanguageParameters, seed: int, rank: int) -> Corpus:
    """Reads the file, or makes a text: source, validation and test by the seed alone, training by the rank, too."""
    if parameters.file:
        return _from_file(Path(parameters.file), parameters.test_share)
    source = SecondOrderMarkov(parameters.letters, parameters.concentration, np.random.default_rng([seed, 0]))
    train = source.sample(1, parameters.train, np.random.default_rng([seed, 1, rank]))[0]
    validation, test = source.sample(2, parameters.test, np.random.default_rng([seed, 2]))
    return Corpus(Vocabulary("abcdefghijklmnopqrstuvwxyz"[: parameters.letters]), train, validation, test, source)


def _from_file(path: Path, test_share: float) -> Corpus:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"parameters.file: {path} can't be read: {error}") from error
    if len(set(text)) < 2:
        raise UserError(f"parameters.file: {path} has {len(set(text))} different letters, expected 2 or more")
    vocabulary = Vocabulary(sorted(set(text)))
    numbers = vocabulary.encode(text)
    judging = max(round(len(numbers) * test_share), 2)
    if len(numbers) < 4 * judging:
        raise UserError(f"parameters.test_share: {test_share} leaves no half of {path} to train on; expected below 1/4")
    train, validation, test = np.split(numbers, [-2 * judging, -judging])
    return Corpus(vocabulary, train, validation, test, None)


def counted_perplexities(corpus: Corpus) -> dict[str, float]:
    """Returns the test perplexity of counted letters and pairs, each count begun at one."""
    n, (train, test) = len(corpus.vocabulary), (corpus.train, corpus.test)
    letters = 1.0 + np.bincount(train, minlength=n)
    pairs = 1.0 + np.bincount(n * train[:-1] + train[1:], minlength=n * n).reshape(n, n)
    bigrams = pairs / pairs.sum(axis=1, keepdims=True)
    return {
        "bigram": float(np.exp(-np.log(bigrams[test[:-1], test[1:]]).mean())),
        "unigram": float(np.exp(-np.log(letters / letters.sum())[test[1:]].mean())),
    }
