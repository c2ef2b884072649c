"""Schemas of parameter files: a mapping in, a validated object out, and every mistake told on one line.

A schema is a tree of `Section` classes whose fields are made by `setting`, with unit, admissible range and source:

    class Household(Section):
        discount_factor: float = setting(gt=0, lt=1, unit="per year", source="AGS19, table 1")

    household = validate(Household, {"discount_factor": 0.96}, "parameters")
"""

import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from deqn.project.errors import UserError, nearest, quoted

Schema = TypeVar("Schema", bound=BaseModel)


class Section(BaseModel):
    """Base of every schema: unknown keys and numbers that are not finite are refused, values don't change.

    Types are strict: what YAML reads as true is no number, and what it reads as a text is none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _tuples(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        fields = cls.model_fields
        return {
            key: _with_tuples(fields[key].annotation, value) if key in fields else value for key, value in given.items()
        }


def _with_tuples(annotation: Any, value: Any) -> Any:
    """A value with tuples where the annotation has them: YAML knows lists only, and strict types are no lists."""
    if not isinstance(value, list):
        return value
    for member in _members(annotation):
        entries = [each for each in get_args(member) if each is not Ellipsis]
        if get_origin(member) is tuple:
            inner = entries if len(entries) > 1 else entries * len(value)
            return tuple(_with_tuples(each, entry) for each, entry in zip(inner, value, strict=False)) + tuple(
                value[len(inner) :]
            )
        if get_origin(member) is list and entries:
            return [_with_tuples(entries[0], entry) for entry in value]
    return value


def setting(default: Any = ..., *, unit: str = "", source: str = "", **constraints: Any) -> Any:
    """A field of a Section; without a default the parameter file must give it.

    unit: as a reader says it, such as "per year"; appears in messages.
    source: paper and equation or table.
    constraints: pydantic's: gt, ge, lt, le, min_length, max_length, description, ...
    """
    return Field(default, json_schema_extra={"unit": unit, "source": source}, **constraints)


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
    seen = "missing" if error["type"] == "missing" else quoted(error["input"])
    return f"{front}{seen}; expected {words}" + (f" [{unit}]" if unit else "")


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
