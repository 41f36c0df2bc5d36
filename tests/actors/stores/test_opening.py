"""From a name to a store, and a clear line for a name that is none."""

import re
from pathlib import Path
from typing import Any

import pytest

from limner.actors.stores import (
    ChatFileStore,
    FileStore,
    MemoryStore,
    SqlStore,
    Store,
    open_store,
)
from limner.messages.errors import SettingsInvalid, StoreFailed


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def opened(name: object) -> Store:
    return open_store(name, pictures=Path("pictures"), pictures_url=None)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("memory:", MemoryStore),
        ("files:stories", FileStore),
        ("files:/tmp", FileStore),
        ("sqlite:///limner.db", SqlStore),
        ("sqlite+pysqlite:///deep/er/limner.db", SqlStore),
    ],
)
def test_a_name_gives_its_store(name: str, kind: type) -> None:
    store = opened(name)
    assert type(store) is kind
    store.close()


def test_a_name_of_a_chat_gives_the_store_of_that_file() -> None:
    line = '{"name":"Ada","is_user":false,"mes":"once"}'
    Path("ada: one.jsonl").write_text(f'{{"chat_metadata":{{}}}}\n{line}\n')
    store = opened("chat:ada: one.jsonl")
    assert type(store) is ChatFileStore
    assert (store.load("2") or ())[:1] == ("once",)
    store.close()


@pytest.mark.parametrize("name", ["chat", "chat:", "chat:a\0b.jsonl"])
def test_a_chat_without_a_file_that_can_be_is_refused_with_one_that_can(name: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"^store: chat: needs a file, as in chat:[^\0\n]+$"):
        opened(name)


def test_pictures_go_where_the_settings_say(tmp_path: Path, make_finished: Any) -> None:
    one = make_finished()
    for number, name in enumerate(("memory:", "files:stories", "sqlite:///limner.db")):
        store = open_store(name, pictures=Path(f"{number}"), pictures_url=f"/at/{number}")
        assert store.keep(*one).url == f"/at/{number}/{one.picture.id}.png"
        assert (tmp_path / f"{number}" / f"{one.picture.id}.png").is_file()
        store.close()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "'' is not understood"),
        ("sqlite", "'sqlite' is not understood"),
        ("memory", "'memory' is not understood"),
        ("redis:6379", "'redis' is not understood"),
        ("files:", "needs a directory"),
        ("files:a\0b", "needs a directory"),
        ("nosuch://there/db", "no database called 'nosuch'"),
        ("://there", "'' URL cannot be understood"),
        ("sqlite+aiosqlite:///x.db", "aiosqlite"),
        ("sqlite+nosuch:///x.db", "no database called 'sqlite+nosuch'"),
        ("oracle://there/db", "Python package"),
        ("sqlite://", "use memory:"),
        ("sqlite:///:memory:", "use memory:"),
        ("sqlite:///file:x?mode=memory&uri=true", "use memory:"),
        ("sqlite:///x.db?timeout=soon", "option"),
        ("x" * 10_000, "is not understood"),
    ],
)
def test_a_name_that_is_not_understood_is_refused_with_those_that_are(name: str, says: str) -> None:
    with pytest.raises(SettingsInvalid, match=re.escape(says)) as refusal:
        opened(name)
    line = str(refusal.value)
    assert "\n" not in line
    assert len(line) < 400
    assert "files:" in line


@pytest.mark.parametrize(
    "name",
    [
        "nosuch://me:s3cret@there/db",
        "postgresql://me:s3cret@there:s3cret/db",
        "postgresql+nosuch://me:s3cret@there/db",
        "postgresql:me:s3cret@there/db",
        "s3cret@there/db",
        "mssql+pymssql://me:s3cret@there/db?password=s3cret",
        "postgresql+psycopg://me:s3cret@127.0.0.1:1/db?password=s3cret",
        "postgresql+asyncpg://me:s3cret@there/db",
    ],
)
def test_no_refusal_quotes_a_password(name: str) -> None:
    with pytest.raises((SettingsInvalid, StoreFailed)) as refusal:
        opened(name)
    shown: BaseException | None = refusal.value
    while shown is not None:
        assert "s3cret" not in str(shown)
        assert "\n" not in str(refusal.value)
        shown = None if shown.__suppress_context__ else shown.__cause__ or shown.__context__


def test_an_object_with_the_methods_of_a_store_is_given_back() -> None:
    store = MemoryStore()
    assert opened(store) is store


def test_an_object_that_lacks_a_method_is_refused_by_the_name_of_it() -> None:
    class Half:
        def load(self, message_id: str) -> None: ...

        def close(self) -> None: ...

        keep = "not a method"

    with pytest.raises(SettingsInvalid, match=r"Half lacks write, keep, kept;"):
        opened(Half())
    with pytest.raises(SettingsInvalid, match="NoneType lacks load, write, keep, kept, close"):
        opened(None)
    with pytest.raises(SettingsInvalid, match="MemoryStore is a class; give an instance"):
        opened(MemoryStore)
