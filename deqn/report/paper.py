"""The style of figures and their files: colours that all can tell apart, and the same bytes every time."""

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.text import Text

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


_MOST = 12  # entries of a legend, beyond which nobody can tell the colours apart
_LETTER = 0.075  # inches, about, of a letter in a legend


def legend_below(figure: Figure, handles: Sequence[Any], labels: Sequence[str], **options: Any) -> None:
    """Puts a legend below the panels, where it covers no data: equal columns as wide as the figure takes.

    Of more than a dozen entries a dozen are shown, evenly spaced, first and last among them, and a title says so.
    """
    count = len(labels)
    if count > _MOST:
        chosen = [round(position * (count - 1) / (_MOST - 1)) for position in range(_MOST)]
        handles, labels = [handles[each] for each in chosen], [labels[each] for each in chosen]
        options = {"title": f"{_MOST} of {count} named", "title_fontsize": 8, **options}
    widest = 0.6 + _LETTER * max(map(len, labels))
    fit = max(1, int(figure.get_figwidth() / widest))
    columns = max(each for each in range(1, min(fit, len(labels)) + 1) if len(labels) % each == 0)
    if columns == 1 and fit > 1 and len(labels) > 6:  # a prime number of entries: one column would be long
        columns = math.ceil(len(labels) / math.ceil(len(labels) / min(fit, 3)))
    rows = math.ceil(len(labels) / columns)
    figure.set_figheight(figure.get_figheight() + 0.17 * max(0, rows - 1))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, **options)


def line_drawing(name: str, across: str, up: str, curves: Mapping[str, tuple[Any, Any]]) -> Drawing:
    """A panel of curves, each with its points (x, y), its own colour and dashes. across, up: labels of the axes."""
    figure = Figure(figsize=(4.8, 3.2), layout="constrained")
    axes = figure.subplots()
    for number, (label, (x, y)) in enumerate(curves.items()):
        axes.plot(x, y, color=COLOURS[number % len(COLOURS)], linestyle=DASHES[number % len(DASHES)], label=label)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    figure.legend(*axes.get_legend_handles_labels(), ncols=2, loc="outside lower center")
    rows = [pd.DataFrame({"curve": label, across: x, up: y}) for label, (x, y) in curves.items()]
    return Drawing(name, figure, pd.concat(rows, ignore_index=True))


@contextmanager
def paper_style() -> Iterator[None]:
    """Within it figures look the same whatever the user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


COLUMN, PAGE, TALLEST = 90 / 25.4, 190 / 25.4, 230 / 25.4  # inches: Elsevier's widths and the height of its page


def for_journal(drawing: Drawing) -> Drawing:
    """The drawing as wide as a journal's column, 90 mm, or, with panels side by side, as its page, 190 mm.

    Its letters have 7 points. Lines differ in their dashes and bands in their lightness, so that a copy in black and
    white can be read.
    """
    figure = drawing.figure
    grids = [spec.get_gridspec() for axes in figure.axes if (spec := axes.get_subplotspec()) is not None]
    width = COLUMN if max((grid.ncols for grid in grids), default=1) == 1 else PAGE
    old_width, old_height = figure.get_size_inches()
    figure.set_size_inches(width, min(TALLEST, max(old_height * width / old_width, 0.8 * COLUMN)))
    for text in figure.findobj(Text):
        text.set_fontsize(min(text.get_fontsize(), 7))
    return drawing


def save(folder: Path, drawing: Drawing) -> Path:
    """Writes <name>.png (200 dpi), <name>.pdf and <name>.csv into folder/figures; returns the path of the PNG.

    No dates or versions are written, so equal data give equal bytes. Raises CannotWrite if the folder can't be written.
    """
    stem = folder / "figures" / drawing.name
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        drawing.data.to_csv(f"{stem}.csv", index=False, lineterminator="\n")
        drawing.figure.savefig(f"{stem}.png", dpi=200, metadata={"Software": None})
        drawing.figure.savefig(f"{stem}.pdf", metadata={"Creator": None, "Producer": None, "CreationDate": None})
    except OSError as error:
        raise CannotWrite(
            f"{stem}: cannot be written ({error.strerror}); make room or rights there, then repeat"
        ) from None
    return Path(f"{stem}.png")
