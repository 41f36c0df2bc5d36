"""Open a store by its name in the settings."""

from pathlib import Path
from typing import cast

from limner.actors.stores.memory import MemoryStore
from limner.actors.stores.picture_files import PictureFiles
from limner.actors.stores.protocol import Store
from limner.messages.errors import SettingsInvalid

_METHODS = ("load", "write", "keep", "kept", "close")
_UNDERSTOOD = (
    "a store is memory:, files:DIRECTORY, chat:FILE, or a SQLAlchemy URL such as "
    "sqlite:///limner.db or postgresql://HOST/NAME"
)


def open_store(name: object, *, pictures: Path, pictures_url: str | None) -> Store:
    """Open the store that a name stands for, or return the one that is given.

    Args:
        name: `memory:`, `files:DIRECTORY`, `chat:FILE`, a SQLAlchemy URL, or an object with the
            methods of `Store`, which is returned as it is.
        pictures: the directory that pictures are kept in, `memory:` not excepted.
        pictures_url: how a text refers to that directory; by default as it is written.

    Raises:
        SettingsInvalid: if the name is not understood, or the object lacks a method.
        StoreFailed: if a database cannot be opened.
    """
    if not isinstance(name, str):
        return _store(name)
    files = PictureFiles(pictures, pictures_url)
    scheme, _, rest = name.partition(":")
    if name == "memory:":
        return MemoryStore(files)
    if scheme == "files":
        if not rest or "\0" in rest:
            raise SettingsInvalid("store: files: needs a directory, as in files:stories")
        from limner.actors.stores.files import FileStore

        return FileStore(rest, files)
    if scheme == "chat":
        if not rest or "\0" in rest:
            raise SettingsInvalid("store: chat: needs a file, as in chat:chats/ada.jsonl")
        from limner.actors.stores.sillytavern.chat_file import ChatFileStore

        return ChatFileStore(rest, files)
    if not rest.startswith("//"):
        # what comes after the scheme, or before an @, may be a password
        shown = repr(scheme[:40]) if "@" not in scheme else "this name"
        raise SettingsInvalid(f"store: {shown} is not understood; {_UNDERSTOOD}")
    from limner.actors.stores.sql.store import SqlStore

    try:
        return SqlStore(name, files)
    except SettingsInvalid as error:
        raise SettingsInvalid(f"store: {error}; {_UNDERSTOOD}") from None


def _store(given: object) -> Store:
    if isinstance(given, type):
        raise SettingsInvalid(f"store: {given.__name__} is a class; give an instance of it")
    missing = [name for name in _METHODS if not callable(getattr(given, name, None))]
    if missing:
        raise SettingsInvalid(
            f"store: {type(given).__name__} lacks {', '.join(missing)}; {_UNDERSTOOD}, "
            "or an object with the methods of Store"
        )
    return cast("Store", given)
