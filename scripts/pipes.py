"""A text that comes through a pipe cannot be read again, so all of it is kept until it is written.

Whatever ends its session early (a deadline, `Settings.max_text`, a store that fails, a read that
fails), the text is written as it came, with the pictures that are finished by then.
"""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from limner.actors.stores import FileStore, PictureFiles
from limner.actors.stores.atomic_files import write_temporary
from limner.actors.stores.file_version import read, version_of
from limner.messages.errors import StoreFailed, StreamClosed, VersionConflict
from limner.messages.registry import RegistryUpdate, Version
from limner.scripts.reading import Unusable

MOST = 100_000_000
"""Characters that are read from a pipe at most, as `Settings.max_text` may allow at most."""


class PipedText:
    """All text that has come through a pipe; a part of it is illustrated.

    One thread feeds it, another may read it at any time.

    Args:
        max_text: characters that the stream takes at most.
    """

    def __init__(self, max_text: int) -> None:
        self.characters = 0
        self._max_text = max_text
        self._taken: list[str] = []
        self._rest: list[str] = []

    @property
    def rest(self) -> str:
        """What the stream did not take: it was too much, or came after the stream had ended."""
        return "".join(self._rest)

    @property
    def text(self) -> str:
        """All that has come."""
        return "".join(self._taken) + self.rest

    @property
    def too_long(self) -> bool:
        """Whether it has more characters than the stream takes."""
        return self.characters > self._max_text

    def feed(self, chunk: str, stream: Callable[[str], None]) -> None:
        """Keep a chunk, and pass on to the stream what that may take.

        Args:
            chunk: the next one.
            stream: takes text until it raises `StreamClosed`.

        Raises:
            Unusable: if more than `MOST` characters have come; the chunk is kept.
        """
        if not self._rest:
            head = chunk[: self._max_text - self.characters]
            with suppress(StreamClosed):
                if head:
                    stream(head)
                self._taken.append(head)
                self.characters += len(head)
                chunk = chunk[len(head) :]
        if chunk:
            self._rest.append(chunk)
            self.characters += len(chunk)
        if self.characters > MOST:
            raise Unusable(
                f"more than {MOST:,} characters have come; the text is cut there, and written"
            )


class PipedFileStore(FileStore):
    """A store of text files in which a text gets what its stream did not take.

    A conflict is a failure: composing on what another program has written would lose the text.

    Args:
        directory: where the text goes.
        pictures: where the bytes of pictures are kept.
        piped: the text.
    """

    def __init__(self, directory: Path, pictures: PictureFiles, piped: PipedText) -> None:
        super().__init__(directory, pictures)
        self._piped = piped

    def write(
        self,
        message_id: str,
        text: str,
        *,
        expected_version: Version | None,
        links: RegistryUpdate | None = None,
    ) -> Version:
        """Write the text and the rest of it.

        Raises:
            StoreFailed: if the file was changed meanwhile, or cannot be written.
        """
        try:
            return super().write(
                message_id,
                text + self._piped.rest,
                expected_version=expected_version,
                links=links,
            )
        except VersionConflict as error:
            raise StoreFailed(str(error)) from error


def version_at(output: Path | None) -> Version | None:
    """Return the version of an output as it is now; `None` if there is none that can be read."""
    content = None
    if output is not None:
        with suppress(StoreFailed):
            content = read(output)
    return None if content is None else version_of(content)


def save(text: str, output: Path | None, version: Version | None) -> Path:
    """Write a text without pictures, to its output if that is as it was, else to a new file.

    The new file is beside the output, or in the folder for temporary files.

    Args:
        text: the text.
        output: its file; standard output if `None`.
        version: of that file when the text began to come.

    Returns:
        The file that has the text now.

    Raises:
        OSError: if it can be written nowhere.
    """
    content = text.encode(errors="replace")
    if output is not None:
        with suppress(OSError):
            if version_at(output) == version:
                return _replace(output, content)
        with suppress(OSError):
            return _new_file(output.parent, output, content)
    return _new_file(Path(tempfile.gettempdir()), output or Path("limner.md"), content)


def _replace(output: Path, content: bytes) -> Path:
    target = Path(os.path.realpath(output))
    mode = target.stat().st_mode & 0o7777 if target.exists() else None
    temporary = write_temporary(target.parent, content, mode=mode)
    try:
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return output


def _new_file(folder: Path, output: Path, content: bytes) -> Path:
    descriptor, name = tempfile.mkstemp(
        prefix=f"{output.stem[:100]}.", suffix=output.suffix[:20], dir=folder
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)
