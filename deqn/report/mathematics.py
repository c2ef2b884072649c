"""Equations as a docstring has them, such as u'(c) = beta E[ r' u'(c') ], as LaTeX and as MathML.

What is understood: Greek letters by name, k^h, k'_j^(alpha-1), c'^{h+1}, x_low, a_ (a period ago), E[ ... ], sum_j, ln,
min, khat, fractions with a slash (phi/2 k is half of phi k), 1..N, the signs <= >= != -> ~ ⟂ and words. Three blanks or
more part two equations of a line. A line with a backslash is LaTeX already. What is not understood stays as it was
written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_GREEK_LETTERS = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
    "omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
GREEK = frozenset(_GREEK_LETTERS.split())
_FUNCTIONS = {name: f"\\{name}" for name in ("ln", "log", "exp", "min", "max", "sum", "prod", "sin", "cos", "lim")}
_FUNCTIONS |= {name: f"\\mathrm{{{name}}}" for name in ("Var", "Cov", "Corr")}
SIGNS = {
    "<=": "\\le ", ">=": "\\ge ", "!=": "\\ne ", "->": "\\to ", "~": "\\sim ", "⟂": "\\;\\perp\\; ", "...": "\\dots ",
    "..": ",\\dots,", "*": "\\cdot ", "{": "\\{", "}": "\\}", "%": "\\%", "·": "\\cdot ",
    "≤": "\\le ", "≥": "\\ge ", "×": "\\times ", "∞": "\\infty ", "−": "-",
}  # fmt: skip
_RELATIONS = {"=", "<", ">", "<=", ">=", "!=", "->", "~", "⟂", "≤", "≥"}
_TOKEN = re.compile(
    r"""\s+ | s\.t\. | \d+(?:\.\d+)? | [^\W\d_]+\d* | \.\.\. | \.\. | <= | >= | != | ->
        | [=<>~⟂+\-*/|,;:.!()\[\]{}^_'%·≤≥×∞−]""",
    re.VERBOSE,
)


class NotMathematicsError(ValueError):
    """The text is no equation of the notation above."""


def pieces(line: str) -> list[list[str]]:
    """The equations of a line, each as LaTeX in parts between which a narrow page may break.

    Raises NotMathematicsError if a sign is unknown, or brackets of a power do not close.
    """
    if "\\" in line:
        return [[line.strip()]]
    return [_parts(text) for text in re.split(r"\s{3,}", line.strip())]


def is_equation(lines: list[str]) -> bool:
    """Whether a block of lines has a relation in it, and nothing that is unknown."""
    try:
        return all(map(pieces, lines)) and any(sign in line for line in lines for sign in ("=", "<", ">", "~", "⟂"))
    except NotMathematicsError:
        return False


def latex(line: str) -> str:
    """A line as LaTeX. Raises NotMathematicsError."""
    return " \\qquad ".join("".join(part.removeprefix("{}") for part in parts) for parts in pieces(line))


def mathml(line: str) -> list[list[str]]:
    """A line as `pieces` parts it, each part a <math> element. Raises NotMathematicsError."""
    from latex2mathml.converter import convert

    try:
        return [[convert(part) for part in parts] for parts in pieces(line)]
    except Exception as error:  # whatever a converter of user text may raise
        raise NotMathematicsError(line) from error


def inline(text: str) -> str | None:
    """A symbol in prose, such as k^h or a_low, as MathML; None where its script is a long name, as of a file."""
    if re.search(r"_[^\W\d_]{5,}", text) or text.count("_") > 1:
        return None
    try:
        return mathml(text)[0][0]
    except NotMathematicsError:
        return None


class _Token(NamedTuple):
    text: str
    spaced: bool  # a blank stands before it


def _tokens(text: str) -> list[_Token]:
    found, place, blank = [], 0, False
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise NotMathematicsError(f"{text[place]!r} in {text!r}")
        if match[0].isspace():
            blank = True
        else:
            found.append(_Token(match[0], blank))
            blank = False
        place = match.end()
    return found


def _parts(text: str) -> list[str]:
    """LaTeX, cut before relations and before a plus or minus with a blank on either side."""
    tokens = _tokens(text)
    parts, start = [], 0
    for place, token in enumerate(tokens):
        after = tokens[place + 1].spaced if place + 1 < len(tokens) else False
        cut = token.text in _RELATIONS or (token.text in "+-" and token.spaced and after)
        if cut and place > start and not _within_braces(tokens[:place]):
            parts.append(tokens[start:place])
            start = place
    parts.append(tokens[start:])
    # The empty group keeps a sign at the start of a part what it is: between two things.
    return ["{}" * (each[0].text in "+-" and number > 0) + _latex(each) for number, each in enumerate(parts)]


def _within_braces(tokens: list[_Token]) -> bool:
    return sum((token.text == "{") - (token.text == "}") for token in tokens) > 0


def _latex(tokens: list[_Token]) -> str:
    out, words = list[str](), list[str]()
    stream = _Stream(tokens)
    while (token := stream.next()) is not None:
        if _is_word(token.text) and stream.peek() not in ("'", "_", "^"):
            words.append(token.text)
            continue
        if words:
            out.append(f"\\;\\text{{{' '.join(words)}}}\\;")
            words = []
        if (below := stream.divides(token)) is not None:
            out.append(f"\\tfrac{{{_symbol(token.text, stream)}}}{{{_symbol(below.text, stream)}}}")
            continue
        base = _symbol(token.text, stream)
        named = token.text in ("ln", "log", "exp", "min", "max")
        before = "\\," * (named and re.search(r"[\w})]$", "".join(out[-1:])) is not None)
        out.append(before + _with_scripts(base, stream) + "\\," * (named and stream.peek() not in ("", "(", "[")))
    if words:
        out.append(f"\\;\\text{{{' '.join(words)}}}")
    return " ".join(out)


