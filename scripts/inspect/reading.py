"""An event log as it lies on the disk: read once, in bounded memory, whatever stands in it.

A log is one JSON object a line. Its last line may be cut, it may hold several runs after each
other, and lines that are none of ours; what is passed over is counted.
"""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import orjson

from limner.messages.events.record import MAX_LINE, Record, parse

BLOCK = 2**20
"""Bytes that are read at a time."""


class LogUnusable(Exception):
    """A file is no event log: it is missing, a directory, empty, binary, or holds no event."""


class LogReader:
    """The events of a log, to be iterated once.

    Args:
        path: of the log; a pipe will do.
        progress: called now and then with the bytes read, and the bytes of the whole file, which
            is 0 where it is not known.

    Attributes:
        lines: how many lines there were, blank ones not counted.
        runs: how many runs were opened.
        foreign: how many lines were no events.
        cut: whether the last line has no end, and is no JSON.

    Raises:
        LogUnusable: if there is nothing to read; also while it is iterated.
    """

    def __init__(self, path: Path, *, progress: Callable[[int, int], None] | None = None) -> None:
        self.lines = 0
        self.runs = 0
        self.foreign = 0
        self.cut = False
        self._path = path
        self._progress = progress
        self._events = 0
        self._name = repr(str(path))
        try:
            found = os.stat(path)  # noqa: PTH116
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from error
        if stat.S_ISDIR(found.st_mode):
            raise LogUnusable(f"{self._name} is a directory; name an event log")
        self._regular = stat.S_ISREG(found.st_mode)
        if self._regular and not found.st_size:
            raise LogUnusable(f"{self._name} is empty: it holds no event")

    def __iter__(self) -> Iterator[Record]:
        """Yield each event, in the order of the file."""
        for lines in self._split():
            for line in lines:
                event = parse(line)
                if event is not None:
                    self.lines += 1
                    self._events += 1
                    if event["event"] == "studio_opened":
                        self.runs += 1
                    yield event
                elif line and not line.isspace():
                    self.lines += 1
                    self.foreign += 1
        if not self._events:
            raise LogUnusable(
                f"{self._name} is no event log: none of its {self.lines:,} lines is an event"
                if self.lines
                else f"{self._name} is empty: it holds no event"
            )

    def _split(self) -> Iterator[list[bytes]]:
        """Yield lines without their ends; of one that is too long, enough to see that."""
        parts, size = [b""], 0
        for block in self._blocks():
            lines = block.split(b"\n")
            if size <= MAX_LINE:
                parts.append(lines[0])
                size += len(lines[0])
            if len(lines) > 1:
                lines[0] = b"".join(parts)
                last = lines.pop()
                yield lines
                parts, size = [last], len(last)
        rest = b"".join(parts)
        if size > MAX_LINE or is_json(rest):
            yield [rest]
        elif not rest.isspace() and rest:
            self.lines += 1
            self.cut = True

    def _blocks(self) -> Iterator[bytes]:
        try:
            with self._path.open("rb", buffering=0) as file:
                whole = os.fstat(file.fileno()).st_size if self._regular else 0
                done = 0
                while block := read(file):
                    yield block
                    if not self._events and b"\0" in block:
                        raise LogUnusable(f"{self._name} is a binary file, not an event log")
                    done += len(block)
                    if self._progress is not None:
                        self._progress(done, whole)
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError | ValueError) -> LogUnusable:
        reason = getattr(error, "strerror", None) or error
        return LogUnusable(f"{self._name} cannot be read: {reason}")


def read(file: BinaryIO) -> bytes:
    """Read a block at most; return nothing at the end."""
    return file.read(BLOCK) or b""


def is_json(line: bytes) -> bool:
    """Check whether a line is JSON."""
    try:
        orjson.loads(line)
    except ValueError:
        return False
    return True
