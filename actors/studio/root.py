"""The root: starts a session for each message, one at a time, and says how it ended.

Hears `OpenStream`, `Regenerate`, `ApplyNow`, `CancelSession` and `CloseStudio` from the edge,
`SessionEnded` from sessions and `ActorEnded` from all that it started; tells limiter and editor
`SessionGone`, and passes on to the editor what is of a message's queue of writes, so that all that
is asked of a message keeps its order. Started by the studio. Sessions die alone; if recorder,
limiter, caller or editor fails, all sessions fail with the cause, and the studio closes.
"""

from __future__ import annotations

from typing import Any

from limner.actors.base import LimnerActor
from limner.actors.event_log import EventLog
from limner.actors.limiter.host_calls import CallerActor
from limner.actors.limiter.limiter import LimiterActor
from limner.actors.picture_maker import Production
from limner.actors.recorder import LogFile, RecorderActor
from limner.actors.session.regeneration import RegenerationActor
from limner.actors.session.session import SessionActor
from limner.actors.system import ActorEnded, PooledRef
from limner.actors.writes.editor import EditorActor, kind_of
from limner.actors.writes.live import Live, Waiting, is_of
from limner.messages.errors import SessionCancelled, SessionFailed, StudioClosed, describe
from limner.messages.limiter.protocol import SessionGone
from limner.messages.session.lifecycle import (
    ApplyNow,
    CancelSession,
    OpenStream,
    Regenerate,
    ReportProgress,
    SessionEnded,
    WithdrawSession,
)
from limner.messages.settings import Settings
from limner.messages.studio.protocol import CloseStudio, ReportStatus
from limner.messages.writes.protocol import (
    ClearWrites,
    EditText,
    EndWhenIdle,
    HoldNothing,
    HoldWrites,
    ReleaseWrites,
    ReportPending,
    ReserveTurn,
)

