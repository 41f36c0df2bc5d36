"""The chat file store: what is another program's stays, and nothing is lost on the way."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path
from threading import Barrier
from typing import Any, BinaryIO, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.drawn_chats import TEXTS, VALUES, Drawn, messages, spelled

from limner.actors import Settings, Studio
from limner.actors.generators import Instant
from limner.actors.stores import PictureFiles
from limner.actors.stores.sillytavern import chat_file
from limner.actors.stores.sillytavern.chat_file import ChatFileStore
from limner.actors.stores.sillytavern.line_file import Line, LineFile
from limner.messages.errors import StoreFailed, UnknownMessage, VersionConflict
from limner.messages.ids import prompt_id
from limner.messages.prompts import Prompt, TagOwner
from limner.messages.registry import Registry, RegistryUpdate
from limner.messages.sillytavern.header import Header, with_registries
from limner.messages.sillytavern.lines import members

Maker = Callable[..., Any]
WAIT = 60
HEADER = {"user_name": "You", "character_name": "Bo", "chat_metadata": {"note": "né", "n": 1.0}}
TAG = '<!--img-prompt="a lighthouse"-->'

_opening: list[Callable[[str], None]] = []


def _heard(event: str, arguments: tuple[object, ...]) -> None:
    # what Python tells of itself as it opens a file; a hook stays, so this one does nothing alone
    if event == "open" and _opening and isinstance(arguments[0], str):
        _opening[0](arguments[0])


sys.addaudithook(_heard)


@pytest.fixture
def while_copying() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Call a function once, as soon as the temporary file of a write is opened."""

    def heard(name: str, what: Callable[[], object]) -> None:
        if name.endswith(".tmp"):
            _opening.clear()
            what()

    def schedule(what: Callable[[], object]) -> None:
        _opening[:] = [lambda name: heard(name, what)]

    yield schedule
    _opening.clear()


def said(text: str, **more: object) -> dict[str, object]:
    return {"name": "Bo", "is_user": False, "send_date": 1e5, "mes": text, "extra": {}, **more}


def lines(*values: object) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "chats" / "chat.jsonl"
    path.parent.mkdir()
    path.write_bytes(lines(HEADER, said("Hi"), said(TAG, is_user=True), said(f"It {TAG} shone")))
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> PictureFiles:
    return PictureFiles(tmp_path / "pictures", "pictures")


@pytest.fixture
def store(path: Path, pictures: PictureFiles) -> ChatFileStore:
    return ChatFileStore(path, pictures)


def names(path: Path) -> list[str]:
    return sorted(one.name for one in path.parent.iterdir())


def texts(path: Path) -> list[str]:
    return [json.loads(line)["mes"] for line in path.read_bytes().splitlines()[1:]]


def version_of(store: ChatFileStore, message_id: str) -> Any:
    loaded = store.load(message_id)
    assert loaded is not None
    return loaded[1]


def without_registry(header: str) -> str:
    """Remove Limner's object from a header, where it is last in `chat_metadata`."""
    metadata = members(header)["chat_metadata"]
    ours = members(header, metadata.start)["limner"]
    key = header.rindex('"limner":', 0, ours.start)
    return header[: key - (header[key - 1] == ",")] + header[ours.end :]


# ---- texts


def test_the_messages_of_the_assistant_are_named_by_their_lines(store: ChatFileStore) -> None:
    assert list(store.messages()) == [("2", "Hi"), ("4", f"It {TAG} shone")]
    loaded = store.load("4")
    assert loaded is not None
    assert loaded[0] == f"It {TAG} shone"
    assert store.load("5") is None
    assert store.load("999999999") is None


def test_a_write_replaces_the_text_and_gives_its_version(store: ChatFileStore, path: Path) -> None:
    before = path.read_bytes().splitlines()
    first = version_of(store, "2")
    second = store.write("2", "Ho ħ", expected_version=first)
    assert second != first
    assert store.load("2") == ("Ho ħ", second)
    after = path.read_bytes().splitlines()
    assert after[1] == before[1].replace(b'"Hi"', '"Ho ħ"'.encode())
    assert [after[0], *after[2:]] == [before[0], *before[2:]]


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_file_is_the_same_byte_for_byte_outside_what_was_illustrated(
    path: Path, pictures: PictureFiles, make_finished: Maker, data: st.DataObject
) -> None:
    metadata = data.draw(
        st.sampled_from(["{}", "{ }", '{"a":1.0, "a":[2]}', '{"limn\\u0065r2":1}'])
    )
    extra = f"{data.draw(spelled('é'))} : {data.draw(VALUES)}"
    start = data.draw(st.sampled_from(["", "\ufeff"]))
    header = f'{start}{{{extra} ,"chat_metadata" : {metadata} ,"user_name":""}}'
    drawn: list[Drawn | str] = data.draw(
        st.lists(
            messages() | messages("user") | st.sampled_from(["", "{broken", "[1]"]), max_size=3
        )
    )
    drawn.insert(data.draw(st.integers(0, len(drawn))), mine := data.draw(messages()))
    number = [one is mine for one in drawn].index(True) + 2
    ends = [data.draw(st.sampled_from(["\n", "\r\n"])) for _ in drawn] + [
        data.draw(st.sampled_from(["\n", "\r\n", ""]))
    ]
    raw = [header, *(one if isinstance(one, str) else one.line for one in drawn)]
    path.write_bytes("".join(line + end for line, end in zip(raw, ends, strict=True)).encode())

    store = ChatFileStore(path, pictures, backup=False)
    loaded = store.load(str(number))
    assert loaded is not None
    assert loaded[0] == mine.text
    one = make_finished(str(number))
    registered, text = data.draw(st.booleans()), data.draw(TEXTS) + one.mark
    if registered:
        one = one._replace(picture=store.keep(*one))
    links = one.links if registered else None
    store.write(str(number), text, expected_version=loaded[1], links=links)

    after = path.read_bytes().decode()
    for at, (line, end) in enumerate(zip(raw, ends, strict=True), 1):
        if at == number:
            written, _, after = after.partition("\n") if end else (after, "", "")
            assert mine.says(written.removesuffix("\r") if end == "\r\n" else written, text)
            assert written.endswith("\r") == (end == "\r\n")
        elif at == 1 and registered:
            written, _, after = after.partition("\n")
            assert without_registry(written + "\n") == (line + end)
        else:
            assert after.startswith(line + end)
            after = after.removeprefix(line + end)
    assert not after


