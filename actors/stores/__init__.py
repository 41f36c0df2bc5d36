"""Where texts and their registry live: in memory, in files, in a SQL database."""

from typing import TYPE_CHECKING, Any

from limner.actors.stores.memory import MemoryStore
from limner.actors.stores.opening import open_store
from limner.actors.stores.picture_files import PictureFiles
from limner.actors.stores.protocol import Store

if TYPE_CHECKING:
    from limner.actors.stores.files import FileStore
    from limner.actors.stores.sql import SqlStore

__all__ = ["FileStore", "MemoryStore", "PictureFiles", "SqlStore", "Store", "open_store"]


def __getattr__(name: str) -> Any:
    # SQLAlchemy takes a third of a second to import, which a store in memory need not
    match name:
        case "FileStore":
            from limner.actors.stores.files import FileStore

            return FileStore
        case "SqlStore":
            from limner.actors.stores.sql import SqlStore

            return SqlStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
