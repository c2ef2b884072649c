"""The parts of a report on what a solution has found: errors, certificate, moments, figures, impulse responses."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Mapping
from html import escape
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup

from deqn.project.json_files import read_json
from deqn.project.run import RunFolder
from deqn.report import certificate, cycles, files, inequality, responses, tables
from deqn.report.figures import drawings_of_library
from deqn.report.paper import Drawing, paper_style
from deqn.report.sheets import Section, Sheet, of_rows, of_table

_TOO_LONG = 4  # years a period, beyond which there is no business cycle left to filter
_INTERNAL = ("track", "inside")
_MOST = 12  # series of the table of correlations


def errors_of(run: RunFolder, described: Mapping[str, Any]) -> Section:
    """The tables that the evaluation has printed, and on what path they were measured."""
    place = run.path
    sheets = [of_table(re.sub(r"\W+", "_", title)[:24].strip("_"), title[:1].upper() + title[1:], table)
              for title, table in tables.to_print(place)]  # fmt: skip
    names = list(_TITLES) if "economy" in described else []
    for number, sheet in enumerate(sheets):
        name = next((n for n in names if sheet.title.lower().startswith(_TITLES[n])), sheet.name)
        sheets[number] = sheet._replace(name=name)
    said = []
    if path := described.get("evaluation"):
        tracks = f"{path['tracks']} paths" if path["tracks"] > 1 else "one path"
        said.append(
            f"Measured on {tracks} of {path['periods']:,} periods, the first {path['burn_in']:,} dropped, seed "
            f"{path['seed']}. Relative errors are shares: .1 % is a mistake of one dollar in a thousand."
        )
    said += [f"Doubtful: {each}." for each in described.get("implied_error", {}).get("doubts", [])]
    if shares := described.get("shares_outside"):
        said.append(f"Share of periods where the rule was not trained: {shares['visited']:.2%}.")
    return Section("Errors", "errors", [Markup(f"<p>{escape(' '.join(said))}</p>")] if said else [], sheets)


_TITLES = {"where": "errors by shock", "errors": "errors", "implied": "implied"}  # how their titles begin


def evidence_of(run: RunFolder) -> Section:
    """The certificate, if there is one."""
    try:
        said = read_json(run.path / certificate.FILE)
        rows = [
            {"verdict": verdict, "check": name, "number": number, "threshold": bound, "what was measured": note}
            for verdict, name, number, bound, note in certificate.rows(said)
        ]
        made = said["verified"]
    except FileNotFoundError:
        html = Markup(f"<p>Not verified: <code>deqn verify {escape(str(run))}</code> checks it.</p>")
        return Section("Certificate", "certificate", [html])
    except (OSError, ValueError, KeyError, TypeError):
        return Section("Certificate", "certificate", [Markup("<p>The certificate is damaged: repeat deqn verify.</p>")])
    standing, commit = certificate.standing(run), str(made.get("commit"))[:12]
    html = Markup(
        f"<p>{escape(standing[:1].upper() + standing[1:])}; checked with <code>{escape(made['command'])}</code> at "
        f"commit {escape(commit)} in {made.get('cpu_seconds', '?')} CPU-seconds.</p>"
    )
    sheet = of_rows("certificate", "Checks", rows)
    return Section("Certificate", "certificate", [html], [sheet])


def moments_of(run: RunFolder, described: Mapping[str, Any], settings: Mapping[str, Any]) -> Section:
    """Levels from moments.csv; HP-filtered moments and correlations where the path is there."""
    if not run.moments.exists():
        return Section("Moments", "moments")
    names = described.get("aggregates", {})
    sheets = [_renamed(of_table("moments", "Levels", tables.moments_table(run.path)), names)]
    series, track = _series(run, described)
    output = described.get("output") or next((name for name, words in names.items() if words == "output"), "")
    html = []
    if output in series:
        years = (settings.get("parameters") or {}).get("years_per_period")
        smoothing = cycles.smoothing_of(years)
        rows = [] if years and years > _TOO_LONG else cycles.cycle_rows(series, output, track, smoothing)
        shown = [
            {"variable": names.get(row["variable"], row["variable"]), "in": row["in"],
             "std": f"{row['std']:.4g}", "over output's": f"{row['relative']:.3g}",
             "autocorrelation": _two(row["autocorrelation"]),
             **{f"output, t{lag:+d}" if lag else "output, t": _two(x) for lag, x in row["correlations"].items()}}
            for row in rows
        ]  # fmt: skip
        note = (f"Hodrick-Prescott filter with smoothing {smoothing:g}"
                + (f", a period of {years:g} years" if years else ", as of quarters")
                + "; logarithms where a series is positive. On the right: correlation with output at t+j.")  # fmt: skip
        if shown:
            sheets.append(of_rows("cycles", "HP-filtered moments", shown, note))
    if 1 < len(series) <= _MOST:
        matrix = cycles.correlations(series)
        labels = [names.get(name, name) for name in series]
        rows = [{"": label, **{other: _two(value) for other, value in zip(labels, line, strict=True)}}
                for label, line in zip(labels, matrix, strict=True)]  # fmt: skip
        sheets.append(of_rows("correlations", "Correlations of levels", rows))
    if rows := inequality.gini_rows(run.path):
        sheets.append(of_rows("inequality", "Inequality", rows))
    if not series:
        html.append(Markup("<p>HP-filtered moments and correlations need simulation.npz, which this folder does not "
                           f"hold: <code>deqn evaluate {escape(str(run))}</code> writes it.</p>"))  # fmt: skip
    return Section("Moments", "moments", html, sheets)


def _renamed(sheet: Sheet, names: Mapping[str, str]) -> Sheet:
    """Variables in words where the economy has words for them."""
    return sheet._replace(rows=[(names.get(row[0], row[0]), *row[1:]) for row in sheet.rows])


def _two(value: float) -> str:
    return "" if math.isnan(value) else f"{round(value, 2) + 0.0:.2f}"


def _series(run: RunFolder, described: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What is one number a period and no state, by letter, and the number of the track."""
    if not run.simulation.exists():
        return {}, np.zeros(0)
    files.check_one_evaluation(run.simulation)
    letters = described.get("letters", {})
    states = {letters.get(name, name) for name in described.get("states", ())}
    with np.load(run.simulation, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files if name not in states}
    track = arrays.get("track", np.zeros(len(next(iter(arrays.values())))))
    return {n: x for n, x in arrays.items() if x.ndim == 1 and x.dtype.kind == "f" and n not in _INTERNAL}, track


