"""Texts that are files in a directory, each replaced as a whole; the registry stands beside them.

A file has no transaction with a database. So a write notes what it will settle, renames the new
file into place, and settles it; after a crash the next load does that, if the file has the text
of the note, or the marks in it show that it had.

What the compare-and-set cannot see: a file system has no rename that compares. The content is
read again right before the rename, and within one `FileStore` nobody comes in between; a change
by another program between that reading and the rename, some microseconds, is overwritten. The
creation of a file has no such window. A replaced file is a new one: what is hard-linked to the
old one, its owner and its extended attributes do not follow; its permission bits do.
"""

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

from sqlalchemy import URL

from limner.actors.stores.atomic_files import make_directory, sweep, sync_directory, write_temporary
from limner.actors.stores.file_version import create, expect, read, version_of
from limner.actors.stores.picture_files import PictureFiles
from limner.actors.stores.sql import outputs, registry, tables
from limner.actors.stores.sql import write_intents as notes
from limner.actors.stores.sql.database import Database
from limner.messages.errors import StoreFailed, UnknownMessage
from limner.messages.pictures import Picture
from limner.messages.prompts import Prompt
from limner.messages.registry import Link, Registry, RegistryUpdate, Version
from limner.messages.status import Forgotten
from limner.messages.tasks import Task

