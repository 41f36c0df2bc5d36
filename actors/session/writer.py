"""The writer: sealed totals and outcomes in, one atomic text write out.

Hears `TotalsSealed` from the monitor, `TaskSettled` from the processor, in any order, and
`MessageLoaded`, `CancelWrite` and `DeadlinePassed` from the session. Asks the editor for its turn
when the count is complete, and hears `TurnGiven`. Tells the session `TextWritten`, `WriteSkipped`
or `WriteFailed`, once. Started and ended by the session.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal

from limner.actors.base import LimnerActor
from limner.actors.event_log import EventLog
from limner.actors.stores.protocol import Store
from limner.actors.system import Call, CallReturned, PooledRef, Timer
from limner.actors.writes.compare_and_set import Draft, registry_of, write_text
from limner.messages.errors import StoreFailed
from limner.messages.pictures import Illustrated, Unplaced, Unwritten
from limner.messages.registry import RegistryUpdate, Version
from limner.messages.session.lifecycle import DeadlinePassed, Opening
from limner.messages.session.processing import TaskSettled
from limner.messages.session.results import (
    UNWRITTEN,
    failure_of,
    illustrated,
    outcomes_of,
    placement_of,
    prompt_of,
)
from limner.messages.session.tally import Tally
from limner.messages.session.totals import TotalsSealed
from limner.messages.session.writing import (
    CancelWrite,
    MessageLoaded,
    TextWritten,
    WriteFailed,
    WriteOverdue,
    WriteSkipped,
)
from limner.messages.settings import Settings
from limner.messages.tasks import Task
from limner.messages.text.compose import Composed, compose
from limner.messages.text.revise import revise
from limner.messages.writes.protocol import AskTurn, TurnGiven, TurnOver


class Stage(Enum):
    """How far the one write is."""

    GATHERING = 0
    WAITING = 1
    WRITING = 2
    OVER = 3


UNBEGUN = (Stage.GATHERING, Stage.WAITING)


class WriterActor(LimnerActor):
    """Writes the text of one message, once."""

    role = "writer"

    def __init__(
        self,
        log: EventLog,
        opening: Opening,
        settings: Settings,
        store: Store,
        pool: str | None,
        *,
        session: PooledRef[Any],
        editor: PooledRef[Any],
    ) -> None:
        super().__init__(log, session_id=opening.session_id, message_id=opening.message_id)
        self.settings = settings
        self.store = store
        self.pool = pool
        self.session = session
        self.editor = editor
        self.tally = Tally()
        self.totals: TotalsSealed | None = None
        self.loaded = False
        self.version: Version | None = None
        self.stage = Stage.GATHERING
        self.under_way: Call | None = None
        self.overdue: Timer | None = None

    def on_receive(self, message: object) -> Any:
        """Count, and write when the count is complete."""
        match message:
            case TotalsSealed():
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
            self.ask_turn()
        return None

    def ask_turn(self) -> None:
        """Wait until nobody else writes this message."""
        self.stage = Stage.WAITING
        self.editor.tell(
            AskTurn.trusted(
                session_id=self.session_id, message_id=self.message_id, reply_to=self.actor_ref
            )
        )

    def turn_given(self, message: TurnGiven) -> None:
        """Write, unless that is not wanted any more."""
        if self.stage is Stage.WAITING:
            if message.written is not None:
                self.version = message.written
            self.write()
        else:
            self.end_turn(written=False)

    def end_turn(self, *, written: bool) -> None:
        """Let others write."""
        self.editor.tell(
            TurnOver.trusted(
                session_id=self.session_id, message_id=self.message_id, written=written
            )
        )

    def write(self) -> None:
        """Begin the one write, on a worker's thread."""
        totals, tasks = self.totals, tuple(self.tally.settled.values())
        assert totals is not None
        streamed = totals.wishes is None
        cut_empty = streamed and totals.reason != "complete" and not totals.text
        if cut_empty and self.version is not None:
            self.skip(
                WriteSkipped(
                    reason="empty",
                    result=Illustrated(
                        message_id=self.message_id,
                        text="",
                        version=None,
                        written=False,
                        reason=UNWRITTEN[Unwritten.EMPTY],
                        unwritten=Unwritten.EMPTY,
                    ),
                )
            )
            return
        self.stage = Stage.WRITING
        perform = self.perform if streamed else self.perform_again
        self.under_way = self.call(self.pool, lambda call: perform(totals, tasks, call))
        if not self.under_way.over:
            self.overdue = self.system.clock.after(
                self.settings.store_timeout, self.actor_ref, WriteOverdue()
            )

    def perform(self, totals: TotalsSealed, tasks: tuple[Task, ...], call: Call) -> Illustrated:
        """Write a text that was streamed. Runs on a worker's thread.

        Raises:
            VersionConflict: if the text changes faster than it can be written.
        """
        placements = tuple(one for task in tasks if (one := placement_of(task)) is not None)
        prompts = tuple({task.prompt_id: prompt_of(task) for task in tasks}.values())
        failures = tuple(lost for task in tasks if (lost := failure_of(task)) is not None)
        dropped = totals.dropped_patterns
        patterns = tuple(one for one in self.settings.patterns if one not in dropped)
        anew = True

        def compose_on(stored: str | None) -> Composed:
            # a host that saves while it streams has the beginning of our text; any other text
            # is newer than ours, and is what the pictures go into
            nonlocal anew
            text = totals.text
            if stored is not None and not text.startswith(stored):
                text = stored
            anew = text is totals.text
            return compose(
                text,
                placements,
                message_id=self.message_id,
                patterns=patterns,
                markup=self.settings.markup,
                max_tag=self.settings.max_tag,
                timeout=self.settings.pattern_timeout,
                matches=totals.matches if text is totals.text else None,
                failures=failures if self.settings.placeholders else (),
                registry=None if anew else registry_of(self.store, self.message_id),
            )

        def links(composed: Composed) -> RegistryUpdate:
            return RegistryUpdate.trusted(
                prompts=prompts,
                tasks=tasks,
                placed=composed.placed,
                removed=(),
                claims=None,
                anew=anew,
            )

        draft = Draft(compose_on, links, always=True)
        return self.carry_out(draft, totals, tasks, call, stored=None, version=self.version)

    def perform_again(
        self, totals: TotalsSealed, tasks: tuple[Task, ...], call: Call
    ) -> Illustrated:
        """Write what was regenerated, on the text as it is now. Runs on a worker's thread.

        Raises:
            VersionConflict: if the text changes faster than it can be written.
        """
        outcomes = outcomes_of(totals, tasks)

        def compose_on(stored: str | None) -> Composed:
            assert stored is not None
            return revise(
                stored,
                outcomes,
                registry_of(self.store, self.message_id),
                message_id=self.message_id,
                notation=self.settings.notation,
            )

        def links(composed: Composed) -> RegistryUpdate:
            return RegistryUpdate(
                prompts=tuple({one.wish.prompt.id: one.wish.prompt for one in outcomes}.values()),
                tasks=tasks,
                placed=composed.placed,
                removed=composed.removed,
                claims=composed.claims,
            )

        loaded = self.store.load(self.message_id)
        if loaded is None:
            nothing = Composed(
                text="",
                unplaced=tuple(
                    Unplaced(placement=one.placement, reason=UNWRITTEN[Unwritten.GONE])
                    for one in outcomes
                    if one.placement is not None
                ),
            )
            self.log_event("write_skipped", reason="gone")
            return illustrated(self.message_id, totals, tasks, nothing, None, gone=True)
        text, version = loaded
        draft = Draft(compose_on, links)
        return self.carry_out(draft, totals, tasks, call, stored=text, version=version)

    def carry_out(
        self,
        draft: Draft,
        totals: TotalsSealed,
        tasks: tuple[Task, ...],
        call: Call,
        *,
        stored: str | None,
        version: Version | None,
    ) -> Illustrated:
        """Write, say so, and give the result. Runs on a worker's thread."""
        written = write_text(
            self.store,
            self.message_id,
            draft,
            stored=stored,
            version=version,
            log_event=self.log_event,
            given_up=call.is_set,
        )
        composed = written.composed
        if written.version is None:
            self.log_event("write_skipped", reason="gone" if written.gone else "unchanged")
        else:
            self.log_event(
                "text_written",
                version=written.version,
                placed=[one.task_id for one in composed.placed],
                unplaced={one.placement.task_id: one.reason for one in composed.unplaced},
                removed=list(composed.removed),
            )
        return illustrated(
            self.message_id,
            totals,
            tasks,
            composed,
            written.version,
            stored=written.stored,
            gone=written.gone,
        )

    def returned(self, returned: CallReturned) -> None:
        """Tell the session how the write ended."""
        if self.stage is not Stage.WRITING:
            return
        self.stage = Stage.OVER
        if self.overdue is not None:
            self.overdue.cancel()
        result = returned.value
        self.end_turn(written=returned.error is None and result.written)
        if returned.error is not None:
            self.session.tell(WriteFailed(error=returned.error))
        elif result.written:
            self.session.tell(TextWritten(result=result))
        else:
            is_gone = result.unwritten is Unwritten.GONE
            reason: Literal["gone", "unchanged"] = "gone" if is_gone else "unchanged"
            self.session.tell(WriteSkipped(reason=reason, result=result))

    def write_overdue(self) -> None:
        """Wait no longer for a store that does not come back."""
        if self.stage is Stage.WRITING and self.under_way is not None and self.under_way.abandon():
            self.stage = Stage.OVER
            self.end_turn(written=False)
            seconds = self.settings.store_timeout
            error = StoreFailed(
                f"the store has not come back from the write of message {self.message_id!r} "
                f"in {seconds:g} s; the text may still be written"
            )
            self.session.tell(WriteFailed(error=error))

    def cancel(self) -> None:
        """Write nothing, unless it is too late for that."""
        if self.stage in UNBEGUN:
            self.skip(WriteSkipped(reason="cancelled"))

    def give_up(self) -> None:
        """Write nothing, since the deadline has passed."""
        if self.stage is Stage.GATHERING:
            self.skip(WriteSkipped(reason="timed_out", awaited=self.tally.awaited))

    def skip(self, skipped: WriteSkipped) -> None:
        """End without a write."""
        if self.stage is not Stage.GATHERING:
            self.end_turn(written=False)
        self.stage = Stage.OVER
        self.log_event("write_skipped", reason=skipped.reason, awaited=list(skipped.awaited))
        self.session.tell(skipped)
