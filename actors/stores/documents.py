"""What a host derives its own store from: it says how a document is read, replaced and searched.

A host's store as a whole, on the standard library's `sqlite3`; `texts` may be a table that it has:

    import json
    import sqlite3
    from contextlib import closing
    from limner.actors.stores import Document, DocumentStore, PictureFiles

    class Texts(DocumentStore):
        def __init__(self, path):
            super().__init__(PictureFiles("pictures"))
            self.path = path
            self.sql("CREATE TABLE IF NOT EXISTS texts (id TEXT PRIMARY KEY, text, known)")

        def sql(self, statement, *values):
            with closing(sqlite3.connect(self.path)) as connection, connection:
                return connection.execute(statement, values).fetchall()

        def fetch(self, message_id):
            for row in self.sql("SELECT text, known FROM texts WHERE id = ?", message_id):
                return Document(row[0], row[1] and json.loads(row[1]), revision=row)

        def replace(self, message_id, new):
            values = new.text, json.dumps(new.known), message_id, *(new.revision or ())
            change = "INSERT INTO texts(text, known, id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
            if new.revision is not None:
                change = "UPDATE texts SET text = ?, known = ? WHERE id = ?"
                change += " AND text IS ? AND known IS ?"
            return self.sql(change + " RETURNING id", *values) != []

        def search(self, name):
            return [row[0] for row in self.sql("SELECT id FROM texts WHERE instr(known, ?)", name)]

Here the revision is the row itself, so that a change by a program that knows nothing of Limner is
seen too. `limner.actors.stores.conformance.suite` shows whether such a store keeps its word.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, Protocol

from pydantic import ValidationError

from limner.actors.stores.file_version import version_of
from limner.actors.stores.picture_files import PictureFiles
from limner.messages.errors import StoreFailed, VersionConflict
from limner.messages.ids import owner_id
from limner.messages.pictures import Picture
from limner.messages.prompts import Prompt
from limner.messages.registry import Link, Registry, RegistryUpdate, Version
from limner.messages.status import Forgotten
from limner.messages.tasks import Task

ATTEMPTS = 200
"""How often a change is tried again after another writer has changed the document."""

_NAME = re.compile(r"[0-9a-f]{1,128}")


class Document(NamedTuple):
    """All that a host keeps of one message.

    Args:
        text: the message's text; `None` if there is none, or none any more.
        known: what is known of its prompts and pictures, as a dictionary that JSON can hold; to a
            host it means nothing. `None` if nothing is known yet.
        revision: the host's own name for this state of both, such as a counter, an ETag, or the
            row itself. In a document that `replace` gets, it is the revision of the document to
            replace; `None` if there was none.
    """

    text: str | None
    known: dict[str, Any] | None
    revision: object = None


class Pictures(Protocol):
    """Where the bytes of pictures are kept: `PictureFiles`, or what a host has instead."""

    def put(self, picture: Picture, data: bytes) -> Picture:
        """Keep a picture's bytes durably, and return it with the URL by which a text refers to it.

        Args:
            picture: the picture; its `url` is still empty.
            data: its bytes.
        """
        ...

    def lost(self, picture: Picture) -> bool:
        """Return whether the bytes of a picture that was put here are gone, or are others."""
        ...


class DocumentStore(ABC):
    """A `RegistryStore` over documents: a host implements `fetch`, `replace` and `search`.

    These three are called on several threads at one time, also for the same message, and other
    processes may call theirs on the same documents. No lock is held meanwhile: only the atomic
    compare-and-set of `replace` keeps changes from being lost. A change that comes too late is made
    again on the newer document. So keeping a picture never makes the write of a text fail, and no
    write loses a kept picture.

    A text's version is a hash of the text, so a host needs no column for it, and a change of the
    text by the host itself is noticed. Each change reads and writes the whole document of a
    message. Tasks are not stored.

    Args:
        pictures: where the bytes of pictures are kept.
    """

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._deleting = Lock()

    @abstractmethod
    def fetch(self, message_id: str) -> Document | None:
        """Return the document of a message with its revision, which is not `None`.

        Args:
            message_id: the id that the host gave to Limner, unchecked.

        Returns:
            The document, or `None` if there is none.
        """

    @abstractmethod
    def replace(self, message_id: str, new: Document) -> bool:
        """Replace the document of a message if the stored one has the revision `new.revision`.

        Comparing and setting must be one atomic step, and the new document gets another revision.
        When this returns, the document outlives a power cut. A host that makes the messages itself
        raises an error where there is none.

        Args:
            message_id: the message.
            new: its text and what is known of it; `revision` is that of the document to replace,
                or `None` if there must be none.

        Returns:
            Whether the document was replaced. False if the stored one has another revision, if
            there is none, or if there is one where there must be none.
        """

    @abstractmethod
    def search(self, name: str) -> Iterable[str]:
        """Return the ids of the messages whose document contains a name anywhere in `known`.

        Further ids do no harm: returning all ids is correct, but slow, since each of these
        documents is fetched. A host with many messages has an index, or a table that it fills in
        `replace`.

        Args:
            name: the id of a prompt, a picture or an owner: 1 to 128 hexadecimal digits, so it is
                safe in any pattern.
        """

    def load(self, message_id: str) -> tuple[str, Version] | None:
        """Return a message's text and its version, or `None` if there is none."""
        held = self.fetch(message_id)
        if held is None or held.text is None:
            return None
        return held.text, _version(held.text)

    def write(
        self,
        message_id: str,
        text: str,
        *,
        expected_version: Version | None,
        links: RegistryUpdate | None = None,
    ) -> Version:
        """Write a text if the one that is there has the version that is expected.

        Raises:
            VersionConflict: if it has another, or there is none, or one where none was expected.
            StoreFailed: if the document is broken, or others change it all the time.
        """

        def written(held: str | None, known: Registry) -> tuple[str, Registry]:
            version = None if held is None else _version(held)
            if version != expected_version:
                raise VersionConflict(
                    f"message {message_id[:40]!r} is at version {version}, not {expected_version}"
                )
            return text, known.settle(message_id, links or RegistryUpdate(), text)

        self._change(message_id, written)
        return _version(text)

    def keep(self, task: Task, data: bytes, picture: Picture) -> Picture:
        """Keep a finished picture: its bytes first, then what is known of it.

        Raises:
            StoreFailed: if the bytes cannot be written, the document is broken, or others change
                it all the time.
        """
        picture = self._pictures.put(picture, data)
        self._change(task.message_id, lambda text, known: (text, known.keep(task, picture)))
        with self._deleting:
            if self._pictures.lost(picture):  # another message was forgotten that had it
                self._pictures.put(picture, data)
        return picture

    def picture_path(self, picture: Picture) -> Path | None:
        """Return the file in which a picture that was kept here is; `None` if it is in none."""
        pictures = self._pictures
        return pictures.path(picture) if isinstance(pictures, PictureFiles) else None

    def kept(self, message_id: str) -> Mapping[str, Picture]:
        """Return the newest picture of each prompt that is kept but in no text yet, by prompt id.

        Raises:
            StoreFailed: if the document is broken.
        """
        known = self.registry(message_id)
        waiting = [link for link in known.links if link.state == "kept"]
        there = (link for link in waiting if not self._pictures.lost(link.placement.picture))
        return known.but(links=tuple(there)).kept()

    def registry(self, message_id: str) -> Registry:
        """Return the registry of a message; an empty `Registry` if nothing is known of it.

        Raises:
            StoreFailed: if the document is broken.
        """
        return _registry(message_id, self.fetch(message_id))

    def add(self, prompt: Prompt) -> None:
        """Remember a prompt, such as a refined one; one that is known already stays as it is.

        Raises:
            StoreFailed: if the document is broken, or others change it all the time.
        """
        self._change(prompt.message_id, lambda text, known: (text, known.add(prompt)))

    def prompt(self, prompt_id: str) -> Prompt | None:
        """Return a prompt of any message by its id, or `None` if it is not known.

        Raises:
            StoreFailed: if a document that has the id is broken; so for the look-ups below.
        """
        found = (known.prompt(prompt_id) for known in self._with(prompt_id))
        return next((prompt for prompt in found if prompt is not None), None)

    def pictures_of(self, prompt_id: str) -> Sequence[Link]:
        """Return the pictures of a prompt, oldest first."""
        return [link for known in self._with(prompt_id) for link in known.pictures(prompt_id)]

    def prompts_of(self, picture_id: str) -> Sequence[Prompt]:
        """Return the prompts of all messages that a picture belongs to."""
        found = []
        for known in self._with(picture_id):
            placed = (link.placement for link in known.links)
            ids = {
                placement.prompt_id for placement in placed if placement.picture.id == picture_id
            }
            found += [prompt for prompt in known.prompts if prompt.id in ids]
        return found

    def forget(self, message_id: str) -> Forgotten:
        """Forget what is known of a message, and the pictures that no other message has.

        The bytes are deleted if `pictures` has a method `delete`, as `PictureFiles` has. A picture
        that another process keeps at the same moment for another message may be lost.

        Raises:
            StoreFailed: if the document is broken, or others change it all the time; if a picture
                cannot be deleted.
        """
        gone = self.registry(message_id)
        self._change(message_id, lambda text, _: (text, Registry()))
        delete: Callable[[Picture], bool] | None = getattr(self._pictures, "delete", None)
        deleted = []
        pictures = {link.placement.picture.id: link.placement.picture for link in gone.links}
        for picture in pictures.values() if delete is not None else ():
            with self._deleting:
                if not self.prompts_of(picture.id) and delete is not None and delete(picture):
                    deleted.append(picture.id)
        return Forgotten(message_id=message_id, prompts=len(gone.prompts), pictures=tuple(deleted))

    def messages_of(self, owner: str) -> Sequence[str]:
        """Return the ids of the messages for which pictures were requested on an owner's behalf.

        Raises:
            StoreFailed: if a document that names the owner is broken.
        """
        name = owner_id(owner)
        found = dict.fromkeys(self.search(name))
        return [message_id for message_id in found if name in self.registry(message_id).owners]

    def close(self) -> None:  # noqa: B027  # many hosts have nothing open
        """Do nothing; a host that has something open closes it here."""

    def _change(
        self,
        message_id: str,
        change: Callable[[str | None, Registry], tuple[str | None, Registry]],
    ) -> None:
        for _ in range(ATTEMPTS):
            held = self.fetch(message_id)
            before = None if held is None else held.text, _registry(message_id, held)
            text, known = after = change(*before)
            if after == before:
                return
            revision = None if held is None else held.revision
            # an earlier Limner knows none of these
            empty = {name for name in ("owners", "failures") if not getattr(known, name)}
            document = known.model_dump(mode="json", exclude=empty)
            if self.replace(message_id, Document(text, document, revision)):
                return
        raise StoreFailed(
            f"the document of message {message_id[:40]!r} could not be replaced: "
            f"each of {ATTEMPTS} times it had another revision by then"
        )

    def _with(self, name: str) -> Iterator[Registry]:
        # a name that Limner has not made is nobody's, and a host may put it into a query
        return map(self.registry, dict.fromkeys(self.search(name) if _NAME.fullmatch(name) else ()))


def _registry(message_id: str, held: Document | None) -> Registry:
    if held is None or not held.known:
        return Registry()
    try:
        return Registry.model_validate(held.known)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, wrong["loc"]))[:80] or "it"
        raise StoreFailed(
            f"what is known of message {message_id[:40]!r} is broken: {where}: {wrong['msg']}"
        ) from error


def _version(text: str) -> str:
    return version_of(text.encode(errors="surrogatepass"))
