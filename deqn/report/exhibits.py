"""What a paper has published beside what runs have found, row by row: as Markdown, as LaTeX, and as figures."""

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from deqn.project.errors import CannotWrite
from deqn.project.writing import write_atomically
from deqn.report.latex import PACKAGES, escaped, latex
from deqn.report.paper import Drawing, paper_style, save
from deqn.report.sheets import Sheet

COLUMNS = ("paper", "ours", "standard error", "difference")


class Row(NamedTuple):
    """A number of a paper, ours, and our standard error, all in `unit`; None where there is none."""

    what: str
    unit: str
    paper: float | None
    ours: float | None
    standard_error: float | None = None
    decimals: int = 2

    def cells(self) -> list[str]:
        """The four numbers as text, the difference last."""
        difference = None if self.ours is None or self.paper is None else self.ours - self.paper
        numbers = (self.paper, self.ours, self.standard_error, difference)
        return [_number(x, self.decimals + (place == 2)) for place, x in enumerate(numbers)]


class Exhibit(NamedTuple):
    """A table or figure of a paper: its rows, and drawings of the runs. note: what to know when reading it."""

    title: str
    rows: Sequence[Row] = ()
    drawings: Sequence[Drawing] = ()
    note: str = ""


def write(title: str, exhibits: Iterable[Exhibit], folder: Path, name: str) -> Iterator[str]:
    """Writes NAME.md, NAME.tex and the figures; yields the lines of the first."""
    all_of_them = list(exhibits)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"{folder}: cannot make this folder ({error.strerror}); choose another --out") from error
    with paper_style():
        for drawing in (drawing for exhibit in all_of_them for drawing in exhibit.drawings):
            save(folder, drawing)
    lines = [f"# {title}", "", *(line for exhibit in all_of_them for line in _markdown(exhibit))]
    write_atomically(folder / f"{name}.md", "\n".join(lines) + "\n")
    text = "\n".join(line for exhibit in all_of_them for line in _latex(exhibit))
    write_atomically(folder / f"{name}.tex", f"% needs \\usepackage{{{','.join(PACKAGES)},graphicx}}\n{text}\n")
    yield from lines


def _number(value: float | None, decimals: int) -> str:
    if value is None or math.isnan(value):
        return ""
    return f"{round(value, decimals) + 0.0:.{decimals}f}"  # no minus before zero


def _markdown(exhibit: Exhibit) -> Iterator[str]:
    yield from (f"## {exhibit.title}", "")
    if exhibit.rows:
        yield f"| | unit | {' | '.join(COLUMNS)} |"
        yield "|---|---|---|---|---|---|"
        yield from (f"| {row.what} | {row.unit} | {' | '.join(row.cells())} |" for row in exhibit.rows)
        yield ""
    yield from (f"![{drawing.name}](figures/{drawing.name}.png)\n" for drawing in exhibit.drawings)
    if exhibit.note:
        yield from (exhibit.note, "")


def _latex(exhibit: Exhibit) -> Iterator[str]:
    if exhibit.rows:
        cells = [(row.what, row.unit, *row.cells()) for row in exhibit.rows]
        right = [False, False] + [True] * len(COLUMNS)
        yield latex(Sheet("", exhibit.title, ("", "unit", *COLUMNS), cells, right, exhibit.note))
    for drawing in exhibit.drawings:
        yield "\\begin{figure}\n\\centering"
        yield f"\\includegraphics[width=\\textwidth]{{figures/{drawing.name}.pdf}}"
        yield f"\\caption{{{escaped(exhibit.title)}}}\n\\end{{figure}}\n"
