"""The threads that run all actors of a system, in fair turns."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from limner.actors.system.context import context
from limner.actors.system.mailbox import Mailbox

if TYPE_CHECKING:
    from limner.actors.system.system import System

logger = logging.getLogger("limner.system")

TURN = 64
"""Messages that an actor handles in one turn at most; then the next actor has its turn."""
PATIENCE = 16
"""How many times other actors may go before a patient one between two of its turns."""
TICK = 0.02
"""Seconds between two checks of threads that may be blocked."""
RETIRE = 0.5
"""Seconds between two retirements of spare threads; retiring at once would cost a thread an ask."""


class _Carrier(threading.Thread):
    """A dispatcher thread, with what the watcher needs to detect that it makes no progress."""

    def __init__(self, dispatcher: Dispatcher, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.dispatcher = dispatcher
        self.turns = 0
        self.busy = False
        self.seen = (0, 0.0)
        self.still = 0

    def run(self) -> None:
        try:
            self.dispatcher.drain(self)
        finally:
            self.dispatcher.left(self)

    def stuck(self, patience: int) -> bool:
        """Return whether for several looks no turn ended and hardly any CPU time was used."""
        try:
            clock = time.pthread_getcpuclockid(self.ident or 0)
            cpu = time.clock_gettime(clock)
        except (AttributeError, OSError):  # not on every platform; the thread may have ended
            cpu = self.seen[1]
        turns, used = self.seen
        self.seen = (self.turns, cpu)
        idle = turns == self.turns and cpu - used < TICK / 10
        self.still = self.still + 1 if self.busy and idle else 0
        return self.still >= patience


class Dispatcher:
    """Drains mailboxes on a few threads.

    One thread is the fastest while the interpreter runs one at a time. So threads are added only
    for those that block: at once for a thread that reports it (`blocking`), and after a tick or
    two for one that makes no progress. Spare threads are retired one by one.

    Args:
        system: given to each thread as its current system.
        threads: how many run while none is blocked.
        max_threads: how many there may be with the blocked ones.
        name: of the threads.
    """

    def __init__(
        self, system: System, *, threads: int = 1, max_threads: int = 64, name: str = "limner"
    ) -> None:
        self._system = system
        self._name = name
        self._target = threads
        self._cap = max(threads, max_threads)
        self._ready: SimpleQueue[Mailbox | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._carriers: dict[_Carrier, None] = {}
        self._idle = 0
        self._blocked = 0
        self._stuck = 0
        self._started = 0
        self._closed = False
        self._watch = threading.Event()
        self._watcher: threading.Thread | None = None

    @property
    def threads(self) -> int:
        """How many threads there are now."""
        return len(self._carriers) + (self._watcher is not None)

    def ready(self, mailbox: Mailbox) -> None:
        """Schedule a turn of a mailbox's actor. The caller holds the mailbox's claim."""
        self._ready.put(mailbox)
        if self._closed:
            self._drain_here()
        elif not self._idle and not self._watch.is_set():
            self._overlook()

    def drain(self, carrier: _Carrier) -> None:
        """Run turns until the thread is retired: the body of a dispatcher thread."""
        context.system = self._system
        ready = self._ready
        while True:
            try:
                mailbox = ready.get_nowait()
            except Empty:
                with self._lock:
                    self._idle += 1
                mailbox = ready.get()
                with self._lock:
                    self._idle -= 1
            if mailbox is None:
                break
            if mailbox.patience and not ready.empty() and not self._closed:
                mailbox.patience -= 1
                self._put_back(mailbox)
                continue
            if not self._watch.is_set() and not ready.empty():
                self._overlook()  # whoever put that in may still have taken this thread for idle
            carrier.busy = True
            self._turn(mailbox)
            carrier.busy = False
            carrier.turns += 1

    def left(self, carrier: _Carrier) -> None:
        """Remove an ended thread from the list."""
        with self._lock:
            self._carriers.pop(carrier, None)

    def _turn(self, mailbox: Mailbox) -> None:
        if mailbox.actor is not None and mailbox.actor.patient:
            mailbox.patience = PATIENCE
        while mailbox.turn(TURN):
            if not self._closed:
                self._put_back(mailbox)
                break

    def _put_back(self, mailbox: Mailbox) -> None:
        """Queue a mailbox again at the end; if the threads have ended meanwhile, run it here."""
        self._ready.put(mailbox)
        if self._closed:
            self._drain_here()

    def _drain_here(self) -> None:
        """Run mailboxes for which no thread may be left, so that a late ask is answered."""
        ends = 0
        actor = context.actor
        with self._system:
            while True:
                try:
                    mailbox = self._ready.get_nowait()
                except Empty:
                    break
                if mailbox is None:
                    ends += 1
                else:
                    self._turn(mailbox)
        context.actor = actor
        for _ in range(ends):
            self._ready.put(None)

    @contextmanager
    def blocking(self) -> Iterator[None]:
        """Mark the calling dispatcher thread as blocked, so that another takes its place."""
        with self._lock:
            self._blocked += 1
            self._add_if_short()
        try:
            yield
        finally:
            with self._lock:
                self._blocked -= 1

    def _add_if_short(self) -> bool:
        running = len(self._carriers) - self._blocked - self._stuck
        if self._closed or running >= self._target or len(self._carriers) >= self._cap:
            return False
        self._started += 1
        carrier = _Carrier(self, f"{self._name}-dispatcher-{self._started}")
        self._carriers[carrier] = None
        try:
            carrier.start()
        except RuntimeError:  # the interpreter ends, and no thread can be started any more
            del self._carriers[carrier]
            return False
        return True

    def _overlook(self) -> None:
        with self._lock:
            if self._closed:
                return
            while self._add_if_short():
                pass
            if self._watcher is None:
                watcher = threading.Thread(
                    target=self._watch_over, name=f"{self._name}-watcher", daemon=True
                )
                with suppress(RuntimeError):  # as above
                    watcher.start()
                    self._watcher = watcher
            self._watch.set()

    def _watch_over(self) -> None:
        retire_at = time.monotonic() + RETIRE
        cpu = 0.0
        while True:
            self._watch.wait()
            if self._closed:
                return
            time.sleep(TICK)
            used, cpu = cpu, time.process_time()
            # while others keep the interpreter busy, a thread may well stand still and only wait
            # for its turn at it; more threads would not get on faster
            patience = 8 if cpu - used > TICK / 2 else 2
            with self._lock:
                waiting = not self._ready.empty()
                stuck = sum(carrier.stuck(patience) for carrier in self._carriers)
                self._stuck = max(0, stuck - self._blocked)
                if waiting and self._add_if_short():
                    logger.info(
                        "%d dispatcher thread(s) blocked: now %d", stuck, len(self._carriers)
                    )
                spare = len(self._carriers) - self._blocked - self._stuck > self._target
                if spare and self._idle and time.monotonic() >= retire_at:
                    retire_at = time.monotonic() + RETIRE
                    self._ready.put(None)
                if self._idle and not waiting and not spare and not self._closed:
                    self._stuck = 0
                    self._watch.clear()

    def close(self, timeout: float = 5) -> None:
        """End the threads once the mailboxes are empty; wait `timeout` seconds at most."""
        with self._lock:
            self._closed = True
            carriers = list(self._carriers)
            watcher = self._watcher
            for _ in carriers:
                self._ready.put(None)
            self._watch.set()
        deadline = time.monotonic() + timeout
        for thread in (*carriers, watcher):
            if thread is not None and thread is not threading.current_thread():
                thread.join(max(0, deadline - time.monotonic()))
