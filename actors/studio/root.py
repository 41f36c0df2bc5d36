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

from limner.actors.context import StudioContext
from limner.actors.limiter.call_messages import CloseCalls
from limner.actors.limiter.root import LimiterRoot
from limner.actors.recorder import LogFile
from limner.actors.system import ActorEnded, PooledRef
from limner.actors.writes.live_session import report_end
from limner.actors.writes.sequencer import SequencerActor
from limner.messages.errors import StudioClosed, describe
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


class StudioActor(LimiterRoot):
    """The root of all of a studio's actors."""

    def __init__(self, context: StudioContext, file: LogFile | None) -> None:
        super().__init__(context.log, context.settings, file)
        self.context = context
        self.over = False
        self.orphans: set[PooledRef[Any]] = set()
        self.left: tuple[tuple[OpenStream | Regenerate, SessionEnded], ...] = ()
        self.sessions_gone = False
        self.hurried = False
        self.calls_timeout: float | None = None

    def on_start(self) -> None:
        """Start the recorder, who must hear everything, then the others."""
        self.start_recorder(
            store=type(self.context.store).__name__,
            generator=type(self.context.maker.generator).__name__,
        )
        self.start_limiter(self.settings.all_lanes)
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
            case SessionsOver():
                self.over = True
            case SessionsLeft():
                self.left = message.ends
            case ReportStatus():
                return self.limiter, self.caller, self.sequencer
            case _:
                return super().on_receive(message)
        return None

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
        else:
            self.end_next(message)

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
