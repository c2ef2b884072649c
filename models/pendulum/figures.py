"""Returns of the episodes of training, and the mean of the last 10."""

from collections.abc import Iterator
from pathlib import Path

from deqn.report.paper import Drawing
from deqn.report.returns import returns


def figures(folder: Path) -> Iterator[Drawing]:
    """Of a run that has finished episodes."""
    if drawing := returns(folder, over=10):
        yield drawing
