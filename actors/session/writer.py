"""The writer: sealed totals and outcomes in, one atomic text write out.

Hears `StreamSealed` from the monitor or `RequestsSealed` from the session, and `TaskSettled` from
the processor, in any order; `MessageLoaded`, `CancelWrite` and `DeadlinePassed` from the session.
Requests its turn from the sequencer when the count is complete, and hears `TurnGiven`. Tells the
session `TextWritten`, `WriteSkipped` or `WriteFailed`, once. Started and ended by the session.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from limner.actors.base import MessageActor
from limner.actors.context import StudioContext
from limner.actors.stores.compare_and_set import write_draft
from limner.actors.system import Call, CallReturned, PooledRef, Timer
from limner.messages.errors import StoreFailed
from limner.messages.pictures import Illustrated, Unwritten
from limner.messages.registry import Version
from limner.messages.session.lifecycle import DeadlinePassed, Opening
from limner.messages.session.processing import TaskSettled
from limner.messages.session.results import UNWRITTEN
from limner.messages.session.tally import Tally
from limner.messages.session.totals import RequestsSealed, StreamSealed
from limner.messages.session.writing import (
    CancelWrite,
    MessageLoaded,
    TextWritten,
    WriteFailed,
    WriteOverdue,
    WriteSkipped,
)
from limner.messages.writes.draft import Draft, WriteResult, regeneration_draft, stream_draft
from limner.messages.writes.protocol import RequestTurn, TurnGiven


class Stage(Enum):
    """How far the one write is."""

    GATHERING = 0
    WAITING = 1
    WRITING = 2
    OVER = 3


class WriterActor(MessageActor):
    """Writes the text of one message, once."""

    role = "writer"

    def __init__(
        self,
        context: StudioContext,
        opening: Opening,
        *,
        session: PooledRef[Any],
        sequencer: PooledRef[Any],
    ) -> None:
        super().__init__(context.log, opening)
        self.context = context
        self.session = session
        self.sequencer = sequencer
        self.tally = Tally()
        self.totals: StreamSealed | RequestsSealed | None = None
        self.loaded = False
        self.version: Version | None = None
        self.stage = Stage.GATHERING
        self.under_way: Call | None = None
        self.overdue: Timer | None = None

    def on_receive(self, message: object) -> Any:
        """Handle one message, and ask for a turn to write when the count is complete."""
        match message:
            case StreamSealed() | RequestsSealed():
                self.totals = self.totals or message
                self.tally = self.tally.seal(message.task_ids)
            case TaskSettled():
                self.tally = self.tally.settle(message.task)
            case MessageLoaded():
                self.loaded, self.version = True, message.version
            case CancelWrite():
                self.cancel()
            case DeadlinePassed():
                self.give_up()
            case TurnGiven():
                self.turn_given(message)
            case CallReturned():
                self.returned(message)
            case WriteOverdue():
                self.write_overdue()
            case _:
                return super().on_receive(message)
        if self.stage is Stage.GATHERING and self.tally.complete and self.loaded:
            self.request_turn()
        return None

    def request_turn(self) -> None:
        """Wait until nobody else writes this message."""
        self.stage = Stage.WAITING
        self.sequencer.tell(
            RequestTurn.trusted(
                session_id=self.session_id, message_id=self.message_id, reply_to=self.actor_ref
            )
        )

    def turn_given(self, message: TurnGiven) -> None:
        """Write, unless the write was cancelled meanwhile."""
        if self.stage is Stage.WAITING:
            if message.written is not None:
                self.version = message.written
            self.write()

    def write(self) -> None:
        """Begin the one write, on a worker's thread."""
        totals, tasks = self.totals, tuple(self.tally.settled.values())
        assert totals is not None
        settings = self.context.settings
        if isinstance(totals, StreamSealed):
            if totals.reason != "complete" and not totals.text and self.version is not None:
                self.skip(WriteSkipped(reason="empty", result=self.nothing_came()))
                return
            draft = stream_draft(self.message_id, totals, tasks, settings, self.system.cpu_clock)
        else:
            draft = regeneration_draft(
                self.message_id, totals, tasks, settings, self.system.cpu_clock
            )
        self.stage = Stage.WRITING
        self.under_way = self.call(
            self.context.store_pool, lambda call: self.carry_out(draft, call)
        )
        if not self.under_way.over:
            self.overdue = self.system.clock.after(
                settings.store_timeout, self.actor_ref, WriteOverdue()
            )

    def nothing_came(self) -> Illustrated:
        """Return the result of a stream that was cut before it had any text."""
        return Illustrated(
            message_id=self.message_id,
            text="",
            version=None,
            written=False,
            reason=UNWRITTEN[Unwritten.EMPTY],
            unwritten=Unwritten.EMPTY,
        )

    def carry_out(self, draft: Draft, call: Call) -> Illustrated:
        """Write, log it, and return the result. Runs on a worker's thread."""
        written = write_draft(
            self.context.store,
            draft,
            version=self.version,
            log_event=self.log_event,
            given_up=call.is_set,
        )
        self.log_write(written)
        return draft.result(written)

    def log_write(self, written: WriteResult) -> None:
        """Log what was written, or why nothing was."""
        composed = written.composed
        if written.version is None:
            reason = Unwritten.GONE if written.gone else Unwritten.UNCHANGED
            self.log_event("write_skipped", reason=reason.value)
            return
        self.log_event(
            "text_written",
            version=written.version,
            placed=[placement.task_id for placement in composed.placed],
            unplaced={lost.placement.task_id: lost.reason for lost in composed.unplaced},
            removed=list(composed.removed),
            **({"failures": list(composed.failed)} if composed.failed else {}),
        )

    def returned(self, returned: CallReturned) -> None:
        """Tell the session how the write ended."""
        if self.stage is not Stage.WRITING:
            return
        self.stage = Stage.OVER
        if self.overdue is not None:
            self.overdue.cancel()
        result: Illustrated = returned.value
        if returned.error is not None:
            self.session.tell(WriteFailed(error=returned.error, text=self.text))
        elif result.written:
            self.session.tell(TextWritten(result=result))
        elif result.unwritten is Unwritten.GONE:
            self.session.tell(WriteSkipped(reason="gone", result=result))
        else:
            self.session.tell(WriteSkipped(reason="unchanged", result=result))

    @property
    def text(self) -> str | None:
        """The text that was streamed, so that it is not lost with a write that fails."""
        return self.totals.text if isinstance(self.totals, StreamSealed) else None

    def write_overdue(self) -> None:
        """Wait no longer for a store that does not come back."""
        if self.stage is Stage.WRITING and self.under_way is not None and self.under_way.abandon():
            self.stage = Stage.OVER
            seconds = self.context.settings.store_timeout
            error = StoreFailed(
                f"the store has not come back from the write of message {self.message_id!r} "
                f"in {seconds:g} s; the text may still be written"
            )
            self.session.tell(WriteFailed(error=error, text=self.text))

    def cancel(self) -> None:
        """Write nothing, unless it is too late for that."""
        if self.stage in (Stage.GATHERING, Stage.WAITING):
            self.skip(WriteSkipped(reason="cancelled"))

    def give_up(self) -> None:
        """Write nothing, since the deadline has passed."""
        if self.stage is Stage.GATHERING:
            self.skip(WriteSkipped(reason="timed_out", awaited=self.tally.awaited))

    def skip(self, skipped: WriteSkipped) -> None:
        """End without a write."""
        self.stage = Stage.OVER
        self.log_event("write_skipped", reason=skipped.reason, awaited=list(skipped.awaited))
        self.session.tell(skipped)
