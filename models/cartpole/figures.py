"""The figure of a run: the returns of the episodes of training, and the mean of the last 100."""

from collections.abc import Iterator
from pathlib import Path

from deqn.report.paper import Drawing
from deqn.report.returns import returns_figure


def drawings(folder: Path) -> Iterator[Drawing]:
    if drawing := returns_figure(folder, over=100):
        yield drawing
