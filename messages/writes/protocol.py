"""The writes of one message, in their order: edge, sessions and edits ↔ sequencer."""

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field, SkipValidation

from limner.messages.base import Address, Message
from limner.messages.pictures import Illustrated
from limner.messages.registry import Registry, Version
from limner.messages.status import Forgotten
from limner.messages.text.compose import Composed

EditKind = Literal["edit", "remove", "rewrite", "reconcile", "forget"]

Change = Callable[[str | None, Registry], Composed | None]
"""Returns what is to be written in place of a stored text; `None` if that is to stay as it is.
The text is `None` if the store has no such message."""


class RequestTurn(Message):
    """writer → sequencer: the session's write is due."""

    session_id: str
    message_id: str
    reply_to: Address


class TurnGiven(Message):
    """sequencer → writer: nobody else writes this message until the session has ended.

    Args:
        written: the version that an edit has written since the session began, which may have read
            an older one; `None` if none has.
    """

    written: Version | None = None


class EditText(Message):
    """studio → sequencer → edit: change a text in its turn.

    Args:
        edit_id: its name.
        message_id: whose text.
        kind: what kind of change it is.
        change: what is done; runs on a worker's thread.
        future: of an `Illustrated`.
        timeout: seconds that it may wait for its turn; without bound if `None`.
    """

    edit_id: str
    message_id: str
    kind: EditKind
    change: SkipValidation[Change] = Field(repr=False)
    future: SkipValidation[Any] = Field(repr=False)
    timeout: float | None = None


class ForgetMessage(EditText):
    """studio → sequencer → edit: forget what is known of a message, while nothing else is going on.

    The future is given a `Forgotten`.
    """

    kind: EditKind = "forget"
    change: SkipValidation[Change] = Field(default=lambda _text, _registry: None, repr=False)


WaitsFor = Literal["stream", "session", "edit", "hold"]
"""What an edit waits for: a stream that was opened before it and has not ended, another session
that writes, an edit before it, or that the writes are released."""


class EditWaitOver(Message):
    """sequencer's timer → sequencer: an edit that waits has waited as long as it may."""

    message_id: str
    edit_id: str


class EditBegun(Message):
    """worker → edit: a thread was free for the change, and it is under way."""


class EditOverdue(Message):
    """edit's timer → edit: the store, or a host's change, does not come back."""


class EditEnded(Message):
    """edit → sequencer: how it ended; the last that is heard of it.

    Args:
        edit_id: which one.
        message_id: whose text.
        result: for its future.
        error: in place of a result.
    """

    edit_id: str
    message_id: str
    result: Illustrated | Forgotten | None = None
    error: BaseException | None = None


class AwaitEdits(Message):
    """regeneration session → sequencer: tell when the edits asked for before this are over."""

    message_id: str


class EditsOver(Message):
    """sequencer → regeneration session: they are over, or the writes are held."""


class HoldWrites(Message):
    """studio → sequencer: begin no write until `ReleaseWrites`.

    The future is done once none is under way.
    """

    message_id: str
    future: SkipValidation[Any] = Field(repr=False)


class ReleaseWrites(Message):
    """studio → sequencer: begin writes again."""

    message_id: str


class ClearWrites(Message):
    """studio → sequencer: cancel what waits, but for what is streamed.

    The future is given how many edits and requests had no outcome yet.
    """

    message_id: str
    future: SkipValidation[Any] = Field(repr=False)


class ReportPending(Message):
    """studio → sequencer: report what waits. The future is given a `Pending`."""

    message_id: str
    future: SkipValidation[Any] = Field(repr=False)


class PictureLate(Message):
    """processor → sequencer: a picture was kept that its session has not waited for."""

    message_id: str


class ReconcileDue(Message):
    """sequencer's timer → sequencer: a text was written a while ago."""

    message_id: str
