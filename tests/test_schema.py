"""Parameter files: what is read, what is refused, and in which words."""

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, field_validator, model_validator

from deqn.project.errors import UserError, nearest
from deqn.project.parameter_yaml import differences, read_yaml, to_yaml
from deqn.project.schema import Section, setting, validate
from deqn.project.user_code import load_module


class Shallow(Section):
    kind: Literal["shallow"]
    width: int = setting(8, ge=1, unit="neurons")


class Deep(Section):
    kind: Literal["deep"]
    hidden: list[int] = setting(min_length=1)


class Rate(Section):
    start: float = setting(gt=0)


class Calibration(Section):
    discount_factor: float = setting(gt=0, lt=1, unit="per year", source="AGS19, table 1")
    transition: list[list[float]] = setting([[1.0]])
    tfp: tuple[Annotated[float, Field(gt=0)], ...] = setting((1.0,), unit="by shock")
    network: Annotated[Shallow | Deep, Field(discriminator="kind")] = setting(Shallow(kind="shallow"))
    rate: Rate | dict[str, Rate] = setting(Rate(start=1.0))

    @field_validator("transition")
    @classmethod
    def _rows_sum_to_one(cls, rows: list[list[float]]) -> list[list[float]]:
        for number, row in enumerate(rows, 1):
            if abs(sum(row) - 1) > 1e-9:
                raise ValueError(f"row {number} sums to {sum(row):g}, expected 1")
        return rows

    @model_validator(mode="after")
    def _lengths_agree(self) -> "Calibration":
        if len(self.tfp) != len(self.transition):
            raise ValueError(f"tfp: got {len(self.tfp)} values, expected {len(self.transition)}")
        return self


class File(Section):
    parameters: Calibration


def refusal(call: Any, *arguments: Any) -> str:
    with pytest.raises(UserError) as refused:
        call(*arguments)
    message = str(refused.value)
    assert "\n" not in message
    return message


def refused_calibration(**parameters: Any) -> str:
    return refusal(validate, File, {"parameters": {"discount_factor": 0.95} | parameters})


def written(folder: Path, text: str) -> Path:
    path = folder / "file.yaml"
    path.write_text(text)
    return path


# ---- reading


def test_a_number_with_an_exponent_is_a_float_with_or_without_a_point(tmp_path):
    path = written(tmp_path, "a: [1e-3, -2E+4, 1.e5, .5e1, 3e0, 1_0e2]\nb: '1e-3'\nc: 12\nd: e3\n")
    assert read_yaml(path) == {"a": [1e-3, -2e4, 1e5, 5.0, 3.0, 1000.0], "b": "1e-3", "c": 12, "d": "e3"}


def test_an_override_replaces_a_value_in_a_list_of_mappings(tmp_path):
    path = written(tmp_path, "phases: [{updates: 1}, {updates: 2}]\nseed: 0")
    changed = read_yaml(path, ["phases.1.updates=5", "seed=1e-3", "name=[a, {b: 1}]"])
    assert changed == {"phases": [{"updates": 1}, {"updates": 5}], "seed": 1e-3, "name": ["a", {"b": 1}]}


def test_an_override_creates_the_sections_it_needs(tmp_path):
    assert read_yaml(written(tmp_path, "a:\n"), ["a.b.c=1", "x.y=a=b"]) == {"a": {"b": {"c": 1}}, "x": {"y": "a=b"}}


def test_an_override_changes_one_of_two_keys_that_share_an_alias(tmp_path):
    path = written(tmp_path, "a: &shared [1, 2]\nb: *shared\n")
    assert read_yaml(path, ["b.0=7"]) == {"a": [1, 2], "b": [7, 2]}


@pytest.mark.parametrize("override", ["a", "=1", "a..b=1", "a.=1", "", "a=[1", "a=b: c: d"])
def test_a_malformed_override_is_refused(tmp_path, override):
    assert refusal(read_yaml, written(tmp_path, "a: 1"), [override]).startswith(f"--set {override}")


@pytest.mark.parametrize("index", ["2", "-1", "x", "²"])
def test_an_override_beyond_a_list_names_the_admissible_indices(tmp_path, index):
    message = refusal(read_yaml, written(tmp_path, "tfp: [1, 2]"), [f"tfp.{index}=3"])
    assert message == f"--set tfp.{index}=3: '{index}' is no entry of a list of 2, expected an index from 0 to 1"


def test_an_override_inside_a_number_is_refused(tmp_path):
    assert "inside 0.5" in refusal(read_yaml, written(tmp_path, "a: {b: 0.5}"), ["a.b.c=1"])


@pytest.mark.parametrize("text", ["a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", "a: 1\nb: 2\n  c: 3\n"])
def test_broken_yaml_and_a_key_given_twice_are_refused_with_line_and_column(tmp_path, text):
    place = ", line 5, column 3: " if "d" in text else ", line 3, column 4: "
    assert f"file.yaml{place}" in refusal(read_yaml, written(tmp_path, text))


