"""Checkpoints: one uncompressed .npz each, written whole or not at all, and checked when it is read.

    checkpoints/last.npz               where a run is resumed from
    checkpoints/update-00012000.npz    earlier ones, the newest few
    checkpoints/best.npz               what an evaluation reads
    checkpoints/stage-5.npz            the weights at 5 % of training

Any NumPy opens such a file: arrays under their own names, and four texts: meta.json, format, saved, checksum. `saved`
counts the checkpoints of a folder; a clock may be set back.
"""

import contextlib
import hashlib
import io
import json
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from deqn.project.errors import CannotWrite, UserError
from deqn.project.json_files import parsed_json
from deqn.project.writing import write_atomically

LAST, BEST = "last.npz", "best.npz"
FORMAT = 2  # to be raised with every change of the names or the meaning of what a checkpoint holds
_NUMBERED, _STAGE = re.compile(r"update-(\d{8,})\.npz"), re.compile(r"stage-(\d+)\.npz")

# NotImplementedError and RuntimeError: zipfile reads damaged headers as an unknown compression or as encryption.
_DAMAGED = (zipfile.BadZipFile, OSError, EOFError, KeyError, ValueError, NotImplementedError, RuntimeError)


class DamagedCheckpoint(UserError):
    """A file that is no whole checkpoint; an earlier one may be."""


class _Meta(dict[str, Any]):
    """The meta of a checkpoint, of which a missing entry is a UserError; entries that nobody asks for do no harm."""

    def __init__(self, entries: Mapping[str, Any], path: Path) -> None:
        super().__init__({k: _Meta(v, path) if isinstance(v, dict) else v for k, v in entries.items()})
        self.path = path

    def __missing__(self, key: str) -> NoReturn:
        raise UserError(
            f"{self.path}: the checkpoint does not say {key!r}; it is of another release, train the run anew"
        )


def numbered(update: int) -> str:
    """The name of an update's own checkpoint: update-00012000.npz."""
    return f"update-{update:08d}.npz"


def stage(percent: int) -> str:
    """The name of the weights kept at a percentage of training: stage-5.npz."""
    return f"stage-{percent}.npz"


def stages(folder: Path) -> dict[int, Path]:
    """The weights that were kept during training, by the percentage of it, in its order."""
    named = ((_STAGE.fullmatch(path.name), path) for path in Path(folder).glob("stage-*.npz"))
    return dict(sorted((int(match[1]), path) for match, path in named if match))


def weights_of(folder: Path) -> Path:
    """What an evaluation reads among a run's checkpoints: the best weights, the last ones if it does not validate."""
    last, best = folder / LAST, folder / BEST
    return last if last.is_file() and not best.is_file() else best


def save(folder: Path, name: str, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> Path:
    """Writes folder/name, a checkpoint of named arrays (any shapes, no objects) and of meta, which JSON can hold.

    Raises CannotWrite (full disk, ...): the previous file of that name is intact, nothing temporary is left.
    Raises ValueError for an array of objects, TypeError for a meta that JSON cannot hold.
    """
    members = {f"{key}.npy": _array_bytes(np.asarray(array)) for key, array in arrays.items()}
    members["meta.json"] = json.dumps(dict(meta)).encode()
    members["format"] = str(FORMAT).encode()
    members["saved"] = str(_count(Path(folder)) + 1).encode()  # inside, because copying a folder changes file times
    members["checksum"] = _checksum(members).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for member, data in members.items():
            archive.writestr(zipfile.ZipInfo(member), data)
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"{folder}: cannot make this folder ({error.strerror}); make it writable") from error
    write_atomically(Path(folder) / name, buffer.getvalue())
    return Path(folder) / name


def load(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The (arrays, meta) of a checkpoint. Raises UserError if it is missing, damaged or of another release.

    So does later, by the name of the file, meta["x"] for an entry that is not there.
    """
    members = _members(Path(path))
    arrays = {
        key.removesuffix(".npy"): np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
        for key, data in members.items()
        if key.endswith(".npy")
    }
    try:
        meta = parsed_json(members["meta.json"])
    except ValueError as error:
        raise DamagedCheckpoint(f"{path}: damaged checkpoint ({error}); use another one or delete it") from error
    return arrays, _Meta(meta, Path(path))


def latest(folder: Path, warn: Callable[[str], object] = warnings.warn) -> Path | None:
    """The newest checkpoint to resume from, last.npz or a numbered one, that is whole; None if there is none.

    Newest by the count of checkpoints, not of updates, which runs a second time after a roll-back, nor by the clock.
    warn: told of every damaged checkpoint that is passed over. Raises UserError if one is of another release.
    """
    found = []
    for path in sorted(Path(folder).glob("*.npz")):
        if path.name == LAST or _NUMBERED.fullmatch(path.name):
            try:
                found.append((int(_members(path)["saved"]), path))
            except DamagedCheckpoint as error:
                warn(f"{error}; passed over")
    return max(found)[1] if found else None


def prune(folder: Path, keep: int) -> None:
    """Removes numbered checkpoints but for the `keep` highest; last.npz, best.npz and other names stay."""
    paths = [path for path in Path(folder).glob("*.npz") if _NUMBERED.fullmatch(path.name)]
    paths.sort(key=lambda path: int(path.stem.removeprefix("update-")), reverse=True)
    for path in paths[keep:]:
        path.unlink(missing_ok=True)


def _count(folder: Path) -> int:
    """The largest number of a checkpoint in this folder, 0 if there is none."""
    numbers = [0]
    for path in folder.glob("*.npz"):
        with contextlib.suppress(*_DAMAGED), zipfile.ZipFile(path) as archive:  # it is passed over when it is read
            numbers.append(int(archive.read("saved")))
    return max(numbers)


def _array_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _checksum(members: Mapping[str, bytes]) -> str:
    """BLAKE2b over names and contents in their order; names and lengths, so that no byte can change its owner."""
    digest = hashlib.blake2b(digest_size=16)
    for name, data in members.items():
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


def _members(path: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {member: archive.read(member) for member in archive.namelist()}
        if members.pop("checksum").decode() != _checksum(members):
            raise ValueError("its checksum does not fit its contents")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such checkpoint; train the run first, or name another one") from error
    except _DAMAGED as error:
        raise DamagedCheckpoint(f"{path}: damaged checkpoint ({error}); use another one or delete it") from error
    found = members.get("format", b"none").decode()
    if found != str(FORMAT):
        raise UserError(
            f"{path}: a checkpoint of another release of deqn (format {found}, expected {FORMAT}); train the run anew"
        )
    for name in ("meta.json", "saved"):
        if name not in members:
            raise DamagedCheckpoint(f"{path}: damaged checkpoint (it has no {name}); use another one or delete it")
    return members
