"""A file of lines that other programs write too: read a line at a time, replaced as a whole."""

import os
import stat
import sys
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import BinaryIO, NamedTuple

from limner.actors.stores.atomic_files import sweep, sync_directory, write_temporary
from limner.messages.errors import StoreFailed, VersionConflict

if sys.platform != "win32":
    import fcntl

_BLOCK = 1 << 18
_LONGEST = 255
"""Bytes of a file's name that the usual file systems take."""


class Signature(NamedTuple):
    """What tells one state of a file from another without reading it."""

    device: int
    inode: int
    size: int
    mode: int
    modified: int
    changed: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Signature":
        """Return the signature of a file by its status."""
        return cls(
            status.st_dev,
            status.st_ino,
            status.st_size,
            status.st_mode,
            status.st_mtime_ns,
            status.st_ctime_ns,
        )


def signature(path: Path) -> Signature | None:
    """Return the signature of a file, or `None` if there is none.

    Raises:
        OSError: if it cannot be asked for.
    """
    try:
        return Signature.of(path.stat())
    except FileNotFoundError:
        return None


def beside(path: Path, before: str, after: str) -> Path:
    """Return the path of a file that is named after one beside it; by a hash if that is too long.

    Args:
        path: of the other file.
        before: what stands before its name.
        after: what stands after it.
    """
    name = os.fsencode(path.name)
    if len(before) + len(name) + len(after) > _LONGEST:
        return path.with_name(f"{before}{blake2b(name, digest_size=16).hexdigest()}{after}")
    return path.with_name(f"{before}{path.name}{after}")


def backup_of(path: Path) -> Path:
    """Return where a file is kept as it was: `NAME.bak` beside it, or beside what it links to.

    Raises:
        StoreFailed: if something that is no file stands there, so that nothing could be kept.
    """
    untouched = beside(Path(os.path.realpath(path)), "", ".bak")
    if os.path.lexists(untouched) and not untouched.is_file():
        raise StoreFailed(
            f"{untouched} is no file, so {path.name} cannot be kept there as it was, and is not "
            "changed; move it away first"
        )
    return untouched


class Line(NamedTuple):
    """A line with its line end, where it begins, and what is to take its place."""

    start: int
    content: bytes
    new: bytes = b""


class Lines:
    """An opened file of lines. It holds one line, or one block of bytes, in memory at a time.

    Args:
        file: the file.
        seen: its signature, taken before anything was read.
        ended: what is known of it: how many lines have ended by the end of each block of bytes, as
            far as it was read; a number for 256 KiB.
    """

    def __init__(self, file: BinaryIO, seen: Signature, ended: Sequence[int] = ()) -> None:
        self.file = file
        self.seen = seen
        self.ended = [*ended]

    def line(self, number: int) -> Line | None:
        """Return a line by its number, from 1, or `None` if the file ends before it."""
        start = self._start(number - 1) if number > 1 else 0
        if start is None:
            return None
        self.file.seek(start)
        content = self.file.readline()
        return Line(start, content) if content else None

    def _start(self, before: int) -> int | None:
        """Return where the line after `before` lines begins, or `None` if there are fewer lines."""
        passed = bisect_left(self.ended, before)
        start, seen = passed * _BLOCK, self.ended[passed - 1] if passed else 0
        for block in self._blocks(start):
            here = block.count(b"\n")
            if start == len(self.ended) * _BLOCK:
                self.ended.append(seen + here)
            if seen + here >= before:
                at = 0
                for _ in range(before - seen):
                    at = block.index(b"\n", at) + 1
                return start + at
            start, seen = start + len(block), seen + here
        return None

    def edited(self, edits: Sequence[Line]) -> Iterator[bytes]:
        """Yield all of the file, piece by piece, with some lines replaced; these are in order."""
        at = 0
        for edit in edits:
            yield from self._blocks(at, edit.start)
            yield edit.new
            at = edit.start + len(edit.content)
        yield from self._blocks(at)

    def _blocks(self, start: int, end: int | None = None) -> Iterator[bytes]:
        self.file.seek(start)
        while size := _BLOCK if end is None else min(_BLOCK, end - start):
            block = self.file.read(size)
            if not block:
                return
            yield block
            start += len(block)