def test_a_write_that_changes_nothing_leaves_the_file_alone(
    store: ChatFileStore, path: Path
) -> None:
    before = path.stat()
    version = version_of(store, "2")
    assert store.write("2", "Hi", expected_version=version) == version
    assert path.stat() == before
    assert names(path) == ["chat.jsonl"]


def test_an_appended_message_leaves_the_version_of_the_last_one(
    store: ChatFileStore, path: Path
) -> None:
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    version = version_of(store, "4")
    with path.open("ab") as file:
        file.write(b"\n" + lines(said("more")).strip())
    assert version_of(store, "4") == version


def test_half_a_character_breaks_nothing(store: ChatFileStore, path: Path) -> None:
    path.write_bytes(lines(HEADER, said("\ud83d a \ude00 b")))
    version = version_of(store, "2")
    assert store.load("2") == ("\ufffd a \ufffd b", version)
    store.write("2", "\ufffd a - \ufffd b", expected_version=version)
    assert b'"\\ud83d a - \\ude00 b"' in path.read_bytes()
    with pytest.raises(StoreFailed, match="line 2, half a surrogate pair at character 1 is no"):
        store.write("2", "a\ud83d", expected_version=version_of(store, "2"))


# ---- who else writes


def test_a_text_that_another_program_changed_is_not_overwritten(
    store: ChatFileStore, path: Path, make_finished: Maker
) -> None:
    one = make_finished("2")
    one = one._replace(picture=store.keep(*one))
    version = version_of(store, "2")
    path.write_bytes(changed := path.read_bytes().replace(b"Hi", b"Ho"))
    for stale in (version, 7, 2**70, None):
        with pytest.raises(VersionConflict, match=r"line 2, (was changed by|is there already)"):
            store.write("2", "mine", expected_version=stale, links=one.links)
    assert path.read_bytes() == changed
    assert store.kept("2") == {one.task.prompt_id: one.picture}
    store.write("2", "mine", expected_version=version_of(store, "2"))


def test_a_line_that_is_gone_conflicts_and_one_that_never_was_is_unknown(
    store: ChatFileStore, path: Path
) -> None:
    version = version_of(store, "4")
    path.write_bytes(lines(HEADER, said("Hi")))
    with pytest.raises(VersionConflict, match="line 4, is not there any more"):
        store.write("4", "mine", expected_version=version)
    with pytest.raises(UnknownMessage, match="has no line 4"):
        store.write("4", "mine", expected_version=None)


@pytest.mark.parametrize("way", ["in place", "by a rename", "same length", "gone"])
def test_a_change_while_the_file_is_copied_conflicts_and_stands(
    store: ChatFileStore, path: Path, while_copying: Maker, way: str
) -> None:
    theirs = path.read_bytes().replace(b"shone", b"shines" if way != "same length" else b"shine")

    def save() -> None:
        if way == "gone":
            path.unlink()
        elif way == "by a rename":
            (path.parent / "new").write_bytes(theirs)
            (path.parent / "new").replace(path)
        else:
            path.write_bytes(theirs)

    version = version_of(store, "2")
    while_copying(save)
    with pytest.raises(VersionConflict, match="was changed by another program"):
        store.write("2", "mine", expected_version=version)
    assert names(path) == ([] if way == "gone" else ["chat.jsonl"])
    if way != "gone":
        assert path.read_bytes() == theirs
        store.write("2", "mine", expected_version=version)  # its own line has not changed
        assert texts(path)[0] == "mine"
        assert b"shine" in path.read_bytes()


def test_threads_and_stores_that_write_one_file_lose_nothing(
    path: Path, pictures: PictureFiles, make_finished: Maker
) -> None:
    each, threads = 8, 4
    path.write_bytes(lines(HEADER, *(said(f"{at}") for at in range(each * threads))))
    shared = ChatFileStore(path, pictures)
    barrier = Barrier(threads)

    def work(thread: int) -> None:
        own = shared if thread % 2 else ChatFileStore(path, pictures)
        barrier.wait(WAIT)
        for at in range(thread, each * threads, threads):
            one = make_finished(str(at + 2), data=f"{at}".encode())
            one = one._replace(picture=own.keep(*one))
            text, version = own.load(str(at + 2)) or ("", None)
            own.write(str(at + 2), text + one.mark, expected_version=version, links=one.links)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    again = ChatFileStore(path, pictures)
    for at in range(each * threads):
        one = make_finished(str(at + 2), data=f"{at}".encode())
        assert again.load(str(at + 2))[0] == f"{at}{one.mark}"  # type: ignore[index]
        assert [link.state for link in again.registry(str(at + 2)).links] == ["placed"]
    assert names(path) == ["chat.jsonl", "chat.jsonl.bak"]


