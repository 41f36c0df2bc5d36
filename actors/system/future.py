"""Pykka's future, for actors that share threads."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from typing import Any, TypeVar

import pykka

from limner.actors.system.context import context

logger = logging.getLogger("limner.system")
T = TypeVar("T")
M = TypeVar("M")
_making = threading.Lock()


class PooledFuture(pykka.ThreadingFuture[T]):
    """A `ThreadingFuture` whose `get` in an actor does not stall the other actors.

    It can also say when it is done (`when_done`), and `await` in a running asyncio loop waits for
    it without blocking the loop. Pykka's can do neither.
    """

    _sources: tuple[PooledFuture[Any], ...] = ()
    """The futures that this one is made from, by `map` and the like."""

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
        if self._sources:
            return all(source.done for source in self._sources)
        return self._result is not None

    def when_done(self, callback: Callable[[], None]) -> None:
        """Call a function once the future has its value; at once if it has one.

        It is called on the thread that sets the value.

        That thread may be an actor's turn: a callback that waits for anything keeps it from going
        on, and for ever if it waits for that very actor. `concurrent` gives one that may wait.
        """
        for source in self._sources:
            if not source.done:
                source.when_done(lambda: self.when_done(callback))
                return
        if not self._sources:
            with _making:
                if self._result is None:
                    self._callbacks = [*(self._callbacks or ()), callback]
                    return
        callback()

    def call_back_no_more(self, callback: Callable[[], None]) -> None:
        """Forget a function that was given to `when_done`, if it was not called yet."""
        with _making:
            self._callbacks = [kept for kept in self._callbacks or () if kept is not callback]

    @property
    def calls_back(self) -> bool:
        """Whether `when_done` calls back: not if a hook of Pykka's gives the value."""
        return self._get_hook is None or bool(self._sources)

    def add_waiter(self) -> None:
        """Record that somebody waits who may stop waiting before the future is done."""
        for source in self._sources:
            source.add_waiter()

    def remove_waiter(self, *, cancelled: bool) -> bool:
        """Record that somebody waits no more.

        Args:
            cancelled: whether because nothing is expected of the future any more.

        Returns:
            Whether the future is not awaited by anybody, and was cancelled for that.
        """
        ended = [source.remove_waiter(cancelled=cancelled) for source in self._sources]
        return bool(ended) and all(ended)

    def __await__(self) -> Generator[Any, None, T]:
        """Wait without blocking the running asyncio loop; without a loop, block as Pykka does."""
        from limner.actors.system.awaiting import until_done

        yield from until_done(self)
        value: T = self.get()
        return value

    __iter__ = __await__

    def map(self, func: Callable[[T], M]) -> pykka.Future[M]:
        """Return a future of what a function makes of the value."""
        return _made_from(super().map(func), self)

    def filter(self: Any, func: Callable[[Any], bool]) -> pykka.Future[Iterable[Any]]:
        """Return a future of those items of the value that a function lets pass."""
        return _made_from(pykka.Future.filter(self, func), self)

    def join(self, *futures: pykka.Future[Any]) -> pykka.Future[Iterable[Any]]:
        """Return a future of the values of several futures, this one first."""
        return _made_from(super().join(*futures), self, *futures)

    def reduce(self: Any, func: Callable[..., M], *args: M) -> pykka.Future[M]:
        """Return a future of one value that a function makes of the items, two at a time."""
        return _made_from(pykka.Future.reduce(self, func, *args), self)

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

    def __init__(self, take_back: TakeBack | None = None) -> None:
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
        if self._take_back is None:  # it was made from the future of a request, by `map` say
            raise TypeError("cancel the future that this one was made from")
        return self._take_back(self)


TakeBack = Callable[[RequestFuture[Any]], pykka.Future[bool]]


def _made_from(made: pykka.Future[M], *sources: pykka.Future[Any]) -> pykka.Future[M]:
    """Record which futures a future is made from, if all of them can call back."""
    own = [source for source in sources if isinstance(source, PooledFuture) and source.calls_back]
    if isinstance(made, PooledFuture) and len(own) == len(sources):
        made._sources = tuple(own)  # noqa: SLF001
    return made
