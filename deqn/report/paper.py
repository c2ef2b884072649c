"""The style of figures and their files: colours that all can tell apart, and the same bytes every time."""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from deqn.project.errors import CannotWrite

# Okabe and Ito (2008): distinct under every common colour blindness, and in this order also in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
PALE, MIDDLE = "#D9EAF4", "#8DC0DD"  # the first colour thinned twice, for bands round its line
INK, GREY = "#222222", "#777777"
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.4,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "pdf.fonttype": 42,  # embedded TrueType, which journals accept; matplotlib's default type 3 is refused by some
}


@dataclass(frozen=True)
class Drawing:
    """A figure, the stem of its files, and the data behind it as a tidy table."""

    name: str
    figure: Figure
    data: pd.DataFrame


def axis_label(variable: str, unit: str) -> str:
    """Returns the name of an axis in words, with its unit on lines of its own."""
    return "\n".join([variable.replace("_", " "), *(textwrap.wrap(f"[{unit}]", 19) if unit else [])])


def palette(count: int) -> list[Any]:
    """Returns `count` colours: those of COLOURS while they last, else a scale from dark to light."""
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    return [matplotlib.colormaps["viridis"](0.95 * position / (count - 1)) for position in range(count)]


@contextmanager
def paper_style() -> Iterator[None]:
    """Within it figures look the same whatever the user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def save(folder: Path, drawing: Drawing) -> Path:
    """Writes <name>.png (200 dpi), <name>.pdf and <name>.csv into folder/figures; returns the path of the PNG.

    No dates or versions are written, so equal data give equal bytes. Raises CannotWrite if the folder can't be written.
    """
    stem = folder / "figures" / drawing.name
    try:
        stem.parent.mkdir(exist_ok=True)
        drawing.data.to_csv(f"{stem}.csv", index=False, lineterminator="\n")
        drawing.figure.savefig(f"{stem}.png", dpi=200, metadata={"Software": None})
        drawing.figure.savefig(f"{stem}.pdf", metadata={"Creator": None, "Producer": None, "CreationDate": None})
    except OSError as error:
        raise CannotWrite(
            f"{stem}: cannot be written ({error.strerror}); make room or rights there, then repeat"
        ) from None
    return Path(f"{stem}.png")
