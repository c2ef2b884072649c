"""The YAML of parameter files: read with overrides, written with defaults, and compared."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import yaml

from deqn.project.errors import UserError, closest, nearest, quoted

_LARGEST = 2**20  # bytes of a parameter file
_DEEPEST, _MOST = 50, 100_000  # levels of nesting, and values when every alias is written out

# YAML 1.1 reads 06 as an octal number, 1:30 as ninety, yes as true, and 1e-3 as a text: YAML 1.2 does not.
_NUMBERS = {
    "tag:yaml.org,2002:bool": (re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    "tag:yaml.org,2002:int": (re.compile(r"[-+]?(?:0|[1-9][0-9_]*)$"), "-+0123456789"),
    "tag:yaml.org,2002:float": (
        re.compile(
            r"(?:[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
        "-+.0123456789",
    ),
}


class _Loader(yaml.SafeLoader):
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Refuses a key given twice, of which PyYAML would silently take the second."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key '{key.value}' given twice", key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        return node

    def construct_yaml_float(self, node: Any) -> float | int:
        """1e4 is the whole number 10000, which is as good where a real number is asked for."""
        value = super().construct_yaml_float(node)
        return int(value) if "e" in node.value.lower() and abs(value) < 1e15 and value == int(value) else value


_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_yaml_float)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


for _class in (_Loader, _Dumper):  # the dumper too: a text that looks like a number has to be quoted
    _class.yaml_implicit_resolvers = {
        letter: [(tag, pattern) for tag, pattern in rules if tag not in _NUMBERS]
        for letter, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    for _tag, (_pattern, _first) in _NUMBERS.items():
        _class.add_implicit_resolver(_tag, _pattern, list(_first))


def to_yaml(mapping: Mapping[str, Any]) -> str:
    """YAML text in the order given, innermost lists on one line; `read` gives the same mapping (tuples as lists)."""
    layout: dict[str, Any] = {"sort_keys": False, "allow_unicode": True, "width": 110, "default_flow_style": None}
    return yaml.dump(dict(mapping), Dumper=_Dumper, **layout)


def _parsed(text: str, origin: str) -> Any:
    try:
        _check_size(text, origin)
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{origin}{place}: not valid YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: such as a date in the 13th month
        raise UserError(f"{origin}: not valid YAML: {error}") from error


def _check_size(text: str, origin: str) -> None:
    """Refuses what would fill the stack or the memory, by the events of the parser, before anything is built."""
    values = [0]  # of the collections that are open, each with what its aliases stand for
    names: dict[str, int] = {}
    anchors: list[str | None] = []
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            values.append(1)
            anchors.append(event.anchor)
        elif isinstance(event, yaml.CollectionEndEvent):
            size, anchor = values.pop(), anchors.pop()
            values[-1] += size
            if anchor:
                names[anchor] = size
        elif isinstance(event, yaml.NodeEvent):
            values[-1] += names.get(event.anchor or "", 1) if isinstance(event, yaml.AliasEvent) else 1
        if len(values) > _DEEPEST or sum(values) > _MOST:
            raise UserError(
                f"{origin}: more than {_DEEPEST} levels or {_MOST:,} values; expected the settings of a training"
            )


def _text(path: Path) -> str:
    """The text of a parameter file, of which no more is read than such a file has."""
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "no plain file"
        raise UserError(f"{path}: is {kind}; expected a parameter file such as models/olg/benchmark60.yaml")
    if path.stat().st_size > _LARGEST:
        raise UserError(f"{path}: {path.stat().st_size:,} bytes; expected a parameter file, {_LARGEST:,} bytes at most")
    return path.read_text(encoding="utf-8")


def read_yaml(path: str | Path, overrides: Sequence[str] = (), known: Iterable[Path] = ()) -> dict[str, Any]:
    """The mapping in a parameter file, with overrides applied in their order; the schema is not looked at.

    overrides: "a.b.0.c=VALUE", VALUE read as YAML, list entries by their index from 0, missing keys created.
    known: files of which the nearest is proposed if this one is missing.
    Raises UserError for a file that is missing, unreadable, not YAML or not a mapping, and for a bad override.
    """
    path = Path(path)
    try:
        text = _text(path)
    except FileNotFoundError as error:
        files = {file.stem: file for file in sorted(known)}
        match = closest(path.stem, files)
        hint = f"did you mean '{_shown(files[match])}'?" if match else "expected a parameter file;" + nearest("", files)
        raise UserError(f"{path}: no such file; {hint}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a parameter file: {error}") from error
    mapping = _parsed(text, str(path))
    if not isinstance(mapping, dict):
        seen = "nothing" if mapping is None else f"a {type(mapping).__name__}"
        raise UserError(f"{path}: holds {seen}, expected a mapping such as 'parameters: ...'")
    for override in overrides:
        key, equals, value = override.partition("=")
        keys = key.strip().split(".")
        if not equals or not all(keys):
            raise UserError(f"--set {override}: expected KEY=VALUE such as parameters.borrowing_limit=-0.5")
        mapping = _replaced(mapping, keys, _parsed(value, f"--set {override}"), f"--set {override}")
    return mapping


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _replaced(node: Any, keys: list[str], value: Any, origin: str) -> Any:
    """A copy of node with one value replaced; copied, because an alias in the file shares lists between keys."""
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    if node is None:
        node = {}
    if isinstance(node, dict):
        return {**node, key: _replaced(node.get(key), rest, value, origin)}
    if not isinstance(node, list):
        raise UserError(f"{origin}: '{key}' looks for an entry inside {quoted(node)}, which has none")
    if not (key.isascii() and key.isdecimal()) or int(key) >= len(node):
        admissible = f"an index from 0 to {len(node) - 1}" if node else "no index, the list is empty"
        raise UserError(f"{origin}: '{key}' is no entry of a list of {len(node)}, expected {admissible}")
    index = int(key)
    return [*node[:index], _replaced(node[index], rest, value, origin), *node[index + 1 :]]


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """What differs: (dotted key, old value, new value), in the order of old and then of new.

    Lists are compared entry by entry. Absent reads as None, and as equal to None.
    """
    return list(_differences("", old, new))


def _differences(where: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    dot = where + "." if where else ""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            yield from _differences(f"{dot}{key}", old.get(key), new.get(key))
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple):
        for index, (a, b) in enumerate(zip_longest(old, new)):
            yield from _differences(f"{dot}{index}", a, b)
    elif old != new and not all(isinstance(each, float) and math.isnan(each) for each in (old, new)):
        yield where, old, new
