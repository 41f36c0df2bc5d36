"""Texts and their registry in one SQL database: SQLite in a file, PostgreSQL, or another."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import URL, select, update

from limner.actors.stores.picture_files import PictureFiles
from limner.actors.stores.sql import registry, tables
from limner.actors.stores.sql.database import Database
from limner.messages.errors import UnknownMessage, VersionConflict
from limner.messages.pictures import Picture
from limner.messages.prompts import Prompt
from limner.messages.registry import Link, Registry, RegistryUpdate, Version
from limner.messages.status import Forgotten
from limner.messages.tasks import Task


class SqlStore:
    """A store in a SQL database. Versions are integers from 1.

    A text and all that its write settles are one transaction.

    Args:
        url: a SQLAlchemy URL, such as `sqlite:///chat.db`.
        pictures: where the bytes of pictures are kept; the database holds what is known of them.
        timeout: seconds to wait for another writer, above 0.

    Raises:
        SettingsInvalid: if the URL names no database that can be used.
        StoreFailed: if the database cannot be opened, or is of a newer Limner.
    """

    def __init__(self, url: str | URL, pictures: PictureFiles, *, timeout: float = 10) -> None:
        self._pictures = pictures
        self._database = Database(url, timeout=timeout)

    def check_message_id(self, message_id: str) -> None:
        """Check whether an id can be one of a message; whether there is such a message is not.

        Raises:
            UnknownMessage: if it is empty, too long, or holds a NUL or half a surrogate pair.
        """
        _check(message_id)

    def load(self, message_id: str) -> tuple[str, Version] | None:
        """Return a message's text and its version, or `None` if there is none.

        Raises:
            UnknownMessage: if it can be no message's id: it is empty, too long, or holds a NUL
                or half a surrogate pair.
            StoreFailed: if the database cannot be read.
        """
        _check(message_id)
        columns = tables.messages.c
        with self._database.reading() as connection:
            row = connection.execute(
                select(columns.text, columns.version).where(columns.id == message_id)
            ).first()
        return None if row is None else (row.text, row.version)

    def write(
        self,
        message_id: str,
        text: str,
        *,
        expected_version: Version | None,
        links: RegistryUpdate | None = None,
    ) -> Version:
        """Write a text and its links if the text has the version that is expected.

        Raises:
            VersionConflict: if it has another, or none, or one where none was expected.
            UnknownMessage: if it can be no message's id.
            StoreFailed: if the database cannot be written, or cannot hold this text.
        """
        _check(message_id)
        table = tables.messages
        with self._database.writing() as connection:
            if expected_version is None:
                version = 1
                row = {"id": message_id, "text": text, "version": version}
                written = tables.insert_one(connection, table, row)
            elif isinstance(expected_version, int) and 0 < expected_version < 2**31 - 1:
                version = expected_version + 1
                update_it = (
                    update(table)
                    .where(table.c.id == message_id, table.c.version == expected_version)
                    .values(text=text, version=version)
                )
                written = connection.execute(update_it).rowcount == 1
            else:
                written = False
            if not written:
                raise VersionConflict(
                    f"message {message_id!r} is not at version {expected_version} any more"
                    if expected_version is not None
                    else f"message {message_id!r} is there already"
                )
            if links is not None:
                registry.settle(connection, message_id, links, text)
        return version

    def keep(self, task: Task, data: bytes, picture: Picture) -> Picture:
        """Keep a finished picture: its file first, then its row.

        Raises:
            UnknownMessage: if the task's message id can be none.
            StoreFailed: if either cannot be written. A file without a row harms nobody.
        """
        _check(task.message_id)
        picture = self._pictures.put(picture, data)
        with self._database.writing() as connection:
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
            UnknownMessage: if it can be no message's id.
            StoreFailed: if the database cannot be read.
        """
        _check(message_id)
        with self._database.reading() as connection:
            return registry.kept(connection, message_id, self._pictures.lost)

    def registry(self, message_id: str) -> Registry:
        """Return the registry of a message; an empty `Registry` if nothing is known of it.

        Raises:
            UnknownMessage: if it can be no message's id.
            StoreFailed: if the database cannot be read.
        """
        _check(message_id)
        with self._database.reading() as connection:
            return registry.read(connection, message_id)

    def add(self, prompt: Prompt) -> None:
        """Remember a prompt; one that is known already stays as it is.

        Raises:
            UnknownMessage: if its message id can be none.
            StoreFailed: if the database cannot be written.
        """
        _check(prompt.message_id)
        with self._database.writing() as connection:
            registry.add(connection, prompt)

    def prompt(self, prompt_id: str) -> Prompt | None:
        """Return a prompt of any message by its id, or `None` if it is not known.

        Raises:
            StoreFailed: if the database cannot be read.
        """
        with self._database.reading() as connection:
            return registry.prompt(connection, prompt_id)

    def pictures_of(self, prompt_id: str) -> Sequence[Link]:
        """Return the pictures of a prompt, oldest first.

        Raises:
            StoreFailed: if the database cannot be read.
        """
        with self._database.reading() as connection:
            return registry.pictures_of(connection, prompt_id)

    def prompts_of(self, picture_id: str) -> Sequence[Prompt]:
        """Return the prompts of all messages that a picture belongs to.

        Raises:
            StoreFailed: if the database cannot be read.
        """
        with self._database.reading() as connection:
            return registry.prompts_of(connection, picture_id)

    def forget(self, message_id: str) -> Forgotten:
        """Forget a message's registry, and the files of pictures that no other message has.

        Raises:
            UnknownMessage: if it can be no message's id.
            StoreFailed: if the database cannot be written, or a file cannot be deleted.
        """
        _check(message_id)
        with self._database.writing() as connection:
            return registry.forget(connection, message_id, self._pictures.delete)

    def messages_of(self, owner: str) -> Sequence[str]:
        """Return the ids of the messages for which pictures were requested on an owner's behalf.

        Raises:
            StoreFailed: if the database cannot be read.
        """
        with self._database.reading() as connection:
            return registry.messages_of(connection, owner)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()


def _check(message_id: str) -> None:
    try:
        message_id.encode()
    except UnicodeEncodeError:
        reason = "holds half a surrogate pair"
    else:
        if message_id and len(message_id) <= tables.MAX_MESSAGE_ID and "\0" not in message_id:
            return
        reason = f"is not 1 to {tables.MAX_MESSAGE_ID} characters without a NUL"
    raise UnknownMessage(f"message id {message_id[:40]!r} {reason}")
