"""No call of a store waits for ever, and what is no regular file is refused."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import URL

from limner.actors.stores import FileStore, PictureFiles
from limner.actors.stores.sillytavern.chat_file import ChatFileStore
from limner.actors.stores.sillytavern.line_file import LineFile
from limner.actors.stores.sql.database import Database
from limner.messages.errors import StoreFailed

fcntl = pytest.importorskip("fcntl")
CHAT = (
    b'{"user_name":"You","character_name":"Ada","chat_metadata":{}}\n'
    b'{"name":"Ada","is_user":false,"mes":"x"}\n'
)


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    path = tmp_path / "chat.jsonl"
    path.write_bytes(CHAT)
    return path


def put_in_place(path: Path, kind: str) -> None:
    """Put something there that is no regular file."""
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "link to a pipe":
            os.mkfifo(path.with_name("pipe"))
            path.symlink_to("pipe")
        case "device":
            path.symlink_to("/dev/zero")
        case _:
            path.mkdir()


KINDS = ["pipe", "link to a pipe", "device", "directory"]


def test_a_directory_that_another_process_has_locked_is_named(chat: Path) -> None:
    other = os.open(chat.parent, os.O_RDONLY)
    file = LineFile(chat, timeout=0.05)
    try:
        fcntl.flock(other, fcntl.LOCK_EX)
        locked = pytest.raises(StoreFailed, match="stayed locked by another user.* for 0.05 s")
        with locked, file.locked():
            pass
    finally:
        os.close(other)
    with file.locked():
        pass


def test_a_lock_that_is_let_go_in_time_is_taken(chat: Path) -> None:
    other = os.open(chat.parent, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    timer = threading.Timer(0.05, os.close, [other])
    timer.start()
    with LineFile(chat, timeout=30).locked():
        pass
    timer.join()


def test_a_thread_waits_no_longer_for_another_one(chat: Path) -> None:
    file = LineFile(chat, timeout=0.05)
    with file.locked(), pytest.raises(StoreFailed, match="stayed locked"), file.locked():
        pass
    with file.locked():
        pass


@pytest.mark.parametrize("kind", KINDS)
def test_a_journal_that_is_no_file_is_refused(
    kind: str, chat: Path, make_finished: Callable[..., tuple[object, bytes, object]]
) -> None:
    journal = chat.with_name(".limner-chat.jsonl.kept")
    store = ChatFileStore(chat, PictureFiles(chat.parent / "pictures", "p"))
    put_in_place(journal, kind)
    with pytest.raises(StoreFailed, match=r"chat\.jsonl\.kept"):
        ChatFileStore(chat, PictureFiles(chat.parent / "pictures", "p"))
    with pytest.raises(StoreFailed, match=r"chat\.jsonl\.kept"):
        store.registry("2")
    with pytest.raises(StoreFailed, match=r"chat\.jsonl\.kept"):
        store.keep(*make_finished(message_id="2"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", ["", "-wal", "-journal", "-shm"])
def test_a_database_that_is_no_file_is_refused(kind: str, end: str, tmp_path: Path) -> None:
    put_in_place(tmp_path / f"texts.db{end}", kind)
    with pytest.raises(StoreFailed, match="directory"):
        Database(URL.create("sqlite", database=str(tmp_path / "texts.db")))


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_that_is_no_file_is_refused(kind: str, tmp_path: Path) -> None:
    put_in_place(tmp_path / "story.md", kind)
    store = FileStore(tmp_path, PictureFiles(tmp_path / "pictures"))
    with pytest.raises(StoreFailed, match="not a file"):
        store.load("story.md")
    store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_chat_that_is_no_file_is_refused(kind: str, tmp_path: Path) -> None:
    put_in_place(tmp_path / "chat.jsonl", kind)
    with pytest.raises(StoreFailed, match="not a file"):
        ChatFileStore(tmp_path / "chat.jsonl", PictureFiles(tmp_path / "pictures"))
