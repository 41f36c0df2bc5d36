"""The root: starts a session for each message, one at a time, and says how it ended.

Hears `OpenStream`, `CancelSession` and `CloseStudio` from the edge, `SessionEnded` from sessions
and `ActorEnded` from all that it started; tells the limiter `SessionGone`. Started by the studio.
Sessions die alone; if the recorder, the limiter or the caller fails, all sessions fail with the
cause, and the studio closes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from limner.actors.actor import LimnerActor
from limner.actors.calls import CallerActor
from limner.actors.limiter import LimiterActor
from limner.actors.production import Production
from limner.actors.recorder import LogFile, RecorderActor
from limner.actors.session import SessionActor
from limner.actors.system import ActorEnded, PooledRef
from limner.actors.trail import EventLog
from limner.messages.errors import SessionCancelled, SessionFailed, StudioClosed, describe
from limner.messages.opening import CancelSession, CloseStudio, OpenStream, ReportStatus
from limner.messages.settings import Settings
from limner.messages.slots import SessionGone
from limner.messages.writing import SessionEnded


@dataclass(slots=True)
class Live:
    """A session that has not ended, and how it has said that it will."""

    opening: OpenStream
    actors: set[PooledRef[Any]]
    ref: PooledRef[Any]
    ended: SessionEnded | None = None
    reason: BaseException | None = None
    waiting: tuple[OpenStream, ...] = ()


class StudioActor(LimnerActor):
    """The root of all of a studio's actors."""

    role = "studio"

    def __init__(
        self,
        log: EventLog,
        settings: Settings,
        production: Production,
        file: LogFile | None,
    ) -> None:
        super().__init__(log)
        self.settings = settings
        self.production = production
        self.live: dict[str, Live] = {}
        self.message_of: dict[str, str] = {}
        self.whose: dict[PooledRef[Any], Live] = {}
        self.file = file
        self.closing = False
        self.leaving = False
        self.cause: BaseException | None = None

    def on_start(self) -> None:
        """Start the recorder, who must hear everything, and the limiter."""
        self.recorder = RecorderActor.start(self.log, self.file, self.system.clock.wall_start)
        self.log.recorder = self.recorder
        self.say(
            "studio_opened",
            store=type(self.production.store).__name__,
            generator=type(self.production.generator).__name__,
        )
        lanes = {**self.settings.lanes, "image": self.settings.lane}
        self.limiter = LimiterActor.start(self.log, lanes, dict(self.settings.lane_groups))
        self.caller = CallerActor.start(self.log, self.limiter)

    def on_receive(self, message: object) -> Any:
        """See to it that each message has at most one session."""
        match message:
            case OpenStream():
                self.open(message)
            case CancelSession():
                self.cancel(message)
            case SessionEnded():
                live = self.live[self.message_of[message.session_id]]
                live.ended = message
            case ActorEnded():
                self.actor_ended(message)
            case CloseStudio():
                self.closing = True
                self.leave_if_done()
            case ReportStatus():
                waiting = sum(len(live.waiting) for live in self.live.values())
                return len(self.live), waiting, self.limiter, self.caller
            case _:
                return super().on_receive(message)
        return None

    def open(self, opening: OpenStream) -> None:
        """Start a session, or let it wait for the one before it."""
        if self.closing:
            self.refuse(opening)
        elif opening.message_id in self.live:
            self.live[opening.message_id].waiting += (opening,)
        else:
            self.begin(opening, ())

    def begin(self, opening: OpenStream, waiting: tuple[OpenStream, ...]) -> None:
        """Start the session of a message that has none."""
        self.say(
            "session_opened",
            session_id=opening.session_id,
            message_id=opening.message_id,
            owner=opening.owner,
            priority=opening.priority,
        )
        ref = SessionActor.start(
            self.log,
            opening,
            self.settings,
            self.production,
            root=self.actor_ref,
            limiter=self.limiter,
        )
        live = Live(opening=opening, ref=ref, actors={ref}, waiting=waiting)
        self.live[opening.message_id] = self.whose[ref] = live
        self.message_of[opening.session_id] = opening.message_id

    def cancel(self, message: CancelSession) -> None:
        """Pass a wish to cancel on to its session, begun or not; or answer for one that ended."""
        stream = message.stream
        live = self.live.get(stream.message_id)
        if live is not None and live.opening.session_id == message.session_id:
            live.ref.deliver(message)
            return
        if live is not None and any(one.stream is stream for one in live.waiting):
            live.waiting = tuple(one for one in live.waiting if one.stream is not stream)
            stream.future.fail(SessionCancelled(f"message {stream.message_id!r} was cancelled"))

    def actor_ended(self, message: ActorEnded) -> None:
        """Go on once the last actor of a session has ended; close with a part that all need."""
        if message.ref is self.caller and self.leaving:
            self.limiter.tell(SessionGone(session_id=""))
            self.limiter.end()
            return
        if message.ref in (self.recorder, self.limiter, self.caller):
            self.part_ended(message)
            return
        live = self.whose.pop(message.ref)
        live.actors.discard(message.ref)
        for orphan in message.orphans:
            live.actors.add(orphan)
            self.whose[orphan] = live
        if message.ref is live.ref:
            live.reason = live.reason or message.reason
        if not live.actors:
            self.conclude(live)

    def conclude(self, live: Live) -> None:
        """Say how a session has ended, and begin the one that waited for it."""
        opening = live.opening
        message_id = opening.message_id
        ended = live.ended or SessionEnded(
            session_id=opening.session_id,
            outcome="failed",
            error=SessionFailed(
                f"the session of message {message_id!r} failed: "
                + ("it was stopped" if live.reason is None else describe(live.reason)),
                cause=live.reason,
            ),
        )
        del self.live[message_id], self.message_of[opening.session_id]
        self.limiter.tell(SessionGone(session_id=opening.session_id))
        self.say(
            "session_ended",
            session_id=opening.session_id,
            message_id=message_id,
            outcome=ended.outcome,
            reason=None if ended.error is None else describe(ended.error),
        )
        opening.stream.end(f"its session has ended ({ended.outcome})")
        if ended.error is None:
            opening.stream.future.set(ended.result)
        else:
            opening.stream.future.fail(ended.error)
        if live.waiting:
            self.begin(live.waiting[0], live.waiting[1:])
        self.leave_if_done()

    def part_ended(self, message: ActorEnded) -> None:
        """Close after the limiter and the recorder, in order; or with one that failed."""
        if message.ref is self.recorder:
            self.log.on = False
        if self.leaving:
            self.cause = self.cause or message.reason
            if message.ref is self.recorder:
                self.stop()
            else:
                self.say("studio_closed", cause=self.cause and describe(self.cause))
                self.recorder.end()
            return
        self.cause = self.cause or message.reason or StudioClosed("a part of it was stopped")
        self.closing = True
        for live in list(self.live.values()):
            for opening in live.waiting:
                self.refuse(opening)
            live.waiting = ()
            live.reason = live.reason or self.cause
            live.ref.end()
        self.leave_if_done()

    def refuse(self, opening: OpenStream) -> None:
        """Turn away who comes after the closing."""
        why = f"the studio is closed{f': {self.cause}' if self.cause else ''}"
        opening.stream.end(why)
        opening.stream.future.fail(StudioClosed(why))

    def leave_if_done(self) -> None:
        """Let the caller end, then limiter, recorder and this, once the last session is over."""
        if self.closing and not self.live and not self.leaving:
            self.leaving = True
            if self.cause is not None:
                self.say("studio_closed", cause=describe(self.cause))
                raise self.cause
            self.caller.end()
