"""`deqn.train`, as in a notebook, against the command that it says it is."""

import json

import numpy as np
import pytest
from projects import exit_status, make_project

import deqn
from deqn.project.errors import UserError

FILE = "models/brock_mirman/brock_mirman.yaml"
SMALL = {
    "parameters.discount_factor": 0.9, "network.hidden": [8], "sampling.tracks": 16, "phases.0.updates": 20,
    "validation.periods": 4, "evaluation.periods": 600, "evaluation.burn_in": 50,
}  # fmt: skip


@pytest.fixture
def project(tmp_path, monkeypatch):
    make_project(tmp_path, "brock_mirman")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_it_leaves_the_run_of_the_command_and_gives_its_solution(project, capsys):
    solution = deqn.train(FILE, SMALL, run="one")
    assert solution.economy.p.discount_factor == 0.9
    assert "20/20" in capsys.readouterr().out
    command = json.loads((project / "runs/brock_mirman/one/provenance.json").read_text())["command"]
    words = [word for name, value in SMALL.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    assert exit_status("train", FILE, *words, "--run", "two") == 0
    assert command.startswith(f"deqn train {FILE} --set parameters.discount_factor=0.9 ")
    one, two = ((project / f"runs/brock_mirman/{run}/errors.csv").read_text() for run in ("one", "two"))
    assert one == two
    k, z = np.array([0.1, 0.2]), np.array([0, 1])
    np.testing.assert_array_equal(
        solution.policy(capital=k, shock=z).savings, deqn.load("brock_mirman/two").policy(capital=k, shock=z).savings
    )


def test_a_mistake_is_the_one_of_the_command_and_leaves_nothing_behind(project):
    with pytest.raises(UserError, match=r"parameters\.discont_factor: unknown; did you mean 'discount_factor'"):
        deqn.train(FILE, {"parameters.discont_factor": 0.9})
    assert not list((project / "runs").glob("*/*"))
