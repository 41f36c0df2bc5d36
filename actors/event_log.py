"""The way to the recorder, shared by all that send events."""

from __future__ import annotations

from typing import Any

from limner.actors.system import Clock, PooledRef
from limner.messages.events.protocol import Event


class EventLog:
    """Sends events to the recorder.

    Args:
        clock: whose time is stamped.
        on: whether anybody reads; while nobody does, nothing is said.
    """

    def __init__(self, clock: Clock, *, on: bool) -> None:
        self.recorder: PooledRef[Any] | None = None  # the root starts it
        self.clock = clock
        self.on = on

    @property
    def wall(self) -> float:
        """The time of the day, in seconds since 1970."""
        return (self.clock.wall_start + self.clock.now) / 1_000_000

    def put(self, event: Event) -> None:
        """Send an event that is complete. From any thread."""
        if self.on and self.recorder is not None:
            self.recorder.deliver(event)

    def tell(
        self,
        actor: str,
        event: str,
        *,
        task_id: str | None = None,
        session_id: str | None = None,
        message_id: str | None = None,
        at: int | None = None,
        **fields: Any,
    ) -> None:
        """Send an event that happened now, or `at` microseconds of the clock. From any thread."""
        if self.on:
            self.put(
                Event.trusted(
                    t=self.clock.now if at is None else at,
                    actor=actor,
                    session_id=session_id,
                    message_id=message_id,
                    task_id=task_id,
                    event=event,
                    fields=fields,
                )
            )
