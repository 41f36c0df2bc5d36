"""Prompts: monitor, session → processor; its timers; outcomes: processor → writer."""

from typing import Any

from pydantic import Field, SkipValidation

from limner.messages.base import Message
from limner.messages.tasks import Task, TaskEnd


class PromptDetected(Message):
    """A tag has closed in the text: make its picture.

    Args:
        task: what to make.
        outcomes: where its outcome is told to hosts.
    """

    task: Task
    outcomes: SkipValidation[tuple[Any, ...]] = Field(default=(), repr=False)


class PictureAwaited(Message):
    """session → processor: another call awaits the picture of a task that there is already.

    Args:
        task_id: of which task.
        outcomes: where its outcome is told, too.
    """

    task_id: str
    outcomes: SkipValidation[Any] = Field(repr=False)


class PromptWithdrawn(Message):
    """The host's text no longer holds it."""

    task_id: str


class CancelTasks(Message):
    """monitor, session, itself → processor: settle what is open as cancelled, for this reason."""

    reason: str
    end: TaskEnd | None = None
    task_id: str | None = None
    """The only task that is meant; all if `None`."""


class WindDown(Message):
    """session → processor: cancel what is open, and end when the last call is back."""


class CallTimedOut(Message):
    """processor's timer → processor: a call of the generator takes too long."""

    task_id: str
    attempt: int


class GraceEnded(Message):
    """processor's timer → processor: a call that was cancelled is still not back."""

    task_id: str
    attempt: int


class RetryDue(Message):
    """processor's timer → processor: ask for a slot again."""

    task_id: str


class StudioCloses(Message):
    """sequencer → session → processor: wait for the store no longer than the grace."""


class KeepDue(Message):
    """processor's timer → processor: try again to keep a picture that is held."""

    task_id: str
    tries: int


class KeepOverdue(Message):
    """processor's timer → processor: the store takes too long to keep a picture."""

    task_id: str
    tries: int


class TaskSettled(Message):
    """processor → writer: a task is in a final state."""

    task: Task