SHARED = """
import sys
from limner.actors.stores import PictureFiles
from limner.actors.stores.sillytavern.chat_file import ChatFileStore
from limner.messages.ids import picture_id, prompt_id
from limner.messages.pictures import Picture, Placement
from limner.messages.prompts import Prompt
from limner.messages.tasks import Task
from limner.messages.registry import RegistryUpdate

def finished(message_id, data):
    prompt = Prompt(
        id=prompt_id(message_id, "a", 0), message_id=message_id, text="a", ordinal=0
    )
    task = Task.requested(prompt, session_id="s", owner=None, priority=3, at=0)
    name = picture_id(data)
    return task, data, Picture(id=name, url="", media_type="image/png", width=8, height=6)

def placed(task, picture):
    return Placement(prompt_id=task.prompt_id, prompt="a", picture=picture, task_id=task.id)

def write(store, message_id, data):
    picture = store.keep(*(made := finished(message_id, data)))
    one = placed(made[0], picture)
    text, version = store.load(message_id)
    text += f'<img data-limner="{one.id}" src="a.png">'
    store.write(message_id, text, expected_version=version, links=RegistryUpdate(placed=(one,)))

path, directory = sys.argv[1:3]
pictures = PictureFiles(directory, "pictures")
"""


def test_processes_that_write_one_file_lose_nothing(
    path: Path, pictures: PictureFiles, python: Maker
) -> None:
    count = 16
    path.write_bytes(lines(HEADER, *(said("") for _ in range(2 * count))))
    script = SHARED + (
        "store = ChatFileStore(path, pictures)\n"
        "print('ready', flush=True)\n"
        "first = int(input())\n"
        f"for at in range(first, first + {2 * count}, 2):\n"
        "    write(store, str(at), b'%d' % at)\n"  # a conflict would end it
    )
    started = [python(script, path, pictures.directory) for _ in range(2)]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    for first, process in enumerate(started, 2):
        process.stdin.write(f"{first}\n")
        process.stdin.flush()
    for process in started:
        _, errors = process.communicate(timeout=WAIT)
        assert process.returncode == 0, errors
    again = ChatFileStore(path, pictures)
    for at, text in again.messages():
        (link,) = again.registry(at).links
        assert link.state == "placed"
        assert text == f'<img data-limner="{link.placement.id}" src="a.png">'
    assert len(texts(path)) == 2 * count
    assert names(path) == ["chat.jsonl", "chat.jsonl.bak"]


# ---- what is known


def test_a_finished_picture_is_kept_without_the_file_being_written(
    store: ChatFileStore, path: Path, pictures: PictureFiles, make_finished: Maker
) -> None:
    before = path.read_bytes()
    one = make_finished("4")
    picture = store.keep(*one)
    assert picture.url == f"pictures/{one.picture.id}.png"
    assert path.read_bytes() == before
    again = ChatFileStore(path, pictures)
    assert store.kept("4") == again.kept("4") == {one.task.prompt_id: picture}
    assert store.kept("2") == {}
    (pictures.directory / f"{picture.id}.png").unlink()
    assert store.kept("4") == {}


def test_what_is_known_is_what_a_registry_says_step_by_step(
    path: Path, pictures: PictureFiles, make_finished: Maker
) -> None:
    store = ChatFileStore(path, pictures)
    expected = {"2": Registry(), "4": Registry()}

    def same() -> None:
        for one in (store, ChatFileStore(path, pictures)):
            for message_id, registry in expected.items():
                assert one.registry(message_id) == registry
                assert dict(one.kept(message_id)) == registry.kept()
                for prompt in registry.prompts:
                    assert one.prompt(prompt.id) == prompt
                    assert tuple(one.pictures_of(prompt.id)) == registry.pictures(prompt.id)
                for link in registry.links:
                    of = one.prompts_of(link.placement.picture.id)
                    assert registry.prompt(link.placement.prompt_id) in of

    def keep(finished: Any) -> Any:
        kept = finished._replace(picture=store.keep(*finished))
        before = expected[kept.task.message_id]
        expected[kept.task.message_id] = before.keep(kept.task, kept.picture)
        same()
        return kept

    def write(message_id: str, text: str, links: RegistryUpdate) -> None:
        store.write(message_id, text, expected_version=version_of(store, message_id), links=links)
        expected[message_id] = expected[message_id].settle(message_id, links, text)
        same()

    one = keep(make_finished("4"))
    two = keep(make_finished("4", "a ship", data=b"ship"))
    other = keep(make_finished("2", "a ship", data=b"ship"))
    assert {prompt.message_id for prompt in store.prompts_of(two.picture.id)} == {"2", "4"}
    child = Prompt.refined(store.prompt(two.task.prompt_id), "a red ship", source="manual")  # type: ignore[arg-type]
    for _ in range(2):  # known already is no error
        store.add(child)
    expected["4"] = expected["4"].add(child)
    same()
    keep(one)  # newest now
    claims = (TagOwner(prompt_id=child.id, text="a red ship", ordinal=0),)
    write("4", f"{TAG}{one.mark}", one.links.but(claims=claims))
    assert names(path) == ["chat.jsonl", "chat.jsonl.bak"]  # the journal has gone into the header
    keep(one)  # a new request gave it again
    write("4", f"{TAG}{one.mark}{two.mark}", two.links)
    write("2", f"Hi {other.mark}", other.links)
    write("4", f"{TAG}{two.mark}", RegistryUpdate(removed=(one.placement.id,)))
    write("4", "another text", RegistryUpdate(anew=True))
    assert {link.state for link in store.registry("4").links} == {"past"}
    assert store.registry("4").claims == ()
    assert store.prompt("nobody's") is None
    assert store.pictures_of("nobody's") == ()
    assert store.prompts_of("nobody's") == ()


