"""The editor: each message's one queue of writes, and the changes that hosts make themselves.

Hears `EditText`, `HoldWrites`, `ReleaseWrites`, `ClearWrites` and `ReportPending` from the edge by
way of the root, `ReserveTurn` and `SessionGone` from the root, `AskTurn` and `TurnOver` from
sessions' writers, whom it tells `TurnGiven`, and `AwaitEdits` from sessions that regenerate, whom
it tells `EditsOver`. Started by the root, once a studio; ends by itself after `EndWhenIdle`. If it
fails, the studio closes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from limner.actors.base import LimnerActor
from limner.actors.event_log import EventLog
from limner.actors.picture_maker import Production
from limner.actors.stores.protocol import Store
from limner.actors.system import Call, CallReturned, Timer
from limner.actors.writes.compare_and_set import change_text
from limner.messages.base import Address
from limner.messages.errors import SessionCancelled, StoreFailed, describe
from limner.messages.limiter.protocol import SessionGone
from limner.messages.pictures import Illustrated
from limner.messages.registry import Version
from limner.messages.settings import Settings
from limner.messages.text.reconcile import reconcile
from limner.messages.writes.message_queue import Turns
from limner.messages.writes.protocol import (
    AskTurn,
    AwaitEdits,
    ClearWrites,
    EditBegun,
    EditOverdue,
    EditsOver,
    EditText,
    EndWhenIdle,
    HoldNothing,
    HoldWrites,
    Pending,
    ReconcileDue,
    ReleaseWrites,
    ReportPending,
    ReserveTurn,
    TurnGiven,
    TurnOver,
)


@dataclass(slots=True)
class Queue:
    """What is written of one message, in turn.

    Args:
        turns: whose turn it is.
        written: the version that an edit wrote since a session reserved its turn.
        edit: what is under way, if it is an edit.
        call: of the store, for that.
        overdue: the timer of the call.
        reconciling: the timer of the next reconciling that comes by itself.
        written_again: when a text was last written while that timer ran, in µs.
        holds: futures of who waits for the queue to be still.
        readers: sessions that read the text once changes are over, and the names of these.
    """

    turns: Turns = field(default_factory=Turns)
    written: Version | None = None
    edit: EditText | None = None
    call: Call | None = None
    overdue: Timer | None = None
    reconciling: Timer | None = None
    written_again: int | None = None
    holds: list[Any] = field(default_factory=list)
    readers: list[tuple[set[str], Address]] = field(default_factory=list)

    def over(self, edit_id: str) -> None:
        """Let those read who waited for this change alone."""
        for changes, _ in self.readers:
            changes.discard(edit_id)
        self.let_read(lambda changes: not changes)

    def let_read(self, which: Callable[[set[str]], bool]) -> None:
        """Tell sessions that they wait no longer for changes."""
        for changes, reader in self.readers:
            if which(changes):
                reader.tell(EditsOver())
        self.readers = [one for one in self.readers if not which(one[0])]


class EditorActor(LimnerActor):
    """Sees to it that no two writes of one message interleave."""

    role = "editor"

    def __init__(self, log: EventLog, settings: Settings, production: Production) -> None:
        super().__init__(log)
        self.settings = settings
        self.store: Store = production.store
        self.pool = production.edit_pool
        self.change_pool = production.change_pool
        self.queues: dict[str, Queue] = {}
        self.message_of: dict[str, str] = {}
        self.withdrawn: set[str] = set()
        self.closing = False
        self.ending = False

    def on_receive(self, message: object) -> Any:
        """Let one after the other write."""
        match message:
            case ReserveTurn():
                self.reserve(message)
            case AskTurn():
                self.ask(message.message_id, message.session_id, message)
            case TurnOver():
                self.turn_over(message)
            case SessionGone():
                self.session_gone(message.session_id)
            case EditText():
                self.ask(message.message_id, message.edit_id, message)
            case AwaitEdits():
                self.await_edits(message)
            case CallReturned():
                self.returned(message)
            case EditBegun():
                self.begun(message)
            case EditOverdue():
                self.overdue(message)
            case ReconcileDue():
                self.reconcile(message.message_id)
            case HoldWrites():
                self.hold(message)
            case ReleaseWrites():
                self.release(message.message_id)
            case ClearWrites():
                self.clear(message)
            case ReportPending():
                self.report(message)
            case HoldNothing():
                self.hold_nothing()
            case EndWhenIdle():
                self.ending = True
            case _:
                return super().on_receive(message)
        if self.ending and not self.queues:
            self.stop()
        return None

    def queue_of(self, message_id: str) -> Queue:
        """Give the queue of a message, made anew if it has none."""
        queue = self.queues.get(message_id)
        if queue is None:
            queue = self.queues[message_id] = Queue()
        return queue

    def reserve(self, message: ReserveTurn) -> None:
        """Keep a place for a session that will write in the end."""
        queue = self.queue_of(message.message_id)
        queue.written = None
        queue.turns.reserve(message.session_id)
        self.message_of[message.session_id] = message.message_id

    def ask(self, message_id: str, name: str, wanted: AskTurn | EditText) -> None:
        """Put a wish to write into its place."""
        if isinstance(wanted, AskTurn):
            if name in self.withdrawn:
                return
            self.message_of[name] = message_id
        self.queue_of(message_id).turns.ask(name, wanted)
        self.go_on(message_id)

    def go_on(self, message_id: str) -> None:
        """Let the next one write, if it may; forget a queue in which nothing is."""
        queue = self.queues.get(message_id)
        if queue is None:
            return
        if queue.turns.under_way is None:
            for future in queue.holds:
                future.set_if_pending(None)
            queue.holds.clear()
        turn = queue.turns.next()
        if turn is not None:
            _, wanted = turn
            if isinstance(wanted, EditText):
                self.begin(queue, wanted)
            else:
                wanted.reply_to.tell(TurnGiven.trusted(written=queue.written))
        elif queue.turns.idle and queue.reconciling is None:
            del self.queues[message_id]

    def turn_over(self, message: TurnOver) -> None:
        """Let the next one write, after a session."""
        queue = self.queues.get(message.message_id)
        if queue is None or message.session_id not in self.message_of:
            return
        del self.message_of[message.session_id]
        queue.turns.over(message.session_id)
        if message.written:
            self.reconcile_later(message.message_id, queue)
        self.go_on(message.message_id)

    def await_edits(self, message: AwaitEdits) -> None:
        """Let a session read the text after the changes that were asked for before.

        It reads at once if the queue is held, as pictures go on being made then.
        """
        queue = self.queues.get(message.message_id) or Queue()
        changes = {one.edit_id for one in queue.turns.waiting if isinstance(one, EditText)}
        if queue.edit is not None:
            changes.add(queue.edit.edit_id)
        queue.readers.append((changes, message.reply_to))
        queue.let_read(lambda changes: queue.turns.held or not changes)

    def session_gone(self, session_id: str) -> None:
        """Take back the turn of a session that has ended, however it did."""
        self.withdrawn.discard(session_id)
        message_id = self.message_of.pop(session_id, None)
        if message_id is not None:
            self.queue_of(message_id).turns.over(session_id)
            self.go_on(message_id)

    def begin(self, queue: Queue, edit: EditText) -> None:
        """Make a change, on a worker's thread: what a host gave may block, too."""
        names = {"edit_id": edit.edit_id, "message_id": edit.message_id}
        queue.edit = edit
        queue.call = self.call(
            self.change_pool if edit.kind == "edit" else self.pool,
            lambda call: change_text(
                self.store, edit, log_event=self.log_event, given_up=call.is_set
            ),
            begun=lambda _: self.actor_ref.deliver(EditBegun(**names)),
            tag=edit,
            late=self.landed_late,
        )

    def begun(self, message: EditBegun) -> None:
        """Let its time run, now that a thread is free for it."""
        queue = self.queues.get(message.message_id)
        if queue is not None and queue.edit is not None and queue.edit.edit_id == message.edit_id:
            queue.overdue = self.system.clock.after(
                self.settings.store_timeout,
                self.actor_ref,
                EditOverdue(edit_id=message.edit_id, message_id=message.message_id),
            )

    def landed_late(self, call: Call, result: Illustrated) -> None:
        """Tell of a change that was written though it was given up. Runs on the call's thread."""
        if result.written:
            self.log_event("text_edited", **said_of(call.tag), **outcome_of(result), late=True)

    def returned(self, returned: CallReturned) -> None:
        """Say how an edit has ended, and let the next one write."""
        edit: EditText = returned.call.tag
        result, error = returned.value, returned.error
        queue = self.queues.get(edit.message_id)
        if queue is None or queue.edit is not edit:
            return
        if error is not None:
            self.ended(queue, error=error)
            return
        if result.written:
            queue.written = result.version
            if edit.kind != "reconcile":  # else two programs that differ would never rest
                self.reconcile_later(edit.message_id, queue)
        self.ended(queue, result=result)

    def ended(
        self, queue: Queue, *, result: Illustrated | None = None, error: BaseException | None = None
    ) -> None:
        """Give the outcome of an edit to who waits for it, and let the next one write."""
        edit = queue.edit
        assert edit is not None
        if queue.overdue is not None:
            queue.overdue.cancel()
        queue.edit = queue.call = queue.overdue = None
        queue.turns.over(edit.edit_id)
        queue.over(edit.edit_id)
        if error is not None:
            self.log_event("edit_failed", **said_of(edit), reason=describe(error))
            edit.future.fail_if_pending(error)
        else:
            assert result is not None
            event = "text_edited" if result.written else "edit_unneeded"
            self.log_event(event, **said_of(edit), **outcome_of(result))
            edit.future.set_if_pending(result)
        self.go_on(edit.message_id)

    def overdue(self, message: EditOverdue) -> None:
        """Wait no longer for a change that does not come back."""
        queue = self.queues.get(message.message_id)
        if queue is None or queue.edit is None or queue.edit.edit_id != message.edit_id:
            return
        if queue.call is not None and queue.call.abandon():
            seconds = self.settings.store_timeout
            self.ended(
                queue,
                error=StoreFailed(
                    f"the {queue.edit.kind} of message {message.message_id!r} has not come back "
                    f"in {seconds:g} s; the text may still be written"
                ),
            )

    def reconcile_later(self, message_id: str, queue: Queue) -> None:
        """Let a text be reconciled a while after it was written, if that is set.

        A timer that runs is left to run, or a text that is written often would never be.
        """
        if self.settings.reconcile_after is None or self.closing:
            return
        if queue.reconciling is not None:
            queue.written_again = self.system.clock.now
            return
        since, queue.written_again = queue.written_again, None
        passed = 0 if since is None else self.system.clock.now - since
        queue.reconciling = self.system.clock.after(
            max(0, self.settings.reconcile_after - passed / 1_000_000),
            self.actor_ref,
            ReconcileDue(message_id=message_id),
        )

    def reconcile(self, message_id: str) -> None:
        """Reconcile a text by itself."""
        queue = self.queues.get(message_id)
        if queue is None or queue.reconciling is None:
            return
        queue.reconciling = None
        if queue.written_again is not None:
            self.reconcile_later(message_id, queue)
        name = self.system.new_id()
        change = partial(reconcile, message_id=message_id, notation=self.settings.notation)
        future = self.system.future(about=f"the reconciling of {message_id!r}")
        edit = EditText(
            edit_id=name, message_id=message_id, kind="reconcile", change=change, future=future
        )
        self.ask(message_id, name, edit)

    def hold(self, message: HoldWrites) -> None:
        """Let nothing more be written; say when nothing is under way."""
        queue = self.queue_of(message.message_id)
        queue.turns.held = not self.closing
        queue.holds.append(message.future)
        queue.let_read(lambda _: queue.turns.held)
        self.log_event("writes_held", message_id=message.message_id)
        self.go_on(message.message_id)

    def release(self, message_id: str) -> None:
        """Let the writes go on."""
        queue = self.queues.get(message_id)
        if queue is not None and queue.turns.held:
            queue.turns.held = False
            self.log_event("writes_released", message_id=message_id)
            self.go_on(message_id)

    def clear(self, message: ClearWrites) -> None:
        """Forget the changes that wait, and a session's write that has not begun.

        Its writer is told so by way of the session, and may ask for its turn before it hears that.
        """
        queue = self.queue_of(message.message_id)
        if message.withdrawn is not None and message.withdrawn != queue.turns.under_way:
            self.withdrawn.add(message.withdrawn)
            queue.turns.over(message.withdrawn)
        taken = (
            *queue.turns.take(lambda wanted: isinstance(wanted, EditText)),
            *message.edits,
        )
        for edit in taken:
            queue.over(edit.edit_id)
            self.log_event("edit_cleared", **said_of(edit))
            edit.future.fail_if_pending(
                SessionCancelled(f"the {edit.kind} of message {edit.message_id!r} was cleared")
            )
        message.future.set_if_pending(message.cleared + len(taken))
        self.go_on(message.message_id)

    def report(self, message: ReportPending) -> None:
        """Say what waits."""
        queue = self.queues.get(message.message_id) or Queue()
        under_way = queue.turns.under_way
        message.future.set_if_pending(
            Pending(
                message_id=message.message_id,
                held=queue.turns.held,
                writing=None
                if under_way is None
                else "session"
                if queue.edit is None
                else queue.edit.kind,
                waiting=(*map(kind_of, queue.turns.waiting), *message.later),
                gathering=message.gathering,
            )
        )

    def hold_nothing(self) -> None:
        """Let all go on, held or not, and begin nothing that comes by itself."""
        self.closing = True
        for message_id, queue in list(self.queues.items()):
            if queue.reconciling is not None:
                queue.reconciling.cancel()
                queue.reconciling = None
            queue.turns.held = False
            self.go_on(message_id)


def said_of(edit: EditText) -> dict[str, Any]:
    """Give what every event of an edit says."""
    return {"edit_id": edit.edit_id, "kind": edit.kind, "message_id": edit.message_id}


def outcome_of(result: Illustrated) -> dict[str, Any]:
    """Give what an event says of what an edit did to a text and to its pictures, by their ids."""
    return {
        **({"version": result.version} if result.written else {}),
        "placed": [one.id for one in result.pictures],
        "removed": list(result.removed),
        "unplaced": {one.placement.id: one.reason for one in result.unplaced},
    }


def kind_of(wanted: Any) -> str:
    """Say what kind of write waits."""
    return wanted.kind if isinstance(wanted, EditText) else "session"
