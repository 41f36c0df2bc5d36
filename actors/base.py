"""What all of Limner's actors share."""

from __future__ import annotations

from types import TracebackType
from typing import Any, ClassVar

from limner.actors.event_log import EventLog
from limner.actors.system import PooledActor
from limner.messages.errors import describe
from limner.messages.session.lifecycle import Opening


class LimnerActor(PooledActor):
    """An actor whose failure is its own, is told to the event log, and ends those it started.

    Args:
        log: where it logs what happened.
    """

    linked: ClassVar[bool] = True
    contains: ClassVar[bool] = True
    role: ClassVar[str]

    def __init__(self, log: EventLog) -> None:
        super().__init__()
        self.log = log

    def log_event(self, event: str, **fields: Any) -> None:
        """Tell the event log what happened; may be called on a worker's thread too."""
        if self.log.on:
            self.log.tell(self.role, event, **fields)

    def take_unheard(self, *kinds: type[Any]) -> list[Any]:
        """Return messages of some kinds that this actor will not hear any more, removed."""
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


class MessageActor(LimnerActor):
    """An actor of one message's session, whose events have the names of both.

    Args:
        log: where it logs what happened.
        opening: what the session was opened for.
    """

    def __init__(self, log: EventLog, opening: Opening) -> None:
        super().__init__(log)
        self.session_id = opening.session_id
        self.message_id = opening.message_id

    def log_event(self, event: str, **fields: Any) -> None:
        """Tell the event log what happened; may be called on a worker's thread too."""
        if self.log.on:
            fields["session_id"] = self.session_id
            fields["message_id"] = self.message_id
            self.log.tell(self.role, event, **fields)
