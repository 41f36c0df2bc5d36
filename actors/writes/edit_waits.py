"""Edits that wait for their turn: what each waits for is logged, and how long it may is bounded."""

from __future__ import annotations

from typing import Any

from limner.actors.event_log import EventLog
from limner.actors.system import PooledRef, Timer
from limner.actors.writes.editor import EditActor, names_of
from limner.messages.errors import MessageBusy, describe
from limner.messages.writes.message_queue import MessageQueue
from limner.messages.writes.protocol import EditText, EditWaitOver, WaitsFor

WAITS_FOR: dict[WaitsFor, str] = {
    "stream": "a stream of it that is still open; finish, interrupt or cancel that",
    "session": "the pictures of its session; wait for that, or cancel it",
    "edit": "an edit before it; wait for that",
    "hold": "its writes to be released; call studio.release",
}
"""What an edit has waited for, and what to do, for people."""


class EditWaits:
    """The sequencer's part that bounds how long edits wait. Owned by the sequencer.

    Args:
        log: of the studio.
        reply_to: is told `EditWaitOver`.
    """

    def __init__(self, log: EventLog, reply_to: PooledRef[Any]) -> None:
        self._log = log
        self._reply_to = reply_to
        self._timers: dict[str, tuple[EditText, Timer]] = {}  # by the edit's id

    def add(self, queue: MessageQueue, edit: EditText) -> None:
        """Queue an edit; log what it waits for, if it has to."""
        queue.queue_edit(edit)
        waits_for = queue.waits_for(edit.edit_id)
        if waits_for is None:
            return
        self._log.tell(
            EditActor.role,
            "edit_waits",
            **names_of(edit),
            waits_for=waits_for,
            timeout=edit.timeout,
        )
        if edit.timeout is not None:
            due = EditWaitOver(message_id=edit.message_id, edit_id=edit.edit_id)
            timer = self._log.clock.after(edit.timeout, self._reply_to, due)
            self._timers[edit.edit_id] = edit, timer

    def remove(self, edit: EditText) -> None:
        """Stop the timer of an edit that waits no longer."""
        _, timer = self._timers.pop(edit.edit_id, (edit, None))
        if timer is not None:
            timer.cancel()

    def end(self, queue: MessageQueue, edit_id: str) -> None:
        """Fail an edit that has waited as long as it may; name what it has waited for."""
        waits_for = queue.waits_for(edit_id)
        edit, _ = self._timers.pop(edit_id, (None, None))
        if waits_for is None or edit is None:
            return  # it has begun, or was cleared
        queue.give_up_edit(edit_id)
        self._fail(
            edit,
            f"the {edit.kind} of message {edit.message_id!r} has waited {edit.timeout:g} s for "
            f"{WAITS_FOR[waits_for]}",
        )

    def refuse(self, edit: EditText) -> None:
        """Fail what cannot be done while its message is busy."""
        self._fail(
            edit,
            f"message {edit.message_id!r} has a session, or a write that waits or is held; "
            "wait for its end, or cancel it first",
        )

    def _fail(self, edit: EditText, why: str) -> None:
        error = MessageBusy(why)
        self._log.tell(EditActor.role, "edit_failed", **names_of(edit), reason=describe(error))
        edit.future.fail_if_pending(error)

    def stop(self) -> None:
        """Stop all timers."""
        for _, timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
