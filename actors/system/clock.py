"""The real clock: monotonic time in whole microseconds, and one thread for all timers."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from limner.actors.system.reference import PooledRef


class Timer:
    """A message that is sent later, unless the timer is cancelled before."""

    __slots__ = ("_clock", "message", "ref")

    def __init__(self, clock: Clock, ref: PooledRef[Any], message: object) -> None:
        self._clock = clock
        self.ref: PooledRef[Any] | None = ref
        self.message = message

    def cancel(self) -> None:
        """Cancel the timer. It is no error if it has fired already."""
        if self.ref is not None:
            self.ref = None
            self.message = None
            self._clock.forget()

    def fire(self) -> None:
        """Send the message, unless the timer was cancelled or has fired."""
        message, ref = self.message, self.ref  # in this order: a cancelling clears ref first
        self.ref = self.message = None
        if ref is not None:
            ref.deliver(message)


class Timers:
    """Timers by the time at which they are due, then in the order in which they were made.

    Not safe for threads by itself.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timer]] = []
        self._made = 0
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self._heap)

    def __iter__(self) -> Iterator[Timer]:
        return (timer for _, _, timer in self._heap if timer.ref is not None)

    @property
    def next_due(self) -> int | None:
        """When the first timer is due, also a cancelled one; `None` if there is none."""
        return self._heap[0][0] if self._heap else None

    def add(self, due: int, timer: Timer) -> bool:
        """Add a timer. Returns whether it is now the first one that is due."""
        self._made += 1
        heapq.heappush(self._heap, (due, self._made, timer))
        return self._heap[0][2] is timer

    def pop(self) -> Timer:
        """Remove the first timer, and return it."""
        timer = heapq.heappop(self._heap)[2]
        if timer.ref is None:
            self._cancelled = max(0, self._cancelled - 1)
        return timer

    def forget(self) -> None:
        """Count a cancelled timer; once most of the heap is cancelled, the heap is rebuilt."""
        self._cancelled += 1
        if self._cancelled > 64 and self._cancelled > len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if entry[2].ref is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def clear(self) -> None:
        """Drop all timers."""
        self._heap.clear()


class Clock:
    """Monotonic time since the clock was made, and timers."""

    def __init__(self, name: str = "limner") -> None:
        self._name = name
        self._start = time.monotonic_ns()
        self.wall_start = time.time_ns() // 1_000
        self._changed = threading.Condition()
        self._timers = Timers()
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def threads(self) -> int:
        """How many threads the clock has: one, once a timer was made."""
        return int(self._thread is not None and self._thread.is_alive())

    @property
    def now(self) -> int:
        """Microseconds since the clock was made."""
        return (time.monotonic_ns() - self._start) // 1_000

    def after(self, seconds: float, ref: PooledRef[Any], message: object) -> Timer:
        """Send an actor a message `seconds` from now, and return the timer, to cancel it."""
        timer = Timer(self, ref, message)
        due = self.now + round(seconds * 1_000_000)
        with self._changed:
            if self._closed:
                return timer
            first = self._timers.add(due, timer)
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=f"{self._name}-timer", daemon=True)
                with suppress(RuntimeError):  # the interpreter ends: none can be started any more
                    thread.start()
                    self._thread = thread
            elif first:
                self._changed.notify()
        return timer

    def forget(self) -> None:
        """Count a cancelled timer."""
        with self._changed:
            self._timers.forget()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed:
                    due = self._timers.next_due
                    if due is not None and due <= self.now:
                        break
                    self._changed.wait(None if due is None else (due - self.now) / 1_000_000)
                if self._closed:
                    return
                timer = self._timers.pop()
            timer.fire()

    def close(self) -> None:
        """Drop all timers and end the thread."""
        with self._changed:
            self._closed = True
            self._timers.clear()
            self._changed.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
