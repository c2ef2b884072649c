"""`deqn verify` and `deqn ship` as they are typed: the certificate, where it is shown, when it no longer holds."""

import json
import shutil

import numpy as np
import pytest
from projects import typed
from small import trained_project
from toys import Regression

import deqn
from deqn.project import library
from deqn.project.errors import UserError
from deqn.project.identity import identity, keep_python, python_of
from deqn.project.parameter_yaml import read_yaml, to_yaml
from deqn.project.project import Project
from deqn.project.run import RunFolder
from deqn.report import certificate
from deqn.tasks import verify
from deqn.tasks.ship import ship_run
from deqn.tasks.verify import other_seeds

RUN = "runs/tiny/one"


@pytest.fixture(scope="module")
def verified(tmp_path_factory):
    """A project whose run has been verified with thresholds that it meets; what the command printed."""
    project = shutil.copytree(trained_project(), tmp_path_factory.mktemp("verified") / "project")
    with_thresholds(project, mean=0.05, tail=0.3)
    done = typed(project, "verify", "tiny/one")
    assert done.returncode == 0, done.stdout + done.stderr
    return project, done.stdout


@pytest.fixture
def project(verified, tmp_path):
    """A copy of that project."""
    return shutil.copytree(verified[0], tmp_path / "project")


def with_thresholds(project, **thresholds):
    """Sets `verify:` in the run's parameters, which may change after training."""
    path = project / RUN / "parameters.yaml"
    settings = read_yaml(path)
    path.write_text(to_yaml({**settings, "verify": {**settings["verify"], **thresholds}}))


def shown(project):
    """How `deqn list` shows the run's evidence."""
    (row,) = [line for line in typed(project, "list").stdout.splitlines() if "tiny/one" in line]
    return [cell.strip() for cell in row.split("|")][-3]


def test_a_verified_run_has_a_line_a_check_and_a_certificate_with_origin_and_thresholds(verified):
    project, printed = verified
    said = json.loads((project / RUN / "certificate.json").read_text())
    lines = [line for line in printed.splitlines() if line.startswith(("pass", "fail", "not applicable"))]
    assert len(lines) == len(said["checks"]) > 20
    assert (said["verdict"], said["failed"]) == ("verified", [])
    assert said["thresholds"]["mean"] == 0.05
    assert said["trained"]["seed"] == 0
    assert said["verified"]["versions"]["tensorflow"] and said["verified"]["cpu_seconds"] > 0
    assert "| pass" in (project / RUN / "verify.md").read_text()


def test_list_says_verified_and_that_a_run_without_a_certificate_is_not(project):
    assert shown(project) == "verified"
    (project / RUN / "certificate.json").unlink()
    assert shown(project) == "not verified"


def test_other_weights_make_a_certificate_stale(project):
    with (project / RUN / "checkpoints/best.npz").open("ab") as file:
        file.write(b"more")
    assert shown(project) == "stale: of earlier weights"


def test_another_evaluation_makes_a_certificate_stale(project):
    path = project / RUN / "description.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "id": "another"}))
    assert shown(project) == "stale: of an earlier evaluation"


def test_a_damaged_certificate_is_told(project):
    (project / RUN / "certificate.json").write_text('{"verdict": "verified"}')
    assert shown(project) == "certificate damaged"


@pytest.mark.slow
def test_a_failed_check_is_failed_on_the_terminal_in_the_certificate_in_list_and_in_compare(project):
    with_thresholds(project, mean=1e-9)
    done = typed(project, "verify", "tiny/one")
    assert done.returncode == 1
    assert "\nfail " in "\n" + done.stdout
    assert "**fail**" in (project / RUN / "verify.md").read_text()
    assert shown(project).startswith("failed: Euler error, multiplier-free, mean (and ")
    shutil.copytree(project / RUN, project / "runs/tiny/two")
    compared = typed(project, "compare", "tiny/one", "tiny/two", "--periods", "150", "--burn-in", "50")
    assert "tiny/one: failed: Euler error, multiplier-free, mean (and " in compared.stdout


@pytest.mark.slow
def test_seeds_that_no_run_has_are_trained_and_found_again(project):
    first = typed(project, "verify", "tiny/one", "--seeds", "1")
    assert (project / "runs/tiny/one-seed1/checkpoints/best.npz").is_file(), first.stdout + first.stderr
    assert "seed 1: consumption, mean" in first.stdout
    again = typed(project, "verify", "tiny/one", "--seeds", "1")
    assert "trains" not in again.stdout
    assert "seed 1: consumption, mean" in again.stdout


