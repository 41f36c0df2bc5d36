"""A SillyTavern chat file as a store: its messages are illustrated where they stand.

The registry lives in the file's header, and goes in with the text in one rename. What is known
between two writes waits in a journal beside it (`.limner-NAME.kept`, with a hash of a name that is
too long for that), which a write empties.

What the compare-and-set cannot see: a file system has no rename that compares. The file's identity,
size and time of change are compared right before the rename; a change by another program after
that, within some microseconds, is overwritten. Limner's own processes wait for each other by a
lock on the directory, where the system has one. A replaced file is a new one: what is hard-linked
to the old one, its owner and its extended attributes do not follow; its permission bits do.

What no store can prevent: SillyTavern holds an open chat in its memory, and writes all of it at
its next save. A chat that was illustrated while it was open there has to be opened anew first.

Messages are named by their lines. When another program takes lines out above a message, what is
known under its old number does not follow it. A message whose pictures stand directly after its
tags counts as illustrated all the same, and these can be replaced where they stand.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

from limner.actors.stores.picture_files import PictureFiles
from limner.actors.stores.sillytavern.chat_journal import Journal
from limner.actors.stores.sillytavern.line_file import (
    Line,
    LineFile,
    Lines,
    Signature,
    backup_of,
    beside,
    signature,
)
from limner.messages.errors import StoreFailed, UnknownMessage, VersionConflict
from limner.messages.ids import owner_id
from limner.messages.pictures import Picture
from limner.messages.prompts import Prompt
from limner.messages.registry import Link, Registry, RegistryUpdate, Version
from limner.messages.sillytavern.header import LINE_NUMBER, Header, Known, Row, replayed
from limner.messages.sillytavern.lines import BrokenLine, ChatMessage, read_message
from limner.messages.status import Forgotten
from limner.messages.tasks import Task
from limner.messages.text.marks import failures_marked, marked

T = TypeVar("T")


class ChatFileStore:
    """A store of the assistant's messages in one chat file, named by their line numbers.

    The header is line 1, so the first message is `"2"`. A write replaces `mes`, and the chosen
    swipe if it was equal to it; every other byte stays, but for `chat_metadata["limner"]` in the
    header. Messages are neither made nor taken away, and those of users and the system are not
    illustrated. However large the file is, only its header and the one message are held in memory.

    Args:
        path: the file, which has to be there; a symbolic link is followed. Its first line is a
            header: an object with `chat_metadata`, `user_name` or `character_name`. A group's
            chat from before SillyTavern wrote one is refused.
        pictures: where the bytes of pictures are kept.
        backup: whether the untouched file is kept as `NAME.bak` before the first write, unless
            there is one already.

    Raises:
        StoreFailed: if there is no such file, or it is no chat, or something that is no file
            stands where the untouched file would be kept.
    """

    def __init__(self, path: Path | str, pictures: PictureFiles, *, backup: bool = True) -> None:
        self._file = LineFile(path)
        if backup:
            backup_of(self._file.path)
        self._pictures = pictures
        self._backup = backup
        self._journal = Journal(beside(self._file.path, ".limner-", ".kept"))
        self._header: Header | None = None
        self._last: tuple[tuple[Signature, Signature | None], Known] | None = None
        self._look_up(lambda known: known.header)

    def check_message_id(self, message_id: str) -> None:
        """Check whether an id can be one of a message; whether there is such a line is not.

        Raises:
            UnknownMessage: if it is no line number from 2.
        """
        _number(message_id)

    def load(self, message_id: str) -> tuple[str, Version] | None:
        """Return a message's text and its version, or `None` if the file ends before it.

        Raises:
            UnknownMessage: if the id is no line number, or the line is none of the assistant's.
            StoreFailed: if the file cannot be read, or the line is no message.
        """
        number = _number(message_id)
        with self._file.opened() as lines:
            found = lines.line(number)
        return found and (self._message(number, found.content).text, _version(found.content))

    def messages(
        self, *, broken: Callable[[StoreFailed], object] | None = None
    ) -> Iterator[tuple[str, str]]:
        """Yield the id and the text of each message of the assistant.

        Args:
            broken: is called with what is wrong with each line that is no message; by default
                those are passed over.

        Raises:
            StoreFailed: if the file cannot be read.
        """
        with self._file.opened() as lines:
            for number, content in enumerate(lines.file, 1):
                if number == 1 or not content.strip():
                    continue
                try:
                    message = self._read(number, content, read_message)
                except StoreFailed as error:
                    if broken is not None:
                        broken(error)
                else:
                    if message.speaker == "assistant":
                        yield str(number), message.text

    def write(
        self,
        message_id: str,
        text: str,
        *,
        expected_version: Version | None,
        links: RegistryUpdate | None = None,
    ) -> Version:
        """Replace a message's text if it is still the one that is expected.

        Raises:
            VersionConflict: if it is another, or gone, or the file was changed meanwhile.
            UnknownMessage: if the id is no line number, the line is none of the assistant's, or
                none was expected and there is none: messages are not made here.
            StoreFailed: if the file cannot be read or written.
        """
        number = _number(message_id)
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise StoreFailed(
                f"{self._at(number)} half a surrogate pair at character {error.start} is no UTF-8"
            ) from error
        with self._file.locked(), self._file.opened() as lines:
            found = self._expect(number, lines.line(number), expected_version)
            line = self._message(number, found.content).rewritten(text).encode()
            known = self._known(lines)
            before = known.registry(message_id)
            after = before.settle(message_id, links or RegistryUpdate(), text)
            changed = {**known.waiting, **({message_id: after} if after != before else {})}
            header = known.header.but(changed, known.merged)
            edits = [
                Line(0, known.header.line.encode(), header.line.encode()),
                Line(found.start, found.content, line),
            ]
            if any(edit.new != edit.content for edit in edits):
                self._file.replace(lines, edits, backup=self._backup)
                self._header = header
                with suppress(OSError):  # the header says what it holds of one that is left
                    self._journal.clear()
        return _version(line)

    def keep(self, task: Task, data: bytes, picture: Picture) -> Picture:
        """Keep a finished picture: its file first, then its row in the journal.

        Raises:
            UnknownMessage: if the task's message id is no line number.
            StoreFailed: if either cannot be written.
        """
        _number(task.message_id)
        picture = self._pictures.put(picture, data)
        self._append(Row.kept(task, picture))
        if self._pictures.lost(picture):  # another message was forgotten that had it
            self._pictures.put(picture, data)
        return picture

    def picture_path(self, picture: Picture) -> Path:
        """Return the file in which a picture that was kept here is."""
        return self._pictures.path(picture)

    def kept(self, message_id: str) -> Mapping[str, Picture]:
        """Return the newest picture of each prompt that is kept but in no text yet, by prompt id.

        Raises:
            UnknownMessage: if the id is no line number.
            StoreFailed: if the file or its journal cannot be read.
        """
        _number(message_id)
        registry = self._look_up(lambda known: known.registry(message_id))
        waiting = [link for link in registry.links if link.state == "kept"]
        there = (link for link in waiting if not self._pictures.lost(link.placement.picture))
        return registry.but(links=tuple(there)).kept()

    def registry(self, message_id: str) -> Registry:
        """Return the registry of a message; an empty `Registry` if nothing is known of it.

        A picture whose mark is only in swipes that are not chosen is returned as `past`, since it
        is not missing. Its stored state stays, so that it counts as placed once that swipe is
        chosen.

        Raises:
            UnknownMessage: if the id is no line number.
            StoreFailed: if the file or its journal cannot be read.
        """
        number = _number(message_id)
        with self._file.locked(), self._file.opened() as lines:
            registry = self._known(lines).registry(message_id)
            placed = registry.failures or any(link.state == "placed" for link in registry.links)
            found = lines.line(number) if placed else None
        return _as_chosen(registry, found.content) if found else registry

    def add(self, prompt: Prompt) -> None:
        """Remember a prompt, such as a refined one; one that is known already stays as it is.

        Raises:
            UnknownMessage: if its message id is no line number.
            StoreFailed: if the journal cannot be written.
        """
        _number(prompt.message_id)
        if self.prompt(prompt.id) is None:
            self._append(Row(prompt=prompt))

    def prompt(self, prompt_id: str) -> Prompt | None:
        """Return a prompt of any message by its id, or `None` if it is not known.

        Raises:
            StoreFailed: if the file or its journal cannot be read.
        """
        return self._look_up(lambda known: known.prompts.get(prompt_id))

    def pictures_of(self, prompt_id: str) -> Sequence[Link]:
        """Return the pictures of a prompt, oldest first.

        Raises:
            StoreFailed: if the file or its journal cannot be read.
        """
        return self._look_up(lambda known: known.links.get(prompt_id, ()))

    def prompts_of(self, picture_id: str) -> Sequence[Prompt]:
        """Return the prompts of all messages that a picture belongs to.

        Raises:
            StoreFailed: if the file or its journal cannot be read.
        """
        return self._look_up(lambda known: known.of_picture.get(picture_id, ()))

    def forget(self, message_id: str) -> Forgotten:
        """Forget a message's registry, and the pictures that no other message has.

        A picture stays if another chat in the same folder names it, such as a branch of this one.

        Raises:
            UnknownMessage: if the id is no line number.
            StoreFailed: if the file cannot be read or written, or a picture cannot be deleted.
        """
        _number(message_id)
        with self._file.locked(), self._file.opened() as lines:
            known = self._known(lines)
            gone = known.registry(message_id)
            if gone == Registry():
                return Forgotten(message_id=message_id)
            header = known.header.but({**known.waiting, message_id: Registry()}, known.merged)
            edit = Line(0, known.header.line.encode(), header.line.encode())
            self._file.replace(lines, [edit], backup=self._backup)
            self._header = header
            with suppress(OSError):  # the header says what it holds of one that is left
                self._journal.clear()
            left = {link.placement.picture.id: link.placement.picture for link in gone.links}
            names = self._unnamed({*left} - known.pictures_beside(message_id))
            deleted = [name for name in left if name in names and self._pictures.delete(left[name])]
        return Forgotten(message_id=message_id, prompts=len(gone.prompts), pictures=tuple(deleted))

    def messages_of(self, owner: str) -> Sequence[str]:
        """Return the ids of the messages for which pictures were requested on an owner's behalf.

        Raises:
            StoreFailed: if the file or its journal cannot be read.
        """
        return self._look_up(lambda known: known.messages_of(owner_id(owner)))

    def _unnamed(self, pictures: set[str]) -> set[str]:
        """Return the ids of those pictures that no other chat of the folder names."""
        left = {name.encode() for name in pictures}
        path = self._file.path
        for other in path.parent.glob("*.jsonl") if left else ():
            if other == path or not other.is_file():
                continue
            try:
                with other.open("rb") as file:
                    for line in file:
                        left = {name for name in left if name not in line}
            except OSError as error:
                raise StoreFailed(f"{other} cannot be read: {error.strerror or error}") from error
        return {name.decode() for name in left}

    def close(self) -> None:
        """Do nothing: no file stays open between two calls."""

    def _append(self, row: Row) -> None:
        with self._file.locked():
            try:
                self._journal.append(row)
            except OSError as error:
                raise StoreFailed(
                    f"{self._journal.path} cannot be written: {error.strerror or error}"
                ) from error

    def _look_up(self, ask: Callable[[Known], T]) -> T:
        with self._file.locked(), self._file.opened() as lines:
            return ask(self._known(lines))

    def _known(self, lines: Lines) -> Known:
        """Read the header and the journal, unless neither has changed. The file is locked."""
        by = lines.seen, signature(self._journal.path)
        if self._last is None or self._last[0] != by:
            first = lines.line(1)
            header = self._read(1, first.content if first else b"", self._as_header)
            rows, merged = self._journal.read(header.merged)
            self._header = header
            self._last = by, Known(header, replayed(header, rows), merged)
        return self._last[1]

    def _as_header(self, line: str) -> Header:
        """Read a header, unless it says what the last one did, as after a write of our own.

        It is compared as a whole: whoever wrote it, and whenever, nothing else is taken for it.
        """
        last = self._header
        return last if last is not None and last.line == line else Header(line)

    def _expect(self, number: int, found: Line | None, expected: Version | None) -> Line:
        held = None if found is None else _version(found.content)
        if found is None and expected is None:
            raise UnknownMessage(
                f"{self._file.path} has no line {number}: SillyTavern adds messages, Limner "
                "illustrates those that are there"
            )
        if found is None or held != expected:
            was = "is not there any more" if held is None else "was changed by another program"
            raise VersionConflict(
                f"{self._at(number)} " + ("is there already" if expected is None else was)
            )
        return found

    def _message(self, number: int, content: bytes) -> ChatMessage:
        message = self._read(number, content, read_message)
        if message.speaker != "assistant":
            raise UnknownMessage(
                f"{self._at(number)} is a message of the {message.speaker}; "
                "only the assistant's are illustrated"
            )
        return message

    def _read(self, number: int, content: bytes, read: Callable[[str], T]) -> T:
        try:
            return read(content.decode())
        except UnicodeDecodeError as error:
            reason = BrokenLine(f"is not UTF-8 at byte {error.start + 1}")
        except BrokenLine as error:
            reason = error
        raise StoreFailed(f"{self._at(number)} {reason}")

    def _at(self, number: int) -> str:
        return f"{self._file.path}, line {number},"


def _as_chosen(registry: Registry, content: bytes) -> Registry:
    """Return a registry in which pictures that are in other swipes alone are `past`.

    Failures whose marks are in other swipes alone are left out.
    """
    try:
        message = read_message(content.decode())
    except ValueError:  # not UTF-8, or a broken line; that matters to who asks for its text
        return registry
    elsewhere = {name for swipe in message.other_swipes() for name in marked(swipe)}
    if elsewhere:
        elsewhere -= marked(message.text)
    failed = {name for swipe in message.other_swipes() for name in failures_marked(swipe)}
    if failed:
        failed -= failures_marked(message.text)
    return registry.but(
        failures=tuple(known for known in registry.failures if known.id not in failed),
        links=tuple(
            link.but(state="past")
            if link.state == "placed" and link.placement.id in elsewhere
            else link
            for link in registry.links
        ),
    )


def _number(message_id: str) -> int:
    if message_id == "1":
        raise UnknownMessage("line 1 of a chat file is its header; the first message is line 2")
    if not LINE_NUMBER.fullmatch(message_id):
        raise UnknownMessage(
            f"{message_id[:40]!r} names no message of a chat file: it takes the number of its line"
        )
    return int(message_id)


def _version(content: bytes) -> str:
    return blake2b(content.rstrip(b"\r\n"), digest_size=16).hexdigest()
