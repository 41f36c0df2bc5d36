"""Callbacks to the outside of a system, on a thread of their own."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

logger = logging.getLogger("limner.system")
T = TypeVar("T")


class Outlet(Generic[T]):
    """Calls a function for each item that is put in, in order, on one thread of its own.

    A callback that raises is logged and called again for the next thing. One that lags harms
    nobody: past `capacity` the newest things are dropped, counted, and told as one gap.

    Args:
        callback: what to call.
        lost: makes what the callback gets in place of dropped things, from the first, the last
            and the number of them.
        capacity: things that may wait.
        name: of the thread.
    """

    def __init__(
        self,
        callback: Callable[[T], object],
        *,
        lost: Callable[[T, T, int], T],
        capacity: int = 10_000,
        name: str = "limner",
    ) -> None:
        self._callback = callback
        self._lost = lost
        self._capacity = capacity
        self._things: deque[T] = deque()
        self._gap: tuple[T, T, int] | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"{name}-outlet", daemon=True)
        self._thread.start()

    def put(self, thing: T) -> None:
        """Pass an item on, without waiting."""
        with self._changed:
            if self._closed:
                return
            if self._gap is not None and len(self._things) < self._capacity:
                self._things.append(self._lost(*self._gap))
                self._gap = None
            if len(self._things) < self._capacity:
                self._things.append(thing)
                self._changed.notify()
            elif self._gap is None:
                self._gap = (thing, thing, 1)
            else:
                first, _, number = self._gap
                self._gap = (first, thing, number + 1)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._things or self._gap or self._closed)
                if self._things:
                    thing = self._things.popleft()
                elif self._gap is not None:
                    thing, self._gap = self._lost(*self._gap), None
                else:
                    return
            try:
                self._callback(thing)
            except BaseException:  # a subscriber ends nothing but its own call
                logger.exception("a subscriber's callback failed")

    def close(self, timeout: float = 5) -> None:
        """Accept nothing more, and wait `timeout` seconds at most until all is passed on."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)
