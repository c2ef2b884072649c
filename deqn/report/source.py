"""What a run's Python says of its economy, without running it: the docstring, and units and sources of parameters."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Parameter(NamedTuple):
    """unit and source: of `setting(...)` in the schema; empty where it says none."""

    unit: str
    source: str


def docstring(folder: Path, named: str, default: str) -> str:
    """The docstring of the file that defines the economy or problem `named`, FILE.CLASS or CLASS in the default file.

    Empty where there is none, or the file cannot be read.
    """
    path = folder / f"{named.rpartition('.')[0] or default}.py"
    tree = _tree(path)
    return (ast.get_docstring(tree) or "") if tree else ""


def parameters(folder: Path, names: Mapping[str, Any], used: Mapping[str, Any]) -> dict[str, Parameter]:
    """Units and sources of parameters, from the class of the folder's schemas that has most of these names.

    used: file names that the economy is written in; others of the folder are passed over.
    """
    trees = {path.stem: tree for name in used if (tree := _tree(path := folder / name)) is not None}
    constants = {name: text for tree in trees.values() for name, text in _constants(tree)}
    classes = {node.name: node for tree in trees.values() for node in tree.body if isinstance(node, ast.ClassDef)}
    schemas = {name: _fields(node, classes, constants) for name, node in classes.items()}
    best = max(schemas.values(), key=lambda found: 2 * len(set(found) & set(names)) - len(found), default={})
    return {name: found for name, found in best.items() if name in names}


def _tree(path: Path) -> ast.Module | None:
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return None


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Module-level names of texts."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield from ((target.id, node.value.value) for target in node.targets if isinstance(target, ast.Name))


def _fields(
    node: ast.ClassDef, classes: Mapping[str, ast.ClassDef], constants: Mapping[str, str]
) -> dict[str, Parameter]:
    """The fields of a class, those that it inherits first."""
    found: dict[str, Parameter] = {}
    for base in node.bases:
        name = ast.unparse(base).rpartition(".")[2]
        if name in classes and classes[name] is not node:
            found |= _fields(classes[name], classes, constants)
    for line in node.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and _is_setting(line.value):
            assert isinstance(line.value, ast.Call)
            words = {word.arg: _text(word.value, constants) for word in line.value.keywords}
            found[line.target.id] = Parameter(words.get("unit", ""), words.get("source", ""))
    return found


def _is_setting(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] == "setting"


def _text(value: ast.expr, constants: Mapping[str, str]) -> str:
    """A text that is written out, named, or put together of such; empty for anything else."""
    match value:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name):
            return constants.get(name, "")
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left, constants) + _text(right, constants)
        case ast.JoinedStr(values=parts):
            return "".join(_text(part, constants) for part in parts)
        case ast.FormattedValue(value=inner):
            return _text(inner, constants)
    return ""
