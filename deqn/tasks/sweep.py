"""Trainings along a grid of settings, each at will from its neighbour's weights: what to train, in which order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from deqn.project.errors import UserError
from deqn.project.json_files import read_json
from deqn.project.run import RunFolder


class Task(NamedTuple):
    """A training of a sweep. overrides: KEY=VALUE of each setting. after: the task before it in its chain, or None."""

    name: str
    overrides: list[str]
    after: int | None


def tasks(grids: Sequence[str], seeds: int | None, name: str, continued: bool) -> list[Task]:
    """The tasks of a sweep, those of one point of the grid after each other, a seed each.

    grids: KEY=V1,V2,... each; several make every combination, ordered so that from one to the next a single setting
    moves by one step. seeds: 0, 1, ..., seeds - 1; None for that of the file. continued: each begins with the weights
    of the point before, of the same seed; so there are as many chains as seeds.
    Raises UserError for a grid that cannot be read, or a setting that is named twice.
    """
    keys = [read_values(grid, "--grid") for grid in grids]
    if len({key for key, _ in keys}) < len(keys):
        raise UserError(f"--grid {grids[-1]}: the same setting twice; name all its values at once")
    own = [[]] if seeds is None else [[f"seed={seed}"] for seed in range(seeds)]
    found: list[Task] = []
    for number, point in enumerate(_points(keys)):
        for overrides in ([*point, *seed] for seed in own):
            words = "-".join(_short(each) for each in overrides)
            after = len(found) - len(own) if continued and number else None
            found.append(Task(f"{name}-{words}"[:100], overrides, after))
    if len({task.name for task in found}) < len(found):
        raise UserError("--grid: two points of it have the same name; write their values shorter, or choose other ones")
    return found


def _short(override: str) -> str:
    """KEY=VALUE as part of a run's name: borrowing_limit=-0.5, seed=1."""
    key, _, value = override.partition("=")
    return re.sub(r"[^\w.,+=@-]", "_", f"{key.rpartition('.')[2]}={value}")


def _points(keys: Sequence[tuple[str, list[str]]]) -> list[list[str]]:
    """Every combination; each later setting runs forth and back, so that neighbours follow each other."""
    points: list[list[str]] = [[]]
    for key, values in keys:
        forth = [f"{key}={value}" for value in values]
        points = [
            [*point, each]
            for number, point in enumerate(points)
            for each in (forth if number % 2 == 0 else forth[::-1])
        ]
    return points


def read_values(text: str, option: str) -> tuple[str, list[str]]:
    """KEY=v1,v2,... as key and values; commas within brackets and quotes belong to a value. Raises UserError."""
    key, equals, values = text.partition("=")
    found = [value.strip() for value in _split(values)]
    if not (equals and key.strip() and all(found)):
        raise UserError(f"{option} {text}: expected KEY=V1,V2,... such as parameters.borrowing_limit=0,-0.25,-0.5")
    return key.strip(), found


def _split(text: str) -> list[str]:
    """At commas outside brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        depth += 0 if quote else (letter in "[{(") - (letter in "]})")
        if letter == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def is_done(run: RunFolder) -> bool:
    """Whether a run was trained to its end and evaluated."""
    try:
        return read_json(run.provenance).get("status") == "done" and run.errors.is_file()
    except (OSError, ValueError, AttributeError):
        return False
