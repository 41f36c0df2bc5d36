"""Blocking calls in virtual time: each takes a drawn latency, and its function runs at the end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from limner.actors.system.workers import Call, Pool, Workers

if TYPE_CHECKING:
    from limner.actors.system.simulation.clock import Alarm
    from limner.actors.system.simulation.system import SimulatedSystem

Latency = Callable[[str, Any], int | None]
"""Returns the microseconds that a call takes, by its pool and its tag; `None` is for ever."""


class SimulatedCall(Call):
    """A call in a simulation, which takes virtual time."""

    __slots__ = ("_woken_by", "alarm")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.alarm: Alarm | None = None
        self._woken_by: list[Callable[[], None]] = []

    def cancel(self) -> None:
        """Ask the call to return early; one that checks for this returns soon."""
        if not self.is_set():
            self.set()
            if isinstance(self.pool, SimulatedPool):
                self.pool.cancelled(self)

    def set(self) -> None:
        """Set the flag, and wake what waits for it."""
        super().set()
        for wake in self._woken_by:
            wake()
        self._woken_by.clear()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait in virtual time until the call is cancelled, `timeout` seconds at most."""
        if not self.is_set():
            scheduler = self.ref.system.dispatcher
            scheduler.wait(  # type: ignore[union-attr]
                "the cancelling of its call", self.is_set, self._woken_by.append, timeout
            )
        return self.is_set()


class SimulatedPool(Pool):
    """Places for the calls of one pool, as many as there would be threads."""

    def __init__(self, pool: str, limit: int, system: SimulatedSystem) -> None:
        self.pool = pool
        self.limit = limit
        self.threads: dict[Any, None] = {}
        self.abandoned: dict[Any, None] = {}
        self._system = system
        self._calls: deque[SimulatedCall] = deque()
        self._random = system.random("workers").random
        self._switch = 10 ** (1 + int(self._random() * 4))  # µs to a thread's beginning, at most

    def grow(self, limit: int) -> None:
        """Raise the number of places, if there were fewer."""
        self.limit = max(self.limit, limit)
        self._next()

    def submit(self, call: SimulatedCall) -> None:
        """Add a call, which begins once there is a place for it."""
        self._calls.append(call)
        self._next()

    def replace(self, thread: Any) -> None:
        """Count a place as lost to a call that does not come back."""
        if thread in self.threads:
            del self.threads[thread]
            self.abandoned[thread] = None
            self._next()

    def cancelled(self, call: SimulatedCall) -> None:
        """Make a cancelled call return soon, if it checks for that."""
        if call.alarm is not None and self._random() >= self._system.faults.inattentive:
            call.alarm.cancel()
            self._ends_in(call, self._soon())

    def close(self) -> None:
        """Begin no more calls."""
        self._calls.clear()

    def _soon(self) -> int:
        return 1 + int(self._random() * self._switch)

    def _next(self) -> None:
        while self._calls and len(self.threads) < self.limit:
            call = self._calls.popleft()
            self.threads[call] = None
            self._system.clock.alarm(
                self._system.clock.now + self._soon(), partial(self._begin, call)
            )

    def _begin(self, call: SimulatedCall) -> None:
        if not call.begin(call):
            self._leave(call)
        elif (error := call.prepare()) is not None:
            call.tell(None, error)
            self._leave(call)
        else:
            latency = self._system.latency(self.pool, call.tag)
            self._ends_in(call, latency)
            if call.is_set():
                self.cancelled(call)

    def _ends_in(self, call: SimulatedCall, latency: int | None) -> None:
        # a call without an end keeps an alarm that is never set off, to be cut short by
        ring = partial(self._end, call)
        clock = self._system.clock
        call.alarm = (
            clock.never(ring) if latency is None else clock.alarm(clock.now + latency, ring)
        )

    def _end(self, call: SimulatedCall) -> None:
        call.alarm = None
        call.conclude()
        self._leave(call)

    def _leave(self, call: SimulatedCall) -> None:
        self.threads.pop(call, None)
        self.abandoned.pop(call, None)
        self._next()


class SimulatedWorkers(Workers):
    """The workers of a simulated system: no threads, only time."""

    def __init__(self, system: SimulatedSystem) -> None:
        super().__init__()
        self._system = system

    def _new_pool(self, pool: str, threads: int, _on_caller: bool) -> Pool:
        return SimulatedPool(pool, threads, self._system)

    def _new_call(self, *args: Any) -> Call:
        return SimulatedCall(*args)

    def close(self, timeout: float = 5) -> None:  # noqa: ARG002
        """Begin no more calls; those under way never end."""
        self._closed = True
        for pool in self._pools.values():
            pool.close()
