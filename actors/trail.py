"""How an actor says what happened."""

from __future__ import annotations

from typing import Any

from limner.actors.system import Clock, PooledRef
from limner.messages.events import Event


class EventLog:
    """The way to the recorder, shared by all who have something to say.

    Args:
        clock: whose time is stamped.
        on: whether anybody reads; while nobody does, nothing is said.
    """

    def __init__(self, clock: Clock, *, on: bool) -> None:
        self.recorder: PooledRef[Any] | None = None  # the root starts it
        self.clock = clock
        self.on = on

    def trail(
        self, actor: str, *, session_id: str | None = None, message_id: str | None = None
    ) -> Trail:
        """Give an actor its voice."""
        return Trail(self, actor, session_id, message_id)


class Trail:
    """The voice of one actor, of one message. May be used from a worker's thread too."""

    __slots__ = ("_actor", "_message_id", "_session_id", "log")

    def __init__(
        self, log: EventLog, actor: str, session_id: str | None, message_id: str | None
    ) -> None:
        self.log = log
        self._actor = actor
        self._session_id = session_id
        self._message_id = message_id

    def __call__(
        self,
        event: str,
        *,
        task_id: str | None = None,
        session_id: str | None = None,
        message_id: str | None = None,
        at: int | None = None,
        **fields: Any,
    ) -> None:
        """Tell the recorder what happened, `at` microseconds of the clock or now."""
        log = self.log
        if log.on and log.recorder is not None:
            log.recorder.deliver(
                Event(
                    t=log.clock.now if at is None else at,
                    actor=self._actor,
                    session_id=session_id or self._session_id,
                    message_id=message_id or self._message_id,
                    task_id=task_id,
                    event=event,
                    fields=fields,
                )
            )
