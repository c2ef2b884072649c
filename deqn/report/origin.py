"""The parts of a report on where a solution comes from: equations, parameters, training, and how to have it again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from markupsafe import Markup

from deqn.project.errors import UserError
from deqn.project.run import RunFolder
from deqn.report import certificate, files, mathematics, source
from deqn.report.sheets import Section, of_rows, templates

_FACTS = {
    "seed": "seed", "updates": "updates", "training_cpu_seconds": "CPU-seconds of training",
    "peak_memory_mb": "peak memory, MiB", "processor": "processor", "cores": "cores", "workers": "ranks",
    "workers_kind": "exchanged by", "start_from": "from the weights of", "start": "begun", "end": "ended",
    "commit": "commit", "identity": "settings and equations",
}  # fmt: skip


_CODE, _EMPHASIS, _SYMBOL = r"`[^`]+`", r"\*\w[^*]*\*", r"\b[A-Za-z]+'*(?:[_^](?:\w+|\{[^{}]*\}))+'*"
_MARKED = re.compile(f"({_CODE}|{_EMPHASIS}|{_SYMBOL})")


def what(
    run: RunFolder, described: Mapping[str, Any], record: Mapping[str, Any], settings: Mapping[str, Any]
) -> Section:
    """The equations of the docstring, and parameters with units and sources."""
    kind = "economy" if "economy" in settings else "problem"
    text = source.docstring(run.as_trained, str(settings.get(kind, "")), kind)
    given = settings.get("parameters") or {}
    known = source.parameters(run.as_trained, given, record.get("python", {}))
    rows = [
        {
            "parameter": name.replace("_", " "),
            "value": in_words(value),
            "unit": known[name].unit if name in known else "",
            "source": known[name].source if name in known else "",
        }
        for name, value in given.items()
    ]
    shocks = described.get("shock_names") or []
    note = "; ".join(shocks) if any(not re.fullmatch(r"shock \d+", each) for each in shocks) else ""
    sheet = of_rows("parameters", "Parameters", rows, note, left=("value",))
    return Section("What was solved", "what", list(_prose(text)), [sheet] if rows else [])


def in_words(value: Any) -> str:
    """A setting's value on one line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and value and isinstance(value[0], list):
        return "; ".join(map(in_words, value))
    if isinstance(value, list):
        return ", ".join(map(in_words, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {in_words(each)}" for name, each in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _prose(docstring: str) -> Iterator[Markup]:
    """A docstring as HTML: paragraphs, equations as MathML, and as written what is no equation."""
    for kind, lines in mathematics.display(docstring):
        if kind == "equations":
            try:
                rows = [mathematics.mathml(line) for line in lines]
            except mathematics.NotMathematicsError:
                kind = "verbatim"
            else:
                spans = ("".join(f"<span>{'<wbr>'.join(parts)}</span>" for parts in row) for row in rows)
                yield Markup(f'<div class="equations"><div>{"</div><div>".join(spans)}</div></div>')
        if kind == "verbatim":
            yield Markup(f"<pre>{escape(chr(10).join(lines))}</pre>")
        if kind == "text":
            yield Markup(f"<p>{''.join(_inline(part) for part in _MARKED.split(' '.join(lines)))}</p>")


def _inline(part: str) -> str:
    """A part of a paragraph: `code`, *emphasis*, k^h as mathematics, or text."""
    if re.fullmatch(_CODE, part):
        return f"<code>{escape(part[1:-1])}</code>"
    if re.fullmatch(_EMPHASIS, part):
        return f"<em>{escape(part[1:-1])}</em>"
    return (mathematics.inline(part) if re.fullmatch(_SYMBOL, part) else None) or escape(part)


def how(run: RunFolder, record: Mapping[str, Any], settings: Mapping[str, Any]) -> Section:
    """Phases, network, seed, hardware and cost, and all settings as they were."""
    phases = [
        {
            "phase": number,
            "updates": phase["updates"],
            "optimizer": phase["optimizer"].get("name", "several"),
            "learning rate": in_words(phase["optimizer"].get("learning_rate", "")),
            "schedule": phase["optimizer"].get("schedule", ""),
            "changes": in_words(phase.get("parameters") or {}),
        }
        for number, phase in enumerate(settings.get("phases", []), start=1)
    ]
    facts = [
        {"what": words, "value": in_words(record[key])}
        for key, words in _FACTS.items()
        if record.get(key) not in (None, "")
    ]
    if record.get("dirty"):
        facts.append({"what": "changes since the commit", "value": "yes: the equations stand in as_trained/"})
    versions = record.get("versions", {})
    facts.append({"what": "versions", "value": ", ".join(f"{name} {number}" for name, number in versions.items())})
    passed = record.get("cost_to_accuracy_cpu_seconds") or {}
    cost = [{"validation error below": level, "CPU-seconds": in_words(seconds)} for level, seconds in passed.items()]
    sheets = [
        of_rows("phases", "Phases of the training", phases),
        of_rows("training", "The training", facts, left=("value",)),
    ]
    network = settings.get("network") or {}
    lines = [
        f"{name.replace('_', ' ')} {in_words(value)}" for name, value in network.items() if value not in (None, {})
    ]
    html = [Markup(f"<p>Network: {escape('; '.join(lines))}.</p>")] if lines else []
    html.append(
        Markup(f"<details><summary>Every setting</summary><pre>{escape(_text(run.parameters))}</pre></details>")
    )
    return Section(
        "How it was solved", "how", html, sheets + ([of_rows("cost", "Cost to each accuracy", cost)] if cost else [])
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error}); {files.EVALUATE}") from None


def again(run: RunFolder, record: Mapping[str, Any]) -> Section:
    """How to cite, and what to type to have all of it again."""
    lines = [f"git checkout {record['commit']}"] if record.get("commit") and not record.get("dirty") else []
    lines += [str(record.get("command", f"deqn train {record.get('parameter_file', 'FILE')}"))]
    made = {certificate.FILE: "verify", "responses.json": "irf"}
    lines += [f"deqn {word} {run}" for file, word in made.items() if (run.path / file).exists()]
    lines.append(f"deqn report {run}")
    version = record.get("versions", {}).get("deqn", "")
    bib = templates().get_template("citation.bib").render(version=version)
    html = [
        Markup(f"<p>What gives these numbers again:</p><pre>{escape(chr(10).join(lines))}</pre>"),
        Markup(f"<p>Please cite the article whose method it is, and the software:</p><pre>{escape(bib)}</pre>"),
    ]
    return Section("To redo and to cite", "again", html)
