"""Pools of threads for calls that block; a call that does not come back is abandoned."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection
from time import monotonic
from typing import Any, NamedTuple, Protocol

from limner.actors.system.flag import Flag
from limner.actors.system.reference import PooledRef

MAX_ABANDONED = 256
"""Threads that may be lost to calls which never return; past that, new calls are refused."""


class TooManyAbandoned(RuntimeError):
    """Too many calls have not returned, so no new one is begun."""


class NoThread(RuntimeError):
    """The interpreter ends, and no thread can be started for a call any more."""


class CallReturned(NamedTuple):
    """How a call ended: sent once to the actor that submitted it, unless it was abandoned."""

    call: Call
    value: Any
    error: BaseException | None


class Call(Flag):
    """A blocking call that was handed to a worker thread.

    The function gets the call as its argument. `is_set()` and `wait(seconds)` tell the function
    whether the call was cancelled or abandoned, so that it returns early.

    Attributes:
        reached: what the function has set, if anything: a part of its result that is there before
            it returns. It may be read at any time, also once the call is abandoned.
    """

    __slots__ = (
        "_guard",
        "begun",
        "function",
        "late",
        "over",
        "pool",
        "reached",
        "ref",
        "tag",
        "thread",
    )

    def __init__(
        self,
        pool: Pool | None,
        function: Callable[[Call], Any],
        ref: PooledRef[Any],
        begun: Callable[[Call], object] | None,
        tag: Any,
        late: Callable[[Call, Any], None] | None,
    ) -> None:
        super().__init__()
        self._guard = threading.Lock()
        self.pool = pool
        self.function = function
        self.ref = ref
        self.begun = begun
        self.tag = tag
        self.late = late
        self.thread: object = None
        self.reached: Any = None
        self.over = False

    def cancel(self) -> None:
        """Ask the call to return early. It still reports how it ended."""
        self.set()

    def abandon(self) -> bool:
        """Stop waiting for the call, and replace its thread. False if it returned just before."""
        self.set()
        with self._guard:
            if self.over:
                return False
            self.over = True
            thread = self.thread
        if thread is not None and self.pool is not None:
            self.pool.replace(thread)
        return True

    def begin(self, thread: object) -> bool:
        """Record that a thread runs the call now. Returns false if nobody waits for it any more."""
        with self._guard:
            if not self.over:
                self.thread = thread
            return not self.over

    def finish(self) -> bool:
        """Record that the call has returned. Returns false if it was abandoned before."""
        with self._guard:
            abandoned, self.over = self.over, True
        return not abandoned

    def perform(self) -> bool:
        """Run the call and report how it ended. Returns false if it was abandoned meanwhile."""
        error = self.prepare()
        return self.conclude() if error is None else self.tell(None, error)

    def prepare(self) -> BaseException | None:
        """Run `begun`, and return what it raised."""
        try:
            if self.begun is not None:
                self.begun(self)
        except BaseException as caught:  # noqa: BLE001  # not even SystemExit ends a worker
            return caught
        return None

    def conclude(self) -> bool:
        """Run the function and report how it ended. Returns false if it was abandoned meanwhile."""
        try:
            value = self.function(self)
        except BaseException as caught:  # noqa: BLE001
            return self.tell(None, caught)
        return self.tell(value, None)

    def tell(self, value: Any, error: BaseException | None) -> bool:
        """Report how the call ended. Returns false if it was abandoned meanwhile."""
        awaited = self.finish()
        del self.function, self.begun
        if awaited:
            self.ref.deliver(CallReturned(self, value, error))
        elif self.late is not None and error is None:
            self.late(self, value)
        return awaited


class Pool(Protocol):
    """Runs calls, each on a thread, or on what stands for one in simulation."""

    limit: int
    threads: dict[Any, None]
    abandoned: dict[Any, None]

    def grow(self, limit: int) -> None:
        """Raise the number of threads, if there were fewer."""
        ...

    def submit(self, call: Any) -> None:
        """Add a call, which begins once there is a thread for it."""
        ...

    def close(self) -> None:
        """End the threads once they have nothing to do."""
        ...

    def replace(self, thread: Any) -> None:
        """Count a thread as lost to a call that does not come back."""
        ...


class _Worker(threading.Thread):
    """A thread of a pool; it waits on a lock of its own while there is nothing to do."""

    def __init__(self, pool: _Pool, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.pool = pool
        self.parking = threading.Lock()
        self.parking.acquire()
        self.woken = True

    def run(self) -> None:
        try:
            while (call := self.pool.next_call(self)) is not None:
                if call.begin(self) and not call.perform():
                    break
        finally:
            self.pool.left(self)


class _Pool(Pool):
    """The threads of one pool: started as they are needed, kept until the end.

    At most one thread is on its way to be woken at a time, and it wakes the next one if there is
    more than it takes. So calls that return at once are run by one thread after each other,
    without a switch between threads for each, and calls that block still get a thread each.
    """

    def __init__(self, name: str, limit: int, *, on_caller: bool = False) -> None:
        self.name = name
        self.limit = limit
        self.on_caller = on_caller
        self.lock = threading.Lock()
        self.calls: deque[Call] = deque()
        self.parked: list[_Worker] = []
        self.threads: dict[threading.Thread, None] = {}
        self.abandoned: dict[threading.Thread, None] = {}
        self.started = 0
        self.waking = False
        self.closed = False

    def grow(self, limit: int) -> None:
        self.limit = max(self.limit, limit)
        self.wake()

    def submit(self, call: Call) -> None:
        self.calls.append(call)
        if not self.waking:
            self.wake()

    def wake(self) -> None:
        with self.lock:
            if self.waking or not self.calls:
                return
            if self.parked:
                self.waking = True
                worker = self.parked.pop()
                worker.woken = True
                worker.parking.release()
                return
            if len(self.threads) < self.limit:
                self.waking = True
                self.started += 1
                worker = _Worker(self, f"{self.name}-{self.started}")
                self.threads[worker] = None
                try:
                    worker.start()
                except RuntimeError:  # the interpreter ends: none can be started any more
                    self.waking = False
                    del self.threads[worker]
            if self.threads:
                return
        while self.calls:
            call = self.calls.popleft()
            if not call.begin(threading.current_thread()):
                continue
            if self.on_caller:
                call.perform()
            else:
                call.tell(None, NoThread("the program ends, and no thread can be started"))

    def next_call(self, worker: _Worker) -> Call | None:
        """Return the next call, waiting for one; `None` at the end."""
        while True:
            try:
                call = self.calls.popleft()
            except IndexError:
                with self.lock:
                    if self.calls:
                        continue
                    self.arrived(worker)
                    if self.closed:
                        return None
                    self.parked.append(worker)
                worker.parking.acquire()
                continue
            if worker.woken:
                self.arrived(worker)
                if self.calls:
                    self.wake()
            return call

    def arrived(self, worker: _Worker) -> None:
        """Allow the next thread to be woken, since the one that was woken is here."""
        if worker.woken:
            worker.woken = self.waking = False

    def replace(self, thread: threading.Thread) -> None:
        """Count a thread as lost to a call that does not come back."""
        with self.lock:
            if self.threads.pop(thread, thread) is None:
                self.abandoned[thread] = None
        self.wake()

    def left(self, thread: threading.Thread) -> None:
        """Remove an ending thread from the lists."""
        with self.lock:
            self.threads.pop(thread, None)
            self.abandoned.pop(thread, None)

    def close(self) -> None:
        """End the threads once they have nothing to do."""
        with self.lock:
            self.closed = True
            for worker in self.parked:
                worker.parking.release()
            self.parked.clear()


class Workers:
    """The worker threads of a system, in pools by name.

    Args:
        name: of the threads.
    """

    def __init__(self, name: str = "limner") -> None:
        self._name = name
        self._lock = threading.Lock()
        self._pools: dict[str, Pool] = {}
        self._closed = False

    @property
    def threads(self) -> int:
        """How many threads there are now, without the abandoned ones."""
        return sum(len(pool.threads) for pool in self._pools.values())

    @property
    def abandoned(self) -> int:
        """How many threads are lost to calls that have not come back."""
        return sum(len(pool.abandoned) for pool in self._pools.values())

    def runs(self, pools: Collection[str]) -> bool:
        """Return whether the calling thread is one of those of some pools.

        Args:
            pools: their names.
        """
        pool = getattr(threading.current_thread(), "pool", None)
        return pool is not None and any(self._pools.get(name) is pool for name in pools)

    def open_pool(self, name: str, threads: int, *, on_caller: bool = False) -> None:
        """Open a pool, or raise its limit if it is open.

        Args:
            name: of the pool.
            threads: the most that it may have, 1 or more.
            on_caller: whether a call is run on the thread that submits it where no thread can be
                started, as when the interpreter ends; else such a call fails with `NoThread`.
        """
        with self._lock:
            if name not in self._pools:
                self._pools[name] = self._new_pool(name, threads, on_caller)
            self._pools[name].grow(threads)

    def _new_pool(self, name: str, threads: int, on_caller: bool) -> Pool:
        return _Pool(f"{self._name}-{name}", threads, on_caller=on_caller)

    def _new_call(self, *args: Any) -> Call:
        return Call(*args)

    def submit(
        self,
        pool: str | None,
        function: Callable[[Call], Any],
        reply_to: PooledRef[Any],
        *,
        begun: Callable[[Call], object] | None = None,
        tag: Any = None,
        late: Callable[[Call, Any], None] | None = None,
    ) -> Call:
        """Run a blocking call on a thread of a pool, and send `reply_to` a `CallReturned`.

        Args:
            pool: its name, opened before; with `None` the call does not block, and is run at
                once on the calling thread.
            function: what to call, with the `Call` that this gives.
            reply_to: who is told.
            begun: called before, as the worker begins; if it raises, that is how the call ended.
            tag: whatever lets the receiver know the call again.
            late: called, on the call's own thread, with an abandoned call and what it returned.
        """
        if pool is None:
            call = self._new_call(None, function, reply_to, begun, tag, late)
            call.perform()
            return call
        threads = self._pools[pool]
        call = self._new_call(threads, function, reply_to, begun, tag, late)
        if self._closed or len(threads.abandoned) >= MAX_ABANDONED:
            call.over = True
            reason = (
                "the system is closed"
                if self._closed
                else (f"{len(threads.abandoned)} earlier calls of pool {pool!r} have not come back")
            )
            reply_to.deliver(CallReturned(call, None, TooManyAbandoned(reason)))
        else:
            threads.submit(call)
        return call

    def close(self, timeout: float = 5) -> None:
        """End the threads; one whose call does not return in `timeout` seconds is left running."""
        with self._lock:
            self._closed = True
            pools = list(self._pools.values())
        deadline = monotonic() + timeout
        for pool in pools:
            threads = list(pool.threads)
            pool.close()
            for thread in threads:
                if thread is not threading.current_thread():
                    thread.join(max(0, deadline - monotonic()))
