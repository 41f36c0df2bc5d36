"""What every store does, shown on each of them."""

import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from limner.actors.stores import Store
from limner.messages.errors import StoreFailed, UnknownMessage, VersionConflict
from limner.messages.writing import Links, Version

Maker = Callable[..., Any]


def test_a_text_that_was_written_is_loaded_with_its_version(stores: Any) -> None:
    store = stores.open()
    assert store.load("story.md") is None
    version = store.write("story.md", "once", expected_version=None)
    assert store.load("story.md") == ("once", version)


def test_each_write_gives_another_version_that_the_next_one_expects(stores: Any) -> None:
    store = stores.open()
    first = store.write("story.md", "once", expected_version=None)
    second = store.write("story.md", "once upon", expected_version=first)
    assert second != first
    assert store.load("story.md") == ("once upon", second)


def test_a_write_over_another_version_conflicts_and_changes_nothing(
    stores: Any, make_finished: Maker
) -> None:
    store = stores.open()
    one = make_finished()
    first = store.write("story.md", "once", expected_version=None)
    second = store.write("story.md", "by another", expected_version=first)
    one = one._replace(picture=store.keep(*one))
    for stale in (first, 7, "another store's", 2**70):
        with pytest.raises(VersionConflict):
            store.write("story.md", f"mine {one.mark}", expected_version=stale, links=one.links)
    assert store.load("story.md") == ("by another", second)
    assert store.kept("story.md") == {one.task.prompt_id: one.picture}


def test_creating_a_message_that_is_there_conflicts(stores: Any) -> None:
    store = stores.open()
    version = store.write("story.md", "once", expected_version=None)
    with pytest.raises(VersionConflict):
        store.write("story.md", "mine", expected_version=None)
    assert store.load("story.md") == ("once", version)


def test_a_message_that_is_gone_loads_as_none_and_conflicts(stores: Any) -> None:
    store = stores.open()
    version = store.write("story.md", "once", expected_version=None)
    stores.remove("story.md")
    assert store.load("story.md") is None
    with pytest.raises(VersionConflict):
        store.write("story.md", "twice", expected_version=version)
    assert store.load("story.md") is None


def test_a_finished_picture_is_kept_for_its_prompt_before_any_text_is(
    stores: Any, make_finished: Maker
) -> None:
    store = stores.open()
    one, other = make_finished(), make_finished("other.md")
    assert store.kept("story.md") == {}
    picture = store.keep(*one)
    assert picture == one.picture.model_copy(update={"url": picture.url})
    assert one.picture.id in picture.url
    store.keep(*other)
    assert store.kept("story.md") == {one.task.prompt_id: picture}


def test_the_same_picture_at_two_prompts_is_kept_at_both(stores: Any, make_finished: Maker) -> None:
    store = stores.open()
    one, two = make_finished(prompt="one"), make_finished(prompt="two")
    picture = store.keep(*one)
    assert store.keep(*two) == picture
    assert store.kept("story.md") == {one.task.prompt_id: picture, two.task.prompt_id: picture}


def test_the_newest_picture_of_a_prompt_is_the_one_that_is_kept(
    stores: Any, make_finished: Maker
) -> None:
    store = stores.open()
    first, second = make_finished(data=b"first"), make_finished(data=b"second")
    older = store.keep(*first)
    newer = store.keep(*second)
    assert store.kept("story.md") == {first.task.prompt_id: newer}
    store.keep(*first)
    assert store.kept("story.md") == {first.task.prompt_id: older}


def test_keeping_a_picture_again_changes_nothing(stores: Any, make_finished: Maker) -> None:
    store = stores.open()
    one = make_finished()
    assert store.keep(*one) == store.keep(*one)
    assert len(store.kept("story.md")) == 1


def test_a_picture_that_was_placed_is_no_longer_kept(stores: Any, make_finished: Maker) -> None:
    store = stores.open()
    one, two = make_finished(prompt="one"), make_finished(prompt="two")
    one = one._replace(picture=store.keep(*one))
    two = two._replace(picture=store.keep(*two))
    version = store.write("story.md", one.mark, expected_version=None, links=one.links)
    assert store.kept("story.md") == {two.task.prompt_id: two.picture}
    store.write("story.md", one.mark + two.mark, expected_version=version, links=two.links)
    assert store.kept("story.md") == {}


