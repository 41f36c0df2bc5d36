"""Waiting for a future on an asyncio loop, without blocking it and without a thread a future."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from limner.actors.system.future import PooledFuture

T = TypeVar("T")

AT_ONCE = 50
"""Waiters that are woken in one round of a loop, so that a thousand do not hold it up."""


class _Wakeups:
    """Wakes the waiters of one loop, a few in each of its rounds.

    However many futures are done meanwhile, the loop is notified once.

    Args:
        loop: that they wait on.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._call_soon = loop.call_soon
        self._notify = loop.call_soon_threadsafe
        self._done: deque[asyncio.Future[None]] = deque()
        self._notified = False
        self._lock = threading.Lock()

    def put(self, waiter: asyncio.Future[None]) -> None:
        """Wake a waiter on its loop. From any thread."""
        with self._lock:
            self._done.append(waiter)
            first, self._notified = not self._notified, True
        if first:
            try:
                self._notify(self._wake)
            except RuntimeError:  # the loop is closed, and nobody waits there any more
                self._done.clear()

    def _wake(self) -> None:
        for _ in range(min(AT_ONCE, len(self._done))):
            waiter = self._done.popleft()
            if not waiter.done():
                waiter.set_result(None)
        with self._lock:
            self._notified = bool(self._done)
        if self._notified:
            self._call_soon(self._wake)


_wakeups: WeakKeyDictionary[asyncio.AbstractEventLoop, _Wakeups] = WeakKeyDictionary()


def until_done(future: PooledFuture[Any]) -> Generator[Any, None, None]:
    """Wait on the running loop until a future is done; return at once if there is no loop.

    If whoever waits is cancelled, the future is told so.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        yield  # as Pykka's own does
        return
    if not future.calls_back:  # a hook gives its value, and may block
        yield from loop.run_in_executor(None, _outcome, future).__await__()
        return
    if future.done:
        return
    wakeups = _wakeups.get(loop)
    if wakeups is None:
        wakeups = _wakeups[loop] = _Wakeups(loop)
    waiter: asyncio.Future[None] = loop.create_future()
    put = wakeups.put

    def wake() -> None:
        put(waiter)

    future.add_waiter()
    future.when_done(wake)
    try:
        yield from waiter.__await__()
    except BaseException:
        future.call_back_no_more(wake)
        future.remove_waiter(cancelled=True)
        raise
    future.remove_waiter(cancelled=False)


async def within(future: PooledFuture[T], seconds: float | None) -> T:
    """Await a future, some seconds at most.

    Raises:
        TimeoutError: if it is not done by then.
    """
    async with asyncio.timeout(seconds):
        return await future


def _outcome(future: PooledFuture[Any]) -> None:
    """Wait for a future, whatever it gives."""
    try:
        future.get()
    except Exception:  # noqa: BLE001  # it is raised where the future is awaited
        return
