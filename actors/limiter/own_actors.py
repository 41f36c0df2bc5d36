"""The actors of a limiter that is opened without a studio, and their end."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pykka

from limner.actors.event_log import EventLog
from limner.actors.limiter import close_at_exit
from limner.actors.limiter.call_messages import CloseCalls
from limner.actors.limiter.closing import check_may_wait
from limner.actors.limiter.pools import open_pools
from limner.actors.limiter.root import LimiterRoot
from limner.actors.recorder import LogFile
from limner.actors.system import PooledFuture, PooledRef, System
from limner.messages.errors import StudioClosed, describe
from limner.messages.settings import Settings
from limner.messages.studio.protocol import CloseWithin, EndCalls, ReportStatus


class OwnActors:
    """A root, a recorder, a limiter and a caller of hosts' calls. Safe to use from any thread.

    Args:
        settings: the lanes and groups, and where events are written.
        system: what they run on; one of its own if `None`.

    Attributes:
        limiter: the limiter's actor.
        caller: the actor that runs hosts' calls.
        pools: the name of the thread pool of each lane and group.

    Raises:
        StudioClosed: if one of them fails at once.
        StoreFailed: if the event log cannot be written.
    """

    limiter: PooledRef[Any]
    caller: PooledRef[Any]

    def __init__(self, settings: Settings, system: System | None) -> None:
        self.settings = settings
        self.system = system or System()
        self._own_system = system is None
        self._cause: BaseException | None = None
        self._ended: PooledFuture[None] = self.system.future(about="the end of the limiter")
        self._log = EventLog(self.system.clock, on=settings.events is not None)
        name = "" if self._own_system else f"-{self.system.new_id()[:8]}"
        self.pools = open_pools(self.system, settings.lanes, settings.lane_groups, name)
        try:
            file = None if settings.events is None else LogFile(settings.events)
            self._root = self.system.start(LimiterRoot, self._log, settings, file)
            self.system.watch(self._root, lambda ended: self._end(ended.reason))
            self.limiter, self.caller = self._root.ask(ReportStatus())
        except pykka.ActorDeadError:
            self._ended.get()
            self._leave()
            raise StudioClosed(
                f"the limiter could not be opened: {describe(self._cause)}"
            ) from self._cause
        except BaseException:
            self._leave()
            raise
        if self.system.real:
            close_at_exit.add(self)

    def check_may_wait(self) -> None:
        """Raise `CloseRefused` on a thread that closing would wait for."""
        check_may_wait("limiter", self.system, self._log, tuple(self.pools.values()))

    def close(self, timeout: float | None) -> None:
        """Refuse what has not begun, wait for what runs, and stop every actor.

        Args:
            timeout: seconds to wait for what runs; `None` lets each call take its lane's `lease`.
        """
        self._root.deliver(CloseCalls(wait=True))
        if timeout is not None:
            self._root.deliver(CloseWithin(seconds=timeout))
        self._ended.get()
        self._leave()

    def close_within(self, seconds: float) -> list[str]:
        """Close within a time, for the end of a program; what does not end by then is left."""
        self._root.deliver(CloseCalls(wait=True))
        for _ in range(2):
            with suppress(pykka.Timeout):
                self._ended.get(timeout=seconds / 2)
                self._leave()
                break
            self._root.deliver(EndCalls())
        return []

    def _end(self, reason: BaseException | None) -> None:
        self._cause = reason
        self._ended.set_if_pending(None)

    def _leave(self) -> None:
        """Wait for the end of the event log, and end the threads."""
        if self._log.recorder is not None:
            recorded: PooledFuture[None] = self.system.future(about="the end of the event log")
            self.system.watch(self._log.recorder, lambda _: recorded.set(None))
            with suppress(pykka.Timeout):  # a disk may hang
                recorded.get(timeout=self.settings.grace)
        if self._own_system:
            self.system.close(self.settings.grace)
        close_at_exit.discard(self)
