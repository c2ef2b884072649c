"""JSON files of a run, which somebody may have edited or replaced: told in one line, whatever they hold."""

import json
from pathlib import Path
from typing import Any

_LARGEST = 2**24  # bytes; those that deqn writes are far smaller


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises OSError if it cannot be read, and ValueError if it is no JSON, no plain file, too large or nested too deeply.
    """
    size = path.stat().st_size
    if not path.is_file() or size > _LARGEST:
        raise ValueError(f"no plain file of at most {_LARGEST:,} bytes")
    return parsed_json(path.read_text(encoding="utf-8"))


def parsed_json(text: str | bytes) -> Any:
    """What a JSON text holds. Raises ValueError if it is none, or nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
