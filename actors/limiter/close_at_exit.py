"""Closing the studios and limiters that a program leaves open at its end.

Threads of actors are daemons, so that a program can end; without this, what they have not written
would be lost without a word.
"""

from __future__ import annotations

import atexit
import os
import sys
from typing import Protocol

from limner.messages.settings import Settings


class OpenStudio(Protocol):
    """What is closed at the end: a studio, or a limiter of its own."""

    @property
    def settings(self) -> Settings:
        """All that it was told."""
        ...

    def close_within(self, seconds: float) -> list[str]:
        """Close, within a time; return what is not as it should be."""
        ...


_open: dict[OpenStudio, int] = {}
_SHOWN = 20
"""Messages that are named at most."""


def add(studio: OpenStudio) -> None:
    """Close a studio at the end of the program, unless it is closed before."""
    if not _open:
        atexit.register(_close_all)
    _open[studio] = os.getpid()


def discard(studio: OpenStudio) -> None:
    """Forget a studio that is closed."""
    if _open.pop(studio, None) is not None and not _open:
        atexit.unregister(_close_all)


def _close_all() -> None:
    """Close what is open, each within its `grace`; a process that was forked has nothing open."""
    here = os.getpid()
    for studio in [studio for studio, process in _open.items() if process == here]:
        seconds = studio.settings.grace
        left = studio.close_within(seconds)
        if not left or sys.stderr is None:
            continue
        more = [f"and {len(left) - _SHOWN} more"] if len(left) > _SHOWN else []
        what = f"the program ended without closing the studio, which had {seconds:g} s for the rest"
        lines = [f"{what}; close it with close(), or use it in a `with`", *left[:_SHOWN], *more]
        sys.stderr.write("".join(f"limner: {line}\n" for line in lines))
