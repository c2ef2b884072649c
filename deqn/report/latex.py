"""A table as LaTeX with booktabs that fits its page: no wider than the text, longer than a page only as a longtable.

Widths are estimated in letters: as many as `_ROOM` figures stand beside each other in the text width of the class
article at \\footnotesize. Headings are broken into lines. Columns of words share what the numbers leave and break their
lines; where that is too little, the columns of numbers are parted into panels, one below the other.
"""

from __future__ import annotations

import math
import re
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from deqn.project.errors import CannotWrite
from deqn.project.writing import write_atomically
from deqn.report.mathematics import GREEK, SIGNS
from deqn.report.sheets import NUMBER, Sheet, as_csv

PACKAGES = ("array", "booktabs", "longtable")
_ROOM, _GAP = 76.0, 1.4  # of the text, and between two columns, in letters
_NARROW = 12.0  # letters, below which a column of words is not squeezed
_WORD, _PIECE = 20, 10  # letters: a longer word may be broken, into pieces of so many
_LINES = 40  # beyond which a table does not stand on one page
_SPECIAL = {sign: f"\\{sign}" for sign in "&%_#${}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$",
    "|": "$|$", "−": "$-$",
}  # fmt: skip


def write(sheets: Iterable[Sheet], folder: Path) -> list[str]:
    """Writes NAME.tex and NAME.csv of each sheet into the folder; the names. Raises CannotWrite."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"{folder}: cannot make this folder ({error.strerror}); choose another --out") from error
    names = []
    for sheet in sheets:
        write_atomically(folder / f"{sheet.name}.tex", f"% needs \\usepackage{{{','.join(PACKAGES)}}}\n{latex(sheet)}")
        write_atomically(folder / f"{sheet.name}.csv", as_csv(sheet))
        names.append(sheet.name)
    return names


def latex(sheet: Sheet) -> str:
    """A table environment; a longtable, in as many pages as it takes, where one page is too short."""
    panels = list(_panels(sheet))
    lines = sum(_height(sheet, panel) for panel in panels)
    kind = "longtable" if lines > _LINES else "tabular"
    body = [f"\\caption{{{escaped(sheet.title)}}}" + "\\\\" * (kind == "longtable")]
    tables = [_table(sheet, panel, kind, [] if number or kind == "tabular" else body)
              for number, panel in enumerate(panels)]  # fmt: skip
    note = f"\n\\par\\smallskip{{\\raggedright {escaped(sheet.note)}\\par}}" if sheet.note else ""
    text = "\n\n\\medskip\n".join(tables) + note
    small = "\\footnotesize\\setlength{\\tabcolsep}{3pt}\\setlength{\\belowcaptionskip}{4pt}"
    if kind == "longtable":
        return f"\\begingroup{small}\n{text}\n\\endgroup\n"
    return f"\\begin{{table}}\n\\centering{small}\n{body[0]}\n{text}\n\\end{{table}}\n"


def _table(sheet: Sheet, panel: dict[int, float], kind: str, caption: Sequence[str]) -> str:
    """One panel. panel: the width of each of its columns, by its place in the sheet."""
    letters = "".join(
        "r" if sheet.right[place] else "l" if width >= _natural(sheet, place) else
        f">{{\\raggedright\\arraybackslash}}p{{{width / _ROOM:.3f}\\textwidth}}"
        for place, width in panel.items()
    )  # fmt: skip
    heads = [_heading(sheet.columns[place], width) for place, width in panel.items()]
    depth = max(map(len, heads))
    above = zip(*([""] * (depth - len(head)) + head for head in heads), strict=True)
    rows = [" & ".join(map(escaped, line)) for line in above]
    rows = [*rows[:-1], rows[-1] + " \\\\\n\\midrule" + "\n\\endhead" * (kind == "longtable")]
    lines = [*caption, "\\toprule", *(f"{row} \\\\" for row in rows[:-1]), rows[-1]]
    lines += [" & ".join(cell(row[place]) for place in panel) + " \\\\" for row in sheet.rows]
    return "\n".join([f"\\begin{{{kind}}}{{@{{}}{letters}@{{}}}}", *lines, f"\\bottomrule\n\\end{{{kind}}}"])


def _panels(sheet: Sheet) -> Iterator[dict[int, float]]:
    """Widths in letters of the columns that stand beside each other; those before the first number come again."""
    first = next((place for place, right in enumerate(sheet.right) if right), len(sheet.right))
    lead, rest = list(range(first)), list(range(first, len(sheet.right)))
    for count in range(1, len(rest) + 1):
        size = math.ceil(len(rest) / count)
        parts = [lead + rest[start : start + size] for start in range(0, len(rest), size)]
        widths = [_widths(sheet, part) for part in parts]
        if size == 1 or all(sum(each.values()) + _GAP * (len(each) - 1) <= _ROOM for each in widths):
            yield from widths
            return
    yield _widths(sheet, lead)


def _widths(sheet: Sheet, places: Sequence[int]) -> dict[int, float]:
    """Of each column what it takes, or for words its share of what is left, if that is not enough for all."""
    widths = {place: _natural(sheet, place) for place in places}
    free = [place for place in places if not sheet.right[place]]
    room = _ROOM - _GAP * (len(places) - 1) - sum(widths[place] for place in places if sheet.right[place])
    if sum(widths[place] for place in free) <= room:
        return widths
    while free:
        whole = sum(math.sqrt(_natural(sheet, place)) for place in free)
        share = {place: room * math.sqrt(_natural(sheet, place)) / whole for place in free}
        found = {place: min(_natural(sheet, place), max(share[place], _narrowest(sheet, place))) for place in free}
        settled = [place for place in free if found[place] != share[place]]  # it needs less than its share, or more
        widths |= {place: found[place] for place in settled or free}
        room -= sum(found[place] for place in settled)
        free = [place for place in free if settled and place not in settled]
    return widths


def _natural(sheet: Sheet, place: int) -> float:
    """Of a column whose cells stand on one line each."""
    return max(map(_length, [*_heading(sheet.columns[place]), *(row[place] for row in sheet.rows)]), default=0.0)


def _heading(text: str, width: float = 0.0) -> list[str]:
    """Its lines: one that fits the width, two, or more of `_NARROW` letters; words are not broken."""
    half = min(math.ceil(len(text) / 2), int(_NARROW))
    return textwrap.wrap(text, max([int(width), half, *map(len, text.split()), 1]))


def _narrowest(sheet: Sheet, place: int) -> float:
    """Of a column of words that is broken wherever it can be."""
    cells = [sheet.columns[place], *(row[place] for row in sheet.rows)]
    words = [word for text in cells for word in re.split(r"\s|(?<=-)", text)]
    longest = max((_length(word if len(word) <= _WORD else word[:_PIECE]) for word in words), default=0.0)
    return min(_natural(sheet, place), max(longest, _NARROW))


def _height(sheet: Sheet, panel: dict[int, float]) -> int:
    """Lines of a panel, a third more than letters ask for where lines are broken at blanks."""

    def lines(row: Sequence[str]) -> int:
        broken = (_length(row[place]) / width for place, width in panel.items() if _length(row[place]) > width)
        return max((math.ceil(1.3 * each) for each in broken), default=1)

    return 2 + sum(map(lines, sheet.rows))


def _length(text: str) -> float:
    """As of so many figures: capitals and wide letters are wider, and a power of ten takes more than its e."""
    return len(text) + 0.5 * len(re.findall(r"[A-ZmwMW%]", text)) + 3 * len(re.findall(r"\de-?\d", text))


def escaped(text: str) -> str:
    """Text that LaTeX prints as it is; within words that are too long for a line it may break."""
    return "".join(
        "\\allowbreak{}".join("".join(map(_sign, piece)) for piece in re.findall(f".{{1,{_PIECE}}}", word) or [""])
        if len(word) > _WORD
        else "".join(map(_sign, word))
        for word in re.split(r"(\s|(?<=-))", text)
    )


def _sign(sign: str) -> str:
    greek = unicodedata.name(sign, "").partition("GREEK SMALL LETTER ")[2].lower()
    if sign in _SPECIAL:
        return _SPECIAL[sign]
    if sign.isascii():
        return sign
    return f"$\\{greek}$" if greek in GREEK else f"${SIGNS[sign].strip()}$" if sign in SIGNS else sign


def cell(text: str) -> str:
    """A cell in LaTeX, its numbers as mathematics: -.5 has a minus, 1.3e-05 a power of ten."""
    return " ".join(_word(word) for word in text.split(" "))


def _word(word: str) -> str:
    match = re.fullmatch(rf"(\(?)({NUMBER.pattern})([),;:%]*)", word)
    if match is None:
        return escaped(word)
    digits, _, power = match[2].partition("e")
    number = f"${digits}" + (f" \\times 10^{{{int(power)}}}" if power else "") + "$"
    return f"{match[1]}{number}{escaped(match[3])}"
