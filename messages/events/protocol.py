"""What happened, as it is sent to the recorder."""

from typing import Any

from pydantic import Field, SkipValidation

from limner.messages.base import Message
from limner.messages.events.filters import EVERYTHING, EventFilter
from limner.messages.events.owners import SessionOwner


class Event(Message):
    """One step of something, for the event log.

    Args:
        t: microseconds of the system's clock.
        actor: role of the sender.
        event: what happened; a name, never a sentence with values in it.
        fields: the values.
    """

    t: int = Field(ge=0)
    actor: str
    session_id: str | None = None
    message_id: str | None = None
    task_id: str | None = None
    event: str
    fields: dict[str, Any] = Field(default_factory=dict)


class Subscribe(Message):
    """studio → recorder: put events into this outlet too.

    Args:
        outlet: where to.
        filter: which events.
        owners: of sessions whose opening may not have been recorded.
    """

    outlet: SkipValidation[Any] = Field(repr=False)
    filter: EventFilter = EVERYTHING
    owners: tuple[SessionOwner, ...] = ()


class Unsubscribe(Message):
    """studio → recorder: put no more events into this outlet."""

    outlet: SkipValidation[Any] = Field(repr=False)
