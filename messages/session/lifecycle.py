"""The life of a session, from its opening to its end: edge → sequencer ↔ session."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from pydantic import Field, SkipValidation

from limner.messages.base import Message
from limner.messages.picture_requests import PictureRequest
from limner.messages.pictures import Illustrated
from limner.messages.settings import Settings
from limner.messages.text.mark_editor import MarkEditor


class Opening(Message):
    """Of a session, of either kind."""

    session_id: str
    message_id: str
    owner: str | None
    priority: int = Field(ge=0, le=9)
    settings: SkipValidation[Settings | None] = Field(default=None, repr=False)
    """Those in force as it was asked for, which it keeps; `None`: as it begins."""


class OpenStream(Opening):
    """studio → sequencer: start a session for this stream, once the message has no other."""

    stream: SkipValidation[Any] = Field(repr=False)
    """The host's end, which the monitor takes text from and whose future gets the outcome."""


Resolver = Callable[[MarkEditor], Sequence[PictureRequest]]
"""Returns what is requested for a stored text, or raises what is wrong with it."""


class Regenerate(Opening):
    """studio → sequencer → session: requests for pictures, gathered with others of the message.

    Args:
        session_id: its name, and that of the session if it is the first of one.
        resolve: returns the requests, once text and registry are known; must leave the text's
            editor as it is.
        future: of what the session gives.
        outcomes: where the host is told of what becomes of them; `None` if it does not ask.
        whole: whether they are for the whole text, in which near misses are looked for then.
    """

    resolve: SkipValidation[Resolver] = Field(repr=False)
    future: SkipValidation[Any] = Field(repr=False)
    outcomes: SkipValidation[Any] = Field(default=None, repr=False)
    whole: bool = False


class ApplyNow(Message):
    """studio → sequencer → session: gather no longer, and write.

    Args:
        name: its own.
        message_id: whose regenerations.
        waits: whether to wait for what is open; else it is cancelled.
        future: of what the session gives; of `None` if nothing gathers.
    """

    name: str
    message_id: str
    waits: bool = True
    future: SkipValidation[Any] = Field(repr=False)


class WithdrawSession(Message):
    """sequencer → regeneration session: write nothing, for this reason.

    Args:
        reason: why.
        sealed_too: whether also if it has sealed, but not begun to write.
    """

    reason: str
    sealed_too: bool = False


class SettleDue(Message):
    """session's timer → session: nothing new was requested for a while.

    Args:
        wait_number: which of its waits is over; one that is over already is ignored.
    """

    wait_number: int


class CancelSession(Message):
    """stream → sequencer → session: write nothing, cancel everything."""

    message_id: str
    session_id: str


class ReportProgress(Message):
    """studio → sequencer, session, processor: asked by the edge.

    The reply is whom to ask next, or a `Progress` if the message's session has ended; of the
    processor, how many tasks are in each state.
    """

    message_id: str = ""


class DeadlinePassed(Message):
    """session's timer → session → writer: the session's time is over.

    Args:
        wait_number: which of a session's waits is over; one that is over already is ignored.
    """

    wait_number: int = 0


class LoadOverdue(Message):
    """session's timer → session: the store does not come back."""


SessionOutcome = Literal["written", "skipped", "cancelled", "timed_out", "failed"]


class SessionEnded(Message):
    """session → sequencer: it has written, or will not. Its actors may live on for a while.

    Args:
        session_id: which one.
        message_id: whose.
        outcome: how it ended.
        result: for its future.
        error: in place of a result.
        heard: names of the requests that it took; the others are of the next one. `None` if its
            actor ended without reporting: then it has an answer for all.
    """

    session_id: str
    message_id: str
    outcome: SessionOutcome
    result: Illustrated | None = None
    error: BaseException | None = None
    heard: frozenset[str] | None = frozenset()