@pytest.mark.parametrize(
    "ours",
    [
        "7",
        '"a text"',
        "[]",
        "{}",
        '{"version":true}',
        '{"version":1,"messages":[]}',
        '{"version":"1","messages":{"2":{}}}',
    ],
)
def test_what_another_put_in_the_registrys_place_is_kept_and_taken_for_nothing(
    path: Path, pictures: PictureFiles, make_finished: Maker, ours: str
) -> None:
    header = f'{{"chat_metadata":{{"limner": {ours}, "x":1}}}}\n'
    path.write_bytes(header.encode() + lines(said("Hi")))
    store = ChatFileStore(path, pictures)
    assert store.registry("2") == Registry()
    one = make_finished("2")
    one = one._replace(picture=store.keep(*one))
    store.write("2", one.mark, expected_version=version_of(store, "2"), links=one.links)
    (link,) = ChatFileStore(path, pictures).registry("2").links
    assert link.placement == one.placement
    written = json.loads(path.read_bytes().splitlines()[0])["chat_metadata"]
    assert written["limner"]["replaced"] == json.loads(ours)
    assert list(written) == ["limner", "x"]


@pytest.mark.parametrize("metadata", ["", ',"chat_metadata":null', ',"chat_metadata":{}'])
def test_a_header_without_metadata_gets_one(
    path: Path, pictures: PictureFiles, make_finished: Maker, metadata: str
) -> None:
    path.write_bytes(f'{{"user_name":"You"{metadata}}}\n'.encode() + lines(said("Hi")))
    store = ChatFileStore(path, pictures)
    one = make_finished("2")
    store.keep(*one)
    store.write("2", "Ho", expected_version=version_of(store, "2"))
    assert list(ChatFileStore(path, pictures).kept("2")) == [one.task.prompt_id]
    assert names(path) == ["chat.jsonl", "chat.jsonl.bak"]


def test_a_hostile_registry_names_nothing_that_limner_could_not_have(
    store: ChatFileStore, path: Path, pictures: PictureFiles, make_finished: Maker
) -> None:
    one, two = make_finished("2"), make_finished("4")
    store.keep(*one)
    store.keep(*two)
    store.write("2", "Ho", expected_version=version_of(store, "2"))
    whole = path.read_bytes()
    path.write_bytes(whole.replace(one.picture.id.encode(), b"../etc"))
    again = ChatFileStore(path, pictures)
    assert again.registry("2").links == again.registry("4").links == ()
    path.write_bytes(whole.replace(b'"message_id":"2"', b'"message_id":"4"'))
    assert again.registry("2").prompts == ()
    path.write_bytes(whole.replace(b'"state":"kept"', b'"state":"\\ud83d"', 1))
    assert again.registry("2") == Registry()  # cannot be read
    assert len(again.registry("4").links) == 1
    again.write("2", "Hi", expected_version=version_of(again, "2"))
    assert b'"state":"\\ud83d"' in path.read_bytes()  # and stands until more is known


def test_a_registry_that_was_bent_leaves_its_message_writable(
    path: Path, pictures: PictureFiles
) -> None:
    prompt = Prompt(id="zzz", message_id="4", text="a lighthouse", ordinal=0)
    claim = TagOwner(prompt_id="zzz", text="a lighthouse", ordinal=0)
    bent = Registry(prompts=(prompt,), claims=(claim,))
    header, _, rest = path.read_text().partition("\n")
    path.write_text(with_registries(header, {"4": bent}, None) + "\n" + rest)
    store = ChatFileStore(path, pictures)
    assert store.registry("4") == Registry()
    with Studio.open(Settings(), store=store, generator="instant") as studio:
        result = studio.illustrate_again("4", mode="append").get(timeout=WAIT)
    assert len(result.pictures) == 1


def test_a_picture_that_stands_in_another_swipe_alone_is_past_until_that_is_chosen(
    path: Path, pictures: PictureFiles, make_finished: Maker
) -> None:
    path.write_bytes(lines(HEADER, said("one", swipes=["one", "two", 7], swipe_id=0)))
    store = ChatFileStore(path, pictures)
    one = make_finished("2")
    one = one._replace(picture=store.keep(*one))
    text = f'one <img src="a.png" data-limner="{one.placement.id}">'
    store.write("2", text, expected_version=version_of(store, "2"), links=one.links)

    def save(mes: str, chosen: object) -> str:
        header = path.read_bytes().splitlines(keepends=True)[0]
        path.write_bytes(header + lines(said(mes, swipes=[text, "two", 7], swipe_id=chosen)))
        (link,) = store.registry("2").links
        return link.state

    assert save(text, 0) == "placed"
    assert save("two", 1) == "past"
    assert save("two", None) == "past"
    assert save(text, 1) == "placed"
    assert save("one", 0) == "placed"  # what is chosen has lost it
    store.write("2", "three", expected_version=version_of(store, "2"))
    assert save("two", 1) == "past"
    assert save(text, 0) == "placed"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0] + b"{\n")
    assert [one.state for one in store.registry("2").links] == ["placed"]