def copy_with(project, name, **changes):
    """A copy of the run with other settings, as a training would have recorded it."""
    run = RunFolder(shutil.copytree(project / RUN, project / "runs/tiny" / name))
    settings = {**read_yaml(run.parameters), **changes}
    run.parameters.write_text(to_yaml(settings))
    record = json.loads(run.provenance.read_text())
    record |= {"identity": identity(settings, record["python"]), "seed": settings["seed"]}
    run.provenance.write_text(json.dumps(record))
    return run


def test_other_seeds_are_runs_of_the_same_settings_and_equations(project):
    run = RunFolder(project / RUN)
    copy_with(project, "same")
    copy_with(project, "longer", seed=1, patience=7)
    copy_with(project, "float64", seed=2, precision="float64")
    other_equations = copy_with(project, "edited", seed=3)
    record = json.loads(other_equations.provenance.read_text())
    other_equations.provenance.write_text(json.dumps({**record, "python": {"economy.py": "edited"}}))
    assert [each.path.name for each in other_seeds(run)] == ["longer"]


def test_what_is_no_economy_is_a_mistake_of_the_user(project, monkeypatch):
    monkeypatch.setattr(verify, "load_problem", lambda run, file: Regression())
    done = typed(project, "verify", "tiny/one")
    assert done.returncode == 2
    assert "solves no economy's conditions" in done.stderr


# --- shipped solutions -----------------------------------------------------------------------------------------------

STATES = {"capital": np.array([[0.0, 0.1, 0.2, 0.3]]), "shock": np.array([0])}


@pytest.fixture
def shipped(project):
    done = typed(project, "ship", "tiny/one")
    assert done.returncode == 0, done.stderr
    return project / "models/olg/solutions/tiny"


def test_a_shipped_solution_decides_as_its_run_and_its_certificate_holds(project, shipped, monkeypatch):
    monkeypatch.chdir(project)
    with pytest.warns(UserWarning, match="not trained"):
        policies = [deqn.load(name).policy(**STATES) for name in ("tiny/one", "models/olg/solutions/tiny")]
    np.testing.assert_array_equal(policies[0].consumption, policies[1].consumption)
    assert certificate.standing(RunFolder(shipped)) == "verified"


def test_a_shipped_solution_is_small_and_has_what_is_needed_alone(shipped):
    names = {path.relative_to(shipped).as_posix() for path in shipped.rglob("*") if path.is_file()}
    assert {"parameters.yaml", "provenance.json", "errors.csv", "certificate.json", "verify.md", "description.json",
            "checkpoints/best.npz", "as_trained/economy.py"} <= names  # fmt: skip
    assert any(name.startswith("figures/") for name in names)
    assert not any(name.endswith(("simulation.npz", "last.npz", ".pdf")) or "tensorboard" in name for name in names)
    assert sum(path.stat().st_size for path in shipped.rglob("*") if path.is_file()) < 2e6


def test_a_shipped_solution_is_neither_a_parameter_file_nor_part_of_the_equations(project, shipped):
    assert not [path for path in Project(project).parameter_files() if "solutions" in path.parts]
    assert not any("solutions" in name for name in python_of(project / "models/olg", "economy"))
    run = RunFolder(project / "runs/tiny/two")
    keep_python(project / "models/olg", run)
    assert sorted(path.name for path in run.as_trained.iterdir()) == [
        "economy.py", "evidence.py", "grid.py", "many_cohorts.py", "paper.py", "parameters.py", "reproduce.py",
        "social_security.py", "social_security_evidence.py", "social_security_parameters.py", "steady_state.py",
    ]  # fmt: skip


def test_a_solution_of_the_library_is_loaded_where_there_is_no_project(shipped, tmp_path, monkeypatch):
    """As from the wheel: the library lies in no project, and neither does the working directory."""
    monkeypatch.setattr(library, "models", lambda: tmp_path / "installed/library")
    shutil.copytree(shipped, tmp_path / "installed/library/olg/solutions/tiny")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    solution = deqn.load("models/olg/solutions/tiny")
    assert solution.simulate(periods=5)["K"].shape == (5,)


def test_a_solution_that_somebody_sent_is_loaded_where_there_is_no_project_if_it_is_trusted(
    shipped, tmp_path, monkeypatch
):
    sent = shutil.copytree(shipped, tmp_path / "sent")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="trust"):
        deqn.load(sent)
    assert deqn.load(sent, trust=True).simulate(periods=5)["K"].shape == (5,)


def test_a_run_without_a_certificate_is_not_shipped(project):
    (project / RUN / "certificate.json").unlink()
    done = typed(project, "ship", "tiny/one")
    assert done.returncode == 2
    assert "deqn verify tiny/one first" in done.stderr


def test_a_folder_that_is_no_solution_is_not_overwritten(project):
    (project / "models/olg/solutions/tiny").mkdir(parents=True)
    with pytest.raises(UserError, match="no solution"):
        ship_run(RunFolder(project / RUN), None)
