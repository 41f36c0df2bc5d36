"""Texts that are files: their bytes, their neighbours, and crashes at every step of a write."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

import pytest
from support.illustrated import contents
from support.quick import first_is_quick

from limner.actors.stores import FileStore, PictureFiles, atomic_files, files
from limner.messages.errors import StoreFailed, UnknownMessage, VersionConflict
from limner.messages.prompts import Prompt, TagOwner
from limner.messages.registry import Registry, RegistryUpdate

Maker = Callable[..., Any]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "texts"
    made.mkdir()
    return made


@pytest.fixture
def store(directory: Path, tmp_path: Path) -> Iterator[FileStore]:
    store = FileStore(directory, PictureFiles(tmp_path / "pictures", "pictures"), timeout=0.1)
    yield store
    store.close()


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def states(directory: Path) -> list[str]:
    with closing(sqlite3.connect(directory / ".limner.sqlite")) as connection:
        return [state for (state,) in connection.execute("SELECT state FROM limner_pictures")]


def notes(directory: Path) -> list[str]:
    with closing(sqlite3.connect(directory / ".limner.sqlite")) as connection:
        return [links for (links,) in connection.execute("SELECT links FROM limner_writes")]


@pytest.mark.parametrize(
    "content", [b"a\r\nb\r\n", b"a\rb\r", b"a\nb\r\nc\rd", b"\xef\xbb\xbfa\r\n", b"", b"\x00\x1a"]
)
def test_the_bytes_of_a_file_come_back_as_they_were(
    store: FileStore, directory: Path, content: bytes
) -> None:
    (directory / "story.md").write_bytes(content)
    loaded = store.load("story.md")
    assert loaded is not None
    text, version = loaded
    assert store.write("story.md", text, expected_version=version) == version
    assert (directory / "story.md").read_bytes() == content
    store.write("story.md", text + "more", expected_version=version)
    assert (directory / "story.md").read_bytes() == content + b"more"


def test_a_version_is_of_the_bytes_and_so_outlives_the_process(
    store: FileStore, directory: Path
) -> None:
    version = store.write("story.md", "once", expected_version=None)
    (directory / "copy.md").write_bytes(b"once")
    (directory / "other.md").write_bytes(b"twice")
    assert isinstance(version, str)
    assert store.load("copy.md") == ("once", version)
    assert store.load("other.md") != ("twice", version)


@pytest.mark.parametrize(
    "message_id",
    [
        *(
            "",
            ".",
            "..",
            "../up.md",
            "a/b",
            "/etc/passwd",
            "a\\b",
            "..\\up",
            "a\0b",
            "a/",
            "é" * 128,
        ),
        *(".limner.sqlite", ".LIMNER.sqlite-wal", ".limner-1-2.tmp", "\udc80.md", "two\nlines.md"),
    ],
)
def test_an_id_that_is_no_plain_name_of_a_text_touches_nothing(
    store: FileStore, tmp_path: Path, directory: Path, message_id: str, make_finished: Maker
) -> None:
    (tmp_path / "up.md").write_text("out of reach")
    (directory / "a").mkdir()
    (directory / "a" / "b").touch()
    one = make_finished()
    task = one.task.model_copy(update={"message_id": message_id})
    calls: tuple[Callable[[], object], ...] = (
        lambda: store.load(message_id),
        lambda: store.write(message_id, "text", expected_version=None),
        lambda: store.kept(message_id),
        lambda: store.keep(task, one.data, one.picture),
        lambda: store.registry(message_id),
        lambda: store.add(one.links.prompts[0].but(message_id=message_id)),
    )
    for call in calls:
        with pytest.raises(UnknownMessage, match=r"^[^\n]* names no text: [^\n]*$"):
            call()
    assert names(directory) == ["a"]
    assert names(tmp_path) == ["texts", "up.md"]


def test_a_file_that_is_no_text_is_said_in_one_line(store: FileStore, directory: Path) -> None:
    (directory / "latin.md").write_bytes(b"caf\xe9")
    (directory / "folder.md").mkdir()
    os.mkfifo(directory / "pipe.md")
    (directory / "loop.md").symlink_to("loop.md")
    for name, says in {
        "latin.md": "is not UTF-8: byte 3 cannot be read",
        "folder.md": "is a directory or a device",
        "pipe.md": "is a directory or a device",
        "loop.md": "cannot be read: ",
    }.items():
        with pytest.raises(StoreFailed, match=rf"^[^\n]*{name} {says}[^\n]*$"):
            store.load(name)
    for name in ("folder.md", "pipe.md", "loop.md"):
        with pytest.raises(StoreFailed):
            store.write(name, "text", expected_version=None)
    assert names(directory) == ["folder.md", "latin.md", "loop.md", "pipe.md"]


def test_a_file_that_is_not_utf8_is_not_overwritten(store: FileStore, directory: Path) -> None:
    (directory / "latin.md").write_bytes(b"caf\xe9")
    with pytest.raises(VersionConflict):
        store.write("latin.md", "text", expected_version=None)
    assert (directory / "latin.md").read_bytes() == b"caf\xe9"


@pytest.mark.parametrize("mode", [0o640, 0o755, 0o600, 0o666])
def test_the_permission_bits_of_a_file_are_kept(
    store: FileStore, directory: Path, mode: int
) -> None:
    path = directory / "story.md"
    path.write_text("once")
    path.chmod(mode)
    loaded = store.load("story.md")
    assert loaded is not None
    store.write("story.md", "twice", expected_version=loaded[1])
    assert path.stat().st_mode & 0o7777 == mode


def test_a_new_file_has_the_permissions_of_any_new_file(store: FileStore, directory: Path) -> None:
    store.write("story.md", "once", expected_version=None)
    (directory / "plain").touch()
    assert (directory / "story.md").stat().st_mode == (directory / "plain").stat().st_mode


def test_a_write_through_a_symbolic_link_keeps_the_link(
    store: FileStore, directory: Path, tmp_path: Path
) -> None:
    (tmp_path / "real.md").write_text("once")
    (directory / "story.md").symlink_to("../real.md")
    (directory / "new.md").symlink_to("../created.md")
    loaded = store.load("story.md")
    assert loaded is not None
    store.write("story.md", "twice", expected_version=loaded[1])
    store.write("new.md", "new", expected_version=None)
    assert (directory / "story.md").is_symlink()
    assert (directory / "new.md").is_symlink()
    assert (tmp_path / "real.md").read_text() == "twice"
    assert (tmp_path / "created.md").read_text() == "new"
    assert names(tmp_path) == ["created.md", "real.md", "texts"]


def test_there_is_no_registry_before_there_is_something_to_register(
    store: FileStore, directory: Path, make_finished: Maker
) -> None:
    version = store.write("story.md", "once", expected_version=None, links=RegistryUpdate())
    store.load("story.md")
    store.kept("story.md")
    assert names(directory) == ["story.md"]
    store.write("story.md", "twice", expected_version=version, links=make_finished().links)
    assert ".limner.sqlite" in names(directory)


def test_nothing_is_left_beside_the_texts_but_the_registry(
    store: FileStore, directory: Path, make_finished: Maker
) -> None:
    one = make_finished()
    one = one._replace(picture=store.keep(*one))
    version = store.write("story.md", "once", expected_version=None)
    with pytest.raises(VersionConflict):
        store.write("story.md", "again", expected_version=None)
    store.write("story.md", one.mark, expected_version=version, links=one.links)
    store.close()
    assert names(directory) == [".limner.sqlite", "story.md"]
    assert states(directory) == ["placed"]


def changed_as_it_is_written(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    real = atomic_files.write_temporary

    def write_temporary(*arguments: Any, **options: Any) -> Path:
        path = real(*arguments, **options)
        change()
        return path

    monkeypatch.setattr(files, "write_temporary", write_temporary)


def test_a_change_that_comes_while_the_new_text_is_written_is_not_lost(
    store: FileStore, directory: Path, monkeypatch: pytest.MonkeyPatch, make_finished: Maker
) -> None:
    one = make_finished()
    one = one._replace(picture=store.keep(*one))
    version = store.write("story.md", "once", expected_version=None)
    path = directory / "story.md"
    changed_as_it_is_written(monkeypatch, lambda: path.write_text("by an editor"))
    with pytest.raises(VersionConflict, match=r"story\.md was changed by another program$"):
        store.write("story.md", one.mark, expected_version=version, links=one.links)
    assert path.read_text() == "by an editor"
    assert states(directory) == ["kept"]
    changed_as_it_is_written(monkeypatch, path.unlink)
    loaded = store.load("story.md")
    assert loaded is not None
    with pytest.raises(VersionConflict, match=r"story\.md is not there any more$"):
        store.write("story.md", one.mark, expected_version=loaded[1], links=one.links)
    assert not path.exists()
    assert store.kept("story.md") == {one.task.prompt_id: one.picture}


def test_no_thread_comes_between_the_comparison_and_the_rename(
    store: FileStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = store.write("story.md", "once", expected_version=None)
    renaming, go_on = Event(), Event()
    real = Path.replace

    def replace(path: Path, target: Path) -> Path:
        renaming.set()
        go_on.wait(60)
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(store.write, "story.md", "first", expected_version=version)
        renaming.wait(60)
        second = pool.submit(store.write, "story.md", "second", expected_version=version)
        with pytest.raises(TimeoutError):
            second.result(timeout=0.1)
        renaming.clear()
        go_on.set()
        first.result(60)
        with pytest.raises(VersionConflict):
            second.result(60)
    assert not renaming.is_set()
    assert (directory / "story.md").read_text() == "first"


@pytest.mark.parametrize("hard_links", [True, False])
def test_a_file_that_appears_while_the_new_one_is_written_is_not_overwritten(
    store: FileStore, directory: Path, monkeypatch: pytest.MonkeyPatch, hard_links: bool
) -> None:
    def refuse(path: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    if not hard_links:
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    store.write("first.md", "once", expected_version=None)
    assert (directory / "first.md").read_text() == "once"
    path = directory / "story.md"
    changed_as_it_is_written(monkeypatch, lambda: path.write_text("by an editor"))
    with pytest.raises(VersionConflict, match=r"story\.md is there already$"):
        store.write("story.md", "mine", expected_version=None)
    assert path.read_text() == "by an editor"
    assert names(directory) == ["first.md", "story.md"]


def test_a_full_disk_leaves_the_old_text_and_the_kept_picture(
    store: FileStore, directory: Path, monkeypatch: pytest.MonkeyPatch, make_finished: Maker
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    one = make_finished()
    one = one._replace(picture=store.keep(*one))
    version = store.write("story.md", "once", expected_version=None)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreFailed, match=r"story\.md cannot be written: No space left"):
            store.write("story.md", one.mark, expected_version=version, links=one.links)
    assert store.load("story.md") == ("once", version)
    assert states(directory) == ["kept"]
    assert [name for name in names(directory) if name.endswith(".tmp")] == []
    store.write("story.md", one.mark, expected_version=version, links=one.links)


def test_a_text_in_place_is_written_even_if_its_registry_is_locked_by_then(
    store: FileStore, directory: Path, monkeypatch: pytest.MonkeyPatch, make_finished: Maker
) -> None:
    one = make_finished()
    one = one._replace(picture=store.keep(*one))
    with closing(sqlite3.connect(directory / ".limner.sqlite", isolation_level=None)) as other:
        with monkeypatch.context() as patch:
            patch.setattr(files, "sync_directory", lambda _: other.execute("BEGIN IMMEDIATE"))
            version = store.write("story.md", one.mark, expected_version=None, links=one.links)
        other.execute("ROLLBACK")
    assert states(directory) == ["kept"]
    assert store.load("story.md") == (one.mark, version)
    assert states(directory) == ["placed"]
    assert notes(directory) == []


def test_a_registry_that_cannot_be_written_stops_the_write(
    store: FileStore, directory: Path, make_finished: Maker
) -> None:
    one = make_finished()
    store.keep(*one)
    with closing(sqlite3.connect(directory / ".limner.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreFailed, match="stayed locked"):
            store.write("story.md", one.mark, expected_version=None, links=one.links)
    assert store.load("story.md") is None


def test_leftovers_of_killed_processes_are_removed(store: FileStore, directory: Path) -> None:
    for name, written in {".limner-999999-0.tmp": 1, ".limner-999998-0.tmp": None}.items():
        (directory / name).touch()
        if written:
            os.utime(directory / name, (written, written))
    store.write("story.md", "once", expected_version=None)
    assert names(directory) == [".limner-999998-0.tmp", "story.md"]


KILLED = """
import os, signal, sys
from pathlib import Path
from limner.actors.stores import FileStore, PictureFiles, files
from limner.actors.stores.sql import write_intents as notes, registry
from limner.messages.registry import RegistryUpdate

