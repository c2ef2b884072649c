"""What `make` and .ci/run promise besides the tests themselves."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

SKIPPING = {
    "a test": "import pytest\n\n\ndef test_it():\n    pytest.skip('no cluster here')\n",
    "a file": "import pytest\n\npytest.importorskip('no_such_package')\n\n\ndef test_it():\n    pass\n",
}


@pytest.mark.parametrize("skipping", SKIPPING)
@pytest.mark.parametrize(("ci", "status"), [("true", "fails"), ("", "passes")])
def test_a_skipped_test_fails_where_all_must_run_and_nowhere_else(tmp_path, skipping, ci, status):
    shutil.copy(ROOT / "tests/conftest.py", tmp_path)
    (tmp_path / "test_skipping.py").write_text(SKIPPING[skipping])
    (tmp_path / "test_passing.py").write_text("def test_it():\n    pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    environment = os.environ | {"CI": ci}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode == 0) == (status == "passes"), done.stdout


def a_python(folder, version):
    """A program that answers as a Python of that version would, as far as `make install` asks."""
    program = folder / f"python{version}"
    major, minor = version.split(".")
    program.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "if sys.argv[1] == '-V':\n"
        f"    print('Python {version}.0')\n"
        "elif sys.argv[1] == '-c':\n"
        f"    sys.version_info = ({major}, {minor}, 0)\n"
        "    exec(sys.argv[2])\n"
        "else:\n    raise SystemExit('make went on')\n"
    )
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(("version", "admitted"), [("3.10", False), ("3.11", True), ("3.12", True), ("3.13", False)])
def test_make_refuses_a_python_for_which_there_is_no_tensorflow(tmp_path, version, admitted):
    for name in ("Makefile", "setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    command = ["make", "install", f"PYTHON={a_python(tmp_path, version)}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ("make went on" in done.stderr) == admitted
    refused = [line for line in done.stderr.splitlines() if "need Python 3.11 or 3.12" in line]
    assert bool(refused) != admitted
    assert not (tmp_path / ".venv").exists()


MPI = ["openmpi-bin", "libopenmpi-dev"]
CLUSTER = ["build-essential", "cmake", *MPI, "munge", "slurm-wlm", "chromium", "texlive-latex-recommended"]
SLURM = ["munged", "slurmctld", "slurmd", "sbatch"]
PROGRAMS = ["make", "g++", "cmake", "mpirun", "mpicxx", *SLURM, "chromium", "pdflatex", "kpsewhich"]


@pytest.mark.parametrize(
    ("programs", "python", "installed"),
    [
        ([], "", ["python3.11", "python3.11-venv", "python3.11-dev", *CLUSTER]),
        (PROGRAMS, sys.executable, []),
        ([each for each in PROGRAMS if each != "slurmd"], sys.executable, ["slurm-wlm"]),
    ],
    ids=["a bare machine", "a machine with all", "a machine without slurmd"],
)
def test_ci_installs_what_a_machine_lacks_and_then_runs_everything(tmp_path, programs, python, installed):
    (tmp_path / "bin").mkdir()
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci")
    for name in ("bash", "dirname", "env"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    calls = tmp_path / "calls"
    for name in {*programs, "apt-get", "make"}:
        program = tmp_path / "bin" / name
        program.write_text(f'#!{shutil.which("bash")}\necho "{name} $*" >> "{calls}"\n')
        program.chmod(0o755)
    (tmp_path / "bin/id").write_text(f"#!{shutil.which('bash')}\necho 0\n")
    (tmp_path / "bin/id").chmod(0o755)
    environment = {"PATH": str(tmp_path / "bin"), "PYTHON": python}
    subprocess.run([tmp_path / ".ci/run"], env=environment, check=True)
    lines = [line for line in calls.read_text().splitlines() if line != "kpsewhich booktabs.sty"]  # which asks only
    assert lines[-4:] == ["make cluster", "make test", "make test-slow", "make test-ranks"]
    assert lines[:-4] == (["apt-get update -qq", f"apt-get install -y -qq {' '.join(installed)}"] if installed else [])