@pytest.mark.skipif(sys.platform == "win32", reason="a name has no such limit in bytes")
@pytest.mark.parametrize("length", [242, 243, 251, 252, 255])
def test_a_chat_may_have_the_longest_name_that_a_file_has(
    path: Path, pictures: PictureFiles, make_finished: Maker, length: int
) -> None:
    stem = "é" * 50
    names = [f"{stem}{letter * (length - 106)}.jsonl" for letter in "ab"]
    for name, text in zip(names, "xy", strict=True):
        path.with_name(name).write_bytes(path.read_bytes())
        store = ChatFileStore(path.with_name(name), pictures)
        store.keep(*make_finished("2"))
        assert len(store.kept("2")) == 1
        store.write("4", text, expected_version=version_of(store, "4"))
        assert len(ChatFileStore(path.with_name(name), pictures).kept("2")) == 1
    assert [texts(path.with_name(name))[-1] for name in names] == ["x", "y"]
    assert len(list(path.parent.glob("*.bak"))) == 2
    assert not list(path.parent.glob(".limner-*"))


def test_a_registry_of_a_newer_limner_is_not_touched(path: Path, pictures: PictureFiles) -> None:
    path.write_bytes(b'{"chat_metadata":{"limner":{"version":2,"messages":{}}}}\n')
    with pytest.raises(StoreFailed, match=r"line 1, is of a newer Limner \(version 2\); upgrade"):
        ChatFileStore(path, pictures)


def test_a_torn_row_of_the_journal_is_passed_over_and_replaced(
    store: ChatFileStore, path: Path, make_finished: Maker
) -> None:
    one, two = make_finished("2"), make_finished("4")
    store.keep(*one)
    journal = path.parent / ".limner-chat.jsonl.kept"
    whole = journal.read_bytes()
    for torn in (whole[:-1], whole[:40], whole[:9], b"", b"\0" * 30, b"\0\n" * 9):
        journal.write_bytes(torn)
        assert store.kept("2") == {}
        store.keep(*two)
        assert list(store.kept("4")) == [two.task.prompt_id]
    journal.write_bytes(whole + b"x" * 10_000)  # longer than the row that takes its place
    store.keep(*two)
    assert journal.read_bytes().endswith(b"}\n")
    assert b"x" * 100 not in journal.read_bytes()
    with journal.open("ab") as file:
        file.write(b'{"task":7}\n\0\0\n{}\n')
    store.keep(*one)
    store.write("2", "Ho", expected_version=version_of(store, "2"))
    assert list(store.kept("2")) == [one.task.prompt_id]
    assert list(store.kept("4")) == [two.task.prompt_id]
    assert not journal.exists()


def test_a_journal_that_a_crash_left_is_not_taken_in_twice(
    store: ChatFileStore, path: Path, pictures: PictureFiles, make_finished: Maker
) -> None:
    one, two = make_finished("2"), make_finished("4")
    one = one._replace(picture=store.keep(*one))
    journal = path.parent / ".limner-chat.jsonl.kept"
    rows = journal.read_bytes()
    store.write("2", one.mark, expected_version=version_of(store, "2"), links=one.links)
    journal.write_bytes(rows)
    again = ChatFileStore(path, pictures)
    assert again.kept("2") == {}
    two = two._replace(picture=again.keep(*two))  # goes into the same one
    assert again.kept("2") == {}
    assert again.kept("4") == {two.task.prompt_id: two.picture}
    again.write("4", two.mark, expected_version=version_of(again, "4"), links=two.links)
    assert again.kept("2") == again.kept("4") == {}
    gone = RegistryUpdate(removed=(one.links.placed[0].id,))
    again.write("2", "Ho", expected_version=version_of(again, "2"), links=gone)
    one = one._replace(picture=again.keep(*one))  # the same row in a new journal is a new one
    assert again.kept("2") == {one.task.prompt_id: one.picture}


CRASHING = (
    SHARED
    + """
import os
from itertools import count
from pathlib import Path

def operations(home, tell):
    store = ChatFileStore(home / "chat.jsonl", PictureFiles(home / "pictures", "pictures"))
    one = store.keep(*finished("2", b"one"))
    tell(b"1")
    store.keep(*finished("3", b"two"))
    tell(b"2")
    link = placed(finished("2", b"one")[0], one)
    text, version = store.load("2")
    text = f'{text}<img data-limner="{link.id}" src="a.png">'
    store.write("2", text, expected_version=version, links=RegistryUpdate(placed=(link,)))
    tell(b"3")

def crash_at(point, home, tell):
    seen = count(1)

    def heard(event, arguments):
        if event in {"open", "os.rename", "os.remove", "os.truncate"}:
            if str(arguments[0]).startswith(str(home)) and next(seen) == point:
                os._exit(9)

    sys.addaudithook(heard)
    operations(home, tell)
    os._exit(0)

def check(home, told):
    store = ChatFileStore(home / "chat.jsonl", PictureFiles(home / "pictures", "pictures"))
    text, version = store.load("2")
    states = {at: [link.state for link in store.registry(at).links] for at in "23"}
    if "data-limner" in text:
        assert states == {"2": ["placed"], "3": ["kept"]}, states
        assert not store.kept("2") and len(store.kept("3")) == 1
    else:
        assert b"3" not in told
        assert states["2"] in ([["kept"]] if b"1" in told else [[], ["kept"]]), (told, states)
        assert states["3"] in ([["kept"]] if b"2" in told else [[], ["kept"]]), (told, states)
    backup = home / "chat.jsonl.bak"
    assert not backup.exists() or backup.read_bytes() == untouched
    store.write("2", "done", expected_version=version)
    assert {at: [link.state for link in store.registry(at).links] for at in "23"} == states
    assert not (home / ".limner-chat.jsonl.kept").exists() or states == {"2": [], "3": []}

untouched = Path(path).read_bytes()
for point in count(1):
    home = Path(path).parent / str(point)
    home.mkdir()
    (home / "chat.jsonl").write_bytes(untouched)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        crash_at(point, home, lambda what: os.write(writing, what))
    os.close(writing)
    told = os.read(reading, 99)
    while more := os.read(reading, 99):
        told += more
    os.close(reading)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, 9}, code
    check(home, told)
    if code == 0:
        break
print(point - 1)
"""
)


