"""Parameter files: YAML in, a validated schema out, and every mistake told on one line.

A schema is a tree of `Section` classes whose fields are made by `setting`, with unit, admissible range and source:

    class Household(Section):
        discount_factor: float = setting(gt=0, lt=1, unit="per year", source="AGS19, table 1")

    mapping = read("models/olg/benchmark60.yaml", ["parameters.discount_factor=0.96"])
    household = validate(Household, mapping["parameters"], "parameters")
"""

import hashlib
import importlib
import math
import re
import sys
import traceback
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

import yaml
from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from deqn.training.errors import UserError, closest, nearest
from deqn.training.run_folder import project_root

Schema = TypeVar("Schema", bound=BaseModel)


class Section(BaseModel):
    """Base of every schema: unknown keys and numbers that are not finite are refused, values don't change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def setting(default: Any = ..., *, unit: str = "", source: str = "", **constraints: Any) -> Any:
    """A field of a Section; without a default the parameter file must give it.

    unit: as a reader says it, such as "per year"; appears in messages.
    source: paper and equation or table.
    constraints: pydantic's: gt, ge, lt, le, min_length, max_length, description, ...
    """
    return Field(default, json_schema_extra={"unit": unit, "source": source}, **constraints)


# ---- reading and writing YAML

# YAML 1.1 wants a point and a signed exponent in a float and would read a learning rate of 1e-3 as a text.
_EXPONENT = re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)[eE][-+]?[0-9]+$")


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


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


for _class in (_Loader, _Dumper):  # the dumper too: a text that looks like a number has to be quoted
    _class.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+.0123456789"))


def to_yaml(mapping: Mapping[str, Any]) -> str:
    """YAML text in the order given, innermost lists on one line; `read` gives the same mapping (tuples as lists)."""
    layout: dict[str, Any] = {"sort_keys": False, "allow_unicode": True, "width": 110, "default_flow_style": None}
    return yaml.dump(dict(mapping), Dumper=_Dumper, **layout)


def _parsed(text: str, origin: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{origin}{place}: not valid YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: such as a date in the 13th month
        raise UserError(f"{origin}: not valid YAML: {error}") from error


def read(path: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The mapping in a parameter file, with overrides applied in their order; the schema is not looked at.

    overrides: "a.b.0.c=VALUE", VALUE read as YAML, list entries by their index from 0, missing keys created.
    Raises UserError for a file that is missing, unreadable, not YAML or not a mapping, and for a bad override.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        files = {file.stem: file for file in sorted((project_root() / "models").rglob("*.yaml"))}
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
        raise UserError(f"{origin}: '{key}' looks for an entry inside {_quoted(node)}, which has none")
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


# ---- validating


def validate(schema: type[Schema], mapping: Any, where: str = "") -> Schema:
    """`mapping` as an instance of `schema`.

    where: dotted key of the mapping in its file, put in front of the keys in messages.
    Raises UserError: key, value seen, what is expected with its unit; the first mistake, and how many keys have more.
    A ValueError raised by the schema's validators keeps its words.
    """
    try:
        return schema.model_validate(mapping)
    except ValidationError as failure:
        mistakes = _meant([_place(schema, mapping, each) for each in failure.errors(include_url=False)])
        more = len({mistake.keys for mistake in mistakes}) - 1
        raise UserError(_message(mistakes[0], where) + (f" (and {more} more)" if more else "")) from failure


class _Mistake(NamedTuple):
    """One of pydantic's errors and its place in the user's terms."""

    error: Any
    keys: tuple[str, ...]
    expected: Any  # annotation of the place
    constraints: tuple[Any, ...]
    unit: str
    known: list[str]  # names of the section around it
    branch: tuple[int, Any] | None  # depth and label of the first union member tried on the way


def _place(schema: Any, mapping: Any, error: Any) -> _Mistake:
    """Follows pydantic's location, in which labels of union members stand between the keys of the input."""
    keys: list[str] = []
    expected, constraints, unit, known = schema, (), "", []
    seen, member, branch = mapping, schema, None
    for position, step in enumerate(error["loc"], 1):
        if error["type"] == "missing" and position == len(error["loc"]):
            seen = None
        elif (isinstance(seen, Mapping) and step in seen) or (
            isinstance(seen, list | tuple) and isinstance(step, int) and step < len(seen)
        ):
            seen = seen[step]
        else:
            member, branch = _union_member(member, step), branch or (len(keys), step)
            continue
        keys.append(str(step))
        known = _field_names(member)
        expected, constraints, unit = _inside(member, step, unit)
        member = expected
    return _Mistake(error, tuple(keys), expected, constraints, unit, known, branch)