def die(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)

def dying_after(call):
    def called(*arguments, **options):
        call(*arguments, **options)
        die()
    return called

directory, pictures, step, links, text = sys.argv[1:]
store = FileStore(directory, PictureFiles(pictures, "pictures"))
held = store.load("story.md")
match step:
    case "before the links are noted":
        notes.announce = die
    case "before the temporary file":
        files.write_temporary = die
    case "while the temporary file is written":
        os.fsync = die
    case "before the rename":
        Path.replace = Path.hardlink_to = die
    case "after the rename":
        Path.replace = dying_after(Path.replace)
        Path.hardlink_to = dying_after(Path.hardlink_to)
    case "before the directory is on the disk":
        files.sync_directory = die
    case "before the links are settled":
        registry.settle = die
    case "before what is settled is committed":
        notes.forget = die
store.write(
    "story.md",
    text,
    expected_version=held and held[1],
    links=RegistryUpdate.model_validate_json(links),
)
"""

STEPS = [
    ("before the links are noted", False),
    ("before the temporary file", False),
    ("while the temporary file is written", False),
    ("before the rename", False),
    ("after the rename", True),
    ("before the directory is on the disk", True),
    ("before the links are settled", True),
    ("before what is settled is committed", True),
]


@pytest.mark.parametrize("creating", first_is_quick([False, True]))
@pytest.mark.parametrize(("step", "placed"), STEPS)
def test_a_crash_at_any_step_leaves_one_whole_text_and_the_registry_right_at_the_next_load(
    directory: Path,
    tmp_path: Path,
    step: str,
    placed: bool,
    creating: bool,
    store: FileStore,
    make_finished: Maker,
    python: Maker,
) -> None:
    one, two = make_finished(prompt="one"), make_finished(prompt="two")
    one = one._replace(picture=store.keep(*one))
    two = two._replace(picture=store.keep(*two))
    old = None
    if not creating:
        old = two.mark, store.write("story.md", two.mark, expected_version=None, links=two.links)
    before = store.registry("story.md")
    new = f"once\r\n{one.mark}"
    links = one.links.but(
        removed=(two.placement.id,),
        claims=(TagOwner(prompt_id="p", text="uno", ordinal=0),),
        prompts=(*one.links.prompts, Prompt(id="p", message_id="story.md", text="3", ordinal=0)),
        anew=True,
    )
    after = before.settle("story.md", links, new)
    said = links.model_dump_json()
    with python(KILLED, directory, tmp_path / "pictures", step, said, new) as process:
        said = process.communicate(timeout=60)
    assert (process.returncode, said) == (-9, ("", ""))

    assert states(directory) == [link.state for link in before.links]
    assert store.registry("story.md") == (after if placed else before)
    loaded = store.load("story.md")
    if placed:
        assert loaded is not None
        assert loaded[0] == new
        assert (directory / "story.md").read_bytes() == new.encode()
        assert notes(directory) == []
    else:
        assert loaded == old
    version = loaded and loaded[1]
    store.write("story.md", new, expected_version=version, links=links)
    assert (directory / "story.md").read_bytes() == new.encode()
    assert store.registry("story.md") == after
    assert notes(directory) == []


@pytest.mark.parametrize("stands", [False, True])
def test_after_a_crash_and_a_change_by_another_program_the_marks_decide(
    store: FileStore,
    directory: Path,
    tmp_path: Path,
    make_finished: Maker,
    python: Maker,
    stands: bool,
) -> None:
    one, two = make_finished(prompt="one"), make_finished(prompt="two")
    one = one._replace(picture=store.keep(*one))
    two = two._replace(picture=store.keep(*two))
    store.write("story.md", two.mark, expected_version=None, links=two.links)
    links = one.links.but(removed=(two.placement.id,)).model_dump_json()
    step = "before the links are settled"
    with python(KILLED, directory, tmp_path / "pictures", step, links, one.mark) as process:
        process.communicate(timeout=60)
    (directory / "story.md").write_text(f"by an editor {one.mark if stands else two.mark}")
    expected = ["placed", "past"] if stands else ["kept", "placed"]
    known = {link.placement.id: link.state for link in store.registry("story.md").links}
    assert [known[made.placement.id] for made in (one, two)] == expected


def test_after_a_crash_a_write_that_placed_nothing_is_known_by_its_content(
    store: FileStore, directory: Path, tmp_path: Path, make_finished: Maker, python: Maker
) -> None:
    one = make_finished()
    one = one._replace(picture=store.keep(*one))
    store.write("story.md", one.mark, expected_version=None, links=one.links)
    claims = (TagOwner(prompt_id="p", text="uno", ordinal=0),)
    links = RegistryUpdate(removed=(one.placement.id,), claims=claims).model_dump_json()
    step = "before the links are settled"
    with python(KILLED, directory, tmp_path / "pictures", step, links, "none") as process:
        process.communicate(timeout=60)
    known = store.registry("story.md")
    assert ([link.state for link in known.links], known.claims) == (["past"], claims)
    assert notes(directory) == []


def test_a_load_while_another_thread_writes_settles_nothing_yet(
    store: FileStore, directory: Path, monkeypatch: pytest.MonkeyPatch, make_finished: Maker
) -> None:
    one = make_finished()
    one = one._replace(picture=store.keep(*one))
    version = store.write("story.md", "once", expected_version=None)
    seen: list[Any] = []

    def look() -> None:
        seen.append(store.load("story.md"))
        seen.extend(states(directory))

    changed_as_it_is_written(monkeypatch, look)
    store.write("story.md", one.mark, expected_version=version, links=one.links)
    assert seen == [("once", version), "kept"]
    assert states(directory) == ["placed"]
    assert notes(directory) == []


def test_what_no_registry_can_hold_stops_the_write_before_the_file_is_touched(
    store: FileStore, make_finished: Maker
) -> None:
    one = make_finished()
    version = store.write("story.md", "once", expected_version=None)
    half = one.links.prompts[0].but(text="half \ud800")
    with pytest.raises(StoreFailed, match="half a surrogate pair"):
        store.write(
            "story.md", "2", expected_version=version, links=RegistryUpdate(prompts=(half,))
        )
    assert store.load("story.md") == ("once", version)


def test_a_new_text_without_prompts_needs_no_registry(store: FileStore, directory: Path) -> None:
    store.write("story.md", "once", expected_version=None, links=RegistryUpdate(anew=True))
    assert store.registry("story.md") == Registry()
    assert store.prompt("p") is None
    assert (store.pictures_of("p"), store.prompts_of("p")) == ((), ())
    assert names(directory) == ["story.md"]


READING = """
import os, sys
from limner.actors.stores import FileStore, PictureFiles
from limner.messages.errors import StoreFailed
from limner.messages.prompts import Prompt

