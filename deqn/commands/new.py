"""`deqn new`: a small economy that trains as it stands, or one of the library, to be changed into one's own."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from deqn.project import library
from deqn.project.errors import CannotWrite, UserError, nearest
from deqn.project.project import Project

_TEMPLATE = Path(__file__).with_name("template")


def make_economy(folder: str | Path, here: Path, like: str | None = None) -> tuple[Project, list[Path]]:
    """Makes models/NAME; the project, and the files that were made in it.

    here: the working directory, which becomes a project if it lies in none. like: the folder of the library that is
    copied; by default the template, stochastic growth. Raises UserError for a folder that exists or is not in models/,
    a name that is no Python name, a name that the files of another folder have, and an unknown `like`.
    """
    try:
        project, is_new = Project.around(here), False
    except UserError:
        project, is_new = Project(here), True
    target = _target(folder, here, project)
    texts = _of_library(target, like) if like is not None else _of_template(target)
    taken = {path.stem: path for path in project.parameter_files()}
    for path in texts:
        if path.suffix == ".yaml" and path.stem in taken:
            raise UserError(
                f"{folder}: {taken[path.stem].relative_to(project.root)} has this name, under which runs are kept; "
                "choose another one"
            )
    if is_new:
        texts |= _of_project(project)
    try:
        Project.make(project.root)
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
    except OSError as error:
        raise CannotWrite(f"{target}: cannot be made ({error.strerror}); make its folder writable") from error
    return project, list(texts)


def _target(folder: str | Path, here: Path, project: Project) -> Path:
    models = project.models
    # From any folder of the project, as with every command: models/mine is the project's.
    target = next((at for at in (here / folder, project.root / folder) if at.parent.resolve() == models), None)
    if target is None:
        raise UserError(f"{folder}: not in {models}; expected models/NAME, such as models/mine")
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,59}", target.name) or keyword.iskeyword(target.name):
        raise UserError(
            f"{folder}: {target.name!r}; expected at most 60 small letters, digits and _, such as my_economy"
        )
    if target.exists():
        raise UserError(f"{folder}: exists; choose another name, or change what is there")
    return target


def _of_template(target: Path) -> dict[Path, bytes]:
    """The template's files, in which `mine` gives way to the new name and the class `Mine` to its capitalised form."""
    name, class_name = target.name, "".join(word.capitalize() for word in target.name.split("_"))
    sources = {target / "economy.py": "economy.py", target / f"{name}.yaml": "parameters.yaml"}
    texts = {path: (_TEMPLATE / source).read_text(encoding="utf-8") for path, source in sources.items()}
    if class_name in set(re.findall(r"\w+", " ".join(texts.values()))) - {"Mine"}:
        raise UserError(f"{target.name}: economy.py would have two things called {class_name}; choose another name")
    return {
        path: re.sub(r"\bMine\b", class_name, re.sub(r"\bmine\b", name, text)).encode() for path, text in texts.items()
    }


def _of_library(target: Path, like: str) -> dict[Path, bytes]:
    """The files of a folder of the library; a parameter file STEM.yaml becomes NAME_STEM.yaml."""
    known = {path.parent.name: path.parent for path in sorted(library.models().glob("*/*.yaml"))}
    if like not in known:
        raise UserError(f"--like {like}: not in the library;{nearest(like, known)}")
    texts = {}
    for source in sorted(known[like].iterdir()):
        if source.suffix not in (".py", ".yaml", ".md"):
            continue
        text = source.read_text(encoding="utf-8")
        # A command that is quoted in a comment is to work as it stands.
        text = re.sub(rf"\bmodels/{like}/(\w+)\.yaml", rf"models/{target.name}/{target.name}_\1.yaml", text)
        text = text.replace(f"models/{like}", f"models/{target.name}")
        name = f"{target.name}_{source.name}" if source.suffix == ".yaml" else source.name
        texts[target / name] = text.encode()
    return texts


def _of_project(project: Project) -> dict[Path, bytes]:
    """What a new project is given besides: the guide, and the job scripts, where there are none yet."""
    scripts = library.job_scripts()
    sources = {project.models / "README.md": library.models() / "README.md"}
    sources |= {
        project.root / "slurm" / path.relative_to(scripts): path
        for path in sorted(scripts.rglob("*"))
        if path.suffix in (".sbatch", ".sh", ".md", ".def")
    }
    return {path: source.read_bytes() for path, source in sources.items() if not path.exists()}
