"""The write: what it settles, and how it ended."""

from typing import Literal

from pydantic import Field

from limner.messages.base import Message
from limner.messages.pictures import Illustrated, Picture
from limner.messages.registry import Version


class MessageLoaded(Message):
    """session → writer, processor: what the store held as the session opened.

    Args:
        version: of its text; `None` if there was none.
        kept: pictures that are kept but in no text yet, by prompt id.
    """

    version: Version | None
    kept: dict[str, Picture]


class CancelWrite(Message):
    """session → writer: forget it, unless the write is under way."""


class WriteOverdue(Message):
    """writer's timer → writer: the store does not come back."""


class TextWritten(Message):
    """writer → session: the text is in the store."""

    result: Illustrated


class WriteSkipped(Message):
    """writer → session: nothing was written, and nothing will be.

    Args:
        reason: why.
        result: for the session's future, if that is no error.
        awaited: the tasks that were still open at the deadline.
    """

    reason: Literal["cancelled", "empty", "gone", "timed_out", "unchanged"]
    result: Illustrated | None = None
    awaited: tuple[str, ...] = ()


class WriteFailed(Message):
    """writer → session: the store could not write; what was finished is kept.

    Args:
        error: why not.
        text: that was streamed.
    """

    error: BaseException
    text: str | None = Field(default=None, repr=False)
