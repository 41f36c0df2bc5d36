"""Futures of `concurrent.futures` that end as Pykka's do."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TypeVar

import pykka

from limner.actors.system.call_future import CallFuture
from limner.actors.system.future import PooledFuture

T = TypeVar("T")


class _Uncancellable(Future[T]):
    """A future of what cannot be cancelled through it, such as a session."""

    def __init__(self) -> None:
        super().__init__()
        self.set_running_or_notify_cancel()

    def takes_result(self) -> bool:
        """Return whether a result may be set."""
        return True


class _OfACall(Future[T]):
    """A future of a call, which can be cancelled while the call has not begun."""

    def __init__(self, call: CallFuture[T]) -> None:
        super().__init__()
        self._deciding = threading.RLock()  # whoever is called back may look at it again
        self._call = call
        self._waits = True
        call.add_waiter()

    def cancel(self) -> bool:
        """Cancel the call, if it has not begun and nobody else waits for it."""
        with self._deciding:
            if self.done():
                return self.cancelled()
            waits, self._waits = self._waits, False
            if waits:
                withdrawn = self._call.remove_waiter(cancelled=True)
            else:
                withdrawn = self._call.is_cancelled
            return withdrawn and super().cancel()

    def takes_result(self) -> bool:
        """Return whether a result may be set: not once it was cancelled."""
        with self._deciding:
            return self.set_running_or_notify_cancel()


def concurrent(future: pykka.Future[T]) -> Future[T]:
    """Return a `concurrent.futures.Future` that ends as a Pykka future does.

    It is given its result on a thread of its own, which calls back whoever asked for that; never
    on an actor's. One of a call can be cancelled until the call begins; others cannot.
    """
    other: _OfACall[T] | _Uncancellable[T]
    other = _OfACall(future) if isinstance(future, CallFuture) else _Uncancellable()

    def settle() -> None:
        try:
            value = future.get()
        except BaseException as error:  # noqa: BLE001
            if other.takes_result():
                other.set_exception(error)
        else:
            if other.takes_result():
                other.set_result(value)

    thread = threading.Thread(target=settle, name="limner-future", daemon=True)
    if isinstance(future, PooledFuture) and future.calls_back:
        future.when_done(thread.start)
    else:
        thread.start()
    return other
