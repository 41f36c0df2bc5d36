"""The suite that hosts run on their stores: ours pass it, and it tells when one does not."""

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Barrier, BrokenBarrierError, Lock
from typing import Any
from uuid import uuid4

import pytest

from limner.actors.stores import (
    Document,
    DocumentStore,
    MemoryStore,
    PictureFiles,
    RegistryStore,
    Store,
    keeps_registry,
)
from limner.actors.stores.conformance import Check, check_store, checks
from limner.messages.pictures import Prompt
from limner.messages.registry import Link
from limner.messages.writing import Links, Version


class OneFileStore(DocumentStore):
    """All documents in one JSON file, read once: what is held in memory is what counts."""

    def __init__(self, path: Path) -> None:
        super().__init__(PictureFiles(path.parent, ""))
        self.path, self.lock = path, Lock()
        saved = json.loads(path.read_text()) if path.exists() else {}
        self.held = {name: Document(text, known, 0) for name, (text, known) in saved.items()}

    def fetch(self, message_id: str) -> Document | None:
        return self.held.get(message_id)

    def replace(self, message_id: str, new: Document) -> bool:
        with self.lock:
            held = self.held.get(message_id)
            if (held and held.revision) != new.revision:
                return False
            self.held[message_id] = new._replace(revision=uuid4().hex)
            self.save()
            return True

    def search(self, name: str) -> Iterable[str]:
        return tuple(self.held)

    def save(self) -> None:
        written = self.path.with_suffix(".new")
        written.write_text(json.dumps({name: of[:2] for name, of in self.held.items()}))
        written.replace(self.path)


@pytest.mark.parametrize("check", checks(), ids=str)
def test_a_store_of_a_host_can_be_short_and_keep_its_word(check: Check, tmp_path: Path) -> None:
    check(lambda: OneFileStore(tmp_path / "texts.json"))


@pytest.mark.parametrize("check", checks(), ids=str)
def test_our_stores_keep_their_word(check: Check, stores: Any) -> None:
    check(stores.open)


class Careless(OneFileStore):
    """Writes over whatever is there."""

    def write(
        self,
        message_id: str,
        text: str,
        *,
        expected_version: Version | None,
        links: Links | None = None,
    ) -> Version:
        held = self.load(message_id)
        version = held[1] if held else None
        return super().write(message_id, text, expected_version=version, links=links)


class Unlocked(OneFileStore):
    """Lets another thread in between the comparison and the write."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.meeting = Barrier(2)

    def replace(self, message_id: str, new: Document) -> bool:
        held = self.held.get(message_id)
        if (held and held.revision) != new.revision:
            return False
        if new.revision is not None:
            with suppress(BrokenBarrierError):  # as nobody else came in this far
                self.meeting.wait(timeout=2)
        with self.lock:
            self.held[message_id] = new._replace(revision=uuid4().hex)
            self.save()
            return True


class Hasty(OneFileStore):
    """Settles before it compares."""

    def write(
        self,
        message_id: str,
        text: str,
        *,
        expected_version: Version | None,
        links: Links | None = None,
    ) -> Version:
        known = self.registry(message_id).settle(message_id, links or Links(), text)
        held = self.held.get(message_id) or Document(None, None)
        self.replace(message_id, held._replace(known=known.model_dump(mode="json")))
        return super().write(message_id, text, expected_version=expected_version)


class Tidy(OneFileStore):
    """Has line ends its own way."""

    def load(self, message_id: str) -> tuple[str, Version] | None:
        held = super().load(message_id)
        return held and (str(held[0]).replace("\r\n", "\n"), held[1])


class Volatile(OneFileStore):
    """Never comes to its disk."""

    def save(self) -> None: ...


class Revising(OneFileStore):
    """Takes a prompt that it knows for a better one."""

    def add(self, prompt: Prompt) -> None:
        before = self.registry(prompt.message_id)
        others = tuple(one for one in before.prompts if one.id != prompt.id)
        known = before.but(prompts=(*others, prompt)).model_dump(mode="json")
        held = self.held.get(prompt.message_id) or Document(None, None)
        self.replace(prompt.message_id, held._replace(known=known))


class Backwards(OneFileStore):
    """Has the newest picture first."""

    def pictures_of(self, prompt_id: str) -> Sequence[Link]:
        return tuple(super().pictures_of(prompt_id))[::-1]


class Narrow(OneFileStore):
    """Looks for a picture in the message that it thought of first."""

    def search(self, name: str) -> Iterable[str]:
        return tuple(self.held)[:1]


@pytest.mark.parametrize(
    ("wrong", "broken"),
    [
        (Careless, "a_write_over_another_version_changes_nothing"),
        (Unlocked, "of_writers_that_race_one_wins_each_version"),
        (Hasty, "a_write_that_conflicts_settles_nothing"),
        (Tidy, "a_text_comes_back_character_by_character"),
        (Volatile, "what_was_written_and_kept_outlives_the_store"),
        (Volatile, "a_registry_outlives_the_store"),
        (Revising, "the_history_of_a_prompt_is_a_tree_that_is_only_added_to"),
        (Backwards, "prompts_and_pictures_lead_to_each_other"),
        (Narrow, "prompts_and_pictures_lead_to_each_other"),
    ],
)
def test_a_store_that_breaks_its_word_is_told_which(
    wrong: type[OneFileStore], broken: str, tmp_path: Path
) -> None:
    (check,) = (one for one in checks() if str(one) == broken)
    with pytest.raises(AssertionError, match=r"should|expected"):
        check(lambda: wrong(tmp_path / "texts.json"))


def test_the_whole_suite_names_each_promise_that_is_broken(tmp_path: Path) -> None:
    folders = (tmp_path / str(number) for number in count())

    def place() -> Callable[[], Store]:
        folder = next(folders)
        folder.mkdir()
        return lambda: Volatile(folder / "texts.json")

    with pytest.raises(AssertionError) as failure:
        check_store(place)
    assert [line.partition(":")[0] for line in str(failure.value).splitlines()] == [
        "what_was_written_and_kept_outlives_the_store",
        "a_registry_outlives_the_store",
    ]
    check_store(place, durable=False)


def test_what_a_store_cannot_do_is_not_asked_of_it() -> None:
    asked = {str(check) for check in checks(creates=False, durable=False, registry=False)}
    assert asked < {str(check) for check in checks()}
    assert "a_message_that_is_not_there_is_none_until_it_is_created" not in asked
    assert not any("registry" in name or "outlives" in name for name in asked)


class Streaming:
    """A store as hosts wrote them before there was a registry: it can stream, and no more."""

    def __init__(self) -> None:
        memory = MemoryStore()
        self.load, self.write, self.keep = memory.load, memory.write, memory.keep
        self.kept, self.close = memory.kept, memory.close


def test_a_store_without_a_registry_can_still_be_checked() -> None:
    check_store(lambda: Streaming, durable=False, registry=False)


def test_it_is_known_which_stores_keep_a_registry(tmp_path: Path) -> None:
    assert keeps_registry(MemoryStore())
    assert keeps_registry(OneFileStore(tmp_path / "texts.json"))
    assert not keeps_registry(Streaming())


def test_the_store_of_a_host_has_the_types_of_the_protocol(tmp_path: Path) -> None:
    store: RegistryStore = OneFileStore(tmp_path / "texts.json")
    assert store.load("story.md") is None
