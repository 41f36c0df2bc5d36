"""Files that are either whole or not there, and still there after a power cut."""

import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from limner.actors.stores.processes import owner_of, temporary_name

_LEFT_OVER = 3_600
"""Seconds after which a temporary file is taken for one of a process that was killed, if its name
does not tell."""

_BINARY: int = getattr(os, "O_BINARY", 0)


def make_directory(directory: Path) -> None:
    """Make a directory and the ones above it, so that they outlive a power cut.

    Raises:
        OSError: if one cannot be made.
    """
    missing = [directory]
    while not missing[-1].exists():
        missing.append(missing[-1].parent)
    directory.mkdir(parents=True, exist_ok=True)
    for made in missing[:-1]:
        sync_directory(made.parent)


def sync_directory(directory: Path) -> None:
    """Force the names in a directory to the disk, where the system can.

    Raises:
        OSError: if the disk refuses.
    """
    if os.name == "nt":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # some network file systems know no fsync of a directory
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(descriptor)


def write_temporary(
    directory: Path, content: bytes | Iterable[bytes], *, mode: int | None = None
) -> Path:
    """Write a new hidden file, to the disk, under a name that no other writer has.

    Args:
        directory: where it will be renamed, as a rename stays on one file system.
        content: all of its bytes, or pieces of them, each taken once the one before is written.
        mode: its permission bits; by default those of any new file.

    Raises:
        OSError: if it cannot be written; nothing is left then.
    """
    while True:
        path = directory / temporary_name()
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
        except FileExistsError:  # of a killed process that had our number
            continue
        break
    try:
        with os.fdopen(descriptor, "wb") as file:
            if mode is not None:
                path.chmod(mode)
            file.writelines((content,) if isinstance(content, bytes) else content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def sweep(directory: Path, now: Path | None = None) -> None:
    """Remove temporary files that killed processes left in a directory.

    A file is removed at once if its name tells that its process is gone. One whose name does not
    tell that, such as of another host, is removed once it is an hour old. Those of living
    processes stay. What cannot be looked at or removed is left.

    Args:
        directory: where to look; it may be missing.
        now: a file in it that was written just now: both ages are by the file system's
            clock, whichever machine or container wrote them. Without it no age is known.
    """
    with suppress(OSError):
        oldest = None if now is None else now.stat().st_mtime - _LEFT_OVER
        with os.scandir(directory) as entries:
            for entry in entries:
                with suppress(OSError):  # another process swept it, or it is not ours to remove
                    if _is_left_over(entry, oldest):
                        Path(entry.path).unlink()


def _is_left_over(entry: os.DirEntry[str], oldest: float | None) -> bool:
    if not entry.name.startswith(".limner-"):
        return False
    modified = entry.stat(follow_symlinks=False).st_mtime
    owner = owner_of(entry.name, modified)
    return owner == "gone" or (owner == "unknown" and oldest is not None and modified < oldest)
