"""What earlier versions left on a disk is read, audited, continued and regenerated from."""

import importlib.util
import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.command_line import clear_environment, completed

from limner.actors import Settings, Studio
from limner.messages.errors import UnknownPicture
from limner.scripts.app import run

MADE = Path(__file__).parent / "fixtures" / "0.1.0"
EXPECTED = json.loads((MADE / "expected.json").read_text("utf-8"))
PATIENCE = 60
INSTANT = ("--generator", "instant", "--events", "events.jsonl")


def load_make():
    spec = importlib.util.spec_from_file_location("made_by_0_1_0", MADE / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make = load_make()


@pytest.fixture
def enter(tmp_path, monkeypatch):
    """Return a function that copies what was made, and changes to the copy."""
    clear_environment(monkeypatch)

    def enter_one(name):
        shutil.copytree(MADE / name, tmp_path / name)
        monkeypatch.chdir(tmp_path / name)

    return enter_one


@contextmanager
def opened(name, generator=None, **settings):
    """Open a studio on what was made; give it and its generator."""
    generator = generator or make.Drawn()
    settings = Settings(**{**make.SETTINGS[name], **settings})
    with Studio.open(settings, generator=generator) as studio:
        yield studio, generator


def wait(future):
    return future.get(timeout=PATIENCE)


def audit():
    """Audit the event log, old lines and new ones together."""
    assert run(["inspect", "events.jsonl", "--check"]) == 0


def events_since(number, name):
    """Return the events of a name after so many lines of the log."""
    lines = Path("events.jsonl").read_text("utf-8").splitlines()[number:]
    return [event for event in map(json.loads, lines) if event["event"] == name]


def log_length():
    return len(Path("events.jsonl").read_bytes().splitlines())


def placement_in(name, message_id, state):
    """Return the first placement of a message that was in a state when it was recorded."""
    links = EXPECTED[name][message_id]["links"]
    return next(link["placement"] for link in links if link["state"] == state)


def placed_in(name, message_id, which=min):
    """Return the first placement that stands in the text as it was recorded, or the last."""
    text = EXPECTED[name][message_id]["text"]
    return which(
        (
            link["placement"]
            for link in EXPECTED[name][message_id]["links"]
            if link["placement"] in text
        ),
        key=text.index,
    )


# read


@pytest.mark.parametrize("name", make.SETTINGS)
def test_what_was_made_is_read_as_it_was(enter, name):
    enter(name)
    assert json.loads(json.dumps(make.known(name))) == EXPECTED[name]


@pytest.mark.parametrize("name", make.SETTINGS)
def test_every_picture_that_was_known_is_there(enter, name):
    enter(name)
    for message in make.known(name).values():
        assert all(Path(link["url"]).is_file() for link in message["links"])


@pytest.mark.parametrize(
    ("name", "file"),
    [("folder", "story.illustrated.md"), ("folder", "letter.html"), ("chat", "chat.jsonl")],
)
def test_the_command_lists_its_pictures(enter, name, file, capsys):
    enter(name)
    assert run(["pictures", file, "--json"]) == 0
    listed = capsys.readouterr().out
    known = EXPECTED[name] if name == "chat" else {file: EXPECTED[name][file]}
    for message in known.values():
        for link in message["links"]:
            assert link["placement"].partition(":")[2] in listed


# audited


@pytest.mark.parametrize("name", make.SETTINGS)
def test_its_log_passes_the_audit(enter, name):
    enter(name)
    done = completed("inspect", "events.jsonl", "--check")
    assert done.returncode == 0, done.stdout
    assert f"for {log_length()} events" in done.stdout.decode()


@pytest.mark.parametrize("name", make.SETTINGS)
def test_its_log_is_summed_up(enter, name, capsys):
    enter(name)
    assert run(["inspect", "events.jsonl"]) == 0
    assert " written" in capsys.readouterr().out


def test_the_story_of_each_message_is_told(enter, capsys):
    enter("studio")
    for message_id in EXPECTED["studio"]:
        assert run(["inspect", "events.jsonl", "--message", message_id]) == 0
        assert "session opens" in capsys.readouterr().out


def test_its_log_becomes_a_trace_and_a_page(enter):
    enter("studio")
    assert run(["inspect", "events.jsonl", "--trace", "trace.json"]) == 0
    assert json.loads(Path("trace.json").read_text("utf-8"))
    assert run(["inspect", "events.jsonl", "--html", "timeline.html"]) == 0
    assert "msg-1" in Path("timeline.html").read_text("utf-8")


# continued


@pytest.mark.parametrize(
    ("name", "message_id", "text"),
    [
        ("studio", "msg-3", f"At sea. {make.tag('a gull')} And {make.tag('a boat')}"),
        ("folder", "draft.md", f"A draft. {make.tag('a desk')}"),
        ("chat", "6", f"The end. {make.tag('a boat')}"),
    ],
)
def test_kept_pictures_are_used_when_it_is_streamed_again(enter, name, message_id, text):
    enter(name)
    known = EXPECTED[name][message_id]["kept"]
    with opened(name) as (studio, generator):
        stream = studio.stream(message_id, owner="alice")
        for start in range(0, len(text), 7):
            stream.feed(text[start : start + 7])
        result = wait(stream.finish())
        assert {one.prompt_id: one.picture.id for one in result.pictures} == known
        assert generator.prompts == []
        assert {one.state for one in studio.registry(message_id).links} == {"placed"}
    audit()


def test_a_message_that_was_written_is_streamed_anew(enter):
    enter("studio")
    before = EXPECTED["studio"]["msg-2"]
    with opened("studio") as (studio, generator):
        result = wait(studio.illustrate("msg-2", f"Anew. {make.tag('a quill')}", owner="erin"))
        assert generator.prompts == ["a quill"]
        assert result.version == 2
        registry = studio.registry("msg-2")
    assert [prompt["id"] for prompt in before["prompts"]] == [one.id for one in registry.prompts]
    assert len(registry.links) >= len(before["links"])
    audit()


def test_a_chat_is_illustrated_again_without_what_it_has(enter):
    enter("chat")
    before, length = Path("chat.jsonl").read_bytes().splitlines(), log_length()
    assert run(["illustrate", "chat.jsonl", *INSTANT]) == 0
    assert events_since(length, "generation_started") == []
    after = Path("chat.jsonl").read_bytes().splitlines()
    assert after[1:5] == before[1:5]
    (kept,) = EXPECTED["chat"]["6"]["kept"].values()
    assert kept in after[5].decode()
    audit()


def test_a_log_is_appended_to(enter):
    enter("folder")
    length, old = log_length(), Path("events.jsonl").read_bytes()
    with opened("folder") as (studio, _):
        wait(studio.illustrate("more.md", f"More. {make.tag('a pen')}"))
    assert Path("events.jsonl").read_bytes().startswith(old)
    assert len(events_since(length, "session_opened")) == 1
    audit()


def test_a_failure_of_before_is_retried(enter):
    enter("studio")
    with opened("studio", generator="instant") as (studio, _):
        result = wait(studio.retry("msg-2"))
    assert [one.prompt for one in result.pictures if one.prompt == "never seen"] == ["never seen"]
    assert "data-limner-failed" not in result.text
    audit()


# regenerated from


@pytest.mark.parametrize(("name", "message_id"), [("studio", "msg-1"), ("chat", "3")])
def test_a_picture_of_before_is_replaced(enter, name, message_id):
    enter(name)
    old = placed_in(name, message_id)
    with opened(name) as (studio, _):
        result = wait(studio.regenerate(message_id, old))
        assert old not in result.text
        (new,) = result.pictures
        assert new.prompt_id == old.partition(":")[0]
        states = {one.placement.id: one.state for one in studio.registry(message_id).links}
    assert (states[old], states[new.id]) == ("past", "placed")
    audit()


def test_a_prompt_of_before_is_refined(enter):
    enter("studio")
    old = placement_in("studio", "msg-1", "placed")
    prompt_id = old.partition(":")[0]
    with opened("studio") as (studio, generator):
        line = studio.history(prompt_id)
        child = studio.refine(line[-1].id, "a lamp under glass", "a cleaner one", "model")
        result = wait(studio.regenerate("msg-1", old, mode="append-after-image", prompt=child))
        assert generator.prompts == ["a lamp under glass"]
        assert [one.prompt_id for one in result.pictures if one.prompt_id == child.id]
        assert studio.history(prompt_id) == (*line, child)
    audit()


def test_a_tag_of_before_keeps_its_prompt_through_an_edit(enter):
    enter("studio")
    last = placed_in("studio", "msg-1", which=max)
    with opened("studio") as (studio, _):
        assert wait(studio.edit("msg-1", lambda text: f"{make.tag('a lamp')} {text}")).written
        (new,) = wait(studio.regenerate("msg-1", last)).pictures
        assert new.prompt_id == last.partition(":")[0]
    audit()


@pytest.mark.parametrize(("name", "message_id"), [("studio", "msg-2"), ("chat", "5")])
def test_a_picture_of_before_is_removed(enter, name, message_id):
    enter(name)
    old = placed_in(name, message_id)
    with opened(name) as (studio, _):
        result = wait(studio.remove(message_id, old))
        assert result.removed == (old,)
        assert old not in result.text
        assert not wait(studio.reconcile(message_id)).written  # it is gone on purpose
        with pytest.raises(UnknownPicture):
            wait(studio.remove(message_id, old))
    audit()


def test_what_was_removed_before_is_known_to_be(enter):
    enter("studio")
    past = placement_in("studio", "msg-1", "past")
    with opened("studio") as (studio, _), pytest.raises(UnknownPicture):
        wait(studio.regenerate("msg-1", past))


@pytest.mark.parametrize(("name", "message_id"), [("studio", "msg-4"), ("folder", "letter.html")])
def test_a_picture_that_was_stripped_before_is_put_back(enter, name, message_id):
    enter(name)
    missing = {
        link["placement"]
        for link in EXPECTED[name][message_id]["links"]
        if link["state"] == "placed" and link["placement"] not in EXPECTED[name][message_id]["text"]
    }
    assert missing
    with opened(name) as (studio, generator):
        result = wait(studio.reconcile(message_id))
        assert {one.id for one in result.pictures} == missing
        assert all(placement in result.text for placement in missing)
        assert not wait(studio.reconcile(message_id)).written
        assert generator.prompts == []
    audit()


def test_the_command_regenerates_and_reconciles(enter):
    enter("folder")
    length = log_length()
    change = ["--prompt", "a green door"]
    assert run(["regenerate", "story.illustrated.md", "2", *change, *INSTANT]) == 0
    assert 'img-prompt="a green door"' in Path("story.illustrated.md").read_text("utf-8")
    assert len(events_since(length, "generation_completed")) == 1
    assert run(["reconcile", "letter.html"]) == 0
    for link in EXPECTED["folder"]["letter.html"]["links"]:
        assert link["placement"] in Path("letter.html").read_text("utf-8")
    audit()
    with opened("folder", events=None) as (studio, _):
        texts = [one.text for one in studio.registry("story.illustrated.md").prompts]
    assert texts[-1] == "a green door"
    assert {"a roof", "a door", "a red door, at night"} == {*texts[:-1]}


def test_the_command_regenerates_in_a_chat(enter):
    enter("chat")
    change = ["--prompt", "a winding stair"]
    assert run(["regenerate", "chat.jsonl", "2", *change, *INSTANT]) == 0
    message = json.loads(Path("chat.jsonl").read_bytes().splitlines()[2])
    assert "a winding stair" in message["mes"]
    assert message["mes"] == message["swipes"][1]
    assert not Path(".limner-chat.jsonl.kept").exists()  # its row went into the header
    with opened("chat", events=None) as (studio, _):
        (link,) = studio.registry("6").links
    assert (link.placement.id, link.state) == (placement_in("chat", "6", "kept"), "kept")
    audit()
