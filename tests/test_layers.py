"""The rooms of the package and who may import whom: imports go down only, read from the source with `ast`."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from deqn.project.project import Project

ROOT = Path(__file__).resolve().parents[1]

# The rooms from the lowest floor up. A room may import what stands below it, and nothing beside or above it.
FLOORS = (
    ("project",),
    ("workers",),
    ("training", "report"),
    ("mlp",),
    ("rnn",),
    ("sequence",),
    ("graph",),
    ("equilibrium",),
    ("rl",),
    ("tasks",),
    ("slurm",),
    ("commands",),
    ("__init__", "__main__"),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
CLUSTER = ("horovod", "mpi4py")
WITHOUT_TENSORFLOW = ("project", "report", "slurm")  # they read files, and must start in half a second


def imports(source, module, is_package=False):
    """The dotted names that a module's source imports, `from a import b` as a.b, wherever in the file they stand."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            yield from (".".join([*above, *filter(None, [node.module]), alias.name]) for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            yield from (a.value for a in node.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str))


def is_in(name, packages):
    return any(name == package or name.startswith(package + ".") for package in packages)


def broken(source, path):
    """One line for each import in the file at `path` (relative to the root) that a rule forbids."""
    parts = Path(path).with_suffix("").parts
    room = parts[1] if parts[0] == "deqn" else None
    module = ".".join(parts).removesuffix(".__init__")
    for name in imports(source, module, is_package=parts[-1] == "__init__"):
        if is_in(name, CLUSTER) and room != "workers":
            yield f"{path} imports {name}: horovod and mpi4py are named only in deqn/workers"
        if room and is_in(name, ["models"]):
            yield f"{path} imports {name}: models use deqn, deqn does not know them"
        if room in WITHOUT_TENSORFLOW and is_in(name, ["tensorflow", "keras"]):
            yield f"{path} imports {name}: deqn/{room} needs no TensorFlow"
        if is_in(name, ["deqn"]):
            yield from against_the_floors(path, room, name)


def against_the_floors(path, room, name):
    """A line if the import goes up, sideways, or from a room that stands on no floor."""
    target = name.split(".")[1] if "." in name else "__init__"
    if room is None:
        if target == "commands":
            yield f"{path} imports {name}: nobody imports the command line"
    elif target != room and not FLOOR.get(room, -1) > FLOOR.get(target, FLOOR["__init__"]):
        yield f"{path} imports {name}: deqn/{target} does not stand below deqn/{room}"


def broken_under(folder):
    files = sorted((ROOT / folder).rglob("*.py"))
    return [line for f in files for line in broken(f.read_text(), f.relative_to(ROOT).as_posix())]


def test_imports_go_down_only():
    assert not broken_under("deqn")


def test_every_room_stands_on_a_floor():
    rooms = {path.stem for path in (ROOT / "deqn").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert rooms == set(FLOOR)


def test_models_import_neither_the_command_line_nor_the_cluster_packages():
    assert not broken_under("models")


def test_what_reads_files_loads_without_tensorflow():
    files = [file for room in WITHOUT_TENSORFLOW for file in (ROOT / "deqn" / room).rglob("*.py")]
    names = [".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for f in files]
    code = f"import sys, {', '.join(names)}; print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", f"{names}: {done.stdout}{done.stderr}"


def test_parameter_files_have_different_stems():
    # The stem names the run folder: two files of one stem would share it.
    files = Project(ROOT).parameter_files()
    count = Counter(f.stem for f in files)
    assert not [f.relative_to(ROOT).as_posix() for f in files if count[f.stem] > 1]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("deqn/training/trainer.py", "from deqn.mlp import networks"),
        ("deqn/training/trainer.py", "from ..mlp.networks import MLP"),
        ("deqn/training/__init__.py", "from ..mlp import networks"),
        ("deqn/training/trainer.py", "def late():\n    import deqn.equilibrium.problem"),
        ("deqn/training/trainer.py", "import deqn"),
        ("deqn/workers/ranks.py", "from deqn.training.settings import TrainingSettings"),
        ("deqn/mlp/networks.py", "from deqn import rnn"),
        ("deqn/equilibrium/economy.py", "from deqn.rl import dqn"),
        ("deqn/report/figures.py", "from deqn.training.trainer import Trainer"),
        ("deqn/report/figures.py", "import tensorflow as tf"),
        ("deqn/project/run.py", "import keras"),
        ("deqn/equilibrium/economy.py", "import models.olg.economy"),
        ("deqn/mlp/networks.py", "from deqn.commands.cli import main"),
        ("deqn/tasks/train.py", "from deqn.slurm import submit"),
        ("models/olg/economy.py", "import deqn.commands.cli"),
        ("models/olg/economy.py", "from mpi4py import MPI"),
        ("deqn/training/trainer.py", "import horovod.tensorflow as hvd"),
        ("deqn/training/trainer.py", "import importlib\nimportlib.import_module('horovod.tensorflow')"),
        ("deqn/newroom/file.py", "import deqn.training"),
    ],
)
def test_an_import_that_goes_up_is_caught(path, source):
    (line,) = broken(source, path)
    assert line.startswith(f"{path} imports ")


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("deqn/workers/horovod.py", "import horovod.tensorflow\nfrom mpi4py import MPI"),
        ("deqn/training/trainer.py", "from . import phases\nfrom deqn.workers import collective\nimport tensorflow"),
        ("deqn/rl/environments.py", "from deqn.equilibrium.economy import Economy"),
        ("deqn/report/figures.py", "from deqn.project import errors\nfrom deqn.project.run import RunFolder"),
        ("deqn/commands/cli.py", "from deqn import equilibrium, report"),
        ("deqn/__main__.py", "from deqn.commands.cli import main"),
        ("models/olg/economy.py", "from deqn.equilibrium import Economy"),
        ("deqn/mlp/networks.py", '"""See deqn.rnn and horovod."""'),
    ],
)
def test_an_import_that_goes_down_is_not(path, source):
    assert not list(broken(source, path))
