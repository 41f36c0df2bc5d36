"""What all of Limner's actors share."""

from __future__ import annotations

from types import TracebackType
from typing import Any, ClassVar

from limner.actors.event_log import EventLog
from limner.actors.system import PooledActor
from limner.messages.errors import describe


class LimnerActor(PooledActor):
    """An actor whose failure is its own, is told to the event log, and ends those it started.

    Args:
        log: where it says what happened.
        session_id: whose events they are, if a session's.
        message_id: of which message.
    """

    linked: ClassVar[bool] = True
    contains: ClassVar[bool] = True
    role: ClassVar[str]

    def __init__(self, log: EventLog, *, session_id: str = "", message_id: str = "") -> None:
        super().__init__()
        self.log = log
        self.session_id = session_id
        self.message_id = message_id

    def log_event(self, event: str, **fields: Any) -> None:
        """Tell the event log what happened; may be called on a worker's thread too."""
        if self.log.on:
            if self.session_id:
                fields["session_id"] = self.session_id
                fields["message_id"] = self.message_id
            self.log.tell(self.role, event, **fields)

    def take_unheard(self, *kinds: type[Any]) -> list[Any]:
        """Take messages of some kinds out of the mailbox that this actor will not hear any more."""
        taken, others = [], []
        while not self.actor_inbox.empty():
            envelope = self.actor_inbox.get()
            if isinstance(envelope.message, kinds):
                taken.append(envelope.message)
            else:
                others.append(envelope)
        for envelope in others:
            self.actor_inbox.put(envelope)
        return taken

    def _handle_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.log_event("actor_failed", failed=type(self).__name__, reason=describe(exception_value))
        super()._handle_failure(exception_type, exception_value, traceback)
