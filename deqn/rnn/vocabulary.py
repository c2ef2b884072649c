"""Tokens and their numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import final

import numpy as np

UNKNOWN = "<unk>"


@final
class Vocabulary:
    """Numbers tokens from 0 in the order given; others become "<unk>", if that is one of them.

    Raises ValueError for fewer than two tokens, of which nothing could be learned, or a token given twice.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = tuple(tokens)
        if len(self.tokens) < 2:
            raise ValueError(f"tokens: got {len(self.tokens)} ({', '.join(self.tokens)}), expected 2 or more")
        token, count = Counter(self.tokens).most_common(1)[0]
        if count > 1:
            raise ValueError(f"tokens: got {token!r} {count} times, expected each once")
        self._number = {token: number for number, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: Iterable[str]) -> np.ndarray:
        """Returns the numbers of the tokens [n]. Raises ValueError for no token, or an unknown one without "<unk>"."""
        tokens = list(text)
        if not tokens:
            raise ValueError("text: got no token, expected one or more")
        rest = self._number.get(UNKNOWN)
        unknown = [token for token in tokens if token not in self._number]
        if unknown and rest is None:
            raise ValueError(
                f"text: got {unknown[0]!r}, which is none of the {len(self)} tokens; expected these, or {UNKNOWN} "
                "among them to stand for all others"
            )
        return np.array([self._number.get(token, rest) for token in tokens], np.int32)

    def decode(self, numbers: Iterable[int]) -> list[str]:
        return [self.tokens[number] for number in numbers]
