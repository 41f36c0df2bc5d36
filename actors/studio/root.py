"""The root of a studio's actors: starts the shared actors, supervises them, and closes.

Hears `CloseStudio` and `InterruptSessions` from the edge, which it passes on to the sequencer,
`CloseWithin` from the edge, `EndCalls` from its timers, `SessionsOver` or `SessionsLeft` from the
sequencer, `ActorEnded` from all that it started; tells the sequencer `FailSessions`, the caller of
hosts' calls `CloseCalls`, the limiter `HostCallsGone`. Started by the studio. Starts recorder,
limiter, caller and sequencer, and ends them in reverse. If one of them fails, all sessions fail
with the cause, and the studio closes.
"""

from __future__ import annotations

from typing import Any

from limner.actors.base import LimnerActor
from limner.actors.context import StudioContext
from limner.actors.limiter.host_calls import CallerActor, CloseCalls
from limner.actors.limiter.limiter import LimiterActor
from limner.actors.recorder import LogFile, RecorderActor
from limner.actors.system import ActorEnded, PooledRef, Timer
from limner.actors.writes.live_session import report_end
from limner.actors.writes.sequencer import SequencerActor
from limner.messages.errors import StudioClosed, describe
from limner.messages.limiter.protocol import HostCallsGone
from limner.messages.session.lifecycle import OpenStream, Regenerate, SessionEnded
from limner.messages.studio.protocol import (
    CloseStudio,
    CloseWithin,
    EndCalls,
    FailSessions,
    InterruptSessions,
    ReportStatus,
    SessionsLeft,
    SessionsOver,
)


class StudioActor(LimnerActor):
    """The root of all of a studio's actors."""

    role = "studio"

    def __init__(self, context: StudioContext, file: LogFile | None) -> None:
        super().__init__(context.log)
        self.context = context
        self.file = file
        self.over = False
        self.orphans: set[PooledRef[Any]] = set()
        self.left: tuple[tuple[OpenStream | Regenerate, SessionEnded], ...] = ()
        self.cause: BaseException | None = None
        self.sessions_gone = False
        self.hurried = False
        self.calls_timeout: float | None = None
        self.timers: list[Timer] = []

    def on_start(self) -> None:
        """Start the recorder, who must hear everything, then the others."""
        log, settings = self.log, self.context.settings
        self.recorder = RecorderActor.start(log, self.file, self.system.clock.wall_start)
        log.recorder = self.recorder
        self.log_event(
            "studio_opened",
            store=type(self.context.store).__name__,
            generator=type(self.context.maker.generator).__name__,
        )
        self.limiter = LimiterActor.start(log, settings.all_lanes, dict(settings.lane_groups))
        self.caller = CallerActor.start(
            log, self.limiter, backoff=settings.backoff, backoff_max=settings.backoff_max
        )
        self.sequencer = SequencerActor.start(
            self.context, root=self.actor_ref, limiter=self.limiter
        )

    def on_receive(self, message: object) -> Any:
        """Handle one message."""
        match message:
            case CloseStudio():
                self.calls_timeout = message.calls_timeout
                self.sequencer.tell(message)
            case CloseWithin():
                self.set_timer(message.seconds, InterruptSessions())
            case InterruptSessions():
                self.hurried = True
                if self.sessions_gone:
                    self.end_calls()
                else:
                    self.sequencer.tell(message)
            case EndCalls():
                self.end_calls()
            case SessionsOver():
                self.over = True
            case SessionsLeft():
                self.left = message.ends
            case ActorEnded():
                self.part_ended(message)
            case ReportStatus():
                return self.limiter, self.caller, self.sequencer
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
        """End the next part, or all of them with one that failed."""
        if message.ref is self.recorder:
            self.log.on = False
        if message.ref in self.orphans:
            self.orphans.remove(message.ref)
            self.close_after(message)
        elif message.ref is self.sequencer:
            self.sequencer_ended(message)
        elif not self.over:
            self.fail(message.reason)
        elif message.ref is self.limiter and self.caller.is_alive():  # it has failed
            self.cause = self.cause or message.reason
            self.end_calls()
        elif message.ref is self.caller and self.limiter.is_alive():
            self.cause = self.cause or message.reason
            self.limiter.tell(HostCallsGone())
            self.limiter.end()
        elif message.ref in (self.caller, self.limiter):
            self.cause = self.cause or message.reason
            self.log_event("studio_closed", cause=self.cause and describe(self.cause))
            self.recorder.end()
        elif message.ref is self.recorder:
            self.cause = self.cause or message.reason
            self.stop()

    def fail(self, reason: BaseException | None) -> None:
        """Fail all sessions, since a part that they need has ended."""
        self.cause = self.cause or reason or StudioClosed("a part of it was stopped")
        self.sequencer.tell(FailSessions(cause=self.cause))

    def sequencer_ended(self, message: ActorEnded) -> None:
        """Close: no session is left, and no write; or fail with the sequencer."""
        if not self.over:
            reason = message.reason or StudioClosed("a part of it was stopped")
            self.cause = self.cause or reason
        self.sessions_gone = True
        if self.cause is not None:
            self.close_after(message)
            return
        self.caller.tell(CloseCalls(wait=not self.hurried))
        if self.calls_timeout is not None:
            self.set_timer(self.calls_timeout, EndCalls())

    def close_after(self, message: ActorEnded) -> None:
        """Close with the cause, once no actor is left that a failed sequencer had started."""
        self.orphans |= set(message.orphans)
        if self.cause is not None and not self.orphans:
            for opening, ended in self.left:
                report_end(self.log, opening, ended)
            self.log_event("studio_closed", cause=describe(self.cause))
            raise self.cause
