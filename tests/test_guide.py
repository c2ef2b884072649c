"""models/README.md: its files are valid economies, its commands and scripts run, and what it says is what deqn says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from projects import make_project
from small import ROOT, deqn, file_of
from test_dry_run import ECONOMIES, MISTAKES

from deqn.report.tables import error_rows
from deqn.tasks.build import build_problem

GUIDE = (ROOT / "models/README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def home(text):
    """The file that a block is, by its first line."""
    first = re.match(r"# (models/\S+)\n", text)
    return Path(first[1]) if first else None


def folders(section):
    """The names in the first column of a section's table."""
    return set(re.findall(r"^\| \[`(\w+)`\]", section, re.MULTILINE))


def write_files(project):
    for _, text in BLOCKS:
        if path := home(text):
            (project / path).parent.mkdir(parents=True, exist_ok=True)
            (project / path).write_text(text)


def test_every_block_is_a_file_a_script_or_commands():
    assert {language for language, _ in BLOCKS} == {"bash", "python", "yaml"}
    assert all(home(text) for language, text in BLOCKS if language == "yaml")
    assert all(
        line.startswith("deqn ") for language, text in BLOCKS if language == "bash" for line in text.splitlines()
    )


def test_every_economy_of_the_guide_passes_the_checks_and_its_problem_is_built(tmp_path):
    write_files(tmp_path)
    files = sorted(tmp_path.glob("models/*/*.yaml"))
    assert len(files) == 6
    for file in files:
        build_problem(file_of(file))


def test_every_message_of_the_guide_is_one_that_a_test_provokes():
    rows = re.findall(r"^\| .* \| `(.*)` \|$", GUIDE.partition("\n## Mistakes")[2].partition("\n## ")[0], re.MULTILINE)
    provoked = [words for _, _, words in MISTAKES]
    assert len(rows) > 20
    assert not [row for row in rows if not any(row in words or words in row for words in provoked)]


def test_every_economy_of_the_library_and_no_other_is_listed():
    listed = folders(GUIDE.partition("\n## The library")[2].partition("\n## ")[0])
    assert listed == {path.parent.name for path in ECONOMIES}


def test_every_folder_of_other_problems_and_no_other_is_listed():
    listed = folders(GUIDE.partition("\n## Other problems")[2])
    everything = {path.parent.name for path in (ROOT / "models").glob("*/*.yaml")}
    assert listed == everything - {path.parent.name for path in ECONOMIES}


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", GUIDE)
    assert links and all((ROOT / "models" / link).exists() for link in links)


@pytest.mark.slow
def test_the_guide_runs_from_top_to_bottom_and_its_economies_meet_their_known_solutions(tmp_path):
    make_project(tmp_path)
    said = []
    for language, text in BLOCKS:
        if path := home(text):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        elif language == "bash":
            for line in text.splitlines():
                fewer = ["--set", "phases.0.updates=4000"] if "train" in line and "updates" not in line else []
                done = deqn(tmp_path, *line.split()[1:], *fewer)
                assert done.returncode == 0, done.stderr
        else:
            command = [sys.executable, "-c", text]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
            said.append(done.stdout)
    known, response, grid, family, value, learned = (
        float(re.search(r"([\d.e-]+) %$", words.strip())[1]) for words in said
    )
    assert known < 1e-10 and grid < 0.2 and family < 0.5 and value < 0.1 and learned < 1, said
    assert (
        "output falls by 3 %" in said[1] and 0 < response < 1
    )  # productivity is .97 instead of 1  # per cent, the largest
    assert "off by" in deqn(tmp_path, "list").stdout
    for stem in ("mine", "buffer_stock", "family", "two_trees"):
        (run,) = [path for path in (tmp_path / "runs" / stem).iterdir() if path.name not in ("known", "averse")]
        assert error_rows(run)[0]["mean"] < 2e-4, stem
