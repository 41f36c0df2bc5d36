"""What a host asks of sessions and their tasks: edge → sequencer → session → processor."""

from typing import Any, NamedTuple

from pydantic import Field, SkipValidation

from limner.messages.base import Address, Message
from limner.messages.session.lifecycle import Opening
from limner.messages.tasks import Task


class ReportSessions(Message):
    """edge → sequencer: asked; the reply is a tuple of `SessionRecord`.

    Args:
        message_id: whose sessions; of all messages if `None`.
    """

    message_id: str | None = None


class SessionRecord(NamedTuple):
    """What the sequencer knows of a session that has not ended, or has not begun.

    Args:
        opening: what it was opened for.
        session: the session itself; `None` if it has not begun.
        writing: whether it writes its text now.
    """

    opening: Opening
    session: Address | None
    writing: bool


class ReportSession(Message):
    """edge → session: asked; the reply is whether it is sealed, and its processor."""


class ReportTasks(Message):
    """edge → processor: asked; the reply is a tuple of its tasks."""


class ReportTask(Message):
    """edge → sequencer: asked; the reply is a task of a session that has ended, or `None`."""

    task_id: str


class TasksEnded(Message):
    """processor → sequencer: it ends, and these were its tasks."""

    tasks: tuple[Task, ...]


class AwaitSession(Message):
    """edge → sequencer: set the future to what the message's session gives; `None` if none is."""

    message_id: str
    future: SkipValidation[Any] = Field(repr=False)


class CancelMessage(Message):
    """edge → sequencer: cancel all sessions of a message.

    The future is given whether any was cancelled.
    """

    message_id: str
    future: SkipValidation[Any] = Field(repr=False)


class CancelAll(Message):
    """edge → sequencer: cancel the sessions and requests of an owner; of everybody if `None`.

    The future is given how many were cancelled.
    """

    owner: str | None
    future: SkipValidation[Any] = Field(repr=False)


class CancelTask(Message):
    """edge → processor: asked; settle a task as cancelled. The reply is whether it was open."""

    task_id: str
    reason: str


class WithdrawTasks(Message):
    """regeneration session → processor: these pictures are not wanted any more."""

    task_ids: frozenset[str]
    reason: str


class TakeBackRequest(Message):
    """edge → sequencer → regeneration session: a request for pictures is not wanted any more.

    Args:
        message_id: whose pictures.
        name: of the request.
        future: is given `False` where that is too late; else the request's own future tells.
    """

    message_id: str
    name: str
    future: SkipValidation[Any] = Field(default=None, repr=False)


class SetPriority(Message):
    """edge → sequencer → session → monitor, processor: the priority from now on.

    Args:
        message_id: whose session.
        priority: 0 (first) to 9.
    """

    message_id: str
    priority: int = Field(ge=0, le=9)
