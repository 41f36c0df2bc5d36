"""What is known of a chat's messages but does not stand in the chat file yet.

A finished picture has to be on the disk before anybody is told of it, and a chat file may be too
large to be written anew for each. So rows are appended to a hidden file beside it, until the next
write of a text takes them into the chat's header.
"""

import os
import secrets
from hashlib import blake2b
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO, cast

from pydantic import ValidationError

from limner.actors.stores.atomic_files import sync_directory
from limner.messages.errors import StoreFailed
from limner.messages.sillytavern.header import Merged, Row

# a named pipe is opened at once by the last of them, instead of waiting for its other end
_ALWAYS: int = getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
_READ: int = os.O_RDONLY | _ALWAYS
_APPEND: int = os.O_RDWR | os.O_CREAT | _ALWAYS


class Journal:
    """Rows in a file, each on the disk once it is appended; for one user of it at a time.

    The first line is drawn by chance, and names the journal: so a header that has taken its rows
    in knows them again if a crash has left them here. What a crash left of a row that was never
    whole is passed over, and the next one takes its place.

    Args:
        path: of the file, which is made by the first row.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, merged: Merged | None) -> tuple[list[Row], Merged | None]:
        """Return the rows that are not merged yet, and what a header says once they are.

        Args:
            merged: what the header says to hold.

        Raises:
            OSError: if the file cannot be read.
            StoreFailed: if something else than a file stands in its place.
        """
        try:
            with self._opened(_READ, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            return [], None
        whole = content[: content.rfind(b"\n") + 1]
        if not whole:
            return [], None
        first, *lines = whole.splitlines(keepends=True)
        name = blake2b(first, digest_size=8).hexdigest()
        done = merged.size if merged is not None and merged.journal == name else 0
        rows, at = [], len(first)
        for line in lines:
            at += len(line)
            if at > done and (row := _row(line)):
                rows.append(row)
        return rows, Merged(name, len(whole)) if rows else None

    def append(self, row: Row) -> None:
        """Add a row; when this returns, it outlives a power cut.

        Raises:
            OSError: if it cannot be written.
            StoreFailed: if something else than a file stands in its place.
        """
        with self._opened(_APPEND, "r+b") as file:
            whole = _whole(file)
            file.truncate(whole)
            file.seek(whole)
            if whole == 0:
                file.write(f'{{"journal":"{secrets.token_hex(8)}"}}\n'.encode())
            file.write(row.model_dump_json(exclude_defaults=True).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if whole == 0:
            sync_directory(self.path.parent)

    def _opened(self, flags: int, mode: str) -> BinaryIO:
        descriptor = os.open(self.path, flags, 0o666)
        if S_ISREG(os.fstat(descriptor).st_mode):
            return cast("BinaryIO", os.fdopen(descriptor, mode))
        os.close(descriptor)
        raise StoreFailed(
            f"{self.path} is a directory, a pipe or a device, not a file of Limner's: move it away"
        )

    def clear(self) -> None:
        """Remove the file, whose rows have been merged.

        Raises:
            OSError: if it cannot be removed.
        """
        self.path.unlink(missing_ok=True)


def _whole(file: BinaryIO) -> int:
    """Return how many bytes of a journal are whole lines."""
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return 0
    file.seek(size - 1)
    if file.read(1) == b"\n":
        return size
    file.seek(0)
    return file.read().rfind(b"\n") + 1


def _row(line: bytes) -> Row | None:
    try:
        return Row.model_validate_json(line)
    except ValidationError:
        return None
