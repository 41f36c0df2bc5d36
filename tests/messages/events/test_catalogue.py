"""The catalogue of events: it has each event that is sent, and what is sent fits it."""

import ast
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import orjson
import pytest

from limner.actors.event_log import EventLog
from limner.messages.events.catalogue import CONVERSATIONS, EVENTS, ON_EVERY_LINE, mismatches
from limner.messages.events.event_type import EventType, Field, check_of, type_name
from limner.scripts.simulate.command import run

ROOT = Path(__file__).resolve().parents[3]
IDS = {"session_id": "s", "message_id": "m"}
COMPLETED = {**IDS, "task_id": "t", "picture_id": "p", "attempt": 1}

# --- what is sent fits ---


@pytest.fixture
def log():
    log = EventLog(SimpleNamespace(now=1_000_000, wall_start=0), on=True)
    log.recorder = SimpleNamespace(deliver=lambda event: None)
    return log


def test_an_event_as_it_is_declared_is_let_through(log, event_mismatches):
    log.tell("processor", "generation_completed", **COMPLETED)
    assert not event_mismatches


@pytest.mark.parametrize(
    ("actor", "event", "fields", "says"),
    [
        ("processor", "generation_complete", COMPLETED, "there is no event"),
        ("processor", "generation_completed", COMPLETED | {"seed": 1}, "'seed' is not declared"),
        ("processor", "generation_completed", IDS | {"task_id": "t", "attempt": 1}, "is missing"),
        ("processor", "generation_completed", COMPLETED | {"attempt": "1"}, "is no integer: '1'"),
        ("processor", "generation_completed", COMPLETED | {"attempt": True}, "is no integer: True"),
        ("processor", "generation_completed", COMPLETED | {"attempt": None}, "is no integer: None"),
        ("processor", "generation_completed", COMPLETED | {"message_id": None}, "is missing"),
        ("writer", "generation_completed", COMPLETED, "sent by 'writer', not by processor"),
        ("limiter", "lane_idle", {"lane": "image", "task_id": "t"}, "'task_id' is not declared"),
    ],
)
def test_what_does_not_fit_is_caught_as_it_is_sent(
    log, event_mismatches, actor, event, fields, says
):
    log.tell(actor, event, **fields)
    (found,) = event_mismatches
    event_mismatches.clear()
    assert says in found


@pytest.mark.parametrize("common", [field.name for field in ON_EVERY_LINE])
def test_a_line_that_lacks_what_every_line_has_is_caught(common):
    line = {"seq": 1, "t": 0.5, "at": "", "actor": "limiter", "event": "lane_idle", "lane": "a"}
    assert not mismatches(line)
    assert mismatches({name: value for name, value in line.items() if name != common})


@pytest.mark.parametrize("scenario", ["chaos", "revisions"])
@pytest.mark.parametrize("seed", [0, 1])
def test_each_line_of_a_simulated_log_fits(scenario, seed, tmp_path):
    path = tmp_path / "events"
    assert run(scenario=scenario, seed=seed, events=path) == 0
    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert len(lines) > 100
    assert not Counter(found for line in lines for found in mismatches(line))


# --- the catalogue has all that is sent, and nothing else ---


def sent_by_source(source):
    """Return the names that a source sends events by, where it calls what sends them."""
    found = set()
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef):
            assigned = strings_by_variable(function)
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and (name := name_sent(call)) is not None:
                    found |= strings(name) or assigned.get(ast.unparse(name), set())
    return found


def name_sent(call):
    """Return the argument of a call that is the name of an event, if there is one."""
    called = ast.unparse(call.func).rpartition(".")[2].strip("_")
    if called in {"log_event", "log_write_event", "Step", "LaneStep"} and call.args:
        return call.args[0]
    if called == "tell" and len(call.args) > 1:
        return call.args[1]
    named = [keyword.value for keyword in call.keywords if keyword.arg == "event"]
    return named[0] if called in {"Event", "trusted"} and named else None


def strings(node):
    """Return what a text may be; of one that is put together, a pattern for its beginning."""
    match node:
        case ast.Constant(value=str(value)):
            return {value}
        case ast.IfExp(body=one, orelse=other):
            return strings(one) | strings(other)
        case ast.JoinedStr(values=[ast.Constant(value=beginning), *_]):
            return {name for name in EVENTS if name.startswith(beginning)}
    return set()


def strings_by_variable(function):
    found = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                found.setdefault(ast.unparse(target), set()).update(strings(node.value))
    return found


@pytest.fixture(scope="module")
def sent():
    paths = [path for top in ("actors", "messages") for path in (ROOT / top).rglob("*.py")]
    return set().union(*(sent_by_source(path.read_text("utf-8")) for path in paths))


def test_each_event_that_the_source_sends_is_in_the_catalogue(sent):
    assert not sent - EVENTS.keys()


def test_each_event_in_the_catalogue_is_sent_by_the_source(sent):
    assert not EVENTS.keys() - sent


def test_the_scan_of_the_source_finds_each_way_to_send():
    source = """
def f(self, log):
    self.log_event("a", x=1)
    self._log.tell("system", "b", y=2)
    steps.append(Step("c", lane))
    put(Event(t=1, event="d"))
    event = "e" if x else "f"
    self.log_event(event)
"""
    assert sent_by_source(source) == set("abcdef")


# --- declarations ---


def test_each_event_is_declared_once():
    names = Counter(event.name for group in CONVERSATIONS for event in group.events)
    assert max(names.values()) == 1


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: event.name)
def test_an_event_and_its_fields_have_one_plain_sentence_each(event):
    for sentence in (event.meaning, *(field.meaning for field in event.fields)):
        assert sentence[0].isupper() or sentence[0] == "`"
        assert sentence.endswith(".")
    assert len(event.by_name) == len(event.fields)
    assert not event.by_name.keys() & {field.name for field in ON_EVERY_LINE}
    for field in event.fields:
        assert field.type_name
        assert field.unit or "float" not in str(field.type)


@pytest.mark.parametrize(
    ("declared", "name", "fine", "wrong"),
    [
        (str, "string", [""], [None, 1, b""]),
        (int, "integer", [0, -1], [True, 1.0, "1", None]),
        (float, "number", [0, 0.5], [False, "1", None]),
        (bool, "boolean", [True], [1, None]),
        (str | None, "string or null", ["", None], [1]),
        (int | str, "integer or string", [1, "1"], [None, True]),
        (list[str], "array of string", [[], ["a"], ("a",)], ["a", [1], {"a"}, None]),
        (dict[str, str], "object of string", [{}, {"a": "b"}], [{"a": 1}, {1: "a"}, []]),
    ],
)
def test_a_type_has_a_name_and_a_check(declared, name, fine, wrong):
    assert type_name(declared) == name
    assert all(map(check_of(declared), fine))
    assert not any(map(check_of(declared), wrong))


def test_a_type_that_the_log_cannot_have_is_refused():
    with pytest.raises(TypeError, match="cannot be a"):
        check_of(bytes)


def test_what_any_actor_may_send_is_not_asked_for_its_sender():
    event = EventType("x", "It happens.", (), (Field("a", int, "A number."),))
    assert not event.mismatches("whoever", {"a": 1})
