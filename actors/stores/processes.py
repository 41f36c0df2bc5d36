"""Which process has left a temporary file: its name says it, as far as that can be told.

The number of a process alone is not enough. Another host that shares the disk, or another
container, has the same numbers; and numbers come again. So the name also has the place that the
number is of, and when that place and the process were started. A file whose process cannot be
judged is left to its age.
"""

from __future__ import annotations

import os
import platform
import re
from functools import cache
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Literal

NAME = re.compile(r"\.limner-(\d{1,10})-\d+(?:-([0-9a-f]{8})-([0-9a-f]{8})-(\d{1,20}))?\.tmp")
"""The name of a temporary file: process, number, place, boot, start. Older ones end earlier."""

_counter = count()


def temporary_name() -> str:
    """Return a name for a temporary file that no other process uses, and this one once."""
    process = os.getpid()
    return f".limner-{process}-{next(_counter)}-{_place(process)}-{_boot()}-{_started(process)}.tmp"


def owner_of(name: str, modified: float) -> Literal["gone", "unknown", "there"] | None:
    """Return whether the process is gone that has made a temporary file; `None` for another file.

    Args:
        name: of the file.
        modified: when it was written last, in seconds since 1970.
    """
    found = NAME.fullmatch(name)
    if found is None:
        return None
    process, place, boot, start = int(found[1]), found[2], found[3], found[4]
    if place is None or place != _place(os.getpid()):
        return "unknown"
    if boot != _boot():
        # a copy of this machine may share the disk, and its files may be new
        return "gone" if modified < _booted_at() else "unknown"
    if os.name == "nt":
        return "unknown"  # asking there may end the process
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return "gone"
    except OSError:
        pass  # it is another user's
    if start == "0":
        return "unknown"
    return "there" if start == _started(process) else "gone"


@cache
def _place(process: int) -> str:
    """Return what tells the place that the numbers of processes are of: host and container."""
    try:
        numbers = str(Path(f"/proc/{process}/ns/pid").readlink())
    except OSError:
        numbers = ""
    return _short(platform.node(), _read("/etc/machine-id"), numbers)


@cache
def _boot() -> str:
    """Return what tells one start of the system from the next."""
    return _short(_read("/proc/sys/kernel/random/boot_id"))


@cache
def _booted_at() -> float:
    """Return when the system was started, in seconds since 1970; 0 if that is not known."""
    found = re.search(r"^btime (\d+)$", _read("/proc/stat"), re.MULTILINE)
    return float(found[1]) if found else 0


def _started(process: int) -> str:
    """Return when a process was started, in ticks since the boot; 0 if that is not known.

    One that has ended, and that its parent has not asked about yet, counts as none.
    """
    fields = _read(f"/proc/{process}/stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] not in {"Z", "X"} else "0"


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return ""


def _short(*texts: str) -> str:
    return blake2b("\0".join(texts).encode(errors="replace"), digest_size=4).hexdigest()
