"""What both kinds of session share: their actors, the read of the store, the deadline, the end.

Hears `TextWritten`, `WriteSkipped` and `WriteFailed` from the writer, `CancelSession` and
`SetPriority` from the sequencer, `ReportSession` from the edge, `CallReturned` and `LoadOverdue` of
its read, `ActorEnded` of the actors that it started; tells the writer `CancelWrite` and
`DeadlinePassed`, the processor `CancelTasks`, `SetPriority` and `WindDown`, the sequencer
`SessionEnded`, once. Ends with its actors: if one of them fails, so does the session.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from limner.actors.base import MessageActor
from limner.actors.context import StudioContext
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
from limner.messages.session.control import ReportSession, SetPriority
from limner.messages.session.lifecycle import (
    CancelSession,
    DeadlinePassed,
    LoadOverdue,
    Opening,
    SessionEnded,
    SessionOutcome,
)
from limner.messages.session.processing import CancelTasks, StudioCloses, WindDown
from limner.messages.session.writing import CancelWrite, TextWritten, WriteFailed, WriteSkipped
from limner.messages.tasks import TaskEnd


class SessionLifecycle(MessageActor):
    """The base of both kinds of session.

    Args:
        context: what the studio's actors share.
        opening: what it was opened for.
        sequencer: who started it.
        limiter: who grants its slots.
    """

    role = "session"

    def __init__(
        self,
        context: StudioContext,
        opening: Opening,
        *,
        sequencer: PooledRef[Any],
        limiter: PooledRef[Any],
    ) -> None:
        super().__init__(context.log, opening)
        self.context = context
        self.opening = opening
        self.settings = context.settings
        self.sequencer = sequencer
        self.limiter = limiter
        self.children = 0
        self.heard: set[str] = set()
        self.over = False
        self.overdue: Timer | None = None
        self.deadline: Timer | None = None

    @abstractmethod
    def loaded(self, value: Any) -> None:
        """Use what was read from the store."""

    @property
    @abstractmethod
    def sealed(self) -> bool:
        """Whether no more text comes, or no more requests."""

    def set_priority(self, message: SetPriority) -> None:
        """Set another priority of the session and of all that is open."""
        self.opening = self.opening.but(priority=message.priority)
        self.processor.tell(message)

    @abstractmethod
    def end_input(self, why: str) -> None:
        """Stop taking text, or requests."""

    def on_receive(self, message: object) -> Any:
        """Handle one message."""
        match message:
            case CallReturned():
                self.read_returned(message)
            case LoadOverdue():
                self.read_overdue()
            case CancelSession():
                self.writer.tell(CancelWrite())
            case StudioCloses():
                if not self.over:
                    self.processor.tell(message)
            case SetPriority():
                self.set_priority(message)
            case ReportSession():
                return self.sealed, self.processor
            case TextWritten():
                self.end("written", result=message.result)
            case WriteSkipped():
                self.write_skipped(message)
            case WriteFailed():
                self.fail(message.error, text=message.text)
            case ActorEnded():
                self.child_ended(message)
            case _:
                return super().on_receive(message)
        return None

    def start_writer(self) -> None:
        """Start the actor that writes the text in the end."""
        self.children += 1
        self.writer = WriterActor.start(
            self.context, self.opening, session=self.actor_ref, sequencer=self.sequencer
        )

    def start_processor(self, *, outcomes_to: PooledRef[Any]) -> None:
        """Start the actor that brings each task to its end.

        Args:
            outcomes_to: is told of each.
        """
        self.children += 1
        self.processor = ProcessorActor.start(
            self.context,
            self.opening,
            limiter=self.limiter,
            outcomes_to=outcomes_to,
            sequencer=self.sequencer,
        )

    def read_store(self, read: Callable[[], Any]) -> None:
        """Read from the store, on a worker's thread; `loaded` gets what it returns."""
        self.reading = self.call(self.context.store_pool, lambda _: read())
        self.overdue = None
        if not self.reading.over:
            seconds = self.settings.store_timeout
            self.overdue = self.system.clock.after(seconds, self.actor_ref, LoadOverdue())

    def read_returned(self, returned: CallReturned) -> None:
        """Use what was read, or fail."""
        if self.overdue is not None:
            self.overdue.cancel()
        if returned.error is not None:
            self.fail(returned.error)
        elif not self.over:
            self.loaded(returned.value)

    def read_overdue(self) -> None:
        """Wait no longer for a store that does not come back."""
        if self.reading.abandon():
            seconds = self.settings.store_timeout
            self.fail(StoreFailed(f"the store has not come back from a load in {seconds:g} s"))

    def start_deadline(self, wait_number: int = 0) -> None:
        """Start the time in which all tasks must settle, unless it runs."""
        if not self.over and self.deadline is None:
            self.deadline = self.system.clock.after(
                self.settings.deadline, self.actor_ref, DeadlinePassed(wait_number=wait_number)
            )

    def pass_deadline(self, message: DeadlinePassed) -> None:
        """Write what is finished, or nothing, as the settings say."""
        if self.settings.write_at_deadline:
            reason = f"it was not finished {self.settings.deadline:g} s after the text's end"
            self.processor.tell(CancelTasks(reason=reason, end=TaskEnd.DEADLINE))
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

    def fail(self, cause: BaseException, *, text: str | None = None) -> None:
        """End as failed, with what is finished kept, and the text that was not written."""
        error = SessionFailed(
            f"the session of message {self.message_id!r} failed: {describe(cause)}",
            cause=cause,
            text=text,
        )
        self.end("failed", error=error)

    def end(
        self, outcome: SessionOutcome, *, result: Any = None, error: BaseException | None = None
    ) -> None:
        """Report the outcome once, the first one counts, and end the session's actors."""
        if self.over:
            return
        self.over = True
        self.sequencer.tell(
            SessionEnded.trusted(
                session_id=self.session_id,
                message_id=self.message_id,
                outcome=outcome,
                result=result,
                error=error,
                heard=frozenset(self.heard),
            )
        )
        self.end_input(f"the session has ended ({outcome})")
        for timer in (self.deadline, self.overdue):
            if timer is not None:
                timer.cancel()
        self.writer.end()
        if self.processor.is_alive():
            self.processor.tell(WindDown())
        self.leave_if_alone()

    def child_ended(self, message: ActorEnded) -> None:
        """Fail with an actor that failed; leave after the last one."""
        self.children -= 1
        if not self.over:
            name = message.ref.actor_class.__name__
            self.fail(message.reason or SessionFailed(f"the {name} was stopped"))
        self.leave_if_alone()

    def leave_if_alone(self) -> None:
        """End once all of the session's actors have ended."""
        if self.over and not self.children:
            self.stop()
