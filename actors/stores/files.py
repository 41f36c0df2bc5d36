"""Texts that are files in a directory, each replaced as a whole; the registry stands beside them.

A file has no transaction with a database. So a write registers its pictures as pending, renames
the new file into place, and confirms them; after a crash the marks in the text decide, at the
next load.

What the compare-and-set cannot see: a file system has no rename that compares. The content is
read again right before the rename, and within one `FileStore` nobody comes in between; a change
by another program between that reading and the rename, some microseconds, is overwritten. The
creation of a file has no such window. A replaced file is a new one: what is hard-linked to the
old one, its owner and its extended attributes do not follow; its permission bits do.
"""

import errno
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from threading import Lock

from sqlalchemy import URL

from limner.actors.stores import registry
from limner.actors.stores.database import Database
from limner.actors.stores.durable import make_directory, sweep, sync_directory, write_temporary
from limner.actors.stores.picture_files import PictureFiles
from limner.messages.errors import StoreFailed, UnknownMessage, VersionConflict
from limner.messages.pictures import Picture
from limner.messages.tasks import Task
from limner.messages.writing import Links, Version

REGISTRY = ".limner.sqlite"
_NOT_IN_A_NAME = re.compile(r"[\x00-\x1f\x7f/\\]")
_NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV}


class FileStore:
    """A store of text files. A message's id is its file's name, a version a hash of its bytes.

    Texts are UTF-8; newlines and a byte order mark are left as they are.

    Args:
        directory: where the texts are; made when the first one is written.
        pictures: where the bytes of pictures are kept.
        timeout: seconds to wait for another writer of the registry, above 0.
    """

    def __init__(
        self, directory: Path | str, pictures: PictureFiles, *, timeout: float = 10
    ) -> None:
        self._directory = Path(directory).absolute()
        self._pictures = pictures
        self._timeout = timeout
        self._database: Database | None = None
        self._opening = Lock()
        self._renaming = Lock()
        self._swept = False

    def load(self, message_id: str) -> tuple[str, Version] | None:
        """Give a file's text and its version, or `None` if there is no such file.

        Raises:
            UnknownMessage: if the id is no plain file name.
            StoreFailed: if the file cannot be read, or is not UTF-8.
        """
        path = self._path(message_id)
        content = _read(path)
        if content is None:
            self._settle(message_id, "")
            return None
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            raise StoreFailed(f"{path} is not UTF-8: byte {error.start} cannot be read") from error
        self._settle(message_id, text)
        return text, _version(content)

    def write(
        self,
        message_id: str,
        text: str,
        *,
        expected_version: Version | None,
        links: Links | None = None,
    ) -> Version:
        """Replace a file, or create it, if it still has the content that is expected.

        Raises:
            VersionConflict: if it has another, or there is none, or one where none was expected.
            UnknownMessage: if the id is no plain file name.
            StoreFailed: if the file or its registry cannot be written.
        """
        path = self._path(message_id)
        try:
            content = text.encode()
        except UnicodeEncodeError as error:
            raise StoreFailed(
                f"{path}: half a surrogate pair at character {error.start} is no UTF-8"
            ) from error
        mode = _expect(path, expected_version)
        links = links or Links()
        if links != Links():
            with self._registry().writing() as connection:
                registry.link(connection, message_id, links, "pending")
        try:
            self._replace(path, content, expected_version, mode)
        except BaseException:
            with suppress(StoreFailed):  # else the next load finds out
                held = _read(path)
                self._settle(message_id, (held or b"").decode(errors="replace"))
            raise
        if links.placed:
            # the text is in place, whatever becomes of this; the next load finds out too
            with suppress(StoreFailed), self._registry().writing() as connection:
                registry.enter(connection, links.placed, "placed")
        return _version(content)

    def keep(self, task: Task, data: bytes, picture: Picture) -> Picture:
        """Keep a finished picture: its file first, then its row in the registry.

        Raises:
            UnknownMessage: if the task's message id is no plain file name.
            StoreFailed: if either cannot be written.
        """
        self._path(task.message_id)
        picture = self._pictures.put(picture, data)
        with self._registry().writing() as connection:
            registry.keep(connection, task, picture)
        return picture

    def kept(self, message_id: str) -> Mapping[str, Picture]:
        """Give the newest picture of each prompt that is kept but in no text yet.

        Raises:
            UnknownMessage: if the id is no plain file name.
            StoreFailed: if the file or the registry cannot be read.
        """
        self.load(message_id)  # which settles what a crash left pending
        if not self._registered():
            return {}
        with self._registry().reading() as connection:
            return registry.kept(connection, message_id, self._pictures.lost)

    def close(self) -> None:
        """Close the registry, if it was needed."""
        with self._opening:
            if self._database:
                self._database.close()

    def _path(self, message_id: str) -> Path:
        try:
            length = len(message_id.encode())
        except UnicodeEncodeError:
            length = 0
        if (
            not 0 < length <= registry.MAX_MESSAGE_ID
            or message_id in {".", ".."}
            or _NOT_IN_A_NAME.search(message_id)
            or Path(message_id).name != message_id
            or message_id.casefold().startswith(".limner")  # the registry, and temporary files
        ):
            raise UnknownMessage(
                f"{message_id[:40]!r} names no text: it takes the plain name of a file, of 1 to "
                f"{registry.MAX_MESSAGE_ID} bytes, no control characters, no .limner in front"
            )
        # a symbolic link is followed, so that its target is replaced and not the link
        return Path(os.path.realpath(self._directory / message_id))

    def _registered(self) -> bool:
        return self._database is not None or (self._directory / REGISTRY).exists()

    def _registry(self) -> Database:
        with self._opening:
            if self._database is None:
                url = URL.create("sqlite", database=str(self._directory / REGISTRY))
                self._database = Database(url, timeout=self._timeout)
            return self._database

    def _settle(self, message_id: str, text: str) -> None:
        if not self._registered():
            return
        with self._registry().reading() as connection:
            changes = registry.by_marks(connection, message_id, text)
        if changes:
            with self._registry().writing() as connection:
                registry.change(connection, changes)

    def _replace(
        self, path: Path, content: bytes, expected: Version | None, mode: int | None
    ) -> None:
        temporary = None
        try:
            make_directory(path.parent)
            temporary = write_temporary(path.parent, content, mode=mode)
            if not self._swept:
                self._swept = True
                sweep(path.parent, now=temporary)
            with self._renaming:
                if expected is None:
                    _create(temporary, path)
                else:
                    _expect(path, expected)
                    temporary.replace(path)
            sync_directory(path.parent)
        except OSError as error:
            raise StoreFailed(f"{path} cannot be written: {error.strerror or error}") from error
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)


def _version(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()


def _read(path: Path) -> bytes | None:
    try:
        # asked first, as opening a named pipe would wait for its other end
        if not stat.S_ISREG(path.stat().st_mode):
            raise StoreFailed(f"{path} is a directory or a device, not a file of text")
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreFailed(f"{path} cannot be read: {error.strerror or error}") from error


def _expect(path: Path, expected: Version | None) -> int | None:
    """Give the permission bits of a file that has the expected version, `None` for no file."""
    content = _read(path)
    held = None if content is None else _version(content)
    if held != expected:
        was = "is not there any more" if held is None else "was changed by another program"
        raise VersionConflict(f"{path} " + ("is there already" if expected is None else was))
    if held is None:
        return None
    if not os.access(path, os.W_OK):
        raise StoreFailed(f"{path} is write-protected")
    return stat.S_IMODE(path.stat().st_mode)


def _create(temporary: Path, path: Path) -> None:
    """Give a file its name if nothing has that name, in one step."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # no hard links here: the name is taken by an empty file first
        with suppress(FileExistsError):
            path.touch(exist_ok=False)
            temporary.replace(path)
            return
    else:
        return
    raise VersionConflict(f"{path} is there already")