@pytest.mark.parametrize("text", ["", "- 1\n- 2\n", "just words", "a: \x00", "a: 2026-13-45", "{a: 1}: 2", "a: *b"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text):
    assert "file.yaml" in refusal(read_yaml, written(tmp_path, text))


def test_a_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "file.yaml").write_bytes(b"a: \xff\xfe")
    assert "cannot be read" in refusal(read_yaml, tmp_path / "file.yaml")
    assert "is a folder; expected a parameter file" in refusal(read_yaml, tmp_path)


def test_what_is_no_plain_file_is_refused_and_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    for path in (tmp_path / "pipe.yaml", "/dev/zero"):
        assert "is no plain file; expected a parameter file" in refusal(read_yaml, path)


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 100_000,
        "a: " + "{b: " * 60 + "1" + "}" * 60,
        "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
        + "".join(
            f"{new}: &{new} [{', '.join(['*' + old] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
        ),
    ],
    ids=["deep list", "deep mapping", "aliases of aliases"],
)
def test_a_file_that_would_fill_the_memory_is_refused_before_it_is_built(tmp_path, text):
    (tmp_path / "file.yaml").write_text(text)
    assert "more than 50 levels or 100,000 values" in refusal(read_yaml, tmp_path / "file.yaml")


def test_a_huge_file_is_refused_unread(tmp_path):
    with (tmp_path / "file.yaml").open("wb") as file:
        file.truncate(2**33)
    assert "expected a parameter file, 1,048,576 bytes at most" in refusal(read_yaml, tmp_path / "file.yaml")


@pytest.mark.parametrize("text", ["yes", "on", "06", "1:30", "true", "'3'", "0x10"])
def test_what_only_looks_like_a_number_is_refused_where_a_number_is_expected(tmp_path, text):
    class OfHousehold(Section):
        risk_aversion: float = setting(2.0, gt=0)

    (tmp_path / "file.yaml").write_text(f"risk_aversion: {text}\n")
    assert "expected a number above 0" in refusal(validate, OfHousehold, read_yaml(tmp_path / "file.yaml"))


def test_a_missing_file_names_the_nearest_of_the_known_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    known = [tmp_path / "models/olg/benchmark60.yaml"]
    assert refusal(read_yaml, "benchmrk60.yaml", (), known) == (
        "benchmrk60.yaml: no such file; did you mean 'models/olg/benchmark60.yaml'?"
    )
    assert "known: benchmark60" in refusal(read_yaml, "entirely/different.yaml", (), known)


# ---- writing and comparing

# Left out: U+0085 and the like, which YAML takes for the end of a line.
texts = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), include_characters="\n\t"), max_size=12)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
trees = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=12)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(texts, trees, max_size=4))
def test_what_is_written_reads_back_the_same(tmp_path_factory, mapping):
    path = tmp_path_factory.getbasetemp() / "round.yaml"
    path.write_text(to_yaml(mapping), encoding="utf-8")
    again = read_yaml(path)
    assert again == mapping
    assert to_yaml(again) == to_yaml(mapping)  # also tells 1 from 1.0, and the order of keys


def test_a_written_file_means_the_same_to_plain_pyyaml():
    mapping = {"b": {"rate": 1e-5, "text": "1e-5"}, "a": [1, 2.5], "same": [[1], [1]]}
    assert yaml.safe_load(to_yaml(mapping)) == mapping
    assert list(yaml.safe_load(to_yaml(mapping))) == ["b", "a", "same"]


def test_texts_that_look_like_numbers_stay_texts(tmp_path):
    mapping = {"a": ["1e-3", "12", "yes", "1.5", "", "null", "~"]}
    assert read_yaml(written(tmp_path, to_yaml(mapping))) == mapping


def test_differences_name_nested_keys_and_entries_of_lists():
    old = {"a": {"b": 1, "c": [1, {"d": 2}]}, "gone": 1, "nan": math.nan, "same": (1, 2)}
    new = {"a": {"b": 2, "c": [1, {"d": 3}, 4]}, "nan": math.nan, "same": [1, 2], "more": {"x": 1}}
    assert differences(old, new) == [
        ("a.b", 1, 2),
        ("a.c.1.d", 2, 3),
        ("a.c.2", None, 4),
        ("gone", 1, None),
        ("more", None, {"x": 1}),
    ]


# ---- validating


def test_a_valid_mapping_becomes_a_frozen_section():
    section = validate(Calibration, {"discount_factor": 0.5, "network": {"kind": "deep", "hidden": [3]}})
    assert section.network.hidden == [3]
    with pytest.raises(ValueError, match="frozen"):
        section.discount_factor = 0.6


def test_an_unknown_key_names_its_nearest_neighbour():
    message = refusal(validate, Calibration, {"discont_factor": 0.95}, "parameters")
    assert message == "parameters.discont_factor: unknown; did you mean 'discount_factor'? (and 1 more)"


def test_an_unknown_key_like_no_other_lists_the_known_ones():
    message = refusal(validate, File, {"parameters": {"discount_factor": 0.9}, "xyz": 1})
    assert message == "xyz: unknown; known: parameters"