REGISTRY = ".limner.sqlite"
_NOT_IN_A_NAME = re.compile(r"[\x00-\x1f\x7f/\\]")


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
        sweep(self._directory)

    def check_message_id(self, message_id: str) -> None:
        """Check whether an id can be one of a text; whether there is such a file is not.

        Raises:
            UnknownMessage: if it is no plain file name.
        """
        try:
            length = len(message_id.encode())
        except UnicodeEncodeError:
            length = 0
        if (
            not 0 < length <= tables.MAX_MESSAGE_ID
            or message_id in {".", ".."}
            or _NOT_IN_A_NAME.search(message_id)
            or Path(message_id).name != message_id
            or message_id.casefold().startswith(".limner")  # the registry, and temporary files
        ):
            raise UnknownMessage(
                f"{message_id[:40]!r} names no text: it takes the plain name of a file, of 1 to "
                f"{tables.MAX_MESSAGE_ID} bytes, no control characters, no .limner in front"
            )

    def load(self, message_id: str) -> tuple[str, Version] | None:
        """Return a file's text and its version, or `None` if there is no such file.

        Raises:
            UnknownMessage: if the id is no plain file name.
            StoreFailed: if the file cannot be read, or is not UTF-8.
        """
        path = self._path(message_id)
        content = read(path)
        if content is None:
            return None
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            raise StoreFailed(f"{path} is not UTF-8: byte {error.start} cannot be read") from error
        version = version_of(content)
        self._settle(message_id, version, text)
        return text, version

    def write(
        self,
        message_id: str,
        text: str,
        *,
        expected_version: Version | None,
        links: RegistryUpdate | None = None,
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
        mode = expect(path, expected_version)
        version = version_of(content)
        note = None if links is None else self._announce(message_id, version, links)
        try:
            self._replace(path, content, expected_version, mode)
        except BaseException:
            with suppress(StoreFailed):  # else the next load finds out
                held = read(path) or b""
                self._settle(message_id, version_of(held), held.decode(errors="replace"))
                self._forget(message_id, note)
            raise
        if self._registered():
            # the text is in place, whatever becomes of this; the next load finds out too
            with suppress(StoreFailed), self._registry().writing() as connection:
                if links is not None and note is not None:
                    registry.settle(connection, message_id, links, text)
                    notes.forget(connection, message_id, note)
                outputs.remember(connection, message_id, version)
        return version

    def last_written(self, message_id: str) -> Version | None:
        """Return the version of a text that was last written here; `None` if that is not known.

        Raises:
            StoreFailed: if the registry cannot be read.
        """
        if not self._registered():
            return None
        with self._registry().reading() as connection:
            return outputs.last(connection, message_id)

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
        if self._pictures.lost(picture):  # another message was forgotten that had it
            self._pictures.put(picture, data)
        return picture

    def picture_path(self, picture: Picture) -> Path:
        """Return the file in which a picture that was kept here is."""
        return self._pictures.path(picture)

    def kept(self, message_id: str) -> Mapping[str, Picture]:
        """Return the newest picture of each prompt that is kept but in no text yet, by prompt id.

        Raises:
            UnknownMessage: if the id is no plain file name.
            StoreFailed: if the file or the registry cannot be read.
        """
        self.load(message_id)  # which settles what a crash left
        if not self._registered():
            return {}
        with self._registry().reading() as connection:
            return registry.kept(connection, message_id, self._pictures.lost)

    def registry(self, message_id: str) -> Registry:
        """Return the registry of a message; an empty `Registry` if nothing is known of it.

        Raises:
            UnknownMessage: if the id is no plain file name.
            StoreFailed: if the file or the registry cannot be read.
        """
        self.load(message_id)  # which settles what a crash left
        if not self._registered():
            return Registry()
        with self._registry().reading() as connection:
            return registry.read(connection, message_id)

    def add(self, prompt: Prompt) -> None:
        """Remember a prompt; one that is known already stays as it is.

        Raises:
            UnknownMessage: if its message id is no plain file name.
            StoreFailed: if the registry cannot be written.
        """
        self._path(prompt.message_id)
        with self._registry().writing() as connection:
            registry.add(connection, prompt)

    def prompt(self, prompt_id: str) -> Prompt | None:
        """Return a prompt of any message by its id, or `None` if it is not known.

        Raises:
            StoreFailed: if the registry cannot be read.
        """
        if not self._registered():
            return None
        with self._registry().reading() as connection:
            return registry.prompt(connection, prompt_id)

    def pictures_of(self, prompt_id: str) -> Sequence[Link]:
        """Return the pictures of a prompt, oldest first.

        Raises:
            StoreFailed: if the registry cannot be read.
        """
        if not self._registered():
            return ()
        with self._registry().reading() as connection:
            return registry.pictures_of(connection, prompt_id)

    def prompts_of(self, picture_id: str) -> Sequence[Prompt]:
        """Return the prompts of all messages that a picture belongs to.

        Raises:
            StoreFailed: if the registry cannot be read.
        """
        if not self._registered():
            return ()
        with self._registry().reading() as connection:
            return registry.prompts_of(connection, picture_id)

    def forget(self, message_id: str) -> Forgotten:
        """Forget a file's registry, and the pictures that no other file of the directory has.

        Texts in other directories are not looked at, even if they share the folder of pictures.

        Raises:
            UnknownMessage: if the id is no plain file name.
            StoreFailed: if the registry cannot be written, or a picture cannot be deleted.
        """
        self._path(message_id)
        if not self._registered():
            return Forgotten(message_id=message_id)
        with self._registry().writing() as connection:
            return registry.forget(connection, message_id, self._pictures.delete)

    def messages_of(self, owner: str) -> Sequence[str]:
        """Return the names of the files for which pictures were requested on an owner's behalf.

        Raises:
            StoreFailed: if the registry cannot be read.
        """
        if not self._registered():
            return []
        with self._registry().reading() as connection:
            return registry.messages_of(connection, owner)

    def close(self) -> None:
        """Close the registry, if it was needed."""
        with self._opening:
            if self._database:
                self._database.close()

    def _path(self, message_id: str) -> Path:
        self.check_message_id(message_id)
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

    def _announce(self, message_id: str, version: str, links: RegistryUpdate) -> int | None:
        if links.but(anew=links.anew and self._registered()) == RegistryUpdate():
            return None  # there is nothing to settle
        with self._registry().writing() as connection:
            try:
                return notes.announce(connection, message_id, version, links)
            except ValueError as error:
                raise StoreFailed(
                    f"{message_id}: a prompt with half a surrogate pair is no UTF-8"
                ) from error

    def _settle(self, message_id: str, version: str, text: str) -> None:
        if not self._registered():
            return
        with self._registry().reading() as connection:
            done = notes.announced(connection, message_id, version, text)
        if done and self._registry().writable:
            with self._registry().writing() as connection:
                for note, links in done:
                    registry.settle(connection, message_id, links, text)
                    notes.forget(connection, message_id, note)

    def _forget(self, message_id: str, note: int | None) -> None:
        if note is not None:
            with self._registry().writing() as connection:
                notes.forget(connection, message_id, note)

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
                    create(temporary, path)
                else:
                    expect(path, expected)
                    temporary.replace(path)
            sync_directory(path.parent)
        except OSError as error:
            raise StoreFailed(f"{path} cannot be written: {error.strerror or error}") from error
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)
