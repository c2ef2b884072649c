"""Files that are written whole or not at all: a reader, or a process started after a crash, never finds half of one."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deqn.project.errors import CannotWrite

if TYPE_CHECKING:
    import numpy as np


def cannot_write(path: Path, error: OSError) -> CannotWrite:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    advice = "free space there" if full else "make it writable"
    kept = "what was written before is intact" if path.exists() else "nothing was written"
    return CannotWrite(f"{path}: cannot write ({error.strerror}); {kept}; {advice}, then continue with --resume")


def write_atomically(path: Path, data: bytes | str) -> None:
    """Writes a file so that a reader, or a process started after a crash, finds the old or the new one, never half.

    A temporary file in the same folder, synced and renamed; it is removed if anything fails.
    Raises CannotWrite (full disk, no permission); the old file is intact.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:  # not tempfile, whose files only their owner may read
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - the tests replace this very call
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # or a power cut could undo the renaming
        finally:
            os.close(folder)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise cannot_write(path, error) from error
        raise


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Rows under these columns; a value that a row lacks stays empty. Raises CannotWrite."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue())


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Arrays by name, as an .npz. Raises CannotWrite."""
    import numpy as np  # only here, because `deqn list` must answer before it could be imported

    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())