def test_an_unknown_key_is_looked_up_in_the_section_its_kind_names():
    message = refused_calibration(network={"kind": "shallow", "widht": 3, "hidden": [1]})
    assert message.startswith("parameters.network.widht: unknown; did you mean 'width'?")


@pytest.mark.parametrize("value", [1.2, "high", math.nan, [0.9], None])
def test_a_value_out_of_range_is_told_with_range_and_unit(value):
    assert refused_calibration(discount_factor=value) == (
        f"parameters.discount_factor: {value!r}; expected a number above 0 and below 1 [per year]"
    )


def test_a_missing_key_is_told_with_what_is_expected():
    message = refusal(validate, File, {"parameters": {}})
    assert message == "parameters.discount_factor: missing; expected a number above 0 and below 1 [per year]"


def test_an_entry_of_a_list_is_named_by_its_index():
    assert refused_calibration(tfp=[1, -2]) == "parameters.tfp.1: -2; expected a number above 0 [by shock]"


def test_a_validators_words_follow_the_dotted_key():
    message = refused_calibration(transition=[[1.0, 0.0], [0.5, 0.497]])
    assert message == "parameters.transition: row 2 sums to 0.997, expected 1"


def test_a_sections_validator_that_names_a_field_completes_the_dotted_key():
    assert refused_calibration(tfp=[1, 2]) == "parameters.tfp: got 2 values, expected 1"


def test_an_unknown_kind_lists_the_kinds():
    assert refused_calibration(network={"kind": "wide"}) == (
        "parameters.network.kind: 'wide'; expected 'shallow' or 'deep'"
    )
    assert refused_calibration(network={}) == "parameters.network.kind: missing; expected 'shallow' or 'deep'"


def test_of_a_union_the_member_meant_is_the_one_reported():
    message = refused_calibration(rate={"actor": {"start": -1}})
    assert message == "parameters.rate.actor.start: -1; expected a number above 0"
    assert refused_calibration(rate={"strat": 1}).startswith("parameters.rate.strat: ")
    assert refused_calibration(rate=7) == "parameters.rate: 7; expected a mapping"


def test_something_else_than_a_section_is_refused_by_its_key():
    assert refusal(validate, File, {"parameters": None}) == "parameters: None; expected a mapping"
    assert refusal(validate, Calibration, [1], "parameters") == "parameters: [1]; expected a mapping"


def test_a_key_that_is_a_number_is_refused():
    assert refusal(validate, File, {"parameters": {"discount_factor": 0.9}, 3: 4}).startswith("3: the key is no text")


def test_nearest_ignores_case_and_shortens_a_long_list():
    assert nearest("MUON", ["Adam", "Muon"]) == " did you mean 'Muon'?"
    assert nearest("zzz", []) == ""
    assert nearest("zzz", [f"name{i}" for i in range(20)]).endswith("name11 and 8 more")


# ---- the module beside a parameter file


def test_two_folders_with_equal_file_names_do_not_collide(tmp_path):
    for number in (1, 2):
        folder = tmp_path / f"{number}" / "olg"
        folder.mkdir(parents=True)
        (folder / "economy.py").write_text("from .warm_start import value")
        (folder / "warm_start.py").write_text(f"value = {number}")
    first, second = (load_module(tmp_path / number / "olg", "economy") for number in ("1", "2"))
    assert (first.value, second.value) == (1, 2)
    assert load_module(tmp_path / "2" / ".." / "1" / "olg", "economy") is first


def test_a_missing_module_names_the_nearest_file(tmp_path):
    (tmp_path / "economy.py").write_text("")
    assert refusal(load_module, tmp_path, "econmy").endswith("econmy.py: no such file; did you mean 'economy'?")
    assert "no such file" in refusal(load_module, tmp_path, "../economy")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("x = 1\ndef f(:\n", 2, "SyntaxError: invalid syntax"),
        (
            "\n\nimport no_such_package\n",
            3,
            "ModuleNotFoundError: No module named 'no_such_package'; install the package that has it: pip install "
            "no_such_package",
        ),
        ("from math import no_such_name\n", 1, "ImportError: cannot import name 'no_such_name'"),
        ("def f():\n    return undefined\nf()\n", 2, "NameError: name 'undefined'"),
    ],
)
def test_an_error_in_a_module_is_told_with_file_and_line(tmp_path, text, line, words):
    (tmp_path / "economy.py").write_text(text)
    assert refusal(load_module, tmp_path, "economy").startswith(f"{tmp_path / 'economy.py'}, line {line}: {words}")


def test_a_missing_package_of_an_extra_is_told_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    (tmp_path / "problem.py").write_text("import gymnasium\n")
    assert refusal(load_module, tmp_path, "problem").endswith("; install it with: pip install 'deqn[agents]'")


def test_importing_parameters_imports_no_array_library():
    modules = "deqn.project.schema, deqn.project.parameter_yaml, deqn.project.user_code"
    code = f"import sys, {modules}; print({{'numpy', 'pandas', 'tensorflow', 'keras'}} & set(sys.modules))"
    root = Path(__file__).parents[1]
    assert subprocess.check_output([sys.executable, "-c", code], text=True, cwd=root).strip() == "set()"
