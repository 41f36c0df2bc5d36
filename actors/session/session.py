"""The session: the life of one message, from its opening to its write.

Started by the root, one for a message at a time. Starts the writer, the processor and the
monitor, hears of their ends, and ends with them: if one fails, so does the session. Hears
`SessionSealed` from the monitor, the write's end from the writer, `CancelSession` from the root;
tells the root `SessionEnded`, once, as its last word. A session that regenerates has no monitor,
and is a class of its own.
"""

from __future__ import annotations

from typing import Any

from limner.actors.base import LimnerActor
from limner.actors.event_log import EventLog
from limner.actors.picture_maker import Production
from limner.actors.session.monitor import MonitorActor
from limner.actors.session.processor import ProcessorActor
from limner.actors.session.writer import WriterActor
from limner.actors.system import ActorEnded, CallReturned, PooledRef, Timer
from limner.messages.errors import (
    SessionCancelled,
    SessionFailed,
    SessionTimedOut,
    StoreFailed,
    describe,
)
from limner.messages.session.lifecycle import (
    CancelSession,
    DeadlinePassed,
    LoadOverdue,
    Opening,
    OpenStream,
    SessionEnded,
    SessionOutcome,
)
from limner.messages.session.processing import CancelTasks, WindDown
from limner.messages.session.streaming import SessionSealed
from limner.messages.session.writing import (
    CancelWrite,
    MessageLoaded,
    TextWritten,
    WriteFailed,
    WriteSkipped,
)
from limner.messages.settings import Settings


class SessionActor(LimnerActor):
    """Sees one message from its opening to its end."""

    role = "session"

    def __init__(
        self,
        log: EventLog,
        opening: Opening,
        settings: Settings,
        production: Production,
        *,
        root: PooledRef[Any],
        limiter: PooledRef[Any],
        editor: PooledRef[Any],
    ) -> None:
        super().__init__(log, session_id=opening.session_id, message_id=opening.message_id)
        self.opening = opening
        self.settings = settings
        self.production = production
        self.root = root
        self.limiter = limiter
        self.editor = editor
        self.children = 3
        self.waits = 0
        self.ended: SessionEnded | None = None
        self.deadline: Timer | None = None

    def on_start(self) -> None:
        """Start the three, and read what the store holds."""
        self.start_writer()
        self.start_processor(outcomes_to=self.writer)
        self.start_monitor()
        self.read()

    def start_writer(self) -> None:
        """Start who writes in the end."""
        self.writer = WriterActor.start(
            self.log,
            self.opening,
            self.settings,
            self.production.store,
            self.production.store_pool,
            session=self.actor_ref,
            editor=self.editor,
        )

    def start_processor(self, *, outcomes_to: PooledRef[Any]) -> None:
        """Start who sees each task to its end, and tells its outcome."""
        self.processor = ProcessorActor.start(
            self.log,
            self.opening,
            self.settings,
            self.production,
            limiter=self.limiter,
            writer=outcomes_to,
        )

    def start_monitor(self) -> None:
        """Start who watches the text."""
        opening = self.opening
        assert isinstance(opening, OpenStream)
        opening.stream.processor = self.processor
        self.monitor = MonitorActor.start(
            self.log,
            opening,
            self.settings,
            session=self.actor_ref,
            processor=self.processor,
            writer=self.writer,
        )

    def read(self) -> None:
        """Read what the store holds."""
        self.loading = self.call(self.production.store_pool, lambda _: self.load())
        self.overdue: Timer | None = None
        if not self.loading.over:
            seconds = self.settings.store_timeout
            self.overdue = self.system.clock.after(seconds, self.actor_ref, LoadOverdue())

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

    def load(self) -> Any:
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
                self.settings.deadline, self.actor_ref, DeadlinePassed(waits=self.waits)
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
            self.processor.tell(CancelTasks(reason="the deadline has passed"))
        else:
            self.writer.tell(message)

    def write_skipped(self, message: WriteSkipped) -> None:
        """End without a write."""
        name = f"message {self.message_id!r}"
        match message.reason:
            case "gone" | "empty" | "unchanged":
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
        self, outcome: SessionOutcome, *, result: Any = None, error: BaseException | None = None
    ) -> None:
        """Remember the outcome, the first one stands, and let the three end."""
        if self.ended is not None:
            return
        self.ended = SessionEnded(
            session_id=self.opening.session_id, outcome=outcome, result=result, error=error
        )
        self.end_source(f"the session has ended ({outcome})")
        for timer in (self.deadline, self.overdue):
            if timer is not None:
                timer.cancel()
        self.writer.end()
        if self.processor.is_alive():
            self.processor.tell(WindDown())
        self.leave_if_alone()

    def end_source(self, why: str) -> None:
        """Take no more text."""
        assert isinstance(self.opening, OpenStream)
        self.opening.stream.end(why)
        self.monitor.end()

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
            self.root.tell(self.last_word())
            self.stop()

    def last_word(self) -> SessionEnded:
        """Say how it ended."""
        assert self.ended is not None
        return self.ended
