"""What a message's queue decides, for its owner to carry out in order."""

from enum import StrEnum
from typing import Any, NamedTuple

from limner.messages.registry import Version
from limner.messages.session.lifecycle import ApplyNow, OpenStream, Regenerate, SessionEnded
from limner.messages.writes.protocol import EditText

Request = Regenerate | ApplyNow


Operation = OpenStream | Regenerate | ApplyNow | EditText


class CancelReason(StrEnum):
    """Why something that was asked for is not done."""

    CLEARED = "they were cleared"
    OVERTAKEN = "a stream of it was opened"
    BY_ITS_STREAM = "it was cancelled"
    BY_CALL = "a call has cancelled it"
    TAKEN_BACK = "it was taken back"
    STUDIO_CLOSED = "the studio is closed"


class BeginSession(NamedTuple):
    """Start the session of a stream, or one that regenerates."""

    opening: OpenStream | Regenerate


class PassOn(NamedTuple):
    """Tell the regeneration session of a request."""

    request: Request


class SealNow(NamedTuple):
    """Tell the regeneration session to gather no longer."""


class WithdrawRegeneration(NamedTuple):
    """Tell the regeneration session to write nothing.

    Args:
        reason: why.
        sealed_too: whether also if it has sealed, but does not write yet.
    """

    reason: CancelReason
    sealed_too: bool = False


class TakeBack(NamedTuple):
    """Tell the regeneration session that one request is not wanted any more.

    Args:
        name: of the request.
        future: of who asks whether it was taken back, if anybody does.
    """

    name: str
    future: Any = None


class Prioritise(NamedTuple):
    """Tell the session its priority from now on."""

    priority: int


class LetRead(NamedTuple):
    """Tell the regeneration session that it may read the text."""


class CancelStream(NamedTuple):
    """Tell the session of a stream to write nothing."""


class GiveTurn(NamedTuple):
    """Tell the session's writer to write.

    Args:
        written: the version that an edit has written since the session began.
    """

    written: Version | None


class BeginEdit(NamedTuple):
    """Start an edit."""

    edit: EditText


class Refuse(NamedTuple):
    """Fail the future of what cannot be done while the message is busy."""

    edit: EditText


class Cancel(NamedTuple):
    """Fail the future of what will not be done."""

    operation: Operation
    reason: CancelReason


class Answer(NamedTuple):
    """Set the future of a request to what its session gives."""

    request: Request
    ended: SessionEnded


class NothingToApply(NamedTuple):
    """Set to `None` the future of an `ApplyNow` that has nothing to apply."""

    request: ApplyNow


class ConfirmHold(NamedTuple):
    """Set the future of a hold: no write is under way."""

    future: Any


Step = (
    BeginSession
    | PassOn
    | SealNow
    | WithdrawRegeneration
    | TakeBack
    | Prioritise
    | LetRead
    | CancelStream
    | GiveTurn
    | BeginEdit
    | Refuse
    | Cancel
    | Answer
    | NothingToApply
    | ConfirmHold
)
