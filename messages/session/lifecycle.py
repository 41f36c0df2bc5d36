"""Opening, cancelling and closing: studio → root → session."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from pydantic import Field, SkipValidation

from limner.messages.base import Message
from limner.messages.picture_requests import PictureRequest
from limner.messages.pictures import Illustrated
from limner.messages.text.mark_editor import MarkEditor


class Opening(Message):
    """Of a session, of either kind."""

    session_id: str
    message_id: str
    owner: str | None
    priority: int = Field(ge=0, le=9)


class OpenStream(Opening):
    """studio → root: start a session for this stream, once the message has no other."""

    stream: SkipValidation[Any] = Field(repr=False)
    """The host's end, which the monitor takes text from and the root gives the outcome to."""


Resolver = Callable[[MarkEditor], Sequence[PictureRequest]]
"""Gives what is wished for of a stored text, or raises what is wrong with it."""


class Regenerate(Opening):
    """studio → root → session: one wish, or several, that gather with others of the message.

    Args:
        session_id: its name, and that of the session if it is the first of one.
        wishes: what it is, once text and registry are known; must leave the page as it is.
        future: of what the session gives.
    """

    wishes: SkipValidation[Resolver] = Field(repr=False)
    future: SkipValidation[Any] = Field(repr=False)


class ApplyNow(Message):
    """studio → root → session: gather no longer, and write.

    Args:
        name: its own.
        message_id: whose regenerations.
        waits: whether for what is open; else that is let go of.
        future: of what the session gives; of `None` if nothing gathers.
    """

    name: str
    message_id: str
    waits: bool = True
    future: SkipValidation[Any] = Field(repr=False)


class WithdrawSession(Message):
    """root → regeneration session: write nothing, for this reason.

    Args:
        reason: why.
        sealed_too: whether it goes also if it has sealed, but not begun to write.
    """

    reason: str
    sealed_too: bool = False


class SettleDue(Message):
    """session's timer → session: nothing new was asked for a while.

    Args:
        waits: which of its waits is over; of an earlier one it tells nothing.
    """

    waits: int


class CancelSession(Message):
    """stream → root → session: write nothing, let go of everything."""

    session_id: str
    stream: SkipValidation[Any] = Field(repr=False)


class ReportProgress(Message):
    """studio → root, session, processor: asked by the edge.

    The reply is whom to ask next; of the processor, how many tasks are in each state.
    """

    message_id: str = ""


class DeadlinePassed(Message):
    """session's timer → session → writer: the session's time is over.

    Args:
        waits: which of a session's waits is over; of an earlier one it tells nothing.
    """

    waits: int = 0


class LoadOverdue(Message):
    """session's timer → session: the store does not come back."""


SessionOutcome = Literal["written", "skipped", "cancelled", "timed_out", "failed"]


class SessionEnded(Message):
    """session → root: how it ended; the last that is heard of it.

    Args:
        session_id: which one.
        outcome: how.
        result: for its future.
        error: in place of a result.
        heard: names of the wishes that came before its seal; those after are of the next one.
    """

    session_id: str
    outcome: SessionOutcome
    result: Illustrated | None = None
    error: BaseException | None = None
    heard: frozenset[str] = frozenset()
