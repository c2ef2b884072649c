"""The wheel in an empty environment and an empty folder: a project, an economy of one's own, one of the library."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from projects import ROOT
from small import trained_project

pytestmark = pytest.mark.slow


def with_a_solution(source):
    """A copy of the project's files in which a run of models/olg/tiny.yaml is shipped."""
    for name in ("deqn", "models", "slurm"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    run = shutil.copytree(trained_project() / "runs/tiny/one", source / "models/olg/solutions/tiny")
    for name in ("simulation.npz", "implied.npz", "checkpoints/last.npz"):
        (run / name).unlink()
    return source


@pytest.fixture(scope="module")
def deqn(tmp_path_factory):
    """Types a command in an empty folder, with nothing but the wheel installed; the finished process."""
    made, folder = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("empty")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    source = with_a_solution(made / "source")
    subprocess.check_call([*pip, "wheel", "--no-deps", "--wheel-dir", made, source])
    (wheel,) = made.glob("*.whl")
    subprocess.check_call([sys.executable, "-m", "venv", made / "environment"])
    subprocess.check_call([made / "environment/bin/python", *pip[1:], "install", wheel])

    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def typed(*words, program="deqn"):
        command = [made / "environment/bin" / program, *words]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=alone)

    typed.folder = folder
    return typed


def test_outside_a_project_a_command_says_how_to_make_one(deqn):
    done = deqn("list")
    assert (done.returncode, done.stdout) == (2, "")
    assert "make one here: deqn new models/mine" in done.stderr


def test_a_shipped_solution_is_loaded_without_training_outside_a_project(deqn):
    code = "import deqn; print(deqn.load('models/olg/solutions/tiny').simulate(periods=5)['K'].shape)"
    done = deqn("-c", code, program="python")
    assert done.stdout.strip() == "(5,)", done.stderr


def test_an_empty_folder_becomes_a_project_whose_economy_trains(deqn):
    made = deqn("new", "models/mine")
    assert made.returncode == 0, made.stderr
    for name in (".deqn-project", "models/README.md", "models/mine/mine.yaml", "slurm/train.sbatch", "runs"):
        assert (deqn.folder / name).exists(), name
    few = ["--set", "phases.0.updates=20", "--set", "evaluation.periods=300", "--set", "evaluation.burn_in=100"]
    done = deqn("train", "models/mine/mine.yaml", "--run", "one", *few)
    assert done.returncode == 0, done.stderr
    assert (deqn.folder / "runs/mine/one/errors.csv").is_file()
    assert "mine/one" in deqn("list").stdout
    script = deqn("submit", "models/mine/mine.yaml", "--dry-run")
    assert "#SBATCH --job-name=mine" in script.stdout, script.stderr


def test_an_economy_of_the_library_is_copied_with_its_files(deqn):
    deqn("new", "models/mine")
    done = deqn("new", "models/generations", "--like", "olg")
    assert done.returncode == 0, done.stderr
    check = deqn("check", "models/generations/generations_tiny.yaml")
    assert check.returncode == 0, check.stderr
    assert "weights to train" in check.stdout


def test_a_missing_extra_names_its_command_and_nothing_advises_make(deqn):
    deqn("new", "models/mine")
    assert deqn("new", "models/pole", "--like", "cartpole").returncode == 0
    done = deqn("train", "models/pole/pole_cartpole_dqn.yaml")
    assert done.returncode == 2
    assert "pip install 'deqn[agents]'" in done.stderr
    ranks = deqn("train", "models/mine/mine.yaml", "--workers", "horovod")
    assert ranks.returncode == 2
    assert "make " not in ranks.stderr


def test_the_wheel_has_every_room_and_model(deqn):
    installed = next(Path(deqn.folder.parent).rglob("site-packages/deqn"))
    for folder, place in (("deqn", installed), ("models", installed / "library"), ("slurm", installed / "job_scripts")):
        wanted = {path.relative_to(ROOT / folder) for end in ("py", "yaml", "sbatch", "md")
                  for path in (ROOT / folder).rglob(f"*.{end}")}  # fmt: skip
        assert wanted <= {path.relative_to(place) for path in place.rglob("*")}
