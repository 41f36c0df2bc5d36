"""Callbacks to the outside of a system, on a thread of their own."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any, Generic, TypeVar

logger = logging.getLogger("limner.system")
T = TypeVar("T")


class Outlet(Generic[T]):
    """Calls a function for each item that is put in, in order, on one thread of its own.

    The thread starts with the first item, and ends once the outlet is closed and all is passed on.
    A callback that raises is logged and called again for the next thing. One that lags harms
    nobody: past `capacity` the newest things are dropped, counted, and told as one gap.

    Args:
        callback: what to call.
        lost: makes what the callback gets in place of dropped things, from the first, the last
            and the number of them; not needed without a capacity.
        capacity: things that may wait; any number if `None`.
        name: of the thread.
    """

    def __init__(
        self,
        callback: Callable[[T], object],
        *,
        lost: Callable[[T, T, int], T] | None = None,
        capacity: int | None = 10_000,
        name: str = "limner",
    ) -> None:
        self._callback = callback
        self._lost = lost
        self._capacity = capacity
        self._things: deque[T] = deque()
        self._gap: tuple[T, T, int] | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._name = f"{name}-outlet"
        self._thread: threading.Thread | None = None

    def put(self, thing: T) -> None:
        """Pass an item on, without waiting."""
        with self._changed:
            if self._closed:
                return
            if self._gap is not None and self._has_room and self._lost is not None:
                self._things.append(self._lost(*self._gap))
                self._gap = None
            if self._has_room:
                self._things.append(thing)
                self._wake()
            elif self._gap is None:
                self._gap = (thing, thing, 1)
            else:
                first, _, number = self._gap
                self._gap = (first, thing, number + 1)

    @property
    def _has_room(self) -> bool:
        return self._capacity is None or len(self._things) < self._capacity

    def _wake(self) -> None:
        """Notify the thread, and start it if there is none."""
        self._changed.notify()
        if self._thread is None and self._things:
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the process has as many threads as it can have
                logger.exception("a callback waits: its thread cannot be started")
            else:
                self._thread = thread

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._things or self._gap or self._closed)
                if self._things:
                    thing = self._things.popleft()
                elif self._gap is not None and self._lost is not None:
                    thing, self._gap = self._lost(*self._gap), None
                else:
                    return
            try:
                self._callback(thing)
            except BaseException:  # a subscriber ends nothing but its own call
                logger.exception("a subscriber's callback failed")

    def finish(self) -> None:
        """Accept nothing more; all that was put in is passed on."""
        with self._changed:
            self._closed = True
            self._wake()

    def close(self, timeout: float = 5) -> None:
        """Accept nothing more, and wait `timeout` seconds at most until all is passed on."""
        self.finish()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)


def close_all(outlets: Iterable[Outlet[Any]], timeout: float = 5) -> None:
    """Close outlets; wait `timeout` seconds at most for all of them together."""
    closing = list(outlets)
    for outlet in closing:
        outlet.finish()
    end = monotonic() + timeout
    for outlet in closing:
        outlet.close(max(0.0, end - monotonic()))
