"""The writer: sealed totals and outcomes in, one atomic text write out.

Hears `TotalsSealed` from the monitor, `TaskSettled` from the processor, in any order, and
`MessageLoaded`, `CancelWrite` and `DeadlinePassed` from the session. Tells the session
`TextWritten`, `WriteSkipped` or `WriteFailed`, once. Started and ended by
the session.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from limner.actors.actor import LimnerActor
from limner.actors.stores.protocol import Store
from limner.actors.system import Call, CallReturned, PooledRef, Timer
from limner.actors.trail import EventLog
from limner.messages.composition import Composed, compose
from limner.messages.errors import StoreFailed, VersionConflict
from limner.messages.opening import OpenStream
from limner.messages.pictures import Failure, Illustrated, Placement, Prompt, Unplaced
from limner.messages.prompts import TaskSettled
from limner.messages.settings import Settings
from limner.messages.tally import Tally
from limner.messages.tasks import Task, TaskState
from limner.messages.totals import TotalsSealed
from limner.messages.writing import (
    CancelWrite,
    DeadlinePassed,
    Links,
    MessageLoaded,
    TextWritten,
    Version,
    WriteFailed,
    WriteOverdue,
    WriteSkipped,
)

CONFLICTS = 8
"""How often a write goes back to a text that changed under it."""


class Stage(Enum):
    """How far the one write is."""

    GATHERING = 0
    WRITING = 1
    OVER = 2


class WriterActor(LimnerActor):
    """Writes the text of one message, once."""

    role = "writer"

    def __init__(
        self,
        log: EventLog,
        opening: OpenStream,
        settings: Settings,
        store: Store,
        lane: str | None,
        *,
        session: PooledRef[Any],
    ) -> None:
        super().__init__(log, session_id=opening.session_id, message_id=opening.message_id)
        self.settings = settings
        self.store = store
        self.lane = lane
        self.session = session
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
            case CallReturned():
                self.returned(message)
            case WriteOverdue():
                self.write_overdue()
            case _:
                return super().on_receive(message)
        if self.stage is Stage.GATHERING and self.tally.complete and self.loaded:
            self.write(self.version)
        return None

    def write(self, version: Version | None) -> None:
        """Begin the one write, on a worker's thread."""
        totals, tasks = self.totals, tuple(self.tally.settled.values())
        assert totals is not None
        if totals.reason != "complete" and not totals.text and version is not None:
            self.skip(
                WriteSkipped(
                    reason="empty",
                    result=Illustrated(
                        message_id=self.message_id,
                        text="",
                        version=None,
                        written=False,
                        reason="it ended before any text had come; the text it had is left",
                    ),
                )
            )
            return
        self.stage = Stage.WRITING
        self.under_way = self.call(self.lane, lambda _: self.perform(totals, tasks, version))
        if not self.under_way.over:
            self.overdue = self.system.clock.after(
                self.settings.store_timeout, self.actor_ref, WriteOverdue()
            )

    def perform(
        self, totals: TotalsSealed, tasks: tuple[Task, ...], version: Version | None
    ) -> Illustrated:
        """Compose and write; on a conflict, load and do it again. Runs on a worker's thread.

        Raises:
            VersionConflict: if the text changes faster than it can be written.
        """
        placements = tuple(placement_of(task) for task in tasks if task.picture is not None)
        prompts = tuple({task.prompt_id: prompt_of(task) for task in tasks}.values())
        dropped = totals.dropped_patterns
        patterns = tuple(one for one in self.settings.patterns if one not in dropped)
        text = totals.text
        known = version is not None
        for _ in range(CONFLICTS):
            composed = compose(
                text,
                placements,
                message_id=self.message_id,
                patterns=patterns,
                markup=self.settings.markup,
                max_tag=self.settings.max_tag,
                timeout=self.settings.pattern_timeout,
                matches=totals.matches if text is totals.text else None,
            )
            links = Links(prompts=prompts, tasks=tasks, placed=composed.placed)
            try:
                new_version = self.store.write(
                    self.message_id, composed.text, expected_version=version, links=links
                )
            except VersionConflict as conflict:
                self.say("write_conflicted", reason=str(conflict)[:500])
            else:
                if isinstance(new_version, bool) or not isinstance(new_version, int | str):
                    raise StoreFailed(
                        "the store's write gave no version (an int or a str) but "
                        f"{type(new_version).__name__}; the text may be written"
                    )
                self.say(
                    "text_written",
                    version=new_version,
                    placed=[one.task_id for one in composed.placed],
                    unplaced={one.placement.task_id: one.reason for one in composed.unplaced},
                )
                return result(self.message_id, totals, tasks, composed, new_version)
            loaded = self.store.load(self.message_id)
            if loaded is None and known:
                self.say("write_skipped", reason="gone")
                return result(self.message_id, totals, tasks, composed, None)
            stored, found = loaded if loaded is not None else ("", None)
            if found == version and known:
                continue  # it was somebody else's lock, not a change
            # a host that saves while it streams has the beginning of our text; any other text
            # is newer than ours, and is what the pictures go into
            version, known = found, known or found is not None
            text = totals.text if totals.text.startswith(stored) else stored
        raise VersionConflict(
            f"the text of message {self.message_id!r} changed {CONFLICTS} times "
            "while it was written"
        )

    def returned(self, returned: CallReturned) -> None:
        """Tell the session how the write ended."""
        if self.stage is not Stage.WRITING:
            return
        self.stage = Stage.OVER
        if self.overdue is not None:
            self.overdue.cancel()
        if returned.error is not None:
            self.session.tell(WriteFailed(error=returned.error))
        elif returned.value.written:
            self.session.tell(TextWritten(result=returned.value))
        else:
            self.session.tell(WriteSkipped(reason="gone", result=returned.value))

    def write_overdue(self) -> None:
        """Wait no longer for a store that does not come back."""
        if self.stage is Stage.WRITING and self.under_way is not None and self.under_way.abandon():
            self.stage = Stage.OVER
            seconds = self.settings.store_timeout
            error = StoreFailed(
                f"the store has not come back from the write of message {self.message_id!r} "
                f"in {seconds:g} s; the text may still be written"
            )
            self.session.tell(WriteFailed(error=error))

    def cancel(self) -> None:
        """Write nothing, unless it is too late for that."""
        if self.stage is Stage.GATHERING:
            self.skip(WriteSkipped(reason="cancelled"))

    def give_up(self) -> None:
        """Write nothing, since the deadline has passed."""
        if self.stage is Stage.GATHERING:
            self.skip(WriteSkipped(reason="timed_out", awaited=self.tally.awaited))

    def skip(self, skipped: WriteSkipped) -> None:
        """End without a write."""
        self.stage = Stage.OVER
        self.say("write_skipped", reason=skipped.reason, awaited=list(skipped.awaited))
        self.session.tell(skipped)


