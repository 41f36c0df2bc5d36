"""Copies a file, whole or not at all, for a command that changes the copy."""

import os
import stat
from filecmp import cmp
from functools import partial
from pathlib import Path

from limner.actors.stores.atomic_files import make_directory, sweep, sync_directory, write_temporary
from limner.actors.stores.sillytavern.line_file import backup_of, beside
from limner.messages.errors import StoreFailed
from limner.scripts.reading import Unusable

BLOCK = 1 << 18


COPIES = 1_000
"""Copies of one file that are kept beside it at most."""


def keep_copy(file: Path) -> Path:
    """Keep a file as it is under a new name beside it: `NAME.bak`, or `NAME.bak.2` and so on.

    Returns:
        The copy; an earlier one if that has the same bytes.

    Raises:
        Unusable: if something that is no file stands there.
        StoreFailed: if it cannot be copied.
    """
    try:
        backup_of(file)
    except StoreFailed as error:
        raise Unusable(str(error)) from error
    file = Path(os.path.realpath(file))
    for number in range(1, COPIES + 1):
        copy = beside(file, "", ".bak" if number == 1 else f".bak.{number}")
        if not os.path.lexists(copy):
            copy_file(str(file), copy)
            return near(copy)
        if copy.is_file() and cmp(file, copy, shallow=False):
            return near(copy)
    raise StoreFailed(f"{file} cannot be kept: there are {COPIES:,} copies of it; remove some")


def near(path: Path) -> Path:
    """Return a path as a person would write it: relative where it is below the working folder."""
    try:
        return path.relative_to(Path.cwd())
    except (ValueError, OSError):
        return path


def copy_file(source: str, target: Path) -> None:
    """Copy a file to a new or an existing one, which keeps its permission bits.

    Raises:
        StoreFailed: if that fails; the target is unchanged then.
    """
    target = Path(os.path.realpath(target))
    try:
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
        make_directory(target.parent)
        sweep(target.parent)
        with Path(source).open("rb") as file:
            blocks = iter(partial(file.read, BLOCK), b"")
            temporary = write_temporary(target.parent, blocks, mode=mode)
        try:
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(target.parent)
    except OSError as error:
        raise StoreFailed(
            f"{source!r} cannot be copied to {str(target)!r}: {error.strerror or error}"
        ) from error