def take_lock(descriptor: int, timeout: float) -> bool:
    """Take the lock of an open directory, and return whether it was free in time.

    A file system that has no locks counts as one where it is free.

    Args:
        descriptor: of the directory.
        timeout: seconds to wait.
    """
    if sys.platform == "win32":
        return True
    idle, waited, pause = Lock(), 0.0, 0.001
    idle.acquire()
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waited >= timeout:
                return False
        except OSError:  # some network file systems have no locks
            return True
        else:
            return True
        pause = min(2 * pause, 0.05, timeout - waited)
        idle.acquire(timeout=pause)  # nobody releases it, so this is a pause
        waited += pause


class LineFile:
    """A file of lines that is there already.

    Args:
        path: the file; a symbolic link is followed once, now.
        timeout: seconds to wait for another user of the file, above 0; for a thread of this process
            and for another process, each.

    Raises:
        StoreFailed: if it can be no path.
    """

    def __init__(self, path: Path | str, *, timeout: float = 10) -> None:
        try:
            self.path = Path(os.path.realpath(path))
        except ValueError:
            raise StoreFailed(f"{str(path)[:200]!r} is no path of a file") from None
        self._timeout = timeout
        self._lock = Lock()
        self._swept = False
        sweep(self.path.parent)
        self._ended: tuple[Signature | None, Sequence[int]] = None, ()

    @contextmanager
    def opened(self) -> Iterator[Lines]:
        """Open the file as it is now.

        Raises:
            StoreFailed: if there is none, or it cannot be read.
        """
        try:
            # asked first, as opening a named pipe would wait for its other end
            if not stat.S_ISREG(self.path.stat().st_mode):
                raise StoreFailed(f"{self.path} is a directory or a device, not a file of lines")
            with self.path.open("rb") as file:
                seen = Signature.of(os.fstat(file.fileno()))
                last, ended = self._ended
                lines = Lines(file, seen, ended if last == seen else ())
                yield lines
                if lines.ended:
                    self._ended = seen, lines.ended
        except FileNotFoundError:
            raise StoreFailed(f"there is no file {self.path}") from None
        except OSError as error:
            what = error.filename or self.path
            raise StoreFailed(f"{what} cannot be read: {error.strerror or error}") from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the file against other threads and, where the system can, other processes.

        The lock is on the directory, so that no file of it is left behind.

        Raises:
            StoreFailed: if another user of it holds the lock for too long.
        """
        if not self._lock.acquire(timeout=self._timeout):
            raise self._stayed_locked()
        try:
            if sys.platform == "win32":
                yield
                return
            try:
                descriptor = os.open(self.path.parent, os.O_RDONLY)
            except OSError:  # one that may be passed through, but not be listed
                yield
                return
            try:
                if not take_lock(descriptor, self._timeout):
                    raise self._stayed_locked()
                yield
            finally:
                os.close(descriptor)
        finally:
            self._lock.release()

    def _stayed_locked(self) -> StoreFailed:
        return StoreFailed(
            f"{self.path} stayed locked by another user of it, such as a limner that was stopped, "
            f"for {self._timeout:g} s"
        )

    def replace(self, lines: Lines, edits: Sequence[Line], *, backup: bool) -> None:
        """Replace lines, atomically, if the file has not changed since it was opened.

        Its permission bits stay.

        Args:
            lines: the file as it was opened.
            edits: the lines, in their order.
            backup: whether the file as it is now is kept as `NAME.bak`, or by a hash of a name that
                is too long for that, unless it is there.

        Raises:
            VersionConflict: if it has changed; nothing is replaced then.
            StoreFailed: if it cannot be written.
        """
        try:
            if not os.access(self.path, os.W_OK):
                raise StoreFailed(f"{self.path} is write-protected")
            if backup and not (untouched := backup_of(self.path)).is_file():
                self._put(untouched, lines, ())
            self._put(self.path, lines, edits)
        except OSError as error:
            raise StoreFailed(
                f"{self.path} cannot be replaced: {error.strerror or error}; its directory has "
                "to be one that can be written to, with room for a copy"
            ) from error

    def _put(self, path: Path, lines: Lines, edits: Sequence[Line]) -> None:
        mode = stat.S_IMODE(lines.seen.mode)
        temporary = write_temporary(path.parent, lines.edited(edits), mode=mode)
        try:
            if not self._swept:
                self._swept = True
                sweep(path.parent, now=temporary)
            if signature(self.path) != lines.seen:
                raise VersionConflict(f"{self.path} was changed by another program")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(path.parent)