def prompt_of(task: Task) -> Prompt:
    """Give the prompt that a task is for."""
    return Prompt.trusted(
        id=task.prompt_id,
        message_id=task.message_id,
        text=task.prompt,
        ordinal=task.ordinal,
        parent_id=None,
        source="streamed",
    )


def placement_of(task: Task) -> Placement:
    """Give the placement that a completed task has made."""
    assert task.picture is not None
    return Placement.trusted(
        prompt_id=task.prompt_id, prompt=task.prompt, picture=task.picture, task_id=task.id
    )


def result(
    message_id: str,
    totals: TotalsSealed,
    tasks: tuple[Task, ...],
    composed: Composed,
    version: Version | None,
) -> Illustrated:
    """Give what the session's future gives; without a version nothing was written."""
    placed, unplaced = composed.placed, composed.unplaced
    reason = None
    if version is None:
        reason = "the message is gone from the store; its pictures are kept"
        unplaced += tuple(Unplaced(placement=one, reason=reason) for one in placed)
        placed = ()
    return Illustrated(
        message_id=message_id,
        text=composed.text if version is not None else totals.text,
        version=version,
        pictures=placed,
        unplaced=unplaced,
        failures=tuple(
            Failure(
                task_id=task.id,
                prompt_id=task.prompt_id,
                prompt=task.prompt,
                state="failed" if task.state is TaskState.FAILED else "cancelled",
                reason=task.reason or "",
            )
            for task in tasks
            if task.picture is None and task.reason != "withdrawn"
        ),
        over_limit=totals.over_limit,
        dropped_patterns=totals.dropped_patterns,
        written=version is not None,
        reason=reason,
    )