def _meant(mistakes: list[_Mistake]) -> list[_Mistake]:
    """The mistakes to report, the one to name first in front."""
    # A union reports how every member failed: the member meant is the one that got furthest.
    unions: dict[tuple[str, ...], _Mistake] = {}
    for each in mistakes:
        if each.branch:
            rival = unions.setdefault(each.keys[: each.branch[0]], each)
            if _reach(each) > _reach(rival):
                unions[each.keys[: each.branch[0]]] = each
    meant = [each for each in mistakes if not each.branch or unions[each.keys[: each.branch[0]]].branch == each.branch]
    # A list with a bad entry is also too short; only the entry is of interest.
    inner = {each.keys[:depth] for each in meant for depth in range(1, len(each.keys))}
    meant = [each for each in meant if each.keys not in inner]
    # A misspelt key is also a missing one: the misspelling is what the user wants to hear of first.
    return sorted(meant, key=lambda each: each.error["type"] != "extra_forbidden")


def _reach(mistake: _Mistake) -> tuple[int, bool]:
    return len(mistake.keys), mistake.error["type"] == "value_error"


def _message(mistake: _Mistake, where: str) -> str:
    error, keys, expected, constraints, unit, known, _ = mistake
    dotted = ".".join(part for part in (where, *keys) if part)
    front = f"{dotted}: " if dotted else ""
    if error["type"] == "extra_forbidden":
        return f"{front}unknown;{nearest(str(error['loc'][-1]), known)}"
    if error["type"] in ("value_error", "assertion_error"):
        words = str(error["ctx"]["error"])
        # A section's validator names the field it speaks of ("labour: got 3 ..."): a part of the dotted key.
        names_a_field = dotted and words.split(":")[0] in _field_names(expected)
        return f"{dotted}.{words}" if names_a_field else f"{front}{words}"
    if error["type"].startswith("union_tag_"):
        tag = error["ctx"]["discriminator"].strip("'")
        seen = repr(error["ctx"]["tag"]) if "tag" in error["ctx"] else "missing"
        known_tags = [_words(member.model_fields[tag].annotation) for member in _members(expected)]
        return f"{'.'.join([*filter(None, [dotted]), tag])}: {seen}; expected {' or '.join(known_tags)}"
    if error["type"] == "invalid_key":
        return f"{front}the key is no text; write it in quotes"
    words = _words(expected, constraints)
    if not words:  # pydantic's own, for annotations and rules without words here
        words = error["msg"].removeprefix("Input should be ")
    seen = "missing" if error["type"] == "missing" else _quoted(error["input"])
    return f"{front}{seen}; expected {words}" + (f" [{unit}]" if unit else "")


