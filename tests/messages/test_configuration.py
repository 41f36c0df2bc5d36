"""Configuration is anything at all, and parses to a value or to one line that says why not."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.messages import Settings
from limner.messages.configuration import MAX_BYTES, MAX_DEPTH, parse_json, parse_toml
from limner.messages.errors import SettingsInvalid


def refused(parse, given):
    with pytest.raises(SettingsInvalid) as caught:
        parse(given)
    said = str(caught.value)
    assert said.isprintable()
    assert len(said) < 1_000
    return said


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"lanes=" + b"[" * 9000, "nested too deeply"),
        (b"a=" + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, "nested too deeply"),
        (b".".join([b"a"] * 500) + b"=1", "nested too deeply"),
        (b"[" + b".".join([b"a"] * 500) + b"]", "nested too deeply"),
        (b"a=" + b"{b=" * 500 + b"1" + b"}" * 500, "nested too deeply"),
        (b"slots=" + b"9" * 5000, "limit"),
        (b"a='" + b"x" * MAX_BYTES + b"'", "more than 1,000,000 bytes"),
        (b"a = \x1b[2J", "it is no TOML"),
        (b"\xff", "it is no TOML"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(data, said):
    assert said in refused(parse_toml, data)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 9000 + "]" * 9000, "nested too deeply"),
        ('{"a":' * 9000 + "1" + "}" * 9000, "nested too deeply"),
        ("[" * 9000, "it is n"),  # nested too deeply, or no JSON: Pythons differ in what is first
        ('{"a":' * 9000, "it is n"),
        ("[" * 200 + "]" * 200, "nested too deeply"),
        ("9" * 5000, "limit"),
        ("[1", "it is no JSON"),
        ("\udcff", "it is no JSON"),
    ],
)
def test_a_variable_that_cannot_be_used_is_refused_in_one_line(text, said):
    assert said in refused(parse_json, text)


@given(st.recursive(st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3),
                    max_leaves=5))  # fmt: skip
def test_what_is_nested_as_people_do_is_parsed(value):
    assert parse_json(json.dumps(value)) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(data):
    with suppress(SettingsInvalid):
        assert isinstance(parse_toml(data), dict)


@pytest.mark.parametrize(
    "given",
    [
        {"slots": int("f" * 10_000, 16)},
        {"patterns": [3] * 1000},
        {"x" * 100_000: 1},
        {"lanes": {str(number): {"no": 1} for number in range(900)}},
        {f"no_{number}": 1 for number in range(900)},
    ],
)
def test_a_huge_value_is_told_in_a_line_that_can_be_read(given):
    said = refused(lambda given: Settings(**given), given)
    assert "\n" not in said
