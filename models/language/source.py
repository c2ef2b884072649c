r"""A made source of text whose best possible perplexity is known: a second-order Markov chain over a few letters.

    p(x_{t+1} = c | x_{t-1} = a, x_t = b) = P[a, b, c]

Its entropy rate is H = -sum_{ab} pi(a, b) sum_c P[a, b, c] log P[a, b, c], with pi the stationary distribution of
pairs; no distribution over the next letter has a perplexity below exp(H) (Shannon 1948). A chain of first order, which
sees b alone, can't reach it.
"""

from typing import final

import numpy as np


@final
class SecondOrderMarkov:
    """A chain whose P [letters, letters, letters] is drawn from a Dirichlet distribution: small means certain.

    Raises ValueError for fewer than two letters.
    """

    def __init__(self, letters: int, concentration: float, generator: np.random.Generator) -> None:
        if letters < 2:
            raise ValueError(f"letters: got {letters}, expected 2 or more")
        self.letters = letters
        self.P = generator.dirichlet(np.full(letters, concentration), size=(letters, letters))
        self.pairs = _stationary(self.P)

    def sample(self, sequences: int, length: int, generator: np.random.Generator) -> np.ndarray:
        """Draws independent sequences that begin with a stationary pair, int [sequences, length]."""
        n, drawn = self.letters, np.zeros((sequences, max(length, 2)), np.int32)
        drawn[:, 0], drawn[:, 1] = np.divmod(generator.choice(n * n, sequences, p=self.pairs.ravel()), n)
        cumulated = self.P.cumsum(axis=2)
        for t in range(2, length):
            u = generator.uniform(size=(sequences, 1))
            drawn[:, t] = (u > cumulated[drawn[:, t - 2], drawn[:, t - 1], :-1]).sum(axis=1)
        return drawn[:, :length]

    def perplexity(self, text: np.ndarray) -> float:
        """Returns the perplexity of a text, int [n], for one who knows P and its first two letters."""
        return float(np.exp(-np.log(self.P[text[:-2], text[1:-1], text[2:]]).mean()))

    def perplexities(self) -> dict[str, float]:
        """Returns those of the long run: of the source, and of the best guesses that know the last letter, or none."""
        bigrams = self.pairs / self.pairs.sum(axis=1, keepdims=True)
        letter = self.pairs.sum(axis=0)
        return {
            "source": float(np.exp(-(self.pairs[:, :, None] * _log(self.P) * self.P).sum())),
            "bigram": float(np.exp(-(self.pairs * _log(bigrams)).sum())),
            "unigram": float(np.exp(-(letter * _log(letter)).sum())),
        }


def _stationary(P: np.ndarray) -> np.ndarray:
    """pi [letters, letters] with pi(b, c) = sum_a pi(a, b) P[a, b, c]."""
    n = len(P)
    T = np.zeros((n, n, n, n))
    for a in range(n):
        for b in range(n):
            T[a, b, b] = P[a, b]
    T = T.reshape(n * n, n * n)
    equations = np.vstack([T.T - np.eye(n * n), np.ones(n * n)])
    return np.linalg.lstsq(equations, np.append(np.zeros(n * n), 1.0))[0].clip(0).reshape(n, n)


def _log(p: np.ndarray) -> np.ndarray:
    return np.log(np.where(p > 0, p, 1.0))
