"""Polyphonic music: JSB Chorales and Piano-midi.de as pickles of note lists (Boulanger-Lewandowski et al. 2012)."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, final

import numpy as np

LOWEST_NOTE, HIGHEST_NOTE = 21, 108  # the keys of a piano, in MIDI numbers
NOTES = HIGHEST_NOTE - LOWEST_NOTE + 1
SPLITS = ("train", "valid", "test")


class Music(NamedTuple):
    """Pieces [T, 88] of zeros and ones, by split, and the mean of each note over the training pieces.

    Networks see a piece less `train_mean`; what they predict is the piece itself.
    """

    pieces: dict[str, list[np.ndarray]]
    train_mean: np.ndarray


@final
class _Plain(pickle.Unpickler):
    """Allows lists, tuples, dictionaries, texts and numbers only: another pickle could run any program."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise ValueError(f"it wants {module}.{name}, expected lists, tuples, dictionaries and numbers only")


def read_music(path: str | Path) -> Music:
    """Reads {train, valid, test: [piece]}, a piece a list of chords, a chord a list of MIDI notes from 21 to 108.

    Raises ValueError: a pickle that wants more than plain containers, a missing split, a note outside the piano.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            content = _Plain(file, encoding="latin1").load()
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    except (pickle.UnpicklingError, EOFError, AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: no pickle ({error}), expected one with {', '.join(SPLITS)}") from None
    if not isinstance(content, dict) or not set(SPLITS) <= set(content):
        seen = ", ".join(map(str, content)) if isinstance(content, dict) else f"a {type(content).__name__}"
        raise ValueError(f"{path}: holds {seen}, expected {', '.join(SPLITS)}")
    pieces = {
        split: [_roll(piece, f"{path}: {split}, piece {number}") for number, piece in enumerate(content[split])]
        for split in SPLITS
    }
    if not pieces["train"]:
        raise ValueError(f"{path}: train is empty, expected pieces")
    return Music(pieces, np.concatenate(pieces["train"]).mean(axis=0))


def _roll(piece: Any, where: str) -> np.ndarray:
    roll = np.zeros((len(piece), NOTES), np.float32)
    for t, chord in enumerate(piece):
        for note in chord:
            is_whole = isinstance(note, int) or (isinstance(note, float) and note.is_integer())
            if not is_whole or not LOWEST_NOTE <= note <= HIGHEST_NOTE:
                raise ValueError(f"{where}: note {note!r} at t = {t}, expected {LOWEST_NOTE} to {HIGHEST_NOTE}")
            roll[t, int(note) - LOWEST_NOTE] = 1
    return roll
