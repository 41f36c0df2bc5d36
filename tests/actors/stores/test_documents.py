"""A store of a host's own in 30 lines: the very example that is documented, on real SQLite."""

import importlib.util
import re
import sqlite3
import textwrap
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from limner.actors import Settings, Studio
from limner.actors.stores import (
    Document,
    DocumentStore,
    PictureFiles,
    RegistryStore,
    documents,
    keeps_registry,
)
from limner.actors.stores.conformance import Check, checks
from limner.messages.errors import StoreFailed, VersionConflict
from limner.messages.prompts import Prompt

Opening = Callable[[], DocumentStore]

ANOTHER_PROCESS = """
import sys
from limner.actors.stores.conformance.fixtures import Finished, found
from host import Texts

store = Texts("texts.db")
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    prompt = found("story.md", f"{sys.argv[1]} {number}")
    store.keep(*Finished.of(prompt, number))
    store.add(prompt.refined("better", source="manual"))
"""


def example() -> str:
    """Return the code in the docstring of the module."""
    (code,) = re.findall(r"^    import(?:.*\n(?=    |\n))+", str(documents.__doc__), re.MULTILINE)
    return textwrap.dedent(code).strip() + "\n"


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import the class of the example from a file in the current directory."""
    monkeypatch.chdir(tmp_path)
    host = tmp_path / "host.py"
    host.write_text(example())
    spec = importlib.util.spec_from_file_location("host", host)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Texts


@pytest.fixture
def opening(texts: Any) -> Opening:
    return lambda: texts("texts.db")


def by_hand(statement: str, *values: object) -> None:
    """Change the database as another program of the host does."""
    with closing(sqlite3.connect("texts.db")) as connection, connection:
        connection.execute(statement, values)


def refined(number: int = 0) -> Prompt:
    return Prompt(id=f"{number:020x}", message_id="story.md", text="a boat", ordinal=number)


def test_the_store_of_a_host_is_at_most_30_lines() -> None:
    lines = example().splitlines()
    assert lines[0] == "import json"
    assert lines[-1].startswith("        return ")
    assert len(lines) <= 30  # the empty ones too
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("check", checks(), ids=str)
def test_the_example_keeps_its_word(check: Check, opening: Opening) -> None:
    check(opening)


def test_the_example_is_a_store_with_a_registry(opening: Opening) -> None:
    store: RegistryStore = opening()
    assert keeps_registry(store)


def test_a_studio_illustrates_and_refines_on_the_example(opening: Opening) -> None:
    settings = Settings(generator="instant", pictures="pictures", settle_after=0)
    with Studio.open(settings, store=opening()) as studio:
        text = 'So: <!--img-prompt="a boat"--> at sea.'
        first = studio.illustrate("story.md", text).get(timeout=60)
        (placed,) = first.pictures
        child = studio.refine(placed.prompt_id, "a red boat")
    store = opening()
    assert store.load("story.md") == (first.text, first.version)
    assert store.registry("story.md").line(placed.prompt_id)[-1] == child
    assert [link.state for link in store.pictures_of(placed.prompt_id)] == ["placed"]


def test_processes_that_change_one_message_lose_nothing(
    opening: Opening, python: Callable[..., Any]
) -> None:
    rounds = 12
    others = [python(ANOTHER_PROCESS, name, rounds) for name in ("one", "two")]
    for other in others:
        assert other.stdout.readline() == "ready\n", other.communicate()[1]
    for other in others:
        other.stdin.write("go\n")
        other.stdin.flush()
    store, version = opening(), None
    for number in range(rounds):
        version = store.write("story.md", f"text {number}", expected_version=version)
    for other in others:
        assert other.communicate(timeout=60)[1] == ""
        assert other.returncode == 0
    assert store.load("story.md") == (f"text {rounds - 1}", version)
    known = store.registry("story.md")
    assert (len(known.prompts), len(known.links)) == (4 * rounds, 2 * rounds)
    assert len(store.kept("story.md")) == 2 * rounds


def between(store: DocumentStore, change: Callable[[], object]) -> DocumentStore:
    """Call a function between the first reading and the first writing of a store."""
    replace, changes = store.replace, [change]

    def late(message_id: str, new: Document) -> bool:
        if changes:
            changes.pop()()
        return replace(message_id, new)

    store.replace = late  # type: ignore[method-assign]
    return store


def test_a_picture_that_is_kept_meanwhile_is_no_conflict_and_is_not_lost(
    opening: Opening, make_finished: Callable[..., Any]
) -> None:
    version = opening().write("story.md", "once", expected_version=None)
    one = make_finished()
    store = between(opening(), lambda: opening().keep(one.task, one.data, one.picture))
    version = store.write("story.md", "twice", expected_version=version)
    assert store.load("story.md") == ("twice", version)
    assert set(store.kept("story.md")) == {one.task.prompt_id}


def test_a_text_that_is_written_meanwhile_is_not_undone_by_a_picture(
    opening: Opening, make_finished: Callable[..., Any]
) -> None:
    version = opening().write("story.md", "once", expected_version=None)
    one = make_finished()
    store = between(
        opening(), lambda: opening().write("story.md", "twice", expected_version=version)
    )
    store.keep(one.task, one.data, one.picture)
    assert (store.load("story.md") or ())[:1] == ("twice",)
    assert set(store.kept("story.md")) == {one.task.prompt_id}


@pytest.mark.parametrize("held", [None, "once"])
def test_a_text_that_the_host_writes_meanwhile_is_a_conflict(
    held: str | None, opening: Opening
) -> None:
    version = held and opening().write("story.md", held, expected_version=None)
    by_host = (
        "INSERT INTO texts(id, text) VALUES (?, ?) ON CONFLICT DO UPDATE SET text = excluded.text"
    )
    store = between(opening(), lambda: by_hand(by_host, "story.md", "by the host"))
    with pytest.raises(VersionConflict, match="is at version"):
        store.write("story.md", "mine", expected_version=version)
    assert (store.load("story.md") or ())[:1] == ("by the host",)
    assert store.registry("story.md").prompts == ()


def test_a_message_that_is_deleted_meanwhile_is_not_brought_back(opening: Opening) -> None:
    version = opening().write("story.md", "once", expected_version=None)
    store = between(opening(), lambda: by_hand("DELETE FROM texts"))
    with pytest.raises(VersionConflict, match="at version None"):
        store.write("story.md", "mine", expected_version=version)
    assert store.load("story.md") is None


def test_a_message_without_a_text_keeps_its_history(opening: Opening) -> None:
    store = opening()
    store.write("story.md", "once", expected_version=None)
    store.add(refined())
    by_hand("UPDATE texts SET text = NULL")
    assert store.load("story.md") is None
    assert store.prompt(refined().id) == refined()
    store.write("story.md", "once more", expected_version=None)
    assert store.registry("story.md").prompts == (refined(),)


class Counted(DocumentStore):
    """Documents in memory whose host says no, or answers a search with more than was asked."""

    def __init__(self, *, willing: bool = True) -> None:
        super().__init__(PictureFiles("pictures"))
        self.willing, self.calls = willing, 0
        self.held: dict[str, Document] = {}
        self.asked: list[str] = []

    def fetch(self, message_id: str) -> Document | None:
        return self.held.get(message_id)

    def replace(self, message_id: str, new: Document) -> bool:
        self.calls += 1
        if self.willing:
            self.held[message_id] = new._replace(revision=self.calls)
        return self.willing

    def search(self, name: str) -> Iterable[str]:
        self.asked.append(name)
        return [*self.held, "nosuch", *self.held]


def test_a_document_that_never_stays_as_it_was_is_a_failure_and_not_a_loop() -> None:
    store = Counted(willing=False)
    with pytest.raises(StoreFailed, match="could not be replaced: each of 200 times"):
        store.add(refined())
    assert store.calls == documents.ATTEMPTS


def test_what_changes_nothing_replaces_nothing() -> None:
    store = Counted()
    store.add(refined())
    version = store.write("story.md", "once", expected_version=None)
    calls = store.calls
    store.add(refined())
    assert store.write("story.md", "once", expected_version=version) == version
    assert store.calls == calls


def test_a_host_that_can_hold_half_a_surrogate_pair_may() -> None:
    store = Counted()
    version = store.write("story.md", "half \ud800", expected_version=None)
    assert store.load("story.md") == ("half \ud800", version)


def test_a_search_may_answer_more_than_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_finished: Callable[..., Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    store, one = Counted(), make_finished()
    store.held["other.md"] = Document("once", None, revision=0)
    store.keep(one.task, one.data, one.picture)
    (prompt,) = one.links.prompts
    assert store.prompt(prompt.id) == prompt
    assert [link.placement.picture.id for link in store.pictures_of(prompt.id)] == [one.picture.id]
    assert store.prompts_of(one.picture.id) == [prompt]
    assert not store.prompts_of("f" * 32)
    assert not store.pictures_of("f" * 20)


def test_a_host_is_asked_only_for_names_that_are_safe_in_a_query() -> None:
    store = Counted()
    for name in ("", "%", "_", "' OR 1=1", "a\0b", "é", "\ud800", "٣", "A", "a" * 129, "a\n"):
        assert store.prompt(name) is None
        assert not store.prompts_of(name)
        assert not store.pictures_of(name)
    assert store.asked == []
    store.prompt("a" * 128)
    assert store.asked == ["a" * 128]


@pytest.mark.parametrize(
    ("known", "says"),
    [
        ({"prompts": 7}, "prompts: "),
        ({"links": [{"state": "eaten"}]}, "links.0."),
        ({"x" * 9_999: 1}, "Extra inputs"),
        (["of", "another"], "story.md"),
    ],
)
def test_what_is_broken_is_a_failure_in_one_line(known: Any, says: str) -> None:
    store = Counted()
    store.held["story.md"] = Document("once", known, revision=0)
    version = (store.load("story.md") or ("", None))[1]
    for call in (
        lambda: store.registry("story.md"),
        lambda: store.add(refined()),
        lambda: store.write("story.md", "twice", expected_version=version),
    ):
        with pytest.raises(StoreFailed, match=re.escape(says)) as failure:
            call()
        assert "what is known of message 'story.md' is broken" in str(failure.value)
        assert "\n" not in str(failure.value)
        assert len(str(failure.value)) < 300
    assert store.load("story.md") == ("once", version)


def test_a_picture_that_is_lost_is_not_kept_any_more(
    opening: Opening, make_finished: Callable[..., Any]
) -> None:
    store, one = opening(), make_finished()
    picture = store.keep(one.task, one.data, one.picture)
    assert store.kept("story.md") == {one.task.prompt_id: picture}
    Path("pictures", f"{picture.id}.png").unlink()
    assert store.kept("story.md") == {}
