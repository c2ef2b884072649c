"""The rooms of the package and who may import whom: imports go down only, read from the source with `ast`."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# What each room may import of deqn besides itself; a room that is not listed may import nothing until it is.
MAY_IMPORT = {
    "training": (),
    "mlp": ("deqn.training",),
    "rnn": ("deqn.mlp", "deqn.training"),
    "sequence": ("deqn.rnn", "deqn.mlp", "deqn.training"),
    "equilibrium": ("deqn.mlp", "deqn.rnn", "deqn.training"),
    # An environment may be made from an economy.
    "rl": ("deqn.equilibrium", "deqn.mlp", "deqn.training"),
    # It reads run folders, and must start in half a second.
    "report": ("deqn.training.errors", "deqn.training.run_folder", "deqn.training.parameters"),
    # An economist's file: what it needs is what an economy may import.
    "templates": ("deqn.equilibrium", "deqn.training"),
}
TOP_FLOOR = {
    "__init__",
    "__main__",
    "build",
    "cli",
    "compare",
    "console",
    "estimate",
    "experiment",
    "new",
    "quiet",
    "ranks",
    "results",
    "solution",
    "status",
    "study",
    "submit",
    "tensorboard",
    "train",
    "writing",
}  # may import every room
CLUSTER = ("horovod", "mpi4py")


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
        if is_in(name, CLUSTER) and path != "deqn/training/workers.py":
            yield f"{path} imports {name}: horovod and mpi4py are named only in deqn/training/workers.py"
        if room and is_in(name, ["models"]):
            yield f"{path} imports {name}: models use deqn, deqn does not know them"
        if room == "report" and is_in(name, ["tensorflow", "keras"]):
            yield f"{path} imports {name}: a report needs no TensorFlow"
        if is_in(name, ["deqn.cli"]) and room not in ("cli", "__main__"):
            yield f"{path} imports {name}: nobody imports the command line"
        elif room and room not in TOP_FLOOR and is_in(name, ["deqn"]):
            allowed = (f"deqn.{room}", *MAY_IMPORT.get(room, ()))
            if not is_in(name, allowed):
                yield f"{path} imports {name}: deqn.{room} may import {', '.join(allowed)}"


def broken_under(folder):
    files = sorted((ROOT / folder).rglob("*.py"))
    return [line for f in files for line in broken(f.read_text(), f.relative_to(ROOT).as_posix())]


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_a_room_imports_only_rooms_below_it(room):
    assert not broken_under(f"deqn/{room}")


def test_every_other_module_of_the_package_keeps_the_rules():
    assert not broken_under("deqn")


def test_models_import_neither_the_command_line_nor_the_cluster_packages():
    assert not broken_under("models")


def test_a_report_and_what_it_reads_load_without_tensorflow():
    files = [*(ROOT / "deqn/report").rglob("*.py"), *(ROOT / f"{n.replace('.', '/')}.py" for n in MAY_IMPORT["report"])]
    names = [".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for f in files if f.exists()]
    code = f"import sys, {', '.join(names)}; print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", f"{names}: {done.stdout}{done.stderr}"


def test_parameter_files_have_different_stems():
    # The stem names the run folder: two files of one stem would share it.
    files = [f for pattern in ("*.yaml", "*.yml") for f in sorted((ROOT / "models").rglob(pattern))]
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
        ("deqn/mlp/networks.py", "from deqn import rnn"),
        ("deqn/rl/dqn.py", "from deqn.sequence import hmm"),
        ("deqn/equilibrium/economy.py", "from deqn.rl import dqn"),
        ("deqn/equilibrium/economy.py", "import deqn.report.figures"),
        ("deqn/report/figures.py", "from deqn.training.trainer import Trainer"),
        ("deqn/report/figures.py", "from deqn.training import Trainer"),
        ("deqn/report/figures.py", "import tensorflow as tf"),
        ("deqn/report/figures.py", "import keras"),
        ("deqn/equilibrium/economy.py", "import models.olg.economy"),
        ("deqn/mlp/networks.py", "from deqn.cli import main"),
        ("deqn/__init__.py", "from .cli import main"),
        ("models/olg/economy.py", "import deqn.cli"),
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
        ("deqn/training/workers.py", "import horovod.tensorflow\nfrom mpi4py import MPI"),
        ("deqn/training/trainer.py", "from . import phases\nfrom .workers import Workers\nimport tensorflow"),
        ("deqn/rl/environments.py", "from deqn.equilibrium.economy import Economy"),
        ("deqn/report/figures.py", "from deqn.training import errors\nfrom deqn.training.run_folder import RunFolder"),
        ("deqn/cli.py", "from deqn import equilibrium, report"),
        ("deqn/cli/main.py", "from .check import check\nfrom deqn import equilibrium"),
        ("deqn/__main__.py", "from deqn.cli import main"),
        ("models/olg/economy.py", "from deqn.equilibrium import Economy"),
        ("deqn/mlp/networks.py", '"""See deqn.rnn and horovod."""'),
    ],
)
def test_an_import_that_goes_down_is_not(path, source):
    assert not list(broken(source, path))