def test_a_crash_at_any_point_loses_nothing_and_doubles_nothing(
    path: Path, pictures: PictureFiles, python: Maker
) -> None:
    path.write_bytes(lines(HEADER, said("Hi"), said("Ho")))
    process = python(CRASHING, path, pictures.directory)
    output, errors = process.communicate(timeout=WAIT)
    assert process.returncode == 0, errors
    assert int(output) > 20


# ---- what is read once


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record each header that a store reads."""
    seen: list[str] = []

    def counted(line: str) -> Header:
        seen.append(line)
        return Header(line)

    monkeypatch.setattr(chat_file, "Header", counted)
    return seen


def test_what_a_store_wrote_is_known_without_its_header_being_read_again(
    path: Path, pictures: PictureFiles, make_finished: Maker, read: list[str]
) -> None:
    path.write_bytes(lines(HEADER, *(said(f"{at}") for at in range(9))))
    store = ChatFileStore(path, pictures)
    assert len(read) == 1
    for at in range(2, 11):
        one = make_finished(str(at), data=f"{at}".encode())
        one = one._replace(picture=store.keep(*one))
        assert list(store.kept(str(at))) == [one.task.prompt_id]
        version = version_of(store, str(at))
        store.write(str(at), one.mark, expected_version=version, links=one.links)
        assert [link.state for link in store.registry(str(at)).links] == ["placed"]
        assert store.prompts_of(one.picture.id) == [store.prompt(one.task.prompt_id)]
    path.write_bytes(path.read_bytes() + lines(said("theirs")))  # which leaves the header
    assert store.kept("2") == {}
    assert len(read) == 1
    again = ChatFileStore(path, pictures)
    assert len(read) == 2
    for message_id, _ in store.messages():
        assert store.registry(message_id) == again.registry(message_id)


@pytest.mark.parametrize("way", ["in place", "by a rename", "by another store"])
def test_a_header_that_another_changed_between_two_writes_is_seen_and_stays(
    store: ChatFileStore, path: Path, pictures: PictureFiles, make_finished: Maker, way: str
) -> None:
    one, two = make_finished("2"), make_finished("4", data=b"two")
    one, two = (finished._replace(picture=store.keep(*finished)) for finished in (one, two))
    links = one.links
    store.write("2", one.mark, expected_version=version_of(store, "2"), links=links)
    before = path.stat()
    if way == "by another store":
        other = ChatFileStore(path, pictures)
        other.write("4", two.mark, expected_version=version_of(other, "4"), links=two.links)
    else:
        theirs = path.read_bytes().replace(b'"state":"placed"', b'"state": "kept" ', 1)
        assert len(theirs) == before.st_size
        if way == "by a rename":
            (path.parent / "new").write_bytes(theirs)
            (path.parent / "new").replace(path)
        else:
            path.write_bytes(theirs)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    version = version_of(store, "4")
    store.write("4", f"{two.mark} and more", expected_version=version, links=two.links)
    for known in (store, ChatFileStore(path, pictures)):
        (of_one,), (of_two,) = (known.registry(at).links for at in ("2", "4"))
        assert of_one.state == ("placed" if way == "by another store" else "kept")
        assert of_two.state == "placed"
    assert (b'"state": "kept" ' in path.read_bytes()) == (way != "by another store")


def test_stores_on_one_file_that_take_turns_know_what_the_other_did(
    path: Path, pictures: PictureFiles, make_finished: Maker
) -> None:
    stores = [ChatFileStore(path, pictures) for _ in range(2)]
    expected = Registry()
    for turn in range(12):
        store, other = stores[turn % 2], stores[(turn + 1) % 2]
        one = make_finished("2", data=f"{turn % 5}".encode())
        one = one._replace(picture=store.keep(*one))
        expected = expected.keep(one.task, one.picture)
        assert other.registry("2") == store.registry("2") == expected
        if turn % 3:
            version = version_of(store, "2")
            store.write("2", one.mark, expected_version=version, links=one.links)
            expected = expected.settle("2", one.links, one.mark)
            assert other.registry("2") == store.registry("2") == expected


def test_a_line_is_found_again_without_the_file_being_read_from_its_beginning(
    tmp_path: Path,
) -> None:
    path = tmp_path / "lines"
    every = [b"%d" % number * (number % 300) + b"\n" for number in range(9_000)]
    path.write_bytes(b"".join(every))
    file = LineFile(path)
    starts = [0, *accumulate(len(line) for line in every)]
    with file.opened() as opened:
        assert opened.line(len(every) + 1) is None
    for number in (9_000, 1, 5_000, 2, 8_999, 300, *range(4_000, 4_900, 7)):
        with file.opened() as opened:
            counted = Counted(opened.file)
            opened.file = cast("BinaryIO", counted)
            assert opened.line(number) == Line(starts[number - 1], every[number - 1])
            assert counted.size <= 2**18
    assert path.stat().st_size > 8 * 2**18
    changed = [b"\n", *every]
    path.write_bytes(b"".join(changed))
    for number in (9_001, 9_002, 4_000, 1):
        with file.opened() as opened:
            found = opened.line(number)
        assert (found and found.content) == (changed[number - 1] if number < 9_002 else None)


class Counted:
    """A file that counts the bytes that are read from it in blocks."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def read(self, size: int) -> bytes:
        block: bytes = self.file.read(size)
        self.size += len(block)
        return block


