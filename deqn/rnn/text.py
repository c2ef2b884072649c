"""From raw text to batches: cleaning, vocabulary, sequences of equal length, pretrained embeddings.

The ten steps of the course's table, with Keras's TextVectorization in the place of other packages:

1 clean, split, drop stopwords; 2 vocabulary; 3 numbers; 4 padding: `TextPipeline`
5 batches: what a Problem's `batches` yields; 6 pretrained embeddings: `read_glove`
7 network: an Embedding layer with these numbers, and `Recurrent.last`
8 loss and optimiser: `tf.nn.sigmoid_cross_entropy_with_logits` and Adam; 9 training: the engine
10 prediction: the pipeline on a new text, then the network
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, final

import keras
import numpy as np
import tensorflow as tf

PADDING, OUT_OF_VOCABULARY = 0, 1  # TextVectorization's own numbers


@final
class TextPipeline:
    """Turns texts into numbers: lower case, no punctuation or stopwords, split at blanks, cut or padded to `length`.

    texts: for the vocabulary, of at most `size` tokens (the most frequent), padding and "[UNK]" included.
    stopwords: words that are dropped, such as `read_stopwords` gives; "don't" is the two tokens that a text has of it.
    Raises ValueError for texts without any token, and numbers out of range.
    """

    def __init__(self, texts: Sequence[str], size: int, length: int, stopwords: Sequence[str] = ()) -> None:
        if size < 3:
            raise ValueError(f"size: got {size}, expected 3 or more: padding, [UNK] and a token")
        if length < 1:
            raise ValueError(f"length: got {length}, expected 1 token or more")
        split = {tuple(_without_punctuation(tf.constant(word)).numpy().decode().split()) for word in stopwords}
        # Of "don" and "don't" the longer one first: what matches first is dropped.
        words = "|".join(r"\s+".join(map(re.escape, each)) for each in sorted(split, key=len, reverse=True) if each)
        self._stopwords = rf"\b({words})\b" if words else ""
        self._layer = keras.layers.TextVectorization(
            max_tokens=size, standardize=self._clean, output_sequence_length=length
        )
        if not texts or not any(part.strip() for part in self._clean(tf.constant(list(texts))).numpy()):
            raise ValueError(f"texts: got {len(texts)} texts without a token, expected one or more tokens")
        self._layer.adapt(tf.constant(list(texts)))

    @property
    def vocabulary(self) -> list[str]:
        """Returns the tokens by number: "" for padding, "[UNK]", then the most frequent first."""
        return self._layer.get_vocabulary()

    def __call__(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Returns numbers, int [texts, length], and the mask of what is no padding, bool [texts, length].

        Raises ValueError naming a text that has no token left, for which a network could say nothing.
        """
        numbers = self._layer(tf.constant(list(texts))).numpy()
        mask = numbers != PADDING
        for number, has_any in enumerate(mask.any(axis=1)):
            if not has_any:
                raise ValueError(f"texts: text {number} ({texts[number]!r}) has no token, expected one or more")
        return numbers, mask

    def _clean(self, texts: tf.Tensor) -> tf.Tensor:
        texts = _without_punctuation(texts)
        return tf.strings.regex_replace(texts, self._stopwords, " ") if self._stopwords else texts


def _without_punctuation(texts: tf.Tensor) -> tf.Tensor:
    """Lower case, with blanks in place of punctuation and of the printed apostrophe."""
    return tf.strings.regex_replace(tf.strings.lower(texts), f"[{re.escape(string.punctuation)}\u2019]", " ")


def read_stopwords(path: str | Path) -> list[str]:
    """Reads one word a line and passes over blank lines. Raises ValueError if the file can't be read."""
    return [line.strip() for line in _lines(Path(path)) if line.strip()]


class Embeddings(NamedTuple):
    """The embeddings of a vocabulary [vocabulary, d], zero for padding; missing: tokens that the file lacks."""

    matrix: np.ndarray
    missing: tuple[str, ...]


def read_glove(path: str | Path, vocabulary: Sequence[str], generator: np.random.Generator | None = None) -> Embeddings:
    """Reads the embeddings of a vocabulary from a file of GloVe's format (Pennington et al. 2014): a token, d numbers.

    vocabulary: as TextPipeline gives it. generator: draws the embeddings of missing tokens from N(0, s^2), s being the
    standard deviation of those found; without one they are zero. The first line's count of numbers sets d.
    Raises ValueError naming the line that has another count or something that is no number, or an empty file.
    """
    path, found, dimension = Path(path), dict[str, np.ndarray](), 0
    wanted = set(vocabulary[PADDING + 1 :])
    for number, line in enumerate(_lines(path), start=1):
        token, *fields = line.split(" ")
        dimension = dimension or len(fields)
        if len(fields) != dimension or not fields:
            raise ValueError(
                f"{path}, line {number}: got {len(fields)} numbers after {token!r}, expected {dimension or '1 or more'}"
            )
        if token in wanted:
            try:
                found[token] = np.array(fields, float)
            except ValueError:
                raise ValueError(f"{path}, line {number}: got {line!r}, expected a token and numbers") from None
    if not dimension:
        raise ValueError(f"{path}: got no line, expected a token and numbers on each")
    missing = tuple(token for token in vocabulary[PADDING + 1 :] if token not in found)
    matrix = np.zeros((len(vocabulary), dimension))
    if generator is not None:
        spread = np.std(list(found.values())) if found else 1.0
        matrix[PADDING + 1 :] = spread * generator.normal(size=(len(vocabulary) - PADDING - 1, dimension))
    for row, token in enumerate(vocabulary):
        matrix[row] = found.get(token, matrix[row])
    return Embeddings(matrix, missing)


def _lines(path: Path) -> Iterator[str]:
    """The lines of a file of any size; a line ends with \\n alone, for other separators may be tokens."""
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for line in file:
                yield line.rstrip("\r\n ")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"path: {path} can't be read: {error}") from error
