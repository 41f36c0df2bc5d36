"""A system: the only way in which an actor uses threads, time, chance and blocking calls."""

from __future__ import annotations

import logging
import random
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Self, TypeVar

from limner.actors.system.call_future import CallFuture, OnCancel
from limner.actors.system.clock import Clock
from limner.actors.system.context import context
from limner.actors.system.dispatcher import Dispatcher
from limner.actors.system.future import PooledFuture, RequestFuture, TakeBack
from limner.actors.system.mailbox import Mailbox
from limner.actors.system.outlet import Outlet
from limner.actors.system.reference import PooledRef
from limner.actors.system.supervision import ActorEnded, Supervision
from limner.actors.system.workers import Workers

if TYPE_CHECKING:
    from limner.actors.system.actor import PooledActor
    from limner.actors.system.simulation.scheduler import Scheduler

logger = logging.getLogger("limner.system")
A = TypeVar("A", bound="PooledActor")
T = TypeVar("T")


class System:
    """The real system: threads, the monotonic clock, randomness from the operating system.

    Use it as a context manager to name it as the system of the actors that are started inside;
    leaving the context closes nothing.

    Args:
        name: of its threads.
        threads: dispatcher threads while none is blocked.
        max_threads: dispatcher threads at most, those counted that block.
    """

    real = True
    """Whether it uses threads and the time of day; a simulated one does not."""

    def __init__(self, name: str = "limner", *, threads: int = 1, max_threads: int = 64) -> None:
        dispatcher = Dispatcher(self, threads=threads, max_threads=max_threads, name=name)
        self._equip(name, Clock(name), Workers(name), dispatcher)

    def _equip(
        self, name: str, clock: Clock, workers: Workers, dispatcher: Dispatcher | Scheduler
    ) -> None:
        self.name = name
        self.clock = clock
        self.workers = workers
        self.dispatcher = dispatcher
        self.supervision = Supervision()
        self._streams: dict[str, random.Random] = {}
        self.dead_letters = 0
        self.on_dead_letter: Callable[[str, object], None] | None = None

    def start(self, actor_class: type[A], *args: Any, **kwargs: Any) -> PooledRef[A]:
        """Start an actor on this system. Arguments go to its constructor."""
        with self:
            return actor_class.start(*args, **kwargs)

    def watch(self, ref: PooledRef[Any], watcher: Callable[[ActorEnded], None]) -> None:
        """Call `watcher` when an actor has ended: supervision for code that is no actor."""
        self.supervision.watch(ref, watcher)

    def random(self, purpose: str) -> random.Random:
        """Return a stream of random numbers for one purpose."""
        if purpose not in self._streams:
            self._streams[purpose] = random.Random(f"{uuid.uuid4()}:{purpose}")  # noqa: S311
        return self._streams[purpose]

    @property
    def cpu_clock(self) -> Callable[[], float] | None:
        """What returns the processor time of the calling thread in seconds; `None` if simulated."""
        return time.thread_time

    def new_urn(self) -> str:
        """Return a unique name for an actor: a UUID of version 4."""
        digits = f"{self.random('urn').getrandbits(128):032x}"
        variant = "89ab"[int(digits[16], 16) & 3]
        return (
            f"urn:uuid:{digits[:8]}-{digits[8:12]}-4{digits[13:16]}"
            f"-{variant}{digits[17:20]}-{digits[20:]}"
        )

    def new_id(self) -> str:
        """Return a unique id: 32 hexadecimal digits."""
        return f"{self.random('id').getrandbits(128):032x}"

    def mailbox(self) -> Mailbox:
        """Make the mailbox of an actor."""
        return Mailbox(self)

    def future(self, about: object = None) -> PooledFuture[Any]:  # noqa: ARG002
        """Make a future that is waited for as this system waits.

        Args:
            about: whose reply to what it is, a pair of them, or what else is awaited.
        """
        return PooledFuture()

    def request_future(
        self,
        about: object,  # noqa: ARG002
        take_back: TakeBack,
    ) -> RequestFuture[Any]:
        """Make a future of a request that may be taken back.

        Args:
            about: as `future` takes it.
            take_back: takes the request back; gets the future.
        """
        return RequestFuture(take_back)

    def call_future(self, name: str, on_cancel: OnCancel) -> CallFuture[Any]:
        """Make a future of a call that may be cancelled before it begins.

        Args:
            name: of the call.
            on_cancel: told if it is cancelled; returns the exception that the future raises.
        """
        return CallFuture(name, on_cancel)

    def outlet(
        self,
        callback: Callable[[T], object],
        *,
        lost: Callable[[T, T, int], T] | None = None,
        capacity: int | None = 10_000,
    ) -> Outlet[T]:
        """Make an outlet to a callback, which is called outside of all actors."""
        return Outlet(callback, lost=lost, capacity=capacity, name=self.name)

    def lock(self) -> AbstractContextManager[Any]:
        """Return a plain lock, for code that host threads call."""
        return threading.Lock()

    @property
    def threads(self) -> int:
        """How many threads the system has now, without the abandoned ones."""
        return self.dispatcher.threads + self.workers.threads + self.clock.threads

    def blocking(self) -> AbstractContextManager[None]:
        """Mark the calling actor as blocked while the context lasts."""
        return self.dispatcher.blocking()

    def dead_letter(self, receiver: str, message: object) -> None:
        """Count and log a message that came to an actor which has ended."""
        self.dead_letters += 1
        if self.on_dead_letter is not None:
            self.on_dead_letter(receiver.partition(" ")[0], message)
        else:
            logger.info("dead letter: %s to %s", type(message).__name__, receiver)

    def stop_all(self, because: BaseException | None = None) -> None:  # noqa: ARG002
        """Stop all actors of this system, the last started one first, without waiting.

        Args:
            because: what an actor raised that stops them all, if that is why.
        """
        self.supervision.stop_all()

    def close(self, timeout: float = 5) -> None:
        """Stop all actors and end all threads, but for calls that do not come back.

        Args:
            timeout: seconds to wait for each of actors, calls and threads.
        """
        self.stop_all()
        self.supervision.wait_for_all(timeout)
        self.clock.close()
        self.workers.close(timeout)
        self.dispatcher.close(timeout)

    def __enter__(self) -> Self:
        context.outer = (*context.outer, context.system)
        context.system = self
        return self

    def __exit__(self, *_: object) -> None:
        *outer, context.system = context.outer
        context.outer = tuple(outer)


_default: System | None = None
_default_lock = threading.Lock()


def current_system() -> System:
    """Return the system of the calling actor, else of an enclosing `with`, else the default."""
    global _default  # noqa: PLW0603
    if context.system is not None:
        return context.system
    with _default_lock:
        if _default is None:
            _default = System("pooled")
        return _default