prompt = Prompt(id="p", message_id="story.md", text="a", ordinal=0)
FileStore(sys.argv[2], PictureFiles("pictures")).add(prompt)  # which imports what is needed
if os.geteuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
store = FileStore(sys.argv[1], PictureFiles("pictures"))
text, version = store.load("story.md")
print(text)
print(store.registry("story.md").model_dump_json())
try:
    store.add(prompt)
except StoreFailed as error:
    print(error)
"""


@pytest.mark.parametrize("in_use", [False, True])
@pytest.mark.parametrize("folder", first_is_quick([False, True]))
def test_what_may_not_be_written_can_be_read_and_is_left_as_it_is(
    tmp_path: Path, make_finished: Maker, python: Maker, in_use: bool, folder: bool
) -> None:
    with TemporaryDirectory() as home:
        directory = Path(home) / "a #1 ?"
        directory.mkdir()
        store = FileStore(directory, PictureFiles(tmp_path, "pictures"))
        one = make_finished()
        one = one._replace(picture=store.keep(*one))
        store.write("story.md", one.mark, expected_version=None, links=one.links)
        known = store.registry("story.md").model_dump_json()
        text = one.mark
        if not in_use:
            store.close()
        else:  # by one who has left the registry in its log, and by another one who died
            text, links = "none", RegistryUpdate(removed=(one.placement.id,)).model_dump_json()
            step = "before the links are settled"
            with python(KILLED, directory, tmp_path, step, links, text) as process:
                process.communicate(timeout=60)
        before = contents(directory)
        for path in directory.iterdir():
            path.chmod(0o666 if folder else 0o444)
        Path(home).chmod(0o755)
        directory.chmod(0o555 if folder else 0o777)
        with python(READING, directory, tmp_path) as process:
            output, errors = process.communicate(timeout=60)
        directory.chmod(0o755)
        after = contents(directory)
        store.close()
        assert errors == ""
        *read, refused = output.splitlines()
        assert read == [text, known]
        assert refused.endswith("attempt to write a readonly database")
        assert after == before
