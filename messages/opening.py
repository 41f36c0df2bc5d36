"""Opening, cancelling and closing: studio → root → session."""

from typing import Any

from pydantic import Field, SkipValidation

from limner.messages.base import Message

PRIORITIES = {"active": 3, "background": 7}
"""The names of priorities; 0 is granted first, 9 last."""


class OpenStream(Message):
    """studio → root: start a session for this stream, once the message has no other."""

    session_id: str
    message_id: str
    owner: str | None
    priority: int = Field(ge=0, le=9)
    stream: SkipValidation[Any] = Field(repr=False)
    """The host's end, which the monitor takes text from and the root gives the outcome to."""


class CancelSession(Message):
    """stream → root → session: write nothing, let go of everything."""

    session_id: str
    stream: SkipValidation[Any] = Field(repr=False)


class CloseStudio(Message):
    """studio → root: take nothing new, wait for all sessions, then end."""


class ReportStatus(Message):
    """studio → root, limiter: asked by the edge; the reply is a value of `status`."""


class ReportProgress(Message):
    """studio → processor: asked by the edge; the reply counts tasks by state."""
