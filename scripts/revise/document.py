"""An existing file, a text or a chat of many messages, with the store that reads and writes it."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from limner.actors.stores import PictureFiles, RegistryStore
from limner.actors.stores.sillytavern.line_file import backup_of
from limner.messages.errors import LimnerError, StoreFailed, TextTooLong
from limner.messages.pictures import Picture
from limner.messages.registry import Registry
from limner.messages.settings import Settings
from limner.messages.sillytavern.header import read_registries
from limner.messages.sillytavern.lines import BrokenLine
from limner.messages.unicode import shown
from limner.scripts.display import Display
from limner.scripts.paths import Paths
from limner.scripts.reading import Unusable, open_source
from limner.scripts.revise.copying import near
from limner.scripts.revise.file_kind import first_line


@dataclass(frozen=True)
class Document:
    """A file and its store.

    Args:
        paths: where the file and its pictures are.
        store: reads and writes the file.
        chat: whether it is a chat, whose messages are named by their lines.
        settings: the ones in force.
        files: where the pictures are kept.
        backup: where the file will be kept as it was, at its first change; `None` if it is not.
    """

    paths: Paths
    store: RegistryStore
    chat: bool
    settings: Settings
    files: PictureFiles
    backup: Path | None = None

    @property
    def name(self) -> str:
        """The file, as a person calls it."""
        return self.paths.output_name

    @property
    def hint(self) -> str:
        """Names a file beside it that may have the pictures; empty if there is none."""
        return "" if self.chat or self.paths.output is None else hint_of(self.paths.output)

    def messages(
        self,
        broken: Callable[[LimnerError], object] | None = None,
        *,
        only: Collection[str] = (),
    ) -> Iterator[tuple[str, str]]:
        """Yield the id and the text of each message; a text is one message.

        Args:
            broken: is called with an error for each line of a chat that is no message, and for each
                message with more characters than the settings allow.
            only: the ids of the messages that are meant; all if empty.

        Raises:
            StoreFailed: if the file cannot be read.
        """
        for message_id, text in self._messages(None if only else broken):
            if only and message_id not in only:
                continue
            if len(text) <= self.settings.max_text:
                yield message_id, text
            elif broken is not None:
                broken(
                    TextTooLong(
                        f"{self.called(message_id)} is passed over: it has {len(text):,} "
                        "characters; Settings.max_text (LIMNER_MAX_TEXT) allows "
                        f"{self.settings.max_text:,}"
                    )
                )

    def _messages(
        self, broken: Callable[[LimnerError], object] | None
    ) -> Iterator[tuple[str, str]]:
        if self.chat:
            from limner.actors.stores.sillytavern.chat_file import ChatFileStore

            yield from cast("ChatFileStore", self.store).messages(broken=broken)
        elif loaded := self.store.load(self.paths.message_id):
            yield self.paths.message_id, loaded[0]

    def illustrated(self) -> list[str]:
        """Return the ids of the messages that have placed pictures by the registry.

        Whether the pictures still stand in the text is not checked.

        Raises:
            StoreFailed: if the file or the registry cannot be read.
        """
        assert self.paths.output is not None
        ids = [self.paths.message_id]
        if self.chat:
            known = registered(self.paths.output)
            ids = sorted(known, key=lambda message_id: (len(message_id), message_id))
        return [
            message_id
            for message_id in ids
            if any(link.state == "placed" for link in self.store.registry(message_id).links)
        ]

    def called(self, message_id: str) -> str:
        """Return the name of a message for people: the file, and the line in a chat."""
        return f"{self.name}:{message_id}" if self.chat else self.name


def hint_of(file: Path) -> str:
    """Return a hint at the illustrated file beside a text; empty if there is none."""
    beside = file.with_name(f"{file.stem}.illustrated{file.suffix}")
    return f". {shown(str(beside), 300)} is beside it" if beside.is_file() else ""


@contextmanager
def opened(
    paths: Paths, settings: Settings, *, chat: bool, backup: bool = True
) -> Iterator[Document]:
    """Open an existing file.

    Args:
        paths: where it and its pictures are.
        settings: the ones in force; unless they set `markup`, it follows from the file's name.
        chat: whether it is a chat.
        backup: whether a chat that Limner has never changed is copied beside it before its first
            change.

    Raises:
        Unusable: if it cannot be read, or something that is no file is where it would be kept.
        TextTooLong, StoreFailed: if it cannot be read.
    """
    file = paths.output
    assert file is not None
    pictures = PictureFiles(paths.pictures, paths.pictures_url)
    if "markup" not in settings.model_fields_set:
        settings = settings.model_copy(update={"markup": paths.markup})
    store: RegistryStore
    untouched: Path | None = None
    if chat:
        from limner.actors.stores.sillytavern.chat_file import ChatFileStore

        backup = backup and not registered(file)
        untouched = new_backup(file) if backup else None
        store = ChatFileStore(file, pictures, backup=backup)
    else:
        from limner.actors.stores import FileStore

        # reports what is wrong with the file in the words used for any source
        open_source(str(file)).whole(settings.max_text)
        store = FileStore(file.parent, pictures)
    try:
        yield Document(paths, store, chat, settings, pictures, untouched)
    finally:
        store.close()


def new_backup(file: Path) -> Path | None:
    """Return where a file will be kept as it was; `None` if a file is there already.

    Raises:
        Unusable: if something that is no file is there.
    """
    try:
        untouched = backup_of(file)
    except StoreFailed as error:
        raise Unusable(str(error)) from error
    return None if untouched.is_file() else untouched


def tell_backup(document: Document, display: Display) -> None:
    """Print where a file was kept as it was, if that was done."""
    if document.backup is not None and document.backup.is_file():
        kind = "the chat" if document.chat else "the text"
        display.note(f"kept    {shown(str(near(document.backup)), 300)}, {kind} as it was")


def pictures_in(chat: Path) -> list[Picture]:
    """Return the pictures that stand in a chat by its header; none if that is unreadable.

    Raises:
        Unusable: if the file cannot be read.
    """
    return [
        link.placement.picture
        for registry in registered(chat).values()
        for link in registry.links
        if link.state == "placed"
    ]


def check_copy(target: Path) -> None:
    """Check that a copy of a chat would not overwrite an illustrated chat.

    The registry of a chat is in the chat itself, so it would be lost.

    Raises:
        Unusable: if it would.
    """
    if target.is_file() and (pictures := pictures_in(target)):
        number = f"{len(pictures):,} picture{'s' * (len(pictures) != 1)}"
        raise Unusable(
            f"output {str(target)!r} is a chat with {number}, which a copy would take out; "
            "work on it where it stands, or name another file"
        )


def registered(file: Path) -> Mapping[str, Registry]:
    """Return the registries in the header of a chat, by message; none if it cannot be read."""
    try:
        return read_registries(first_line(str(file)).decode())[0]
    except (BrokenLine, UnicodeDecodeError):
        return {}  # the store reports what is wrong with it
