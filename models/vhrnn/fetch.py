"""Real data that a package brings, in the form of models/vhrnn's files. They are not the paper's data.

    pip install "deqn[sequences]"
    python models/vhrnn/fetch.py chorales chorales.pickle   # Bach's chorales of music21, a step a quarter note
    python models/vhrnn/fetch.py sp500 sp500.csv            # the S&P 500, 1999 to 2018, of arch

The paper's JSB Chorales have steps of an eighth, other splits and other keys; its stocks are 445 companies, of which
the index is one mean: here every 252 days of it stand for a company.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

_DAYS = 252
_SHARES = (0.6, 0.8)  # up to which share pieces are to train, and to validate


def chorales() -> dict[str, list[list[list[int]]]]:
    """Returns {train, valid, test: [piece]}, a piece a list of chords: the MIDI notes that sound at each quarter."""
    from music21 import corpus

    pieces = [list(chords(score)) for score in corpus.chorales.Iterator(returnType="stream")]
    order = np.random.default_rng(0).permutation(len(pieces))
    parts = np.split(order, [int(share * len(pieces)) for share in _SHARES])
    return {
        name: [pieces[i] for i in part if pieces[i]]
        for name, part in zip(("train", "valid", "test"), parts, strict=True)
    }


def chords(score: object) -> Iterator[list[int]]:
    """Yields the notes that sound at each quarter of a music21 score."""
    notes = [
        (float(note.getOffsetInHierarchy(score)), float(note.quarterLength), [pitch.midi for pitch in note.pitches])
        for note in score.recurse().notes
    ]
    for quarter in range(int(max(begin + length for begin, length, _ in notes)) if notes else 0):
        yield sorted(
            {midi for begin, length, pitches in notes if begin <= quarter < begin + length for midi in pitches}
        )


def sp500() -> pd.DataFrame:
    """Returns the index's prices, each stretch of 252 days as a company of its own; date counts its days."""
    from arch.data import sp500 as source

    table = source.load()
    rows = len(table) // _DAYS * _DAYS
    table = table.iloc[:rows].rename(columns=str.lower)
    year, day = np.divmod(np.arange(rows), _DAYS)
    symbols = [f"SP{first.year}" for first in table.index[::_DAYS]]
    columns = table[["open", "high", "low", "close", "volume"]].reset_index(drop=True)
    return pd.DataFrame({"date": [f"{d:03d}" for d in day], "symbol": np.array(symbols)[year]}).join(columns)


def main(words: list[str]) -> int:
    """Writes the file; exit status 2 for other words, or a package that is not there."""
    if len(words) != 2 or words[0] not in ("chorales", "sp500"):
        print("fetch.py: expected `chorales FILE.pickle` or `sp500 FILE.csv`", file=sys.stderr)
        return 2
    try:
        if words[0] == "chorales":
            Path(words[1]).write_bytes(pickle.dumps(chorales()))
        else:
            sp500().to_csv(words[1], index=False)
    except ImportError as error:
        print(f'fetch.py: {error.name} is not installed; pip install "deqn[sequences]"', file=sys.stderr)
        return 2
    print(f"{words[1]} written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
