"""Reader of the idx files in which MNIST comes (LeCun, Cortes & Burges): big-endian, compressed or not."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np

IMAGES, LABELS = 2051, 2049  # magic numbers: unsigned bytes in three dimensions, in one


def read_images(path: str | Path) -> np.ndarray:
    """Reads uint8 [images, rows, columns], 0 (background) to 255.

    Raises ValueError, naming the file: another magic number than 2051, more or fewer bytes than the header says.
    """
    return _read(Path(path), IMAGES, dimensions=3)


def read_labels(path: str | Path) -> np.ndarray:
    """Reads uint8 [labels]. Raises ValueError as `read_images`, with magic number 2049."""
    return _read(Path(path), LABELS, dimensions=1)


def read_pair(images: str | Path, labels: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads images [n, rows, columns] and their labels [n]. Raises ValueError also if their numbers differ."""
    x, y = read_images(images), read_labels(labels)
    if len(x) != len(y):
        raise ValueError(f"{labels}: got {len(y)} labels, expected {len(x)}, one for each image of {images}")
    return x, y


def _read(path: Path, magic: int, dimensions: int) -> np.ndarray:
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError) as error:
        raise ValueError(f"{path}: cannot be read ({error}), expected an idx file, gzipped or not") from error
    header = 4 * (1 + dimensions)
    if len(content) < header:
        raise ValueError(f"{path}: got {len(content)} bytes, expected a header of {header}")
    seen, *shape = struct.unpack(f">{1 + dimensions}i", content[:header])
    if seen != magic:
        raise ValueError(f"{path}: got magic number {seen}, expected {magic} (idx, big-endian)")
    if min(shape) < 1 or len(content) - header != int(np.prod(shape)):
        raise ValueError(f"{path}: got {len(content) - header} bytes of data, expected {shape} by the header")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