class _Stream:
    """Tokens, read one after the other."""

    def __init__(self, tokens: list[_Token]) -> None:
        self.tokens, self.place = tokens, 0

    def peek(self) -> str:
        return self.tokens[self.place].text if self.place < len(self.tokens) else ""

    def next(self) -> _Token | None:
        self.place += 1
        return self.tokens[self.place - 1] if self.place <= len(self.tokens) else None

    def ends_a_name(self) -> bool:
        """Whether nothing is attached to the token that was read last."""
        rest = self.tokens[self.place :]
        return not rest or rest[0].spaced or rest[0].text in ",.;:)]="

    def divides(self, above: _Token) -> _Token | None:
        """The denominator of phi/2 k, which is phi/2 times k; it has been read then. None for any other slash."""
        rest = self.tokens[self.place : self.place + 3]
        if len(rest) < 3 or rest[0].text != "/" or rest[0].spaced or rest[1].spaced or not rest[2].spaced:
            return None
        if not (above.text.isalnum() and rest[1].text.isalnum() and (rest[2].text.isalnum() or rest[2].text in "([")):
            return None
        self.place += 2
        return rest[1]

    def group(self, closing: str) -> list[_Token]:
        """The tokens up to the bracket that closes one which has been read."""
        opening, depth, found = {")": "(", "}": "{"}[closing], 1, list[_Token]()
        while (token := self.next()) is not None:
            depth += (token.text == opening) - (token.text == closing)
            if not depth:
                return found
            found.append(token)
        raise NotMathematicsError(f"no {closing}")


def _is_word(text: str) -> bool:
    """Whether letters are a word of prose or a long name, set upright, not a symbol."""
    return len(text) > 1 and text.isalpha() and text not in GREEK and text not in _FUNCTIONS and not _accent(text)


def _accent(text: str) -> str:
    match = re.fullmatch(r"([A-Za-z])(hat|bar)", text)
    return f"\\{match[2]}{{{match[1]}}}" if match and text not in ("that", "what") else ""


def _symbol(text: str, stream: _Stream) -> str:
    if text == "s.t.":
        return "\\;\\text{s.t.}\\;"
    if text == "E" and stream.peek() in ("[", "_"):
        return "\\operatorname{E}"
    if text in GREEK:
        return f"\\{text}"
    numbered = re.fullmatch(r"([^\W\d_]+)(\d+)", text)
    if numbered:
        return f"{_symbol(numbered[1], stream)}_{{{numbered[2]}}}"
    return _FUNCTIONS.get(text) or _accent(text) or SIGNS.get(text) or (text if len(text) == 1 else _upright(text))


def _upright(text: str) -> str:
    return text if text[0].isdigit() else f"\\mathrm{{{text}}}"


def _with_scripts(base: str, stream: _Stream) -> str:
    """The base with its primes, subscript and superscript, in whatever order they stand."""
    primes, scripts = 0, {"_": "", "^": ""}
    while stream.peek() in ("'", "_", "^") and stream.peek():
        sign = stream.next()
        assert sign is not None
        if sign.text == "'":
            primes += 1
        elif sign.text == "_" and stream.ends_a_name():
            scripts["_"] = "-1"  # a_ is what a was a period ago
        else:
            scripts[sign.text] = _script(stream)
    above = "".join(["\\prime " * primes, "\\," * bool(primes and scripts["^"]), scripts["^"]])
    below = f"_{{{scripts['_']}}}" if scripts["_"] else ""
    return f"{base}{below}" + (f"^{{{above}}}" if above else "")


def _script(stream: _Stream) -> str:
    token = stream.next()
    if token is None:
        raise NotMathematicsError("nothing after ^ or _")
    if token.text in ("(", "{"):
        return _latex(stream.group({"(": ")", "{": "}"}[token.text]))
    if token.text in ("-", "+"):
        group = stream.peek() == "("
        return token.text + (f"({_script(stream)})" if group else _script(stream))
    if _is_word(token.text):
        return _upright(token.text)
    return _symbol(token.text, stream)


def display(docstring: str) -> Iterator[tuple[str, list[str]]]:
    """A docstring in blocks: ("text", lines), ("equations", lines) for what is indented, ("verbatim", lines) else."""
    for block in re.split(r"\n\s*\n", docstring.strip("\n")):
        lines = block.splitlines()
        for indented, some in _runs(lines):
            stripped = [line.strip() for line in some]
            if indented:
                yield ("equations", stripped) if is_equation(stripped) else ("verbatim", [line[4:] for line in some])
            else:
                yield "text", stripped


def _runs(lines: list[str]) -> Iterator[tuple[bool, list[str]]]:
    """Neighbouring lines that are indented alike, or not at all."""
    start = 0
    for place in range(1, len(lines) + 1):
        if place == len(lines) or lines[place].startswith("    ") != lines[start].startswith("    "):
            yield lines[start].startswith("    "), lines[start:place]
            start = place
