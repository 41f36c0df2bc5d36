"""The registry in a chat's header: written beside what is not Limner's, read without trust."""

import json
from typing import Any

import pytest

from limner.messages.ids import picture_id, prompt_id
from limner.messages.pictures import Picture
from limner.messages.prompts import Prompt, TagOwner
from limner.messages.registry import Registry
from limner.messages.sillytavern import header as chat_registry
from limner.messages.sillytavern.header import (
    Header,
    Merged,
    Row,
    read_registries,
    replayed,
    with_registries,
)
from limner.messages.sillytavern.lines import BrokenLine
from limner.messages.tasks import Task

HEADER = '{"user_name" : "You", "chat_metadata":{"a":1.0}}\n'


def task(message_id: str, text: str) -> Task:
    prompt = Prompt(id=prompt_id(message_id, text, 0), message_id=message_id, text=text, ordinal=0)
    return Task.requested(prompt, session_id="session", owner=None, priority=3, at=0)


def picture(data: bytes) -> Picture:
    return Picture(id=picture_id(data), url="a.png", media_type="image/png", width=8, height=6)


KNOWN = {
    "2": Registry().keep(task("2", "ein Schloß \\ \u2028"), picture(b"one")),
    "7": Registry().keep(task("7", "a"), picture(b"one")).keep(task("7", "b"), picture(b"two")),
}


def test_what_is_put_into_a_header_is_read_again() -> None:
    merged = Merged("a journal", 2**40)
    header = with_registries(HEADER, KNOWN, merged)
    assert read_registries(header) == (KNOWN, merged)
    more = {"3": Registry().add(Prompt(id="c" * 20, message_id="3", text="c", ordinal=0))}
    assert read_registries(with_registries(header, more, None)) == ({**KNOWN, **more}, merged)


def test_a_header_that_nothing_is_put_into_stays() -> None:
    assert with_registries(HEADER, {}, None) == HEADER


def test_registries_that_did_not_change_and_fields_of_later_versions_stay_as_they_are() -> None:
    header = with_registries(HEADER, KNOWN, None).replace('"version":1', '"version": 1.0,"x" : 1e5')
    changed = with_registries(header, {"2": Registry()}, None)
    before, after = header.split('"7":')[1], changed.split('"7":')[1]
    assert after == before
    assert '"version": 1.0,"x" : 1e5' in changed


@pytest.mark.parametrize(
    "ours",
    [
        '"version":1',
        '"messages" : { "7" : {} , "2":{"x":1}, "7": { } } , "merged":["a",1.0 ], "version" :1',
        '"merged":[],"messages":{ },"version":1,"x":{"messages":{}}',
        '"version":1, "messages":{"x":[], "\\u0032" : {} }',
        '"version":0,"messages":7',
        "",
    ],
)
def test_a_header_that_is_changed_step_by_step_is_what_it_would_be_read_anew(ours: str) -> None:
    line = f'{{"chat_metadata":{{"limner":{{{ours}}} , "a":1.0}} }}\r\n' if ours else HEADER
    header = Header(line)
    for changed, merged in (
        ({"2": KNOWN["2"]}, None),
        ({"12": KNOWN["2"], "2": KNOWN["7"]}, Merged("é", 7)),
        ({}, None),
        (KNOWN, None),
        ({"2": Registry(), "9": KNOWN["7"]}, Merged("b", 8)),
    ):
        dict(header)  # so that all of it has been read
        header = header.but(changed, merged)
        line = with_registries(line, changed, merged)
        assert header.line == line
        assert (dict(header), header.merged) == read_registries(line)


def test_a_registry_is_read_when_it_is_asked_for_and_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []

    class Counted(Registry):
        @classmethod
        def model_validate_json(cls, json_data: Any, **more: Any) -> Registry:  # type: ignore[override]
            seen.append(json_data)
            return Registry.model_validate_json(json_data, **more)

    monkeypatch.setattr(chat_registry, "Registry", Counted)
    header = Header(with_registries(HEADER, KNOWN, None))
    assert not seen
    for _ in range(2):
        assert header["7"] == KNOWN["7"]
    header = header.but({"2": Registry()}, None)
    assert header["7"] == KNOWN["7"]
    assert len(seen) == 1
    assert header["2"] == Registry()
    assert len(seen) == 2


def test_rows_of_a_journal_are_what_a_registry_does_with_them() -> None:
    child = KNOWN["2"].prompts[0].refined("c", source="model")
    rows = [
        Row.kept(task("2", "b"), picture(b"two")),
        Row(prompt=child),
        Row.kept(task("9", "a"), picture(b"one")),
        Row.kept(task("2", "d"), picture(b"two")),
        Row(),
    ]
    rows = [Row.model_validate_json(row.model_dump_json(exclude_defaults=True)) for row in rows]
    changed = replayed(KNOWN, rows[:4])
    assert changed == {
        "2": KNOWN["2"]
        .keep(task("2", "b"), picture(b"two"))
        .add(child)
        .keep(task("2", "d"), picture(b"two")),
        "9": Registry().keep(task("9", "a"), picture(b"one")),
    }


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ('{"mes":"Hi"}', "is no header of a chat: it has no chat_metadata; repair it"),
        ('{"chat_metadata":7}', "has a chat_metadata that is no object; repair it"),
        ('{"chat_metadata":{"limner":{"version":1e99}}}', "is of a newer Limner (version 1e+99);"),
        ("7", "is JSON but no object"),
    ],
)
def test_what_is_no_header_is_said(header: str, says: str) -> None:
    with pytest.raises(BrokenLine) as caught:
        read_registries(header)
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize(
    "ours",
    [
        {"version": 1},
        {"version": 1, "messages": {"2": 7, "3": [], "4": {"links": [{}]}, "5": {"x": 1}}},
        {"version": 1, "messages": {}, "merged": ["a"]},
        {"version": 1, "messages": {}, "merged": ["a", 1.5]},
        {"version": 1, "messages": {}, "merged": ["a", float("inf")]},
        {"version": 1, "messages": {}, "merged": {}},
        {"version": 0, "messages": {}},
        {"messages": {}},
        None,
    ],
)
def test_what_cannot_be_read_is_nothing(ours: object) -> None:
    header = json.dumps({"chat_metadata": {"limner": ours}})
    known, merged = read_registries(header)
    assert merged is None
    assert set(known.values()) <= {Registry()}
    assert read_registries(with_registries(header, KNOWN, None))[0].items() >= KNOWN.items()


def test_what_limner_could_not_have_named_is_passed_over() -> None:
    whole = Prompt(id="a" * 20, message_id="2", text="cat", ordinal=0)
    child = whole.refined("tiger", source="manual")
    claim = TagOwner(prompt_id=child.id, text="tiger", ordinal=0)
    bent = Registry(
        prompts=(
            whole,
            child,
            whole.but(id="../etc"),
            child.but(id="b" * 20, parent_id="zzz"),
            whole.but(id="c" * 20, message_id="3"),
        ),
        claims=(claim, claim.but(prompt_id="zzz"), claim.but(prompt_id="a" * 21)),
    )
    known, _ = read_registries(with_registries(HEADER, {"2": bent}, None))
    assert known == {"2": Registry(prompts=(whole, child), claims=(claim,))}


def test_what_is_no_number_of_a_message_is_passed_over() -> None:
    names = ["0", "1", "02", "x", "", "-2", "2.0", "2\n", "9" * 10, "²", *KNOWN]
    header = with_registries(HEADER, dict.fromkeys(names, KNOWN["2"]), None)
    assert set(read_registries(header)[0]) == set(KNOWN)
