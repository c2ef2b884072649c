"""One real SLURM for the slow tests; for the others a project on a machine without one."""

import os
import shutil

import pytest
from one_machine import one_machine
from projects import exit_status, make_project
from standins import ROOT, SBATCH, program


@pytest.fixture(scope="session")
def slurm():
    """Two nodes on this machine, until the last test."""
    with one_machine() as folder:
        yield folder


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder, the current one, without any SLURM on the path."""
    for name in ("models", "slurm"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    make_project(tmp_path)
    (tmp_path / "bin").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in [name for name in os.environ if name.startswith(("SLURM_", "SBATCH_", "DEQN_"))]:
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def typed(project, capfd):
    """Types a command; (exit status, stdout, stderr)."""

    def run(*words):
        return exit_status(*words), *capfd.readouterr()

    return run


@pytest.fixture
def sbatch(project):
    """An sbatch on the path."""
    return program(project, "sbatch", SBATCH)
