"""The session: the life of one message.

Started by the root, one for a message at a time. Starts the writer, the processor and the
monitor, hears of their ends, and ends with them: if one fails, so does the session. Hears
`SessionSealed` from the monitor, the write's end from the writer, `CancelSession` from the root;
tells the root `SessionEnded`, once, as its last word.
"""

from __future__ import annotations

from typing import Any

from limner.actors.actor import LimnerActor
from limner.actors.monitor import MonitorActor
from limner.actors.processor import ProcessorActor
from limner.actors.production import Production
from limner.actors.stream import Stream
from limner.actors.system import ActorEnded, CallReturned, PooledRef, Timer
from limner.actors.trail import EventLog
from limner.actors.writer import WriterActor
from limner.messages.errors import (
    SessionCancelled,
    SessionFailed,
    SessionTimedOut,
    StoreFailed,
    describe,
)
from limner.messages.opening import CancelSession, OpenStream
from limner.messages.prompts import LetGo, WindDown
from limner.messages.settings import Settings
from limner.messages.streaming import SessionSealed
from limner.messages.writing import (
    CancelWrite,
    DeadlinePassed,
    LoadOverdue,
    MessageLoaded,
    Outcome,
    SessionEnded,
    TextWritten,
    WriteFailed,
    WriteSkipped,
)


class SessionActor(LimnerActor):
    """Sees one message from its opening to its end."""

    role = "session"

    def __init__(
        self,
        log: EventLog,
        opening: OpenStream,
        settings: Settings,
        production: Production,
        *,
        root: PooledRef[Any],
        limiter: PooledRef[Any],
    ) -> None:
        super().__init__(log, session_id=opening.session_id, message_id=opening.message_id)
        self.opening = opening
        self.stream: Stream = opening.stream
        self.settings = settings
        self.production = production
        self.root = root
        self.limiter = limiter
        self.children = 3
        self.ended: SessionEnded | None = None
        self.deadline: Timer | None = None

    def on_start(self) -> None:
        """Start the three, and read what the store holds."""
        log, settings, ref = self.log, self.settings, self.actor_ref
        self.writer = WriterActor.start(
            log,
            self.opening,
            settings,
            self.production.store,
            self.production.store_lane,
            session=ref,
        )
        self.processor = ProcessorActor.start(
            log,
            self.opening,
            settings,
            self.production,
            limiter=self.limiter,
            writer=self.writer,
        )
        self.stream.processor = self.processor
        self.monitor = MonitorActor.start(
            log,
            self.opening,
            settings,
            session=ref,
            processor=self.processor,
            writer=self.writer,
        )
        self.loading = self.call(self.production.store_lane, lambda _: self.load())
        self.overdue: Timer | None = None
        if not self.loading.over:
            self.overdue = self.system.clock.after(settings.store_timeout, ref, LoadOverdue())

    def on_receive(self, message: object) -> Any:
        """See the message on."""
        match message:
            case CallReturned():
                self.loaded(message)
            case LoadOverdue():
                self.load_overdue()
            case SessionSealed():
                self.sealed()
            case DeadlinePassed():
                self.deadline_passed(message)
            case CancelSession():
                self.writer.tell(CancelWrite())
            case TextWritten():
                self.end("written", result=message.result)
            case WriteSkipped():
                self.write_skipped(message)
            case WriteFailed():
                self.fail(message.error)
            case ActorEnded():
                self.child_ended(message)
            case _:
                return super().on_receive(message)
        return None

    def load(self) -> MessageLoaded:
        """Read what the store holds. Runs on a worker's thread."""
        store = self.production.store
        loaded = store.load(self.message_id)
        return MessageLoaded(
            version=None if loaded is None else loaded[1],
            kept=dict(store.kept(self.message_id)),
        )

    def sealed(self) -> None:
        """Let the time run, once, in which all must settle."""
        if self.ended is None and self.deadline is None:
            self.deadline = self.system.clock.after(
                self.settings.deadline, self.actor_ref, DeadlinePassed()
            )

    def loaded(self, returned: CallReturned) -> None:
        """Pass on what the store held."""
        if self.overdue is not None:
            self.overdue.cancel()
        if returned.error is not None:
            self.fail(returned.error)
        elif self.ended is None:
            self.processor.tell(returned.value)
            self.writer.tell(returned.value)

    def load_overdue(self) -> None:
        """Wait no longer for a store that does not come back."""
        if self.loading.abandon():
            seconds = self.settings.store_timeout
            self.fail(StoreFailed(f"the store has not come back from a load in {seconds:g} s"))

    def deadline_passed(self, message: DeadlinePassed) -> None:
        """Write what is finished, or nothing, as the settings say."""
        if self.settings.write_at_deadline:
            self.processor.tell(LetGo(reason="the deadline has passed"))
        else:
            self.writer.tell(message)

    def write_skipped(self, message: WriteSkipped) -> None:
        """End without a write."""
        name = f"message {self.message_id!r}"
        match message.reason:
            case "gone" | "empty":
                self.end("skipped", result=message.result)
            case "cancelled":
                self.end("cancelled", error=SessionCancelled(f"{name} was cancelled"))
            case "timed_out":
                error = SessionTimedOut(
                    f"{name} was not settled {self.settings.deadline:g} s after its seal; "
                    f"waiting for {len(message.awaited)} task(s)",
                    waiting_for=message.awaited,
                )
                self.end("timed_out", error=error)

    def fail(self, cause: BaseException) -> None:
        """End as failed, with what is finished kept."""
        error = SessionFailed(
            f"the session of message {self.message_id!r} failed: {describe(cause)}", cause=cause
        )
        self.end("failed", error=error)

    def end(
        self, outcome: Outcome, *, result: Any = None, error: BaseException | None = None
    ) -> None:
        """Remember the outcome, the first one stands, and let the three end."""
        if self.ended is not None:
            return
        self.ended = SessionEnded(
            session_id=self.opening.session_id, outcome=outcome, result=result, error=error
        )
        self.stream.end(f"the session has ended ({outcome})")
        for timer in (self.deadline, self.overdue):
            if timer is not None:
                timer.cancel()
        self.monitor.end()
        self.writer.end()
        if self.processor.is_alive():
            self.processor.tell(WindDown())
        self.leave_if_alone()

    def child_ended(self, message: ActorEnded) -> None:
        """Fail with a child that failed; leave after the last one."""
        self.children -= 1
        if self.ended is None:
            name = message.ref.actor_class.__name__
            self.fail(message.reason or SessionFailed(f"the {name} was stopped"))
        self.leave_if_alone()

    def leave_if_alone(self) -> None:
        """Say the last word once all three have ended."""
        if self.ended is not None and not self.children:
            self.root.tell(self.ended)
            self.stop()
