"""The suite that hosts run on their stores: ours pass it, and it tells when one does not."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from limner.messages.pictures import Picture
from limner.messages.prompts import Prompt
from limner.messages.registry import Link, Registry, RegistryUpdate, Version
from limner.messages.tasks import Task


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
        links: RegistryUpdate | None = None,
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


class Upserting(OneFileStore):
    """Makes a document whether there is one or not."""

    def replace(self, message_id: str, new: Document) -> bool:
        if new.revision is not None:
            return super().replace(message_id, new)
        with self.lock:
            self.held[message_id] = new._replace(revision=uuid4().hex)
            self.save()
            return True


class HalfBlind(OneFileStore):
    """Compares what is known, and not the text."""

    def fetch(self, message_id: str) -> Document | None:
        held = super().fetch(message_id)
        return held and held._replace(revision=json.dumps(held.known))

    def replace(self, message_id: str, new: Document) -> bool:
        with self.lock:
            held = self.fetch(message_id)
            if (held and held.revision) != new.revision:
                return False
            self.held[message_id] = new
            self.save()
            return True


class Optimistic(OneFileStore):
    """Says that it has replaced what it has not."""

    def replace(self, message_id: str, new: Document) -> bool:
        return super().replace(message_id, new) or True


class NeverNone(OneFileStore):
    """Takes no text for an empty one."""

    def fetch(self, message_id: str) -> Document | None:
        held = super().fetch(message_id)
        return held and held._replace(text=held.text or "")


class CaseBlind(OneFileStore):
    """Compares ids as a column does whose collation ignores case."""

    def fetch(self, message_id: str) -> Document | None:
        return super().fetch(message_id.casefold())

    def replace(self, message_id: str, new: Document) -> bool:
        return super().replace(message_id.casefold(), new)


class Hasty(OneFileStore):
    """Settles before it compares."""

    def write(
        self,
        message_id: str,
        text: str,
        *,
        expected_version: Version | None,
        links: RegistryUpdate | None = None,
    ) -> Version:
        known = self.registry(message_id).settle(message_id, links or RegistryUpdate(), text)
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


class Trusting(OneFileStore):
    """Gives what it knows of its pictures, and looks at none."""

    def kept(self, message_id: str) -> Mapping[str, Picture]:
        return self.registry(message_id).kept()


@pytest.mark.parametrize(
    ("wrong", "broken"),
    [
        (Trusting, "a_picture_whose_file_is_damaged_is_no_longer_kept"),
        (Careless, "a_write_over_another_version_changes_nothing"),
        (Unlocked, "of_writers_that_race_one_wins_each_version"),
        (Unlocked, "of_documents_that_race_one_is_put_in_place"),
        (Upserting, "a_document_that_was_changed_meanwhile_is_not_replaced"),
        (Upserting, "of_documents_that_are_made_at_once_one_is_there"),
        (Upserting, "of_writers_that_create_a_message_at_once_one_wins"),
        (Upserting, "first_pictures_that_are_kept_at_once_are_all_there"),
        (HalfBlind, "a_document_that_was_changed_meanwhile_is_not_replaced"),
        (HalfBlind, "of_writers_that_race_one_wins_each_version"),
        (Optimistic, "a_document_is_made_only_where_there_is_none"),
        (Optimistic, "threads_that_keep_at_once_lose_nothing"),
        (NeverNone, "a_document_is_made_only_where_there_is_none"),
        (NeverNone, "a_message_has_no_text_until_one_is_written"),
        (NeverNone, "prompts_are_known_before_there_is_a_text"),
        (CaseBlind, "an_id_that_looks_like_another_leads_to_no_text"),
        (CaseBlind, "messages_whose_ids_look_alike_are_not_mixed_up"),
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
    check = named(broken)
    with pytest.raises(AssertionError, match=r"^[A-Z][^\n]+: [^\n]+(expected|raised)") as failure:
        check(lambda: wrong(tmp_path / "texts.json"))
    assert str(check.run.__doc__).startswith(str(failure.value).partition(":")[0])
    assert len(str(failure.value)) < 1_500


def named(name: str) -> Check:
    (check,) = (one for one in checks() if str(one) == name)
    return check


class Hurried(MemoryStore):
    """Reads what is known in one step, and writes it in the next."""

    def keep(self, task: Task, data: bytes, picture: Picture) -> Picture:
        before = self._registries.get(task.message_id, Registry())
        kept = picture.but(url=f"memory:{picture.id}")
        self._registries[task.message_id] = before.keep(task, kept)
        return kept


@pytest.mark.parametrize(
    "broken",
    [
        "threads_that_keep_at_once_lose_nothing",
        "first_pictures_that_are_kept_at_once_are_all_there",
    ],
)
def test_a_gap_of_some_instructions_is_found_each_time(broken: str) -> None:
    for _ in range(5):
        with pytest.raises(AssertionError, match="pictures that kept\\(\\) has not, of [78]"):
            named(broken)(Hurried)


def test_what_a_store_raises_is_told_in_the_line_of_its_promise() -> None:
    def fail() -> Store:
        raise OSError("no\nroom")

    with pytest.raises(AssertionError, match=r"^What was .*: the store raised OSError: no room$"):
        checks()[0](fail)


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
