"""A kept picture whose file is gone, empty or another one is found out before it is placed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limner.actors.stores import FileStore, MemoryStore, PictureFiles, SqlStore
from limner.actors.stores.conformance.fixtures import Finished, found
from limner.actors.stores.sillytavern.chat_file import ChatFileStore

CHAT = (
    '{"user_name":"You","character_name":"Ada","chat_metadata":{}}\n'
    '{"name":"Ada","is_user":false,"mes":"x"}\n'
)


def open_chat(folder: Path, pictures: PictureFiles) -> ChatFileStore:
    (folder / "chat.jsonl").write_text(CHAT)
    return ChatFileStore(folder / "chat.jsonl", pictures)


STORES: dict[str, Callable[[Path, PictureFiles], Any]] = {
    "memory": lambda folder, pictures: MemoryStore(pictures),
    "files": lambda folder, pictures: FileStore(folder / "texts", pictures),
    "sql": lambda folder, pictures: SqlStore(f"sqlite:///{folder / 'texts.db'}", pictures),
    "chat": open_chat,
}
DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"x" * path.stat().st_size),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", STORES)
def test_what_is_damaged_is_not_kept_any_more(kind: str, damage: str, tmp_path: Path) -> None:
    pictures = PictureFiles(tmp_path / "pictures", "p")
    store = STORES[kind](tmp_path, pictures)
    one = Finished.of(found("2"))
    kept = store.keep(*one)
    assert store.kept("2") == {one.task.prompt_id: kept}
    DAMAGES[damage](pictures.path(kept))
    assert store.kept("2") == {}
    if damage != "a folder":
        assert store.keep(*one) == kept  # the same picture, made again, takes its place
        assert store.kept("2") == {one.task.prompt_id: kept}
    store.close()


@pytest.mark.parametrize("kind", STORES)
def test_the_one_before_it_counts_again(kind: str, tmp_path: Path) -> None:
    pictures = PictureFiles(tmp_path / "pictures", "p")
    store = STORES[kind](tmp_path, pictures)
    older, newer = (store.keep(*Finished.of(found("2"), number)) for number in (1, 2))
    (sound,) = store.kept("2").values()
    assert sound == newer
    pictures.path(newer).unlink()
    assert list(store.kept("2").values()) == [older]
    store.close()


def test_bytes_in_memory_that_are_gone_are_not_kept_any_more() -> None:
    store = MemoryStore()
    kept = store.keep(*Finished.of(found("m")))
    del store.pictures[kept.id]
    assert store.kept("m") == {}
