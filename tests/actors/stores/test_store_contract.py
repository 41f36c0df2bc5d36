"""What our own stores do beyond what `conformance` asks of every store, shown on each of them."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from limner.actors.stores import RegistryStore
from limner.messages.errors import StoreFailed, UnknownMessage, VersionConflict

Maker = Callable[..., Any]


def test_a_message_that_is_gone_loads_as_none_and_conflicts(stores: Any) -> None:
    store = stores.open()
    version = store.write("story.md", "once", expected_version=None)
    stores.remove("story.md")
    assert store.load("story.md") is None
    with pytest.raises(VersionConflict):
        store.write("story.md", "twice", expected_version=version)
    assert store.load("story.md") is None


@pytest.mark.parametrize(
    "message_id",
    ["'; DROP TABLE limner_messages; --", "a b%2e", "ü\u202e", ":memory:", "~", "*", "-rf", "%s"],
)
def test_an_odd_message_id_names_that_message_alone(
    stores: Any, message_id: str, make_finished: Maker
) -> None:
    store = stores.open()
    one = make_finished(message_id)
    picture = store.keep(*one)
    version = store.write(message_id, "text", expected_version=None)
    store.write("other", "other", expected_version=None)
    assert store.load(message_id) == ("text", version)
    assert store.kept(message_id) == {one.task.prompt_id: picture}


@pytest.mark.parametrize(
    "message_id", ["\0", "a\0b", "\ud800", "", "../up", "/etc/passwd", "é" * 300]
)
def test_a_hostile_message_id_is_a_plain_name_or_is_refused(
    stores: Any, message_id: str, make_finished: Maker
) -> None:
    def refuses(kind: str, message_id: str) -> bool:
        unspeakable = message_id in {"\0", "a\0b", "\ud800", "", "é" * 300}
        return kind != "memory" and (unspeakable or kind == "files")

    store = stores.open()
    one = make_finished()
    one = one._replace(task=one.task.model_copy(update={"message_id": message_id}))
    if refuses(stores.kind, message_id):
        calls: tuple[Callable[[], object], ...] = (
            lambda: store.write(message_id, "text", expected_version=None),
            lambda: store.load(message_id),
            lambda: store.kept(message_id),
            lambda: store.keep(*one),
            lambda: store.registry(message_id),
            lambda: store.add(one.links.prompts[0]),
        )
        for call in calls:
            with pytest.raises(UnknownMessage, match=r"^[^\n]{1,200}$"):
                call()
    else:
        version = store.write(message_id, "text", expected_version=None)
        assert store.load(message_id) == ("text", version)


@pytest.mark.parametrize("text", ["nul \0 here", "half \ud800 here"])
def test_a_text_that_cannot_be_stored_whole_is_refused_and_nothing_changes(
    stores: Any, text: str
) -> None:
    store = stores.open()
    version = store.write("story.md", "once", expected_version=None)
    holds = stores.kind == "memory" or ("\0" in text and stores.kind != "postgresql")
    if holds:
        version = store.write("story.md", text, expected_version=version)
        assert store.load("story.md") == (text, version)
    else:
        with pytest.raises(StoreFailed, match=r"^[^\n]{1,400}$"):
            store.write("story.md", text, expected_version=version)
        assert store.load("story.md") == ("once", version)


def test_every_store_has_the_methods_of_the_protocol(stores: Any) -> None:
    store = stores.open()
    for name, method in inspect.getmembers(RegistryStore, inspect.isfunction):
        if not name.startswith("_"):
            given = inspect.signature(getattr(type(store), name))
            assert list(given.parameters) == list(inspect.signature(method).parameters)
