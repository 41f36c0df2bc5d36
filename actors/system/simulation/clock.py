"""Virtual time: it passes as actors take their turns, and jumps to the next timer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from limner.actors.system.clock import Clock, Timer, Timers
from limner.actors.system.reference import PooledRef

WALL_START = 1_767_225_600_000_000
"""Wall time at the beginning of every simulation: 2026-01-01 in UTC, in microseconds."""


class Alarm(Timer):
    """A timer that calls a function."""

    def fire(self) -> None:
        """Call the function, unless the alarm was cancelled."""
        ring: Any = self.ref
        self.ref = None
        if ring is not None:
            ring()


class VirtualClock(Clock):
    """Integer microseconds that pass only as the simulation lets them.

    Args:
        lateness: gives the microseconds by which the next timer is late.
    """

    now = 0  # the real clock's is a property; here it is read far more often than it changes
    threads = 0

    def __init__(self, lateness: Callable[[], int]) -> None:
        self.wall_start = WALL_START
        self._lateness = lateness
        self._timers = Timers()
        self._closed = False

    @property
    def pending(self) -> list[Timer]:
        """The timers that are set, and have neither fired nor been cancelled."""
        return list(self._timers)

    def after(self, seconds: float, ref: PooledRef[Any], message: object) -> Timer:
        """Send an actor a message `seconds` from now, and return the timer, to cancel it."""
        timer = Timer(self, ref, message)
        if not self._closed:
            self._timers.add(self.now + round(seconds * 1_000_000) + self._lateness(), timer)
        return timer

    def alarm(self, due: int, ring: Callable[[], None]) -> Alarm:
        """Call a function at a time, in microseconds."""
        alarm = Alarm(self, ring, None)  # type: ignore[arg-type]
        if not self._closed:
            self._timers.add(due, alarm)
        return alarm

    def never(self, ring: Callable[[], None]) -> Alarm:
        """Return an alarm that is not set, as a placeholder."""
        return Alarm(self, ring, None)  # type: ignore[arg-type]

    def fire_due(self) -> None:
        """Fire what is due."""
        timers = self._timers
        while (due := timers.next_due) is not None and due <= self.now:
            timers.pop().fire()

    def jump(self, limit: int | None) -> bool:
        """Advance to the next timer, no further than the limit. Returns false if there is none."""
        due = self._timers.next_due
        if due is None or (limit is not None and due > limit):
            if limit is not None:
                self.now = max(self.now, limit)
            return False
        self.now = max(self.now, due)
        self.fire_due()
        return True

    def forget(self) -> None:
        """Count a cancelled timer."""
        self._timers.forget()

    def close(self) -> None:
        """Drop all timers."""
        self._closed = True
        self._timers.clear()
