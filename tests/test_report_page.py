"""The page of `deqn report`: what it says against the run's own files, its mathematics, and a browser that opens it."""

import ast
import csv
import html
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
import yaml
from latex import complaints
from projects import ROOT, make_project, typed
from statsmodels.tsa.filters.hp_filter import hpfilter

from deqn.project.user_code import load_module
from deqn.report import cycles, latex, mathematics, sheets, source

SOLUTION = "models/olg/solutions/benchmark60"
BOTH = ("models/growth/solutions/growth", "models/olg/solutions/three")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with a run that was shipped, and the page of it in out/."""
    folder = make_project(tmp_path_factory.mktemp("project"), "olg")
    done = typed(folder, "report", SOLUTION, "--out", "out")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def page(project):
    return (project / "out/report.html").read_text()


def test_the_page_names_nothing_outside_itself(page):
    found = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            found.extend(value for name, value in attributes if name in ("src", "href", "action", "data", "srcset"))

    Reader().feed(page)
    assert found and all(each.startswith(("data:", "#")) for each in found)
    assert "@import" not in page and "url(" not in page and "<script" not in page


def test_the_page_has_parameters_errors_checks_and_the_command_of_the_run(page):
    said = json.loads((ROOT / SOLUTION / "provenance.json").read_text())
    text = html.unescape(re.sub(r"<[^>]+>", " ", page))
    for words in (said["command"], said["commit"], "units of the good; savings may not be lower", "10.1111/iere.12575"):
        assert words in text
    certificate = json.loads((ROOT / SOLUTION / "certificate.json").read_text())
    assert all(check["name"] in text for check in certificate["checks"])


def test_units_and_sources_are_those_of_the_schema():
    given = yaml.safe_load((ROOT / SOLUTION / "parameters.yaml").read_text())["parameters"]
    used = json.loads((ROOT / SOLUTION / "provenance.json").read_text())["python"]
    found = source.parameters(ROOT / SOLUTION / "as_trained", given, used)
    schema = load_module(ROOT / "models/olg", "parameters").Parameters.model_fields
    assert {name: tuple(each) for name, each in found.items()} == {
        name: (field.json_schema_extra["unit"], field.json_schema_extra["source"]) for name, field in schema.items()
    }


def test_the_tables_are_the_same_cells_in_csv_and_latex(project):
    folder = project / "out/tables"
    assert {path.stem for path in folder.glob("*.csv")} == {path.stem for path in folder.glob("*.tex")}
    with (folder / "errors.csv").open() as file:
        rows = list(csv.DictReader(file))
    with (ROOT / SOLUTION / "errors.csv").open() as file:
        wanted = {row["condition"]: float(row["mean"]) for row in csv.DictReader(file) if row["group"] == "all"}
    assert [float(row["mean"]) for row in rows] == pytest.approx([100 * x for x in wanted.values()], rel=0.03)
    text = (folder / "errors.tex").read_text()
    body = text[text.index("\\midrule") : text.index("\\bottomrule")].splitlines()[1:]
    assert [re.sub(r"[$\\]", "", line).split(" & ")[2].strip() for line in body] == [row["mean"] for row in rows]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("a & b_c 5%", r"a \& b\_c $5$\%"), ("1.3e-05", r"$1.3 \times 10^{-5}$"), ("-.5 (.02)", "$-.5$ ($.02$)"),
     ("F(4, 25) ≤ α", r"F(4, $25$) $\le$ $\alpha$"), ("abcdefghij" * 2 + "z", r"abcdefghij\allowbreak{}" * 2 + "z")],
)  # fmt: skip
def test_a_cell_is_escaped_and_its_numbers_are_mathematics(text, wanted):
    assert latex.cell(text) == wanted


def test_every_table_compiles_and_fits_the_page_of_an_article(project, tmp_path):
    done = typed(project, "report", SOLUTION, *BOTH, "models/irbc/solutions/irbc10", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    paths = sorted((tmp_path / "tables").glob("*.tex"))
    assert len(paths) > 30
    assert complaints(tmp_path, paths) == []


def test_a_table_that_is_too_wide_is_parted_and_one_that_is_too_long_runs_over_pages(tmp_path):
    columns = ["shock", *(f"a number called {n}" for n in range(20))]
    rows = [[f"row{n}", *[f"{n + 0.123456:.6f}"] * 20] for n in range(80)]
    latex.write([sheets.Sheet("large", "Large", columns, rows, [False] + [True] * 20)], tmp_path)
    text = (tmp_path / "large.tex").read_text()
    assert complaints(tmp_path, [tmp_path / "large.tex"]) == []
    assert all(text.count(f"row{n} &") == text.count("\\bottomrule") > 1 for n in range(80))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("u'(c^h) = beta E[ r' u'(c'^{h+1}) ]",
         r"u^{\prime}(c^{h})=\beta\operatorname{E}[r^{\prime}u^{\prime}(c^{\prime\,h+1})]"),
        ("k'_j^(alpha-1) / tau_j", r"k_{j}^{\prime\,\alpha-1}/\tau_{j}"),
        ("ln A = rho ln A_ + g", r"\ln\,A=\rho\,\ln\,A_{-1}+g"),
        ("0 <= mu  ⟂  a >= a_low", r"0\le\mu\;\perp\;a\ge a_{\mathrm{low}}"),
        ("w = 1,      h = 1..N-1", r"w=1,\qquad h=1,\dots,N-1"),
        ("khat' = cash s", r"\hat{k}^{\prime}=\;\text{cash}\;s"),
        ("phi/2 k_j^2 + w / (k h)", r"\tfrac{\phi}{2}k_{j}^{2}+w/(kh)"),
        ("m^-(1-gamma)", r"m^{-(1-\gamma)}"),
    ],
)  # fmt: skip
def test_the_notation_of_docstrings_becomes_latex(text, wanted):
    assert mathematics.latex(text).replace(" ", "") == wanted.replace(" ", "")


@pytest.mark.parametrize("path", sorted(ROOT.glob("models/*/economy.py")), ids=lambda path: path.parent.name)
def test_every_equation_of_the_library_is_understood(path):
    blocks = list(mathematics.display(ast.get_docstring(ast.parse(path.read_text()))))
    assert "equations" in [kind for kind, _ in blocks]
    assert "verbatim" not in [kind for kind, _ in blocks]
    for _, lines in (block for block in blocks if block[0] == "equations"):
        assert all(part.startswith("<math") for line in lines for row in mathematics.mathml(line) for part in row)


def test_what_is_no_equation_stays_as_it_was_written():
    text = "Solved by\n\n    deqn train models/mine/mine.yaml --set seed=3 # and so on\n"
    assert list(mathematics.display(text))[1] == (
        "verbatim",
        ["deqn train models/mine/mine.yaml --set seed=3 # and so on"],
    )


def test_the_filter_of_hodrick_and_prescott_is_that_of_statsmodels():
    series = np.cumsum(np.random.default_rng(0).standard_normal(300))
    for smoothing in (6.25, 1600.0):
        for ours, theirs in zip(cycles.hp_filter(series, smoothing), hpfilter(series, smoothing), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-8)


def test_a_series_that_leads_output_correlates_most_with_later_output():
    x = np.exp(0.1 * np.random.default_rng(1).standard_normal(2_000))
    series = {"Y": np.roll(x, 1), "lead": x}
    row = cycles.cycle_rows(series, "Y", np.zeros(2_000), 1600.0)[1]
    assert max(row["correlations"], key=row["correlations"].get) == 1
    assert row["correlations"][1] > 0.99


def test_the_article_to_cite_is_that_of_the_citation_file():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())["preferred-citation"]
    bib = sheets.templates().get_template("citation.bib").render(version="1")
    for key in ("title", "journal", "volume", "year", "doi"):
        assert f"{{{cited[key]}}}" in bib


def test_several_runs_are_set_beside_each_other(project):
    done = typed(project, "report", *BOTH, "--out", "both")
    assert done.returncode == 0, done.stderr
    with (project / "both/tables/differences.csv").open() as file:
        beta = next(row for row in csv.DictReader(file) if row["parameter"] == "discount_factor")
    given = [yaml.safe_load((ROOT / name / "parameters.yaml").read_text())["parameters"] for name in BOTH]
    assert [float(beta[f"solutions/{name}"]) for name in ("growth", "three")] == [p["discount_factor"] for p in given]


def test_a_run_that_was_never_evaluated_is_refused_in_one_line(project):
    folder = project / "runs/benchmark60/bare"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / SOLUTION / "parameters.yaml", folder)
    done = typed(project, "report", "benchmark60/bare")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "deqn evaluate" in done.stderr


@pytest.mark.slow
def test_a_browser_asks_for_nothing_else_and_nothing_overflows(project):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on the path: apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for width in (360, 1400):
            for scheme in ("light", "dark"):
                opened, asked = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme), []
                opened.on("request", lambda request, asked=asked: asked.append(request.url))
                opened.goto((project / "out/report.html").as_uri())
                assert [url for url in asked if not url.startswith("data:")] == [opened.url]
                assert opened.evaluate("document.documentElement.scrollWidth") == width
                assert opened.evaluate("[...document.images].every(each => each.naturalWidth > 0)")
                paper = opened.evaluate("getComputedStyle(document.body).backgroundColor")
                assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(25, 25, 25)")
                opened.close()
        browser.close()