def figures_of(run: RunFolder) -> Section:
    with paper_style():
        pictures = [_picture(drawing) for drawing in drawings_of_library(run.path)]
        known = {caption for caption, _ in pictures}
        own = [(_caption(path.stem), f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}")
               for path in sorted(run.figures.glob("*.png"))
               if _caption(path.stem) not in known and not path.stem.startswith("responses")]  # fmt: skip
    return Section("Figures", "figures", pictures=[*pictures, *own])


def responses_of(run: RunFolder, name: str) -> Section:
    if not (run.path / "responses.csv").exists():
        return Section("Impulse responses", "responses")
    said = responses.described(run.path)
    with paper_style():
        pictures = [_picture(drawing) for drawing in responses.drawings([run.path], [name])]
    note = (
        f"Mean of {said['paths']:,} tracks from {said['start']} with the shock set, over that without; standard errors "
        "in brackets."
    )
    sheet = of_table("responses", "Responses on impact, in %", responses.table(run.path), note)
    return Section("Impulse responses", "responses", sheets=[sheet], pictures=pictures)


_CAPTIONS = {
    "lorenz": "Lorenz curves",
    "lives": "lives of single generations",
    "stages": "distributions by stage of the training",
    "path": "a part of the simulated path",
    "training": "loss and errors while training",
}


def _caption(stem: str) -> str:
    """Of the figure in this file."""
    return _CAPTIONS.get(stem, stem.replace("_", " "))


def _picture(drawing: Drawing) -> tuple[str, str]:
    """Caption and data URI of a figure, as SVG: sharp in print and at every size."""
    out = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": drawing.name}):
        drawing.figure.savefig(out, format="svg", dpi=150, metadata={"Date": None, "Creator": None})
    return _caption(drawing.name), f"data:image/svg+xml;base64,{base64.b64encode(out.getvalue()).decode()}"
