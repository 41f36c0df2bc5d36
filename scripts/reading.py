"""The text that a command illustrates: read from a file or a pipe, as it comes."""

import codecs
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from limner.messages.errors import LimnerError, TextTooLong

BLOCK = 65_536
STEPS = 20
"""Pieces a second that a text is paced in."""


class Unusable(LimnerError):
    """A source cannot be read, or an output cannot be written to, as it was named."""


class Source:
    """A text that is open for reading.

    Args:
        descriptor: of the open file or pipe.
        name: what the user calls it.

    Attributes:
        regular: whether it is a regular file, which can be read again.
        invalid: how many U+FFFD stand for bytes that were not UTF-8, and the first such byte.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        self.descriptor = descriptor
        self.name = name
        self.invalid: tuple[int, str] | None = None
        try:
            self.regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        except OSError as error:
            raise Unusable(f"{name} cannot be read: {error.strerror}") from error

    def chunks(self) -> Iterator[str]:
        """Yield the text in pieces, each as soon as it was read; newlines stay as they are.

        Of a pipe, whose text cannot be read again, each byte that is not UTF-8 becomes U+FFFD, and
        `invalid` says so.

        Raises:
            Unusable: if it cannot be read, or is a regular file that is not UTF-8.
        """
        pending, read, block = b"", 0, b" "
        while block:
            try:
                block = os.read(self.descriptor, BLOCK)
            except OSError as error:
                raise Unusable(f"{self.name} cannot be read: {error.strerror}") from error
            pending += block
            text, used = self._decoded(pending, read, final=not block)
            pending = pending[used:]  # a character that is not whole yet
            read += used
            if text:
                yield text

    def _decoded(self, data: bytes, offset: int, *, final: bool) -> tuple[str, int]:
        """Return the text of bytes, and how many of them it is of."""
        try:
            return codecs.utf_8_decode(data, "strict", final)
        except UnicodeDecodeError as error:
            byte = f"byte 0x{data[error.start]:02x} at offset {offset + error.start:,}"
            if self.regular:
                raise Unusable(
                    f"{self.name} is not UTF-8 text: {byte}; convert it, for instance with iconv"
                ) from error
            text, used = codecs.utf_8_decode(data, "replace", final)
            first = self.invalid[1] if self.invalid else byte
            # all that was put in; those that were there already are three bytes each
            number = text.count("\ufffd") - data[:used].count("\ufffd".encode())
            self.invalid = (self.invalid[0] if self.invalid else 0) + number, first
            return text, used

    def whole(self, max_text: int) -> str:
        """Return the whole text.

        Args:
            max_text: characters that it may have.

        Raises:
            Unusable: as `chunks` does.
            TextTooLong: if it has more characters.
        """
        parts: list[str] = []
        length = 0
        for part in self.chunks():
            parts.append(part)
            length += len(part)
            if length > max_text:
                raise TextTooLong(
                    f"{self.name} has more than the {max_text:,} characters that "
                    "Settings.max_text (LIMNER_MAX_TEXT) allows"
                )
        return "".join(parts)


def open_source(source: str) -> Source:
    """Open a file, or standard input for `-`. It stays open, as a read may be under way.

    Raises:
        Unusable: if it cannot be opened, or is a directory.
    """
    if source == "-":
        return Source(0, "standard input")
    name = repr(source)
    try:
        if Path(source).is_dir():
            raise Unusable(f"{name} is a directory; name a file of text, or - for a pipe")
        descriptor = os.open(source, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Unusable(f"{name} cannot be read: {reason}") from error
    return Source(descriptor, name)


def check_rate(rate: float | None, *, in_place: bool) -> None:
    """Check that a text can be read at a rate, in characters a second.

    Raises:
        Unusable: if it is not 0.01 to 1,000,000, or the text is illustrated in place.
    """
    if rate is None:
        return
    if not 0.01 <= rate <= 1_000_000:
        raise Unusable(f"--rate: 0.01 to 1,000,000 characters a second, not {rate:g}")
    if in_place:
        raise Unusable("--rate: the output is the source, which a Ctrl-C would cut short")


def paced(chunks: Iterator[str], rate: float, stopped: threading.Event) -> Iterator[str]:
    """Yield a text in small pieces, no faster than `rate` characters a second, until stopped.

    After a pause of the text itself the rate is not exceeded to catch up.
    """
    size = max(1, round(rate / STEPS))
    due = time.monotonic()
    for chunk in chunks:
        for start in range(0, len(chunk), size):
            piece = chunk[start : start + size]
            if stopped.wait(max(0, due - time.monotonic())):
                return
            yield piece
            due = max(due, time.monotonic() - 1 / STEPS) + len(piece) / rate


class Reader:
    """Reads on a thread of its own, which may block while the text pauses.

    Args:
        source: what to read.
        feed: called with each piece of text; what it raises ends the reading.
        ended: called once, with the error that ended it, or `None` at the end of the text.
        rate: characters a second at most; as fast as they come if `None`.
    """

    def __init__(
        self,
        source: Source,
        feed: Callable[[str], None],
        ended: Callable[[LimnerError | None], None],
        *,
        rate: float | None,
    ) -> None:
        self._source = source
        self._feed = feed
        self._ended = ended
        self._rate = rate
        self._stopped = threading.Event()
        # a daemon, as nothing can end a read from a pipe that stays open
        self._thread = threading.Thread(target=self._run, name="limner-reader", daemon=True)

    def start(self) -> None:
        """Start to read."""
        self._thread.start()

    def stop(self) -> None:
        """Read no further; a read that is blocked stays so until its text comes."""
        self._stopped.set()

    def _run(self) -> None:
        chunks = self._source.chunks()
        if self._rate is not None:
            chunks = paced(chunks, self._rate, self._stopped)
        try:
            for chunk in chunks:
                if self._stopped.is_set():
                    return
                self._feed(chunk)
        except LimnerError as error:
            self._ended(error)
        else:
            self._ended(None)
