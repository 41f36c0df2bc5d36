"""Closing the studios that a program leaves open at its end.

Threads of actors are daemons, so that a program can end; without this, what they have not written
would be lost without a word.
"""

from __future__ import annotations

import atexit
import os
import sys
from typing import TYPE_CHECKING, Protocol

import pykka

from limner.messages.errors import LimnerError, describe
from limner.messages.pictures import Illustrated
from limner.messages.settings import Settings

if TYPE_CHECKING:
    from limner.actors.session.stream import Stream


class OpenStudio(Protocol):
    """What is closed at the end: a studio."""

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


def unfinished(stream: Stream) -> str | None:
    """Return what is not as it should be with a message at the end; `None` if nothing is."""
    name = f"message {stream.message_id!r}"
    future = stream.future
    if not future.done:
        return f"{name} is not written"
    try:
        result: Illustrated = future.get(timeout=0)
    except (LimnerError, pykka.Timeout) as error:
        return f"{name} is not written: {describe(error)}"
    missing = len(result.failures)
    if not missing:
        return None
    return f"{name} is written without {missing} picture{'s' * (missing > 1)}"


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
