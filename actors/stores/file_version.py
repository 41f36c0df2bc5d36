"""Versions of text files by their content: read, check, and create without overwriting."""

import errno
import os
import stat
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from limner.messages.errors import StoreFailed, VersionConflict
from limner.messages.registry import Version

_NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV}


def version_of(content: bytes) -> str:
    """Return the version of a text by its bytes."""
    return blake2b(content, digest_size=16).hexdigest()


def read(path: Path) -> bytes | None:
    """Return the bytes of a file, or `None` if there is none.

    Raises:
        StoreFailed: if it cannot be read, or is no file of bytes.
    """
    try:
        # asked first, as opening a named pipe would wait for its other end
        if not stat.S_ISREG(path.stat().st_mode):
            raise StoreFailed(f"{path} is a directory or a device, not a file of text")
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreFailed(f"{path} cannot be read: {error.strerror or error}") from error


def expect(path: Path, expected: Version | None) -> int | None:
    """Check the version of a file, and return its permission bits; `None` for no file.

    Raises:
        VersionConflict: if it has another, or there is none, or one where none was expected.
        StoreFailed: if it cannot be read, or may not be written.
    """
    content = read(path)
    held = None if content is None else version_of(content)
    if held != expected:
        was = "is not there any more" if held is None else "was changed by another program"
        raise VersionConflict(f"{path} " + ("is there already" if expected is None else was))
    if held is None:
        return None
    if not os.access(path, os.W_OK):
        raise StoreFailed(f"{path} is write-protected")
    return stat.S_IMODE(path.stat().st_mode)


def create(temporary: Path, path: Path) -> None:
    """Rename a file in one step, unless there is a file of the new name.

    Raises:
        VersionConflict: if something has.
        OSError: if it cannot be done.
    """
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
