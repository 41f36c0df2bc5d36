"""What a file is: a chat of SillyTavern, another JSON document, or a text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.messages.sillytavern.detection import kind_of_first_line, kind_of_whole

values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
containers = st.lists(values) | st.dictionaries(st.text(), values)
spaces = st.text(" \t\r\n", max_size=3)
MESSAGE = {"name": "C", "is_user": False, "mes": "Hi"}


@given(containers, spaces, spaces, st.sampled_from([None, 2]))
def test_each_object_or_array_is_a_document(value, before, after, indent):
    text = f"{before}{json.dumps(value, indent=indent)}{after}"
    assert kind_of_whole(text) == kind_of_whole(f"\ufeff{text}") == "JSON"
    assert kind_of_whole(f"{text}.") == "text"


@given(st.lists(containers, min_size=2), st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_objects_and_arrays_on_lines_are_json_lines(rows, end):
    text = end.join(map(json.dumps, rows))
    assert kind_of_whole(text) == kind_of_whole(text + end) == "JSON lines"


@given(st.text().filter(lambda text: not text.lstrip("\ufeff \t\r\n").startswith(("{", "["))))
def test_what_begins_otherwise_is_a_text(text):
    assert kind_of_whole(text) == kind_of_first_line(text, named_jsonl=False) == "text"


@pytest.mark.parametrize("deep", ["[" * 100_000, '{"a":' * 100_000])
def test_what_is_nested_too_deeply_to_be_read_is_taken_for_json(deep):
    assert kind_of_whole(deep) == "JSON"


@pytest.mark.parametrize(
    ("first", "kind", "as_jsonl"),
    [
        ({"chat_metadata": {}}, "chat", "chat"),
        ({"user_name": "U", "character_name": "C"}, "text", "chat"),
        (MESSAGE, "chat without header", "chat without header"),
        ({**MESSAGE, "chat_metadata": {}}, "chat", "chat"),
        ({"mes": "Hi"}, "text", "JSON lines"),
        ([1], "text", "text"),
    ],
)
def test_the_first_line_tells_a_chat(first, kind, as_jsonl):
    line = json.dumps(first)
    assert kind_of_first_line(line, named_jsonl=False) == kind
    assert kind_of_first_line(f"\ufeff{line}\r\n", named_jsonl=True) == as_jsonl
    broken = line[:-1]
    assert kind_of_first_line(broken, named_jsonl=False) == "text"
