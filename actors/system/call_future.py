"""The future of a call that may be cancelled before it begins."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from limner.actors.system.future import PooledFuture

T = TypeVar("T")
OnCancel = Callable[[str], BaseException]
"""Told the name of a call that is cancelled; returns the exception that its future raises."""

_deciding = threading.Lock()


class CallFuture(PooledFuture[T]):
    """The future of a host's own call.

    `get(timeout=…)` waits for what the call returns or raises, in seconds; `await` does the same
    on a running asyncio loop. If the last task that awaits it is cancelled, the call is cancelled
    as by `cancel`, unless a thread waits in `get`.

    Args:
        name: of the call.
        on_cancel: told if it is cancelled.

    Attributes:
        name: of the call, as the event log and `Limiter.waiting` have it.
    """

    def __init__(self, name: str = "", on_cancel: OnCancel | None = None) -> None:
        super().__init__()
        self.name = name
        self._on_cancel = on_cancel
        self._begun = False
        self._refused = False
        self._waiters = 0
        self._interrupt: Callable[[], object] | None = None

    def cancel(self) -> bool:
        """Cancel the call, if it has not begun.

        It is never run then, its request is withdrawn or its slot returned, and this future raises
        `SlotRefused` with `Refusal.WITHDRAWN`. Does not wait. A coroutine that runs already has its
        task cancelled.

        Returns:
            Whether the call will never run; false if it has begun, or ended otherwise.
        """
        if self._sources:
            own = [source for source in self._sources if isinstance(source, CallFuture)]
            ended = [source.cancel() for source in own]
            return all(ended)
        if not self._refuse() or self._on_cancel is None:
            if self._interrupt is not None and not self.done:
                self._interrupt()
            return False
        self.fail_if_pending(self._on_cancel(self.name))
        return True

    def begin(self, interrupt: Callable[[], object] | None = None) -> bool:
        """Record that the call begins; false if it must not, since it was cancelled before.

        Args:
            interrupt: cancels the call while it runs, if that can be done.
        """
        with _deciding:
            self._begun = not self._refused
            self._interrupt = interrupt
            return self._begun

    def wait_again(self) -> None:
        """Record that the call waits to be made again, so that it may be cancelled."""
        with _deciding:
            self._begun = False

    @property
    def begun(self) -> bool:
        """Whether the call has begun, and does not wait to be made again."""
        return self._begun

    @property
    def is_cancelled(self) -> bool:
        """Whether the call was cancelled before it began."""
        return self._refused

    def refuse(self, error: BaseException) -> bool:
        """Fail the call unless it has begun; return whether it will never run."""
        if not self._refuse():
            return False
        self.fail_if_pending(error)
        return True

    def _refuse(self) -> bool:
        with _deciding:
            if self._begun or self._refused or self._result is not None:
                return False
            self._refused = True
            return True

    def get(self, *, timeout: float | None = None) -> Any:
        """Return the value, waiting `timeout` seconds for it at most; for ever by default.

        Raises:
            pykka.Timeout: if it has not come by then; the call is not cancelled.
            Exception: what the call raised; `SlotRefused` if it got no slot.
        """
        if self._result is not None or self._get_hook is not None:
            return super().get(timeout=timeout)
        self.add_waiter()
        try:
            return super().get(timeout=timeout)
        finally:
            self.remove_waiter(cancelled=False)

    def add_waiter(self) -> None:
        """Record that somebody waits who may stop waiting before the future is done."""
        super().add_waiter()
        with _deciding:
            self._waiters += 1

    def remove_waiter(self, *, cancelled: bool) -> bool:
        """Record that somebody waits no more; cancel the call if that was the last one."""
        if self._sources:
            return super().remove_waiter(cancelled=cancelled)
        with _deciding:
            self._waiters -= 1
            last = not self._waiters
        return cancelled and last and self.cancel()
