"""`deqn reproduce`: published numbers beside those of run folders, which alone fill our column."""

import re
import shutil

import pandas as pd
import pytest
from latex import complaints
from projects import make_project, typed
from small import trained_project

from deqn.project.project import Project
from deqn.report.exhibits import Exhibit, Row, write
from deqn.tasks.reproduce import paper_of

TOY = '''
"""A paper about tiny.yaml."""

from deqn.report.exhibits import Exhibit, Row
from deqn.report.responses import over_time, responses
from deqn.report.tables import error_rows

PAPER = "toy"
TITLE = "A toy"
RUNS = {"one case": "models/olg/tiny.yaml"}
RESPONSES = ("one case",)


def exhibits(runs):
    run = runs["one case"]
    ours = 100 * error_rows(run)[0]["mean"] if run else None
    yield Exhibit("Table 1: errors", [Row("mean", "%", 0.06, ours, decimals=4)])
    rows = responses(run).query("variable == 'C' and shock == '4'") if run else None
    found = (100 * rows["value"].iloc[0], 100 * rows["standard_error"].iloc[0]) if run else (None, None)
    drawn = [over_time({"one case": run}, {"C": "consumption"}, "figure1")] if run else []
    yield Exhibit("Figure 1: response", [Row("shock 4", "%", 4.1, *found)], drawn)
'''


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the trained project with a paper of its own, and what the command printed about it."""
    folder = tmp_path_factory.mktemp("reproduce") / "project"
    shutil.copytree(trained_project(), folder)
    (folder / "models/toy").mkdir()
    (folder / "models/toy/reproduce.py").write_text(TOY)
    done = typed(folder, "reproduce", "toy", "--paths", "40")
    assert done.returncode == 0, done.stderr
    return folder


def cells(folder, what, paper="toy"):
    """Paper, ours, standard error, difference of a row of the Markdown file."""
    text = (folder / f"runs/reproduce/{paper}/{paper}.md").read_text()
    return [cell.strip() for cell in re.search(rf"^\| {what} \|.*$", text, re.MULTILINE)[0].split("|")][3:-1]


def test_our_column_is_what_the_run_folder_holds(project):
    run = project / "runs/tiny/one"
    mean = 100 * pd.read_csv(run / "errors.csv")["mean"].iloc[0]
    table = pd.read_csv(run / "responses.csv", dtype={"shock": str})
    row = table[(table["variable"] == "C") & (table["shock"] == "4")].iloc[0]
    assert cells(project, "mean") == ["0.0600", f"{mean:.4f}", "", f"{mean - 0.06:.4f}"]
    value, error = 100 * row["value"], 100 * row["standard_error"]
    assert cells(project, "shock 4") == ["4.10", f"{value:.2f}", f"{error:.3f}", f"{value - 4.1:.2f}"]
    assert (project / "runs/reproduce/toy/figures/figure1.pdf").stat().st_size > 1000


def test_responses_that_are_there_are_not_computed_again(project):
    before = (project / "runs/tiny/one/responses.csv").stat().st_mtime_ns
    assert typed(project, "reproduce", "toy", "tiny/one", "--paths", "80").returncode == 0
    assert (project / "runs/tiny/one/responses.csv").stat().st_mtime_ns == before


def test_the_latex_file_has_the_same_rows_in_booktabs_and_compiles(project, tmp_path):
    text = (project / "runs/reproduce/toy/toy.tex").read_text()
    ours = cells(project, "mean")
    assert f"mean & \\% & $0.0600$ & ${ours[1]}$ &  & ${ours[3]}$ \\\\" in text
    assert text.count("\\toprule") == text.count("\\bottomrule") == 2
    assert "\\includegraphics[width=\\textwidth]{figures/figure1.pdf}" in text
    shutil.copytree(project / "runs/reproduce/toy", tmp_path / "toy")
    assert complaints(tmp_path / "toy", [tmp_path / "toy/toy.tex"]) == []


def test_without_the_run_our_column_is_empty_and_the_paper_stands(project, tmp_path):
    shutil.copytree(project, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy/runs/tiny/one")
    done = typed(tmp_path / "copy", "reproduce", "toy")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("no run of models/olg/tiny.yaml (one case): its numbers are left empty; add --train")
    assert cells(tmp_path / "copy", "mean") == ["0.0600", "", "", ""]
    assert cells(tmp_path / "copy", "shock 4") == ["4.10", "", "", ""]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["toyy"], "toyy: no models/*/reproduce.py has PAPER = 'toyy'; did you mean 'toy'?"),
        (["ags19", "tiny/one"], "tiny/one: no run of models/olg/benchmark60.yaml, models/olg/borrowing60.yaml, "
         "models/olg/borrowing60_loose.yaml, models/olg/paper60.yaml; name runs of these files only"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_one_line(project, words, message):
    done = typed(project, "reproduce", *words)
    assert (done.returncode, done.stderr) == (2, f"deqn: {message}\n")


def test_a_paper_of_two_folders_is_refused(project, tmp_path):
    make_project(tmp_path, "olg")
    shutil.copytree(tmp_path / "models/olg", tmp_path / "models/second")
    with pytest.raises(Exception, match=r"ags19: reproduced by models/olg and models/second"):
        paper_of(Project(tmp_path), "ags19")


def test_ags19_without_runs_has_every_published_number_and_none_of_ours(tmp_path):
    make_project(tmp_path, "olg")
    done = typed(tmp_path, "reproduce", "ags19")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "runs/reproduce/ags19/ags19.md").read_text()
    for title in ("Table 3", "Table 4", *(f"Figure {number}" for number in range(4, 10)), "Lectures"):
        assert f"## {title}: " in text
    rows = [line.split("|")[2:-1] for line in text.splitlines() if re.match(r"\| (?!\| unit)", line)]
    assert len(rows) == 14 + 14 + 2 + 1 + 8 + 4 + 12
    assert complaints(tmp_path, [tmp_path / "runs/reproduce/ags19/ags19.tex"]) == []
    assert all(not "".join(row[2:]).strip() for row in rows)
    assert cells(tmp_path, "shock 3, limit 0", "ags19")[0] == "-17.10"


def test_a_number_of_zero_has_no_sign_and_one_that_is_none_no_text(tmp_path):
    rows = [Row("zero", "%", 0.0, -1e-9), Row("none", "%", None, float("nan"))]
    list(write("title", [Exhibit("first", rows)], tmp_path, "paper"))
    text = (tmp_path / "paper.md").read_text()
    assert "| zero | % | 0.00 | 0.00 |  | 0.00 |" in text
    assert "| none | % |  |  |  |  |" in text


@pytest.mark.slow
def test_a_run_that_is_missing_is_trained_if_asked(project, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(project, folder)
    shutil.copy(folder / "runs/tiny/one/parameters.yaml", folder / "models/olg/small.yaml")
    paper = folder / "models/toy/reproduce.py"
    paper.write_text(paper.read_text().replace("olg/tiny.yaml", "olg/small.yaml"))
    assert typed(folder, "reproduce", "toy").returncode == 0
    assert cells(folder, "mean")[1] == ""
    done = typed(folder, "reproduce", "toy", "--train", "--paths", "40")
    assert done.returncode == 0, done.stderr
    (run,) = (folder / "runs/small").iterdir()
    assert cells(folder, "mean")[1] == f"{100 * pd.read_csv(run / 'errors.csv')['mean'].iloc[0]:.4f}"