# ---- the file itself


def test_the_untouched_file_is_kept_once(store: ChatFileStore, path: Path) -> None:
    untouched = path.read_bytes()
    backup = path.parent / "chat.jsonl.bak"
    for text in ("one", "two"):
        store.write("2", text, expected_version=version_of(store, "2"))
        assert backup.read_bytes() == untouched


def test_a_backup_that_is_there_stays_and_none_is_made_unasked(
    path: Path, pictures: PictureFiles
) -> None:
    store = ChatFileStore(path, pictures, backup=False)
    store.write("2", "one", expected_version=version_of(store, "2"))
    assert names(path) == ["chat.jsonl"]
    backup = path.parent / "chat.jsonl.bak"
    backup.write_text("what somebody else has kept")
    store = ChatFileStore(path, pictures)
    store.write("2", "two", expected_version=version_of(store, "2"))
    assert backup.read_text() == "what somebody else has kept"


def test_a_link_to_nowhere_in_the_place_of_a_backup_is_refused(
    path: Path, pictures: PictureFiles
) -> None:
    (path.parent / "chat.jsonl.bak").symlink_to("nowhere")
    before = path.read_bytes()
    with pytest.raises(StoreFailed, match="is no file"):
        ChatFileStore(path, pictures)
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_a_write_keeps_the_permissions_and_the_link(
    path: Path, pictures: PictureFiles, tmp_path: Path, mode: int
) -> None:
    path.chmod(mode)
    link = tmp_path / "link.jsonl"
    link.symlink_to(path)
    store = ChatFileStore(link, pictures)
    store.write("2", "one", expected_version=version_of(store, "2"))
    assert link.is_symlink()
    assert texts(path)[0] == "one"
    for name in ("chat.jsonl", "chat.jsonl.bak"):
        assert (path.parent / name).stat().st_mode & 0o7777 == mode


def test_what_is_no_chat_file_is_said_in_one_line(tmp_path: Path, pictures: PictureFiles) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    wrong = {
        "missing": (None, "^there is no file .*missing$"),
        ".": (None, "is a directory or a device, not a file of lines$"),
        "pipe": (None, "is a directory or a device"),
        "loop": (None, "loop cannot be read: "),
        "nul\0": (None, "is no path of a file"),
        "empty": (b"", "empty, line 1, is blank; repair it"),
        "text": (b"Once\n", "line 1, is not JSON"),
        "latin": (b'{"chat_metadata":"caf\xe9"}', "line 1, is not UTF-8 at byte 22; repair it"),
        "list": (b"[]", "line 1, is JSON but no object"),
        "group": (lines(said("Hi")), "line 1, is a message and no header, as in a group's chat"),
        "other": (b'{"a":1}', "line 1, is no header of a chat: it has no chat_metadata"),
        "odd": (b'{"chat_metadata":[]}', "line 1, has a chat_metadata that is no object"),
    }
    for name, (content, says) in wrong.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(StoreFailed, match=says) as caught:
            ChatFileStore(f"{tmp_path}/{name}", pictures)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("message_id", "says"),
    [
        ("1", "line 1 of a chat file is its header"),
        ("3", "line 3, is a message of the user"),
        ("0", "'0' names no message of a chat file"),
        ("01", "number of its line"),
        ("-2", "number of its line"),
        ("٣", "number of its line"),
        ("2\n", "number of its line"),
        ("", "number of its line"),
        ("9" * 5_000, "number of its line"),
    ],
)
def test_a_line_that_is_none_of_the_assistants_is_unknown(
    store: ChatFileStore, message_id: str, says: str, make_finished: Maker
) -> None:
    with pytest.raises(UnknownMessage, match=says):
        store.load(message_id)
    if message_id == "3":
        return
    with pytest.raises(UnknownMessage, match=says):
        store.write(message_id, "text", expected_version=version_of(store, "2"))
    with pytest.raises(UnknownMessage, match=says):
        store.keep(*make_finished(message_id))
    with pytest.raises(UnknownMessage, match=says):
        store.kept(message_id)
    with pytest.raises(UnknownMessage, match=says):
        store.add(Prompt(id=prompt_id("2", "a", 0), message_id=message_id, text="a", ordinal=0))


def test_a_broken_line_matters_only_to_who_asks_for_it(store: ChatFileStore, path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content + b'\n{"mes":\n"caf\xe9"\n{"mes":7}\n' + lines(said("last")))
    says = {
        "5": "is blank",
        "6": "is not JSON",
        "7": "is not UTF-8 at byte 5",
        "8": "is no message",
    }
    for message_id, reason in says.items():
        with pytest.raises(StoreFailed, match=f"chat.jsonl, line {message_id}, {reason}.*; repair"):
            store.load(message_id)
    broken: list[str] = []
    found = store.messages(broken=lambda error: broken.append(str(error)))
    assert [at for at, _ in found] == ["2", "4", "9"]
    assert [at for at in says if any(f"line {at}," in one for one in broken)] == ["6", "7", "8"]
    assert [at for at, _ in store.messages()] == ["2", "4", "9"]
    store.write("9", "new", expected_version=version_of(store, "9"))
    assert path.read_bytes().startswith(content + b'\n{"mes":\n"caf\xe9"\n')


