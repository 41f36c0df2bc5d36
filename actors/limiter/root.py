"""The root of the actors of a limiter: starts the shared ones, supervises them, and closes.

Hears `CloseCalls` from the edge and its timer, `ActorEnded` from all that it started; tells the
caller of hosts' calls `CloseCalls`, the limiter `HostCallsGone`. Started by the edge. Starts
recorder, limiter and caller, and ends them in reverse. If one of them fails, it closes with the
cause. A studio's root is one too, and has sessions besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from limner.actors.base import LimnerActor
from limner.actors.event_log import EventLog
from limner.actors.limiter.call_messages import CloseCalls
from limner.actors.limiter.host_calls import CallerActor
from limner.actors.limiter.limiter import LimiterActor
from limner.actors.recorder import LogFile, RecorderActor
from limner.actors.system import ActorEnded, Timer
from limner.messages.errors import StudioClosed, describe
from limner.messages.limiter.protocol import HostCallsGone
from limner.messages.settings import Settings
from limner.messages.studio.protocol import CloseWithin, EndCalls, ReportStatus


class LimiterRoot(LimnerActor):
    """The root of the actors of a limiter.

    Args:
        log: of all of them.
        settings: the lanes and groups, and how calls are retried.
        file: of the event log.
    """

    role = "studio"

    def __init__(self, log: EventLog, settings: Settings, file: LogFile | None) -> None:
        super().__init__(log)
        self.settings = settings
        self.file = file
        self.closing = False
        self.cause: BaseException | None = None
        self.timers: list[Timer] = []

    def on_start(self) -> None:
        """Start the actors."""
        self.start_recorder(store="none", generator="none")
        self.start_limiter(self.settings.lanes)

    def start_recorder(self, **opened: str) -> None:
        """Start the recorder, who must hear everything, and log what is opened."""
        log = self.log
        self.recorder = RecorderActor.start(log, self.file, self.system.clock.wall_start)
        log.recorder = self.recorder
        self.log_event("studio_opened", **opened)

    def start_limiter(self, lanes: Mapping[str, Any]) -> None:
        """Start the limiter, and the caller of hosts' calls."""
        log, settings = self.log, self.settings
        self.limiter = LimiterActor.start(log, dict(lanes), dict(settings.lane_groups))
        self.caller = CallerActor.start(
            log, self.limiter, backoff=settings.backoff, backoff_max=settings.backoff_max
        )

    def on_receive(self, message: object) -> Any:
        """Handle one message."""
        match message:
            case CloseCalls():
                self.closing = True
                self.caller.tell(message)
            case CloseWithin():
                self.set_timer(message.seconds, EndCalls())
            case EndCalls():
                self.end_calls()
            case ActorEnded():
                self.part_ended(message)
            case ReportStatus():
                return self.limiter, self.caller
            case _:
                return super().on_receive(message)
        return None

    def on_stop(self) -> None:
        """Cancel the timers."""
        for timer in self.timers:
            timer.cancel()

    def on_failure(self, *_: object) -> None:
        """Do the same as when it stops."""
        self.on_stop()

    def set_timer(self, seconds: float, message: object) -> None:
        """Send itself a message later."""
        self.timers.append(self.system.clock.after(seconds, self.actor_ref, message))

    def end_calls(self) -> None:
        """Wait no longer for hosts' calls, if any still runs."""
        if self.caller.is_alive():
            self.caller.tell(CloseCalls(wait=False))

    def part_ended(self, message: ActorEnded) -> None:
        """End the next part; all of them at once with one that ends too early.

        Raises:
            Exception: why that one has ended; the root fails, and what it has started ends with it.
        """
        if message.ref is self.recorder:
            self.log.on = False
        if not self.closing:
            self.cause = message.reason or StudioClosed("a part of it was stopped")
            self.log_event("studio_closed", cause=describe(self.cause))
            raise self.cause
        self.end_next(message)

    def end_next(self, message: ActorEnded) -> None:
        """End the limiter after the caller, then the recorder, then itself."""
        self.cause = self.cause or message.reason
        if message.ref is self.limiter and self.caller.is_alive():  # it has failed
            self.end_calls()
        elif message.ref is self.caller and self.limiter.is_alive():
            self.limiter.tell(HostCallsGone())
            self.limiter.end()
        elif message.ref in (self.caller, self.limiter):
            self.log_event("studio_closed", cause=self.cause and describe(self.cause))
            self.recorder.end()
        elif message.ref is self.recorder:
            self.stop()