CLEARED = "they were cleared"
OVERTAKEN = "a stream of it was opened"


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
        self.log_event(
            "studio_opened",
            store=type(self.production.store).__name__,
            generator=type(self.production.generator).__name__,
        )
        lanes = {**self.settings.lanes, "image": self.settings.lane}
        self.limiter = LimiterActor.start(self.log, lanes, dict(self.settings.lane_groups))
        self.caller = CallerActor.start(self.log, self.limiter)
        self.editor = EditorActor.start(self.log, self.settings, self.production)

    def on_receive(self, message: object) -> Any:
        """See to it that each message has at most one session."""
        match message:
            case OpenStream():
                self.open(message)
            case Regenerate():
                self.regenerate(message)
            case ApplyNow():
                self.apply(message)
            case EditText():
                self.edit(message)
            case ClearWrites():
                self.clear(message)
            case ReportPending():
                self.report(message)
            case HoldWrites() | ReleaseWrites():
                self.editor.deliver(message)
            case CancelSession():
                self.cancel(message)
            case SessionEnded():
                live = self.live[self.message_of[message.session_id]]
                live.ended = message
            case ActorEnded():
                self.actor_ended(message)
            case CloseStudio():
                self.close()
            case ReportProgress():
                known = self.live.get(message.message_id)
                return None if known is None else known.ref
            case ReportStatus():
                waiting = sum(len(live.waiting) for live in self.live.values())
                return len(self.live), waiting, self.limiter, self.caller
            case _:
                return super().on_receive(message)
        return None

    def open(self, opening: OpenStream) -> None:
        """Start a session, or let it wait for the one before it; what only gathers gives way."""
        live = self.live.get(opening.message_id)
        if self.closing:
            self.refuse(opening)
        elif live is None:
            self.begin(opening, ())
        else:
            if live.gathers:
                live.ref.deliver(WithdrawSession(reason=OVERTAKEN))
            self.forget_waiting(live, OVERTAKEN)
            live.waiting += (opening,)

    def regenerate(self, message: Regenerate) -> None:
        """Let a wish gather with others of its message, or wait for the session before it."""
        live = self.live.get(message.message_id)
        if self.closing:
            self.refuse(message)
        elif live is None:
            self.begin(message, ())
        elif live.gathers:
            live.pass_on(message)
        else:
            live.waiting += (message,)

    def apply(self, message: ApplyNow) -> None:
        """Let what gathers be written, in its turn."""
        live = self.live.get(message.message_id)
        if live is not None and live.gathers:
            live.pass_on(message)
        elif live is not None and any(isinstance(one, Regenerate) for one in live.waiting):
            live.waiting += (message,)
        elif self.closing:
            self.refuse(message)
        else:
            message.future.set_if_pending(None)

    def edit(self, message: EditText) -> None:
        """Let a change into the queue of writes, behind the streams that were opened before it.

        A stream has no place in that queue until it begins.
        """
        live = self.live.get(message.message_id)
        if self.closing:
            self.refuse(message)
        elif live is not None and live.streams_wait:
            live.waiting += (message,)
        else:
            self.editor.deliver(message)

    def let_through(self, live: Live) -> None:
        """Pass on the changes that no stream is before any more."""
        for edit in live.take_edits(before_streams=True):
            self.editor.deliver(edit)

    def begin(self, opening: OpenStream | Regenerate, waiting: tuple[Waiting, ...]) -> None:
        """Start the session of a message that has none."""
        regenerates = isinstance(opening, Regenerate)
        self.log_event(
            "session_opened",
            session_id=opening.session_id,
            message_id=opening.message_id,
            owner=opening.owner,
            priority=opening.priority,
            kind="regeneration" if regenerates else "stream",
        )
        if not regenerates:
            self.editor.tell(
                ReserveTurn.trusted(session_id=opening.session_id, message_id=opening.message_id)
            )
        ref: PooledRef[Any] = (RegenerationActor if regenerates else SessionActor).start(
            self.log,
            opening,
            self.settings,
            self.production,
            root=self.actor_ref,
            limiter=self.limiter,
            editor=self.editor,
        )
        live = Live(opening=opening, ref=ref, actors={ref}, waiting=waiting)
        self.let_through(live)
        self.live[opening.message_id] = self.whose[ref] = live
        self.message_of[opening.session_id] = opening.message_id
        if isinstance(opening, Regenerate):
            live.pass_on(opening)
            while live.waiting and isinstance(first := live.waiting[0], Regenerate | ApplyNow):
                live.waiting = live.waiting[1:]
                live.pass_on(first)
            if self.closing:
                self.hurry(live)

    def hurry(self, live: Live) -> None:
        """Let a session that regenerates gather no longer."""
        live.ref.deliver(
            ApplyNow(name="", message_id=live.opening.message_id, future=self.system.future())
        )

    def clear(self, message: ClearWrites) -> None:
        """Forget the regenerations that wait, and let the editor forget the edits."""
        live = self.live.get(message.message_id)
        if live is not None:
            cleared, edits = live.gathering, live.take_edits()
            message = message.but(cleared=len(cleared), edits=edits)
            if cleared and isinstance(live.opening, Regenerate):
                live.ref.deliver(WithdrawSession(reason=CLEARED, sealed_too=True))
                message = message.but(withdrawn=live.opening.session_id)
            live.cleared.update(one.session_id for one in cleared)
            self.forget_waiting(live, CLEARED)
        self.editor.deliver(message)

    def report(self, message: ReportPending) -> None:
        """Let the editor say what waits, with what it has not heard of."""
        live = self.live.get(message.message_id)
        if live is not None:
            writes = (one for one in live.waiting if isinstance(one, OpenStream | EditText))
            later = tuple(map(kind_of, writes))
            message = message.but(gathering=len(live.gathering), later=later)
        self.editor.deliver(message)

    def forget_waiting(self, live: Live, why: str) -> None:
        """Cancel the regenerations that wait for a session to end."""
        for one in live.waiting:
            if isinstance(one, Regenerate | ApplyNow):
                self.forget(one, why)
        live.waiting = tuple(one for one in live.waiting if isinstance(one, OpenStream | EditText))

    def forget(self, one: Regenerate | ApplyNow, why: str) -> None:
        """Cancel a wish that no session has heard."""
        if isinstance(one, ApplyNow):
            one.future.set_if_pending(None)
            return
        self.log_event("regeneration_cancelled", message_id=one.message_id, reason=why)
        one.future.fail_if_pending(
            SessionCancelled(f"the regeneration of {one.message_id!r} was cancelled: {why}")
        )

    def close(self) -> None:
        """Take nothing new, and let what gathers or is held be written."""
        self.closing = True
        self.editor.tell(HoldNothing())
        for live in self.live.values():
            if isinstance(live.opening, Regenerate):
                self.hurry(live)
        self.leave_if_done()

    def cancel(self, message: CancelSession) -> None:
        """Pass a wish to cancel on to its session, begun or not; or answer for one that ended."""
        stream = message.stream
        live = self.live.get(stream.message_id)
        if live is not None and live.opening.session_id == message.session_id:
            live.ref.deliver(message)
            return
        if live is not None and any(is_of(one, stream) for one in live.waiting):
            live.waiting = tuple(one for one in live.waiting if not is_of(one, stream))
            self.let_through(live)
            stream.future.fail(SessionCancelled(f"message {stream.message_id!r} was cancelled"))

    def actor_ended(self, message: ActorEnded) -> None:
        """Go on once the last actor of a session has ended; close with a part that all need."""
        if message.ref is self.caller and self.leaving:
            self.limiter.tell(SessionGone(session_id=""))
            self.limiter.end()
            return
        if message.ref is self.editor and self.leaving and self.cause is None:
            self.cause = message.reason
            self.caller.end()
            return
        if message.ref in (self.recorder, self.limiter, self.caller, self.editor):
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
        self.editor.tell(SessionGone(session_id=opening.session_id))
        self.log_event(
            "session_ended",
            session_id=opening.session_id,
            message_id=message_id,
            outcome=ended.outcome,
            reason=None if ended.error is None else describe(ended.error),
        )
        if isinstance(opening, Regenerate):
            self.answer(live, ended)
        else:
            opening.stream.end(f"its session has ended ({ended.outcome})")
            if ended.error is None:
                opening.stream.future.set(ended.result)
            else:
                opening.stream.future.fail(ended.error)
        self.begin_next(live)
        self.leave_if_done()

    def begin_next(self, live: Live) -> None:
        """Begin what waited for a session, unless that is only for what is written already."""
        for index, first in enumerate(live.waiting):
            if isinstance(first, OpenStream | Regenerate):
                self.begin(first, live.waiting[index + 1 :])
                return
            first.future.set_if_pending(None)

    def answer(self, live: Live, ended: SessionEnded) -> None:
        """Give all who wished what became of it; who came after the seal is first in the next."""
        late: list[Waiting] = []
        for name, asked in live.asked.items():
            if live.ended is not None and name not in ended.heard:
                if self.cause is not None:
                    self.refuse(asked)
                elif name in live.cleared:
                    self.forget(asked, CLEARED)
                elif live.streams_wait:
                    self.forget(asked, OVERTAKEN)
                else:
                    late.append(asked)
            elif ended.error is not None:
                asked.future.fail_if_pending(ended.error)
            else:
                asked.future.set_if_pending(ended.result)
        live.waiting = (*late, *live.waiting)

    def part_ended(self, message: ActorEnded) -> None:
        """Close after the limiter and the recorder, in order; or with one that failed."""
        if message.ref is self.recorder:
            self.log.on = False
        if self.leaving:
            self.cause = self.cause or message.reason
            if message.ref is self.recorder:
                self.stop()
            else:
                self.log_event("studio_closed", cause=self.cause and describe(self.cause))
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

    def refuse(self, opening: Waiting) -> None:
        """Turn away who comes after the closing."""
        why = self.why_closed()
        if isinstance(opening, OpenStream):
            opening.stream.end(why)
            opening.stream.future.fail(StudioClosed(why))
        else:
            opening.future.fail_if_pending(StudioClosed(why))

    def why_closed(self) -> str:
        """Say that the studio is closed, and with what cause."""
        return f"the studio is closed{f': {self.cause}' if self.cause else ''}"

    def leave_if_done(self) -> None:
        """Let editor, caller, limiter, recorder and this end, once the last session is over."""
        if self.closing and not self.live and not self.leaving:
            self.leaving = True
            if self.cause is not None:
                self.log_event("studio_closed", cause=describe(self.cause))
                raise self.cause
            self.editor.tell(EndWhenIdle())