def _quoted(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 70 else text[:67] + "..."


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _members(annotation: Any) -> list[Any]:
    """The alternatives of an annotation, `Annotated` taken off; itself if it is no union."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [inner for member in get_args(annotation) for inner in _members(member)]
    return [annotation]


def _field_names(annotation: Any) -> list[str]:
    return [name for member in _members(annotation) if _is_model(member) for name in member.model_fields]


def _union_member(annotation: Any, label: Any) -> Any:
    """The member a label names, by its class or by its discriminator's value (kind: mlp); else all of them."""
    for member in _members(annotation):
        if _is_model(member) and (
            member.__name__ == label or any(label in get_args(f.annotation) for f in member.model_fields.values())
        ):
            return member
    return annotation


def _inside(annotation: Any, step: Any, unit: str) -> tuple[Any, tuple[Any, ...], str]:
    """Annotation, constraints and unit of the entry `step`; entries of a list have the unit of the list."""
    for member in _members(annotation):
        if _is_model(member) and step in member.model_fields:
            field = member.model_fields[step]
            extra = field.json_schema_extra
            unit = str(extra.get("unit", "")) if isinstance(extra, dict) else ""
            return field.annotation, tuple(field.metadata), unit
        arguments = get_args(member)
        if get_origin(member) is tuple and isinstance(step, int) and Ellipsis not in arguments:
            return arguments[step] if step < len(arguments) else Any, (), unit
        if isinstance(step, int) and get_origin(member) in (list, tuple, Sequence) and arguments:
            return arguments[0], (), unit
        if isinstance(step, str) and get_origin(member) in (dict, Mapping) and arguments:
            return arguments[1], (), unit
    return Any, (), unit


_NOUNS: dict[Any, tuple[str, str]] = {
    float: ("a number", "numbers"),
    int: ("a whole number", "whole numbers"),
    bool: ("true or false", "true or false"),
    str: ("a text", "texts"),
    dict: ("a mapping", "mappings"),
    list: ("a list", "lists"),
    type(None): ("null", "null"),
}
_BOUNDS = {Gt: ("gt", "above"), Ge: ("ge", "at least"), Lt: ("lt", "below"), Le: ("le", "at most")}


def _words(annotation: Any, constraints: Iterable[Any] = (), plural: bool = False) -> str:
    """An annotation in plain words, such as "a number above 0 and below 1"; empty if there are none for it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = [c for each in arguments[1:] for c in (each.metadata if isinstance(each, FieldInfo) else [each])]
        return _words(arguments[0], [*constraints, *inner], plural)
    if origin in (Union, types.UnionType):
        alternatives = [_words(each, constraints, plural) for each in arguments]
        return " or ".join(dict.fromkeys(alternatives)) if all(alternatives) else ""
    if origin is Literal:
        return ("one of " if len(arguments) > 1 else "") + ", ".join(map(repr, arguments))
    if origin in (list, tuple, Sequence) and arguments:
        count = f"{len(arguments)} " if origin is tuple and Ellipsis not in arguments else ""
        entries = _words(arguments[0], (), plural=True) or "entries"
        noun = f"{'lists' if plural else 'a list'} of {count}{entries}"
    else:
        kind = dict if origin in (dict, Mapping) or _is_model(annotation) else annotation
        noun = _NOUNS[kind][plural] if isinstance(kind, type) and kind in _NOUNS else ""
    bounds = " and ".join(_bounds(list(constraints)))
    return f"{noun} {bounds}".strip() if noun else ""


def _bounds(constraints: list[Any]) -> Iterator[str]:
    for each in constraints:
        if type(each) in _BOUNDS:
            attribute, word = _BOUNDS[type(each)]
            yield f"{word} {getattr(each, attribute)}"
    shortest = next((each.min_length for each in constraints if isinstance(each, MinLen)), None)
    longest = next((each.max_length for each in constraints if isinstance(each, MaxLen)), None)
    if shortest is not None and shortest == longest:
        yield f"of length {shortest}"
    elif shortest is not None or longest is not None:
        least = [] if shortest is None else [f"at least {shortest}"]
        yield "of length " + " and ".join(least + ([] if longest is None else [f"at most {longest}"]))


# ---- the Python beside a parameter file


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
        raise UserError(f"{file}{place}: {type(error).__name__}: {words}") from error
