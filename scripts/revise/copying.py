"""Copies a file, whole or not at all, for a command that changes the copy."""

import os
import stat
from functools import partial
from pathlib import Path

from limner.actors.stores.atomic_files import make_directory, sweep, sync_directory, write_temporary
from limner.messages.errors import StoreFailed

BLOCK = 1 << 18


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
