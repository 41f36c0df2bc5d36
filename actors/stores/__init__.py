"""Where texts and their registry live: memory, files, chats, a SQL database, a host's own place."""

from typing import TYPE_CHECKING, Any

from limner.actors.stores.documents import Document, DocumentStore, Pictures
from limner.actors.stores.memory import MemoryStore
from limner.actors.stores.opening import open_store
from limner.actors.stores.picture_files import PictureFiles
from limner.actors.stores.protocol import (
    ForgettingStore,
    RegistryStore,
    Store,
    can_forget,
    keeps_registry,
)

if TYPE_CHECKING:
    from limner.actors.stores.files import FileStore
    from limner.actors.stores.sillytavern.chat_file import ChatFileStore
    from limner.actors.stores.sql.store import SqlStore

__all__ = [
    "ChatFileStore",
    "Document",
    "DocumentStore",
    "FileStore",
    "ForgettingStore",
    "MemoryStore",
    "PictureFiles",
    "Pictures",
    "RegistryStore",
    "SqlStore",
    "Store",
    "can_forget",
    "keeps_registry",
    "open_store",
]


def __getattr__(name: str) -> Any:
    # SQLAlchemy takes a third of a second to import, which a store in memory need not
    match name:
        case "ChatFileStore":
            from limner.actors.stores.sillytavern.chat_file import ChatFileStore

            return ChatFileStore
        case "FileStore":
            from limner.actors.stores.files import FileStore

            return FileStore
        case "SqlStore":
            from limner.actors.stores.sql.store import SqlStore

            return SqlStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
