"""Pykka's future, for actors that share threads."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

import pykka

from limner.actors.system.context import context

logger = logging.getLogger("limner.system")
T = TypeVar("T")
_making = threading.Lock()


class PooledFuture(pykka.ThreadingFuture[T]):
    """A `ThreadingFuture` whose `get` in an actor does not stall the other actors.

    It can also say when it is done (`when_done`), which Pykka's cannot.
    """

    name: str | None = None
    """Of what it is for, if that has one."""

    # not Pykka's own __init__: it makes a condition, of eight objects, which few futures that
    # live long need before their end
    def __init__(self) -> None:
        pykka.Future.__init__(self)
        self._result = None
        self._made: threading.Condition | None = None
        self._callbacks: list[Callable[[], None]] | None = None

    def get(self, *, timeout: float | None = None) -> Any:
        """Return the value, waiting `timeout` seconds for it at most; for ever by default.

        Raises:
            pykka.Timeout: if it has not come by then.
            Exception: the exception that the future was given.
        """
        if self._result is not None or context.actor is None:
            return super().get(timeout=timeout)
        with context.actor.system.blocking():
            return super().get(timeout=timeout)

    def set(self, value: Any = None) -> None:
        """Set the future's value."""
        super().set(value)
        self._call_back()

    def set_exception(self, exc_info: Any = None) -> None:
        """Set an exception in place of a value, as `sys.exc_info()` returns it."""
        super().set_exception(exc_info)
        self._call_back()

    def fail(self, error: BaseException) -> None:
        """Set an exception in place of a value."""
        self.set_exception((type(error), error, error.__traceback__))

    def set_if_pending(self, value: Any) -> None:
        """Set the future's value, unless it has one or an exception already."""
        with suppress(queue.Full):  # what Pykka raises then
            self.set(value)

    def fail_if_pending(self, error: BaseException) -> None:
        """Set an exception, unless the future has one or its value already."""
        with suppress(queue.Full):
            self.fail(error)

    @property
    def _condition(self) -> threading.Condition:  # type: ignore[override]
        made = self._made
        if made is None:
            with _making:
                made = self._made = self._made or threading.Condition()
        return made

    @property
    def done(self) -> bool:
        """Whether the future has its value or exception."""
        return self._result is not None

    def when_done(self, callback: Callable[[], None]) -> None:
        """Call a function once the future has its value; at once if it has one.

        It is called on the thread that sets the value.

        That thread may be an actor's turn: a callback that waits for anything keeps it from going
        on, and for ever if it waits for that very actor. `concurrent` gives one that may wait.
        """
        with _making:
            if self._result is None:
                self._callbacks = [*(self._callbacks or ()), callback]
                return
        callback()

    def _call_back(self) -> None:
        with _making:
            callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            try:
                callback()
            except Exception:  # it is not the failure of whoever gives the value
                logger.exception("a future's callback failed")


class RequestFuture(PooledFuture[T]):
    """The future of a request that may be taken back.

    Args:
        take_back: takes the request back; gets the future.
    """

    def __init__(self, take_back: TakeBack) -> None:
        super().__init__()
        self._take_back = take_back

    def cancel(self) -> pykka.Future[bool]:
        """Take the request back, if that is not too late.

        Then nothing more is done for it alone, what was finished for it goes into no text, and this
        future raises `SessionCancelled`. Other requests that gather with it go on. Once its session
        has sealed it is too late: the request is done, and this future gives what that gives.

        Returns:
            A future that gives whether it was taken back; false if it was too late.

        Raises:
            StudioClosed: if the studio is closed.
        """
        return self._take_back(self)


TakeBack = Callable[[RequestFuture[Any]], pykka.Future[bool]]


def concurrent(future: pykka.Future[T]) -> Future[T]:
    """Return a `concurrent.futures.Future` that ends as a Pykka future does.

    It is given its result on a thread of its own, which calls back whoever asked for that; never
    on an actor's.
    """
    other: Future[T] = Future()
    other.set_running_or_notify_cancel()

    def settle() -> None:
        try:
            value = future.get()
        except BaseException as error:  # noqa: BLE001
            other.set_exception(error)
        else:
            other.set_result(value)

    thread = threading.Thread(target=settle, name="limner-future", daemon=True)
    if isinstance(future, PooledFuture) and future._get_hook is None:  # noqa: SLF001
        future.when_done(thread.start)
    else:
        thread.start()
    return other
