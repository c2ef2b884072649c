"""The solutions that the library ships: checked anew, they say what their certificates say."""

import json

import pytest
from projects import ROOT, make_project, typed

SHIPPED = sorted(ROOT.glob("models/*/solutions/*"))


def test_the_library_ships_seven_solutions_of_at_most_two_megabytes_each():
    assert [each.name for each in SHIPPED] == [
        "growth", "irbc10", "benchmark60", "borrowing60", "borrowing60_loose", "three", "six"
    ]  # fmt: skip
    for each in SHIPPED:
        assert sum(path.stat().st_size for path in each.rglob("*") if path.is_file()) <= 2_000_000


@pytest.mark.slow
@pytest.mark.parametrize("solution", SHIPPED, ids=lambda path: path.name)
def test_a_shipped_solution_that_is_verified_anew_has_the_verdicts_and_numbers_of_its_certificate(solution, tmp_path):
    make_project(tmp_path, solution.parents[1].name)
    before = json.loads((solution / "certificate.json").read_text())
    place = solution.relative_to(ROOT)
    done = typed(tmp_path, "verify", place)
    assert done.returncode == (1 if before["failed"] else 0), done.stderr
    after = json.loads((tmp_path / place / "certificate.json").read_text())
    assert after["verified"] != before["verified"]  # when
    for old, new in zip(before["checks"], after["checks"], strict=True):
        assert (old["name"], old["verdict"]) == (new["name"], new["verdict"])
        # The ranges of training are measured again: a shipped folder has the weights, not the tracks.
        if old["verdict"] != "not applicable" and not old["name"].endswith("where the rule was not trained"):
            assert new["number"] == pytest.approx(old["number"], rel=0.05, abs=1e-10)
