"""`deqn new`: a small economy that trains as it stands, to be changed into one's own. No TensorFlow. Top floor."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from deqn.project.errors import UserError
from deqn.project.project import project_root
from deqn.project.writing import write_atomically

_TEMPLATES = Path(__file__).with_name("templates")


def new(folder: str | Path) -> list[Path]:
    """Makes models/NAME with economy.py and NAME.yaml; their paths.

    In them the template's name gives way to the new one: `mine` to NAME, the class `Mine` to Name. Raises UserError for
    a folder that exists or is not in models/, a name that is no Python name, and a stem that another file has.
    """
    target = _target(folder)
    name, class_name = target.name, "".join(word.capitalize() for word in target.name.split("_"))
    sources = {target / "economy.py": "economy.py", target / f"{name}.yaml": "parameters.yaml"}
    texts = {path: (_TEMPLATES / source).read_text(encoding="utf-8") for path, source in sources.items()}
    if class_name in set(re.findall(r"\w+", " ".join(texts.values()))) - {"Mine"}:
        raise UserError(f"{folder}: economy.py would have two things called {class_name}; choose another name")
    try:
        target.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"{target}: cannot be made ({error.strerror}); make models/ writable") from error
    for path, text in texts.items():
        write_atomically(path, re.sub(r"\bMine\b", class_name, re.sub(r"\bmine\b", name, text)))
    return list(texts)


def _target(folder: str | Path) -> Path:
    root = project_root()
    # From any folder of the project, as with every command: models/mine is the project's.
    target = next((at for at in (Path.cwd() / folder, root / folder) if at.parent.resolve() == root / "models"), None)
    if target is None:
        raise UserError(f"{folder}: not in {root / 'models'}; expected models/NAME, such as models/mine")
    name = target.name
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise UserError(f"{folder}: {name!r}; expected a name in small letters, digits and _, such as my_economy")
    if target.exists():
        raise UserError(f"{folder}: exists; choose another name, or change what is there")
    taken = [file for end in ("yaml", "yml") for file in sorted((root / "models").rglob(f"{name}.{end}"))]
    if taken:
        raise UserError(
            f"{folder}: {taken[0].relative_to(root)} has this name, under which runs are kept; choose another one"
        )
    return target
