"""Parameters, Python, weights and evaluation of a run are one whole: what does not belong to it is refused or named."""

import json
import shutil

import numpy as np
import pytest
from projects import exit_status
from small import trained_project

import deqn
from deqn.project.errors import CannotWrite, UserError
from deqn.project.identity import python_of
from deqn.project.project import Project
from deqn.project.run import RunFolder
from deqn.training import checkpoint, records
from deqn.training.trainer import Trainer

RUN = "runs/tiny/one"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A copy of a project with one trained run, entered."""
    copy = shutil.copytree(trained_project(), tmp_path / "project")
    monkeypatch.chdir(copy)
    return copy


def edit(project, old="return power(c, -self.p.risk_aversion)", new="return 2 * power(c, -self.p.risk_aversion)"):
    path = project / "models/olg/economy.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


# ---- equations


@pytest.mark.slow
def test_a_run_that_nobody_touched_is_evaluated_without_a_warning_and_with_the_files_settings_it_is_its_own(
    project, capfd
):
    assert exit_status("evaluate", "tiny/one", "--periods", "400", "--burn-in", "100") == 0
    assert "warning" not in capfd.readouterr().err
    assert not (project / RUN / "evaluations").exists()


def test_resume_after_an_edited_equation_is_refused_and_names_the_file(project, capfd):
    edit(project)
    resolved = project / RUN / "parameters.yaml"
    again = project / "models/olg/again.yaml"
    shutil.copy(resolved, again)
    (project / "models/olg/tiny.yaml").write_text(resolved.read_text())
    again.unlink()
    before = (project / RUN / "checkpoints/last.npz").read_bytes()
    assert exit_status("train", "models/olg/tiny.yaml", "--run", "one", "--resume") == 2
    said = capfd.readouterr().err
    assert "models/olg/economy.py has changed since tiny/one was trained" in said
    assert "runs/tiny/one/as_trained" in said
    assert (project / RUN / "checkpoints/last.npz").read_bytes() == before


def test_what_the_economy_imports_belongs_to_a_run_and_its_figures_do_not(tmp_path):
    (tmp_path / "economy.py").write_text("from . import prices\nfrom .sub.more import f\n")
    (tmp_path / "sub").mkdir()
    for name in ("prices.py", "sub/more.py", "parameters.py", "figures.py", "other.py"):
        (tmp_path / name).write_text("x = 1\n")
    assert set(python_of(tmp_path, "economy")) == {"economy.py", "prices.py", "sub/more.py", "parameters.py"}


def test_a_policy_of_edited_equations_is_told_and_as_trained_goes_back(project, capfd):
    path = np.load(f"{RUN}/simulation.npz")
    np.savez("states.npz", z=path["z"][:9], k=path["k"][:9])
    edit(project, "self.propensity * wealth * (1 + output)", "0.9 * self.propensity * wealth * (1 + output)")
    assert exit_status("policy", "tiny/one", "--states", "states.npz", "--out", "now.npz") == 0
    assert "models/olg/economy.py has changed since tiny/one was trained" in capfd.readouterr().err
    assert exit_status("policy", "tiny/one", "--states", "states.npz", "--out", "then.npz", "--as-trained") == 0
    assert not capfd.readouterr().err
    np.testing.assert_allclose(np.load("then.npz")["c"], path["c"][:9], rtol=1e-12)
    assert np.abs(np.load("now.npz")["c"] / path["c"][:9] - 1).max() > 0.05
    # From Python the run's own copy is the default.
    own = deqn.load("tiny/one").policy(capital=path["k"][:9], shock=path["z"][:9])
    np.testing.assert_allclose(own.consumption, path["c"][:9], rtol=1e-12)
    with pytest.warns(UserWarning, match="has changed since"):
        deqn.load("tiny/one", as_trained=False)


def test_parameters_that_were_edited_in_the_run_folder_are_refused(project, capfd):
    path = project / RUN / "parameters.yaml"
    path.write_text(path.read_text().replace("risk_aversion: 2.0", "risk_aversion: 2.5"))
    assert exit_status("evaluate", "tiny/one") == 2
    assert "parameters.yaml: is not what tiny/one was trained with" in capfd.readouterr().err


def test_weights_of_another_training_are_refused_though_their_shapes_fit(project):
    best = project / RUN / "checkpoints/best.npz"
    arrays, meta = checkpoint.load(best)
    assert meta["identity"] == json.loads((project / RUN / "provenance.json").read_text())["identity"]
    checkpoint.save(best.parent, best.name, arrays, {**meta, "identity": "of another run"})
    with pytest.raises(UserError, match=r"best\.npz: weights of another training"):
        deqn.load("tiny/one")


# ---- trust


def test_python_of_a_run_outside_the_project_is_not_executed_unless_it_is_trusted(project, tmp_path, monkeypatch):
    trace = tmp_path / "executed"
    for name in ("economy.py", "parameters.py"):
        code = project / RUN / "as_trained" / name
        code.write_text(f"import pathlib\npathlib.Path({str(trace)!r}).touch()\n{code.read_text()}")
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(project / "models", elsewhere / "models")
    shutil.copy(project / ".deqn-project", elsewhere)
    for place in (elsewhere, tmp_path):  # another project, and none
        monkeypatch.chdir(place)
        for as_trained in (True, False):
            with pytest.raises(UserError, match=r"outside the project of the working directory.*trust=True"):
                deqn.load(project / RUN, as_trained=as_trained)
    assert not trace.exists()


@pytest.mark.parametrize("words", [
    ["evaluate", RUN], ["plot", RUN], ["compare", RUN, "runs/tiny/two"], ["evaluate", RUN, "--as-trained"],
    ["policy", RUN, "--states", "states.npz", "--out", "policy.npz"],
])  # fmt: skip
def test_commands_execute_python_of_a_run_outside_the_project_only_with_trust(
    project, tmp_path, monkeypatch, capfd, words
):
    shutil.copytree(project / RUN, project / "runs/tiny/two")
    (project / "models/olg/figures.py").write_text("raise ValueError('executed')\n")
    Project.make(tmp_path / "mine")
    monkeypatch.chdir(tmp_path / "mine")
    np.savez("states.npz", z=[0])
    before = sorted(project.rglob("*"))
    there = [str(project / word) if word.startswith("runs/") else word for word in words]
    assert exit_status(*there) == 2
    err = capfd.readouterr().err
    assert "outside the project of the working directory; read them, then say that you trust them (--trust" in err
    assert err.count("\n") == 1
    assert sorted(project.rglob("*")) == before
    if words[0] == "plot":
        assert exit_status(*there, "--trust") == 2
        assert "figures.py, line 1: ValueError: executed" in capfd.readouterr().err


def test_from_outside_of_any_project_a_command_takes_the_run_that_is_typed(project, tmp_path, monkeypatch, capfd):
    (project / "models/olg/figures.py").write_text("raise ValueError('executed')\n")
    monkeypatch.chdir(tmp_path)
    assert exit_status("plot", project / RUN) == 2
    assert "figures.py, line 1: ValueError: executed" in capfd.readouterr().err
    shutil.move(project / "models/olg", tmp_path / "olg")
    path = project / RUN / "provenance.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"parameter_file": "../olg/tiny.yaml"}))
    assert exit_status("plot", project / RUN) == 2
    assert "outside the project" in capfd.readouterr().err


def test_a_run_of_the_project_may_not_name_a_folder_outside_of_it(project, tmp_path):
    shutil.move(project / "models/olg", tmp_path / "olg")
    path = project / RUN / "provenance.json"
    record = json.loads(path.read_text()) | {"parameter_file": "../olg/tiny.yaml"}
    path.write_text(json.dumps(record))
    with pytest.raises(UserError, match="outside the project"):
        deqn.load("tiny/one", as_trained=False)
    assert deqn.load("tiny/one").economy.p.cohorts == 4


# ---- evaluations


@pytest.mark.slow
def test_the_files_of_two_evaluations_are_not_read_as_one(project, capfd):
    own = (project / RUN / "errors.csv").read_text()
    assert exit_status("evaluate", "tiny/one", "--periods", "300", "--seed", "7") == 0
    other = project / RUN / "evaluations/periods300_seed7"
    assert (other / "figures/path.png").is_file()
    assert (project / RUN / "errors.csv").read_text() == own
    for name in ("errors.csv", "simulation.npz"):
        mixed = project / RUN / name
        kept = mixed.read_bytes()
        mixed.write_bytes((other / name).read_bytes())
        capfd.readouterr()
        assert exit_status("plot", "tiny/one") == 2
        assert f"{name}: is not of the evaluation that description.json" in capfd.readouterr().err
        assert exit_status("doctor", "tiny/one") == 2
        mixed.write_bytes(kept)


def test_tables_of_weights_that_have_changed_since_are_told(project, capfd):
    best = project / RUN / "checkpoints/best.npz"
    arrays, meta = checkpoint.load(best)
    checkpoint.save(best.parent, best.name, {name: 0.9 * x for name, x in arrays.items()}, meta)
    assert exit_status("plot", "tiny/one") == 0
    assert "the tables of tiny/one are those of earlier weights" in capfd.readouterr().err


# ---- best weights


def test_best_weights_that_a_full_disk_refused_are_on_disk_when_training_ends(tmp_path, monkeypatch):
    from toys import Regression, settings

    save = checkpoint.save

    def full_for_best(folder, name, *rest):
        if name == checkpoint.BEST and trainer.update > 8:
            raise CannotWrite("disk full")
        return save(folder, name, *rest)

    chosen = settings(phases=[{"updates": 40, "optimizer": {"name": "Adam", "learning_rate": 0.03}}], validate_every=8)
    with RunFolder(tmp_path / "toy/run").open() as folder:
        trainer = Trainer(Regression(), chosen, folder)
        monkeypatch.setattr(records.checkpoint, "save", full_for_best)
        repair = trainer.records.repair_best

        def with_space_again(*arguments):
            monkeypatch.setattr(records.checkpoint, "save", save)
            repair(*arguments)

        monkeypatch.setattr(trainer.records, "repair_best", with_space_again)
        trainer.train()
        there, meta = checkpoint.load(folder.checkpoints / checkpoint.BEST)
        assert trainer.best_update > 8
        assert meta["update"] == trainer.best_update
        for name, weights in trainer.validations.best_weights.items():
            np.testing.assert_array_equal(there[name], weights)
        # On resume the same: the file of an earlier sitting gives way to what the checkpoint holds.
        checkpoint.save(folder.checkpoints, checkpoint.BEST, {n: x + 1 for n, x in there.items()}, meta)
        resumed = Trainer(Regression(), chosen, folder)
        resumed.resume(*checkpoint.load(folder.checkpoints / checkpoint.LAST))
        again, _ = checkpoint.load(folder.checkpoints / checkpoint.BEST)
        for name in there:
            np.testing.assert_array_equal(again[name], there[name])
