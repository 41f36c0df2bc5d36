"""What became of the pictures that a host has asked for, told as they settle."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from inspect import iscoroutinefunction

from limner.actors.system import Outlet, PooledFuture, System
from limner.messages.errors import SettingsInvalid
from limner.messages.pictures import Failure, Illustrated, Placement

logger = logging.getLogger("limner")

Outcome = Placement | Failure
"""What becomes of a task: a picture, or why there is none."""

OnPicture = Callable[[Outcome], object]
"""What a host is called with, once for each picture that it has asked for."""


class Outcomes:
    """The outcomes of the pictures of one call, in the order in which they settle.

    They begin with the first one for each reader, whenever it comes, and end once the call's
    future is done. Nothing is dropped: there are no more outcomes than pictures asked for. The
    processor adds to them; readers may be on any thread.

    Args:
        system: makes what readers wait for.
        future: of the call.
        about: what they are of, for people.
    """

    def __init__(self, system: System, future: PooledFuture[Illustrated], about: object) -> None:
        self._system = system
        self._about = about
        self._lock = system.lock()
        self._settled: list[Outcome] = []
        self._callbacks: list[OnPicture] = []
        self._outlets: list[Outlet[Outcome]] = []
        self._awaiting: list[PooledFuture[None]] = []
        self._ended = False
        future.when_done(self._end)

    @property
    def settled(self) -> tuple[Outcome, ...]:
        """What has settled so far."""
        with self._lock:
            return tuple(self._settled)

    def put(self, outcome: Outcome) -> None:
        """Add an outcome, and pass it on without waiting."""
        with self._lock:
            if self._ended:
                return
            self._settled.append(outcome)
            for outlet in self._outlets:
                outlet.put(outcome)
            awaiting, self._awaiting = self._awaiting, []
        for future in awaiting:
            future.set_if_pending(None)

    def pass_to(self, callback: OnPicture) -> Outlet[Outcome] | None:
        """Call a function for each outcome, in order, on a thread of its own.

        Returns:
            The outlet to it; `None` if the function is called already.
        """
        with self._lock:
            if callback in self._callbacks:
                return None
            self._callbacks.append(callback)
            outlet = self._system.outlet(Told(callback, self._about), capacity=None)
            for outcome in self._settled:
                outlet.put(outcome)
            if self._ended:
                outlet.finish()
            else:
                self._outlets.append(outlet)
        return outlet

    def read(self, timeout: float | None = None) -> Iterator[Outcome]:
        """Iterate over the outcomes, from the first one to the end.

        Args:
            timeout: seconds to wait for each at most; without bound if `None`.
        """
        return OutcomeIterator(self, timeout)

    def get(self, index: int, timeout: float | None) -> Outcome | None:
        """Return the outcome at an index, waiting for it; `None` if they end before.

        Raises:
            pykka.Timeout: if it has not come in `timeout` seconds.
        """
        while True:
            with self._lock:
                if index < len(self._settled):
                    return self._settled[index]
                if self._ended:
                    return None
                future: PooledFuture[None] = self._system.future(about=self._about)
                self._awaiting.append(future)
            try:
                future.get(timeout=timeout)
            finally:
                with self._lock:
                    if future in self._awaiting:
                        self._awaiting.remove(future)

    def _end(self) -> None:
        with self._lock:
            self._ended = True
            outlets, self._outlets = self._outlets, []
            awaiting, self._awaiting = self._awaiting, []
        for outlet in outlets:
            outlet.finish()
        for future in awaiting:
            future.set_if_pending(None)


class OutcomeIterator(Iterator[Outcome]):
    """Iterates over outcomes as they settle. One that was not waited for is not lost.

    Raises `pykka.Timeout` if the next one does not come in time; it may be asked for again then.
    """

    def __init__(self, outcomes: Outcomes, timeout: float | None) -> None:
        self._outcomes = outcomes
        self._timeout = timeout
        self._next = 0

    def __next__(self) -> Outcome:
        outcome = self._outcomes.get(self._next, self._timeout)
        if outcome is None:
            raise StopIteration
        self._next += 1
        return outcome


class Told:
    """A host's function, whose failures are logged once.

    Args:
        callback: the function.
        about: what it is told of, for people.
    """

    def __init__(self, callback: OnPicture, about: object) -> None:
        self._callback = callback
        self._about = about
        self._failed = False

    def __call__(self, outcome: Outcome) -> None:
        """Call the function; log its first failure."""
        try:
            self._callback(outcome)
        except Exception:
            if not self._failed:
                self._failed = True
                logger.exception(
                    "on_picture of %s raised; it is called for the other pictures all the same, "
                    "and what it raises there is not logged",
                    self._about,
                )


def check_on_picture(given: object) -> OnPicture | None:
    """Check a host's `on_picture`, and return it.

    Raises:
        SettingsInvalid: if it cannot be called, or is a coroutine function.
    """
    if given is None:
        return None
    if iscoroutinefunction(given):
        raise SettingsInvalid(
            "on_picture: a plain function, not a coroutine function; it is called on a thread of "
            "its own, and asyncio is told by loop.call_soon_threadsafe(queue.put_nowait, picture)"
        )
    if not callable(given):
        raise SettingsInvalid(f"on_picture: a function of one argument, not {given!r:.80}")
    checked: OnPicture = given
    return checked
