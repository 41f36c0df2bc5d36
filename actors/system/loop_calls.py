"""Calls of coroutine functions, each a task on an asyncio loop of the host's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from limner.actors.system.reference import PooledRef
from limner.actors.system.workers import Call

if TYPE_CHECKING:
    from limner.actors.system.system import System

T = TypeVar("T")
_running: dict[object, tuple[asyncio.AbstractEventLoop | None, System]] = {}
"""What loops have to carry on, with the loop and the system of each."""


class LoopGone(RuntimeError):
    """The asyncio loop of a call is closed."""


class Loop(NamedTuple):
    """Where a coroutine runs: an asyncio loop, with the context variables that it sees there."""

    loop: asyncio.AbstractEventLoop
    context: Context


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the asyncio loop that runs on this thread, if any."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def loop_of(given: object | None) -> Loop | None:
    """Return an asyncio loop with the context variables of the caller; `None` if it is none.

    Args:
        given: a loop; the one that runs on this thread if `None`.
    """
    loop = running_loop() if given is None else given
    return Loop(loop, copy_context()) if isinstance(loop, asyncio.AbstractEventLoop) else None


class LoopCall(Call):
    """A call of a coroutine function, on a loop.

    To cancel or abandon it cancels its task. It has ended when the task has.
    """

    __slots__ = ("_place", "_task")

    def __init__(
        self,
        place: Loop,
        function: Callable[[Call], Awaitable[Any]],
        ref: PooledRef[Any],
        begun: Callable[[Call], object] | None,
        tag: Any,
    ) -> None:
        super().__init__(None, function, ref, begun, tag, None)
        self._place = place
        self._task: asyncio.Task[None] | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that it runs on."""
        return self._place.loop

    def submit(self) -> None:
        """Begin the call in the next round of its loop. From any thread."""
        if not self._soon(self._start):
            self.tell(None, LoopGone("the asyncio loop of the call is closed"))

    def cancel(self) -> None:
        """Cancel the task. It still reports how it ended."""
        self.set()
        self._soon(self._cancel_task)

    def begin(self, thread: object) -> bool:
        """Record that the loop runs the call now; false if nobody waits for it any more."""
        begun = super().begin(thread)
        if begun:
            _running[self] = self.loop, self.ref.system
        return begun

    def finish(self) -> bool:
        """Record that the task has ended. Returns false if the call was abandoned before."""
        _running.pop(self, None)
        return super().finish()

    def abandon(self) -> bool:
        """Cancel the task, and wait for it no longer. False if it had ended just before."""
        abandoned = super().abandon()
        if abandoned:
            _running.pop(self, None)
            self._soon(self._cancel_task)
        return abandoned

    def _soon(self, function: Callable[[], object]) -> bool:
        try:
            self._place.loop.call_soon_threadsafe(function)
        except RuntimeError:  # it is closed
            return False
        return True

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _start(self) -> None:
        if not self.begin(self):
            return
        error = self.prepare()
        if error is not None:
            self.tell(None, error)
            return
        loop, context = self._place
        self._task = loop.create_task(self._perform(), context=context)

    async def _perform(self) -> None:
        try:
            value = await self.function(self)
        except Exception as error:  # noqa: BLE001  # the future raises it
            self.tell(None, error)
        except BaseException as error:
            self.tell(None, error)
            raise
        else:
            self.tell(value, None)


def runs_calls_here(system: System) -> bool:
    """Return whether the loop that runs on this thread has calls of a system to carry on."""
    loop = running_loop()
    return loop is not None and (loop, system) in tuple(_running.values())


def note_held(held: object, system: System) -> None:
    """Record that the running loop has something to return to a system."""
    _running[held] = running_loop(), system


def note_returned(held: object) -> None:
    """Record that something was returned to its system."""
    _running.pop(held, None)


async def in_thread(function: Callable[[], T]) -> T:
    """Await what a function returns that blocks, on a thread beside the running loop."""
    return await asyncio.to_thread(function)
