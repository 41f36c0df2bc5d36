"""An edit: one change of a stored text, in its turn.

Hears `CallReturned` from the workers; tells the sequencer `EditEnded`, once, as its last word.
Started by the sequencer when the edit's turn has come; ends by itself. If it fails, the edit
fails, and nothing else does.
"""

from __future__ import annotations

from typing import Any

from limner.actors.base import LimnerActor
from limner.actors.context import StudioContext
from limner.actors.stores.compare_and_set import write_draft
from limner.actors.stores.protocol import can_forget
from limner.actors.system import Call, CallReturned, Gate, PooledRef, Timer
from limner.messages.errors import StoreFailed, describe
from limner.messages.pictures import Illustrated
from limner.messages.status import Forgotten
from limner.messages.writes.draft import edit_draft
from limner.messages.writes.protocol import (
    EditBegun,
    EditEnded,
    EditOverdue,
    EditText,
    ForgetMessage,
)


class EditActor(LimnerActor):
    """Makes one change of a stored text."""

    role = "editor"

    def __init__(
        self, context: StudioContext, edit: EditText, *, sequencer: PooledRef[Any]
    ) -> None:
        super().__init__(context.log)
        self.context = context
        self.edit = edit
        self.sequencer = sequencer
        self.overdue: Timer | None = None
        self.gate: Gate | None = None

    def on_start(self) -> None:
        """Make the change, on a worker's thread: what a host gave may block, too."""
        edit = self.edit
        is_hosts = edit.kind == "edit"
        if isinstance(edit, ForgetMessage):
            self.gate = self.context.maker.gates.close(edit.message_id)
        self.write = self.call(
            self.context.host_function_pool if is_hosts else self.context.edit_pool,
            self.change,
            begun=lambda _: self.actor_ref.deliver(EditBegun()),
            late=self.landed_late,
        )

    def on_stop(self) -> None:
        """Stop the timer."""
        if self.overdue is not None:
            self.overdue.cancel()

    def on_failure(self, *_: object) -> None:
        """Stop the timer."""
        self.on_stop()

    def on_receive(self, message: object) -> Any:
        """Handle one message."""
        match message:
            case EditBegun():
                seconds = self.context.settings.store_timeout
                self.overdue = self.system.clock.after(seconds, self.actor_ref, EditOverdue())
            case CallReturned():
                self.returned(message)
            case EditOverdue():
                self.give_up()
            case _:
                return super().on_receive(message)
        return None

    def change(self, call: Call) -> Illustrated | Forgotten:
        """Load the text, change it, write it; or forget. Runs on a worker's thread."""
        if isinstance(self.edit, ForgetMessage):
            return self.forget(self.edit.message_id, call)
        draft = edit_draft(self.edit)
        written = write_draft(
            self.context.store, draft, log_event=self.log_event, given_up=call.is_set
        )
        return draft.result(written)

    def forget(self, message_id: str, call: Call) -> Forgotten:
        """Forget a message, once no picture of it is being kept any more."""
        assert self.gate is not None
        self.gate.wait_until_empty()
        if call.is_set():
            raise StoreFailed("a picture was being kept for too long")
        store = self.context.store
        assert can_forget(store)  # the studio refuses the call otherwise
        return store.forget(message_id)

    def returned(self, returned: CallReturned) -> None:
        """Log how the edit has ended, and end."""
        if returned.error is not None:
            self.fail(returned.error)
            return
        result: Illustrated | Forgotten = returned.value
        if isinstance(result, Forgotten):
            self.log_forgotten(result)
            self.end(EditEnded.trusted(**self.whose(), result=result, error=None))
            return
        event = "text_edited" if result.written else "edit_unneeded"
        self.log_event(event, **names_of(self.edit), **outcome_of(result))
        self.end(EditEnded.trusted(**self.whose(), result=result, error=None))

    def give_up(self) -> None:
        """Wait no longer for a change that does not come back."""
        if self.write.abandon():
            seconds = self.context.settings.store_timeout
            self.fail(
                StoreFailed(
                    f"the {self.edit.kind} of message {self.edit.message_id!r} has not come back "
                    f"in {seconds:g} s; the text may still be written"
                )
            )

    def fail(self, error: BaseException) -> None:
        """Log that the edit has failed, and end."""
        self.log_event("edit_failed", **names_of(self.edit), reason=describe(error))
        self.end(EditEnded.trusted(**self.whose(), result=None, error=error))

    def end(self, ended: EditEnded) -> None:
        """Tell the sequencer how the edit has ended."""
        self.sequencer.tell(ended)
        self.stop()

    def log_forgotten(self, forgotten: Forgotten) -> None:
        """Log what was forgotten. Runs on the call's thread too."""
        self.log_event(
            "message_forgotten",
            message_id=forgotten.message_id,
            prompts=forgotten.prompts,
            pictures=list(forgotten.pictures),
        )

    def landed_late(self, _: Call, result: Illustrated | Forgotten) -> None:
        """Log a change that was written though it was given up. Runs on the call's thread."""
        if isinstance(result, Forgotten):
            self.log_forgotten(result)
        elif result.written:
            self.log_event("text_edited", **names_of(self.edit), **outcome_of(result), late=True)

    def whose(self) -> dict[str, str]:
        """Return the names that an `EditEnded` has."""
        return {"edit_id": self.edit.edit_id, "message_id": self.edit.message_id}


def names_of(edit: EditText) -> dict[str, Any]:
    """Return the fields that every event of an edit has."""
    return {"edit_id": edit.edit_id, "kind": edit.kind, "message_id": edit.message_id}


def outcome_of(result: Illustrated) -> dict[str, Any]:
    """Return what an event tells of an edit: the version, and the pictures by their ids."""
    return {
        **({"version": result.version} if result.written else {}),
        "placed": [placement.id for placement in result.pictures],
        "removed": list(result.removed),
        "unplaced": {lost.placement.id: lost.reason for lost in result.unplaced},
    }