def test_what_may_not_be_written_is_said_and_left_alone(tmp_path: Path, python: Maker) -> None:
    script = SHARED + (
        "import os, shutil, tempfile\n"
        "from pathlib import Path\n"
        "from limner.messages.errors import StoreFailed\n"
        "home = Path(tempfile.mkdtemp())\n"
        "home.chmod(0o755)\n"
        "chat = home / 'chat.jsonl'\n"
        "chat.write_bytes(Path(path).read_bytes())\n"
        "if os.geteuid() == 0:\n"
        "    os.chown(home, 65534, 65534), os.chown(chat, 65534, 65534)\n"
        "    os.setgroups([]), os.setgid(65534), os.setuid(65534)\n"
        "pictures = PictureFiles(home / 'pictures', 'pictures')\n"
        "(home / 'pictures').mkdir()\n"
        "store = ChatFileStore(chat, pictures)\n"
        "text, version = store.load('2')\n"
        "def refused(call):\n"
        "    try:\n"
        "        call()\n"
        "    except StoreFailed as error:\n"
        "        print(error)\n"
        "def write():\n"
        "    store.write('2', 'new', expected_version=version)\n"
        "chat.chmod(0o444)\n"
        "refused(write)\n"
        "chat.chmod(0o644), home.chmod(0o555)\n"
        "refused(write)\n"
        "refused(lambda: store.keep(*finished('2', b'one')))\n"
        "chat.chmod(0), home.chmod(0o311)\n"
        "refused(lambda: store.load('2'))\n"
        "chat.chmod(0o644)\n"  # its directory can be passed through, but not listed or locked
        "assert store.load('2') == (text, version)\n"
        "home.chmod(0o755)\n"
        "write()\n"
        "print(sorted(one.name for one in home.iterdir()))\n"
        "shutil.rmtree(home)\n"
    )
    path = tmp_path / "chat.jsonl"
    path.write_bytes(lines(HEADER, said("Hi")))
    process = python(script, path, tmp_path)
    output, errors = process.communicate(timeout=WAIT)
    assert process.returncode == 0, errors
    protected, replaced, kept, read, left = output.splitlines()
    assert protected.endswith("chat.jsonl is write-protected")
    assert "chat.jsonl cannot be replaced: Permission denied; its directory has to be" in replaced
    assert kept.endswith(".limner-chat.jsonl.kept cannot be written: Permission denied")
    assert read.endswith("chat.jsonl cannot be read: Permission denied")
    assert left == "['chat.jsonl', 'chat.jsonl.bak', 'pictures']"


LARGE = (
    SHARED
    + """
import json, re, resource, time

def peak():
    # of this program alone: getrusage counts what it was forked from
    try:
        with open("/proc/self/status") as status:
            return int(re.search(r"VmHWM:\\s+(\\d+)", status.read())[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

before, began = peak(), time.perf_counter()
store = ChatFileStore(path, pictures)
write(store, sys.argv[3], b"one")
print(json.dumps([before, peak(), time.perf_counter() - began]))
"""
)


def test_a_large_file_is_illustrated_in_little_memory(
    path: Path, pictures: PictureFiles, python: Maker
) -> None:
    line = lines(said("x" * 1_900))
    count = 50_000_000 // len(line) + 1
    with path.open("wb") as file:
        file.write(lines(HEADER))
        file.writelines(line for _ in range(count))
    process = python(LARGE, path, pictures.directory, count)
    output, errors = process.communicate(timeout=WAIT)
    assert process.returncode == 0, errors
    before, after, seconds = json.loads(output)
    assert path.stat().st_size > 50_000_000
    assert after - before < 8_000, f"{before} KiB → {after} KiB in {seconds:.2f} s"
    (link,) = ChatFileStore(path, pictures).registry(str(count)).links
    assert link.state == "placed"


# ---- the whole way


def test_a_message_is_illustrated_where_it_stands(store: ChatFileStore, path: Path) -> None:
    with Studio.open(Settings(), store=store, generator="instant") as studio:
        text = next(text for at, text in store.messages() if at == "4")
        result = studio.illustrate("4", text).get(timeout=WAIT)
        assert len(result.pictures) == 1
        with pytest.raises(Exception, match="line 3, is a message of the user"):
            studio.illustrate("3", TAG).get(timeout=WAIT)
    assert texts(path) == ["Hi", TAG, result.text]
    assert result.pictures[0].id in result.text
    (link,) = store.registry("4").links
    assert (link.state, link.placement) == ("placed", result.pictures[0])


def test_a_chat_that_is_saved_meanwhile_gets_its_pictures_in_the_newer_text(
    store: ChatFileStore, path: Path
) -> None:
    instant = Instant()

    def generate(task: Any, cancelled: Any) -> Any:
        newer = path.read_bytes().replace(b"shone", b"shines").removesuffix(b"\n")
        path.write_bytes(newer + b"\n" + lines(said("one more")))
        return instant.generate(task, cancelled)

    with Studio.open(Settings(), store=store, generator=generate) as studio:
        result = studio.illustrate("4", f"It {TAG} shone").get(timeout=WAIT)
    assert len(result.pictures) == 1
    assert texts(path)[2] == result.text
    assert result.text.startswith(f"It {TAG}<img")
    assert result.text.endswith("> shines")
    assert texts(path)[3] == "one more"
