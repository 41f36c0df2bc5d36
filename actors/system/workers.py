"""Threads for calls that block, one pool a lane; a call that does not come back is abandoned."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from time import monotonic
from typing import Any, NamedTuple

from limner.actors.system.reference import PooledRef

MAX_ABANDONED = 256
"""Threads that may be lost to calls which never return; past it new calls are refused."""


class TooManyAbandoned(RuntimeError):
    """So many calls have not come back that no new one is begun."""


class CallReturned(NamedTuple):
    """What became of a call: told to whoever submitted it, once, unless it was abandoned."""

    call: Call
    value: Any
    error: BaseException | None


class Call:
    """A blocking call that was handed to a worker thread.

    The callable gets it as its argument, to see with `is_set()` and `wait(seconds)` whether
    anybody still waits for it.
    """

    __slots__ = ("_cancelled", "function", "late", "over", "pool", "ref", "tag", "thread")

    def __init__(
        self,
        pool: _Pool,
        function: Callable[[Call], Any],
        ref: PooledRef[Any],
        tag: Any,
        late: Callable[[Any], None] | None,
    ) -> None:
        self._cancelled = threading.Event()
        self.pool = pool
        self.function = function
        self.ref = ref
        self.tag = tag
        self.late = late
        self.thread: threading.Thread | None = None
        self.over = False

    def is_set(self) -> bool:
        """Say whether the call was cancelled."""
        return self._cancelled.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is cancelled, or `timeout` seconds have passed; say whether it is."""
        return self._cancelled.wait(timeout)

    def cancel(self) -> None:
        """Ask it to come back early. It still tells how it ended."""
        self._cancelled.set()

    def abandon(self) -> bool:
        """Stop waiting for it, and replace its thread. False if it came back just before."""
        self._cancelled.set()
        return self.pool.abandon(self)


class _Pool:
    """The threads of one lane: started as they are needed, kept until the end.

    The workers' lock guards the counts and each call's `over` and `thread`; it is never held
    while a call runs.
    """

    def __init__(self, name: str, limit: int, workers: Workers) -> None:
        self.name = name
        self.limit = limit
        self.workers = workers
        self.lock = workers.lock
        self.waiting: SimpleQueue[Call | None] = SimpleQueue()
        self.threads: dict[threading.Thread, None] = {}
        self.started = 0
        self.idle = 0

    def add_if_short(self) -> None:
        if self.waiting.qsize() <= self.idle or len(self.threads) >= self.limit:
            return
        self.started += 1
        self.idle += 1  # as it will be until it takes its first call
        name = f"{self.workers.name}-{self.name}-{self.started}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.threads[thread] = None
        thread.start()

    def _run(self) -> None:
        while (call := self.waiting.get()) is not None:
            with self.lock:
                self.idle -= 1
                if not call.over:
                    call.thread = threading.current_thread()
            if call.thread is not None and not self._perform(call):
                return
            with self.lock:
                self.idle += 1

    def _perform(self, call: Call) -> bool:
        """Run a call and tell how it ended. False if this thread was replaced meanwhile."""
        value: Any = None
        error: BaseException | None = None
        try:
            value = call.function(call)
        except BaseException as caught:  # noqa: BLE001  # not even SystemExit ends a worker
            error = caught
        with self.lock:
            abandoned, call.over = call.over, True
            if abandoned:
                self.workers.abandoned -= 1
            else:
                self.workers.forget(call)
        if not abandoned:
            call.ref.deliver(CallReturned(call, value, error))
        elif call.late is not None and error is None:
            call.late(value)
        return not abandoned

    def abandon(self, call: Call) -> bool:
        with self.lock:
            if call.over:
                return False
            call.over = True
            self.workers.forget(call)
            if call.thread is not None:
                self.workers.abandoned += 1
                del self.threads[call.thread]
                self.add_if_short()
            return True


class Workers:
    """The worker threads of a system, one pool a lane.

    Args:
        name: of the threads.
    """

    def __init__(self, name: str = "limner") -> None:
        self.name = name
        self.lock = threading.Lock()
        self.abandoned = 0
        self._pools: dict[str, _Pool] = {}
        self._calls: dict[PooledRef[Any], dict[Call, None]] = {}
        self._closed = False

    @property
    def threads(self) -> int:
        """How many threads there are now, the abandoned ones not counted."""
        with self.lock:
            return sum(len(pool.threads) for pool in self._pools.values())

    def open_lane(self, lane: str, threads: int) -> None:
        """Give a lane a pool of at most `threads` threads, or change how many it may have."""
        with self.lock:
            pool = self._pools.setdefault(lane, _Pool(lane, threads, self))
            pool.limit = threads

    def submit(
        self,
        lane: str,
        function: Callable[[Call], Any],
        reply_to: PooledRef[Any],
        *,
        tag: Any = None,
        late: Callable[[Any], None] | None = None,
    ) -> Call:
        """Run a blocking call on a thread of a lane, and tell `reply_to` a `CallReturned`.

        Args:
            lane: whose pool; opened before.
            function: what to call, with the `Call` that this gives.
            reply_to: who is told; if that actor ends before, the call is abandoned.
            tag: whatever lets the receiver know the call again.
            late: called, on the call's own thread, with what an abandoned call still returned.
        """
        pool = self._pools[lane]
        call = Call(pool, function, reply_to, tag, late)
        with self.lock:
            if self.abandoned < MAX_ABANDONED and not self._closed:
                self._calls.setdefault(reply_to, {})[call] = None
                pool.waiting.put(call)
                pool.add_if_short()
                return call
            call.over = True
        error = TooManyAbandoned(f"{self.abandoned} earlier calls have not come back")
        reply_to.deliver(CallReturned(call, None, error))
        return call

    def forget(self, call: Call) -> None:
        """Strike a call that is over off the list of its caller. The lock is held."""
        calls = self._calls.get(call.ref)
        if calls is not None:
            calls.pop(call, None)
            if not calls:
                del self._calls[call.ref]

    def abandon_calls_of(self, ref: PooledRef[Any]) -> None:
        """Abandon all calls of an actor, which has ended and waits for none of them."""
        if ref in self._calls:
            with self.lock:
                calls = list(self._calls.get(ref, ()))
            for call in calls:
                call.abandon()

    def close(self, timeout: float = 5) -> None:
        """End the threads; one whose call does not come back in `timeout` seconds is left."""
        with self.lock:
            self._closed = True
            threads = [thread for pool in self._pools.values() for thread in pool.threads]
            for pool in self._pools.values():
                for _ in pool.threads:
                    pool.waiting.put(None)
        deadline = monotonic() + timeout
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0, deadline - monotonic()))
