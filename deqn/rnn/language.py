r"""A recurrent network as a distribution over sequences of tokens (Mikolov et al. 2010; Choe, Shin & Spencer 2017).

    e_t = E x_t,    h_t = cell(e_t, h_{t-1}),    p(x_{t+1} | x_1, ..., x_t) = softmax(h_t V + c)
    log p(x_2, ..., x_T | x_1) = sum_t log p(x_{t+1} | x_1, ..., x_t)

Training sees the true x_t as inputs whatever the network would have said (teacher forcing) and lowers
J = mean -log p(x_{t+1} | ...); perplexity is exp(J): among how many tokens the network, on average, hesitates. A
sample feeds back its own tokens instead. The first token has no distribution: it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import keras
import numpy as np
import tensorflow as tf

from deqn.rnn.networks import Recurrent, States
from deqn.rnn.truncated import mean_of_valid


@final
class LanguageNetwork(keras.Model):
    """A network over tokens: int [batch, time] -> logits [batch, time, vocabulary].

    embedding: numbers for each token. cell, units, seed: as of `Recurrent`. Raises ValueError for a vocabulary of
    fewer than two tokens.
    """

    def __init__(
        self, vocabulary: int, embedding: int, cell: str, units: Sequence[int], seed: int, dtype: str = "float32"
    ) -> None:
        super().__init__(dtype=dtype)
        if vocabulary < 2:
            raise ValueError(f"vocabulary: got {vocabulary}, expected 2 tokens or more")
        self.vocabulary = vocabulary
        initializer = keras.initializers.RandomUniform(-0.5, 0.5, seed=1000 * seed + 999)
        self.embedding = keras.layers.Embedding(vocabulary, embedding, initializer, dtype=dtype)
        self.recurrent = Recurrent(embedding, vocabulary, cell, units, seed, dtype)
        self(tf.zeros([1, 1], tf.int32))

    def call(self, tokens: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the logits of the token that follows each: [batch, time, vocabulary]."""
        return self.recurrent(self.embedding(tokens), mask=mask)

    def advance(self, tokens: tf.Tensor, states: States, mask: tf.Tensor | None = None) -> tuple[tf.Tensor, States]:
        """Returns logits, and the states from which the next tokens go on."""
        return self.recurrent.advance(self.embedding(tokens), states, mask)


def cross_entropy(logits: tf.Tensor, following: tf.Tensor, valid: tf.Tensor | None = None) -> tf.Tensor:
    """Returns J in nats: the mean of -log p(following) over the steps that are no padding.

    logits: [batch, time, vocabulary]. following: int [batch, time], the tokens one step later. valid: bool.
    """
    errors = tf.nn.sparse_softmax_cross_entropy_with_logits(following, logits)
    return tf.reduce_mean(errors) if valid is None else mean_of_valid(errors, valid)


def perplexity(network: LanguageNetwork, tokens: np.ndarray) -> float:
    """Returns exp(J) of sequences, int [batch, time], whose first token is given. Raises ValueError if time < 2."""
    tokens = _sequences(network, tokens)
    return float(np.exp(-log_probability(network, tokens).mean() / (tokens.shape[1] - 1)))


def log_probability(network: LanguageNetwork, tokens: np.ndarray) -> np.ndarray:
    """Returns log p(x_2, ..., x_T | x_1) of each sequence, [batch]; tokens: int [batch, time]."""
    tokens = _sequences(network, tokens)
    log_p = tf.nn.log_softmax(tf.cast(network(tokens[:, :-1]), tf.float64)).numpy()
    return np.take_along_axis(log_p, tokens[:, 1:, None], axis=2)[:, :, 0].sum(axis=1)


def sample(network: LanguageNetwork, begin: np.ndarray, length: int, generator: np.random.Generator) -> np.ndarray:
    """Continues each of the beginnings by `length` tokens drawn from the network: int [batch, time + length].

    begin: int [batch, time], one token or more each.
    """
    begin = np.asarray(begin)
    if begin.ndim != 2 or not begin.shape[1] or length < 1:
        raise ValueError(
            f"begin, length: got shape {begin.shape} and {length}, expected [batch, 1 or more] and 1 or more"
        )
    advance = tf.function(network.advance, autograph=False)
    states, inputs, drawn = network.recurrent.zero_states(len(begin)), begin, [begin]
    for _ in range(length):
        logits, states = advance(tf.constant(inputs, tf.int32), states)
        inputs = _draw(logits[:, -1].numpy(), generator)
        drawn.append(inputs)
    return np.concatenate(drawn, axis=1)


def _draw(logits: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draws one token for each row, [batch, 1]: the largest of logits plus Gumbel noise has probability softmax."""
    return (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)[:, None].astype(np.int32)


def _sequences(network: LanguageNetwork, tokens: np.ndarray) -> np.ndarray:
    tokens = np.asarray(tokens)
    if tokens.ndim != 2 or tokens.shape[1] < 2:
        raise ValueError(f"tokens: got shape {tokens.shape}, expected [batch, 2 or more tokens]")
    if tokens.min() < 0 or tokens.max() >= network.vocabulary:
        raise ValueError(f"tokens: got {tokens.min()} to {tokens.max()}, expected 0 to {network.vocabulary - 1}")
    return tokens
