"""The Python beside a parameter file: loaded from its folder, and its mistakes told in one line."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.metadata
import re
import sys
import traceback
import types
from collections.abc import Iterator
from pathlib import Path

from deqn.project.errors import Diverged, Stopped, UserError, nearest

# The packages of modules that are not called as their package is.
_DISTRIBUTIONS = {"sklearn": "scikit-learn", "cv2": "opencv-python-headless", "ale_py": "ale-py"}

_LONG = 160  # characters, beyond which a library's text is cut after its first sentence

# What Python and TensorFlow say of the mistakes that everybody makes, and what to write instead.
_CURES = (
    (r"as a Python `bool`", "instead of `if` on a state or policy write tf.where(condition, this, that)"),
    (
        r"symbolic|object has no attribute 'numpy'",
        "NumPy cannot compute with states, policies and the network's output: write TensorFlow's function, such as "
        "tf.math.log for np.log and tf.exp for np.exp",
    ),
    (
        r"slice index -?\d+ of dimension 1 out of bounds",
        "self.outputs says how many numbers `policy` takes from the network",
    ),
    (r"definitions\(\) takes 3 positional arguments", "it takes E too: definitions(self, state, policy, E)"),
    (
        r"tuple indices must be integers or slices",
        "self.outputs gives the network's numbers names: write output.NAME",
    ),
    (
        r"integer scalar arrays can be converted|list indices must be integers",
        "of numbers by shock take self.by_shock(values, state.shock)",
    ),
    (
        r"(to be|type) (a )?(float|double|half|int)\w* tensor|but the requested type|doesn't match the dtype|"
        r"that does not match type|to EagerTensor of dtype|incompatible with the required dtype",
        "real numbers are in self.dtype: write tf.constant(values, self.dtype), and tf.cast(x, self.dtype) for whole "
        "numbers",
    ),
    (
        r"[Ii]ncompatible shapes|broadcastable shapes|[Dd]imensions must be equal|Dimensions \d+ and \d+ are not",
        "one number a state is [batch]: beside [batch, N] write x[:, None]; of numbers by shock take "
        "self.by_shock(values, state.shock)",
    ),
    (
        r"takes \d+ positional arguments? but 2 were given|missing \d+ required positional arguments?: 'q'",
        "E takes a function of next period's state and policy: E(lambda s, q: ...)",
    ),
)


def folder_of(named: type) -> Path:
    """The folder of the Python file in which a class stands; the working directory if it was typed into a notebook."""
    file = getattr(sys.modules.get(named.__module__), "__file__", None)
    return Path(file).parent if file else Path.cwd()


@contextlib.contextmanager
def mistakes_in_user_code(folder: Path, method: str, file: str = "economy.py") -> Iterator[None]:
    """Turns an exception in the files of `folder` into a UserError; what ends a training by intent keeps its words.

    method: what was called, for errors outside the folder's files, such as a missing attribute.
    """
    try:
        yield
    except (UserError, Diverged, Stopped):
        raise
    except Exception as error:
        raise UserError(f"{_place(error, folder.resolve(), method, file)}: {_words(error)}") from error


def _place(error: Exception, folder: Path, method: str, file: str) -> str:
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).resolve().is_relative_to(folder)
    ]
    path = Path(frames[-1].filename).resolve() if frames else folder / file
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{shown}, line {frames[-1].lineno}, in {method}" if frames else f"{shown}, in {method}"


def _words(error: Exception) -> str:
    """The exception's type and text without TensorFlow's own addresses, and what to do where that is known."""
    text = re.sub(r"\{\{.*?\}\} ?|\[Op:\w+\]| name: .*$", "", str(error), flags=re.MULTILINE)
    text = " ".join(text.split()).rstrip(".")
    cures = [cure for pattern, cure in _CURES if re.search(pattern, text)][:1]
    short = text if len(text) <= _LONG else text.split(". ")[0]
    return "; ".join([f"{type(error).__name__}: {short}", *cures, *getattr(error, "__notes__", [])])


def load_module(folder: Path, name: str) -> types.ModuleType:
    """The module folder/name.py, imported as part of a package made for that folder alone.

    So `from .warm_start import f` works inside the folder, equal file names in two folders don't collide, and a
    second call gives the same module. Raises UserError naming file, line and error if it is missing or fails to load.
    """
    folder = Path(folder).resolve()
    if not name.isidentifier() or not (folder / f"{name}.py").is_file():
        known = sorted(file.stem for file in folder.glob("*.py"))
        hint = nearest(name, known) or " the folder holds no Python file"
        raise UserError(f"{folder / name}.py: no such file;{hint}")
    package = f"deqn_folder_{folder.name}_{hashlib.blake2b(str(folder).encode(), digest_size=6).hexdigest()}"
    if package not in sys.modules:
        sys.modules[package] = types.ModuleType(package, f"The files of {folder}.")
        sys.modules[package].__path__ = [str(folder)]
    try:
        return importlib.import_module(f"{package}.{name}")
    except UserError:
        raise
    except Exception as error:
        if isinstance(error, SyntaxError):
            file, line, words = error.filename, error.lineno, error.msg
        else:
            frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).parent == folder]
            file, line = (frames[-1].filename, frames[-1].lineno) if frames else (str(folder / f"{name}.py"), None)
            words = str(error)
        place = f", line {line}" if line else ""
        raise UserError(f"{file}{place}: {type(error).__name__}: {words}{_extra(error)}") from error


def _extra(error: Exception) -> str:
    """The command that installs a missing package, if it belongs to one of deqn's extras."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    package = _DISTRIBUTIONS.get(error.name, error.name)
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for requirement in importlib.metadata.requires("deqn") or []:
            found = re.match(r"([\w-]+).*extra == ['\"](\w+)['\"]", requirement)
            if found and found[1] == package:
                return f"; install it with: pip install 'deqn[{found[2]}]'"
    return f"; install the package that has it: pip install {package}"