def test_a_placed_picture_that_a_new_wish_gave_again_is_kept_again(
    stores: Any, make_finished: Maker
) -> None:
    store = stores.open()
    one = make_finished()
    one = one._replace(picture=store.keep(*one))
    version = store.write("story.md", one.mark, expected_version=None, links=one.links)
    store.write("story.md", "told anew", expected_version=version)
    assert store.kept("story.md") == {}
    again = make_finished(session_id="another")
    picture = store.keep(*again)
    assert store.kept("story.md") == {one.task.prompt_id: picture}


def test_a_write_takes_links_of_pictures_that_it_never_kept(
    stores: Any, make_finished: Maker
) -> None:
    store = stores.open()
    one = make_finished()
    picture = one.picture.model_copy(update={"url": "elsewhere.png"})
    placed = Links(placed=(one._replace(picture=picture).placement,))
    version = store.write("story.md", one.mark, expected_version=None, links=placed)
    assert store.load("story.md") == (one.mark, version)
    assert store.kept("story.md") == {}


def test_texts_and_kept_pictures_outlive_the_store_that_wrote_them_but_in_memory(
    stores: Any, make_finished: Maker
) -> None:
    store = stores.open()
    one, two = make_finished(prompt="one"), make_finished(prompt="two")
    one = one._replace(picture=store.keep(*one))
    two = two._replace(picture=store.keep(*two))
    version = store.write("story.md", one.mark, expected_version=None, links=one.links)
    store.close()
    again = stores.open() if stores.survives else type(store)()
    if not stores.survives:
        assert again.load("story.md") is None
        assert not again.kept("story.md")
        return
    assert again.load("story.md") == (one.mark, version)
    assert again.kept("story.md") == {two.task.prompt_id: two.picture}
    again.write("story.md", "twice", expected_version=version)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\r\nb\rc\nd\n\r",
        "\ufeffwith a byte order mark\r\n",
        "'; DROP TABLE limner_messages; --",
        "\u2028\x85\x0b\x1f\ufffe\U0010ffff e\u0301",
        "%s :text {0} $1 \\",
        "x" * 1_000_000,
    ],
)
def test_a_text_comes_back_character_by_character(stores: Any, text: str) -> None:
    store = stores.open()
    version = store.write("story.md", text, expected_version=None)
    assert store.load("story.md") == (text, version)


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


def test_what_a_failure_quotes_never_holds_up_the_write(stores: Any, make_finished: Maker) -> None:
    store = stores.open()
    one = make_finished()
    task = one.links.tasks[0].model_copy(update={"reason": "nul \0, half \ud800" + "x" * 9_999})
    links = one.links.model_copy(update={"tasks": (task,)})
    version = store.write("story.md", "text", expected_version=None, links=links)
    assert store.load("story.md") == ("text", version)


def test_of_threads_that_race_one_wins_each_version(stores: Any) -> None:
    store = stores.open()
    rounds, threads = 12, 8
    barrier = Barrier(threads)

    def race(thread: int) -> list[tuple[Version | None, Version]]:
        won = []
        for _ in range(rounds):
            barrier.wait()
            held = store.load("story.md")
            barrier.wait()
            try:
                text = f"{thread} after {held}"
                version = held and held[1]
                won.append((version, store.write("story.md", text, expected_version=version)))
            except VersionConflict:
                continue
        return won

    with ThreadPoolExecutor(threads) as pool:
        won = [pair for pairs in pool.map(race, range(threads)) for pair in pairs]
    assert len(won) == rounds
    assert len({after for _, after in won}) == rounds
    assert {before for before, _ in won} - {after for _, after in won} == {None}


def test_threads_that_keep_at_once_lose_nothing(stores: Any, make_finished: Maker) -> None:
    store = stores.open()
    made = [make_finished(prompt=str(number % 20), data=b"same") for number in range(80)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: store.keep(*one), made))
    assert store.kept("story.md").keys() == {one.task.prompt_id for one in made}


def test_every_store_has_the_methods_of_the_protocol(stores: Any) -> None:
    store = stores.open()
    for name, method in inspect.getmembers(Store, inspect.isfunction):
        if not name.startswith("_"):
            given = inspect.signature(getattr(type(store), name))
            assert list(given.parameters) == list(inspect.signature(method).parameters)
