"""One message's queue of writes: edge → root → editor, and sessions' writers ↔ editor."""

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field, SkipValidation

from limner.messages.base import Address, Message, Value
from limner.messages.registry import Registry, Version
from limner.messages.text.compose import Composed

EditKind = Literal["edit", "remove", "rewrite", "reconcile"]

Change = Callable[[str | None, Registry], Composed | None]
"""Gives what is to be written in place of a stored text; `None` if that is to stay as it is.
The text is `None` if the store has no such message."""


class ReserveTurn(Message):
    """root → editor: a session will write this message; what comes after it waits."""

    session_id: str
    message_id: str


class AskTurn(Message):
    """writer → editor: the session's write is due."""

    session_id: str
    message_id: str
    reply_to: Address


class TurnGiven(Message):
    """editor → writer: nobody else writes this message until `TurnOver`.

    Args:
        written: the version of what was written in a turn before, since this one was reserved:
            the session may have read an older one. `None` if nothing was.
    """

    written: Version | None = None


class TurnOver(Message):
    """writer → editor: the write has ended, or is not wanted any more."""

    session_id: str
    message_id: str
    written: bool


class EditText(Message):
    """studio → root → editor: change a text in its turn.

    Args:
        edit_id: its name.
        kind: what kind of change it is.
        change: what is done; runs on a worker's thread.
        future: of an `Illustrated`.
    """

    edit_id: str
    message_id: str
    kind: EditKind
    change: SkipValidation[Change] = Field(repr=False)
    future: SkipValidation[Any] = Field(repr=False)


class AwaitEdits(Message):
    """session → editor: say when the changes that were asked for before this are over."""

    message_id: str
    reply_to: Address


class EditsOver(Message):
    """editor → session: they are, or the queue is held."""


class HoldWrites(Message):
    """studio → root → editor: let nothing be written until `ReleaseWrites`.

    The future is done once nothing is under way.
    """

    message_id: str
    future: SkipValidation[Any] = Field(repr=False)


class ReleaseWrites(Message):
    """studio → root → editor: let the writes go on."""

    message_id: str


class ClearWrites(Message):
    """studio → root → editor, session: forget what waits, but for what is streamed.

    Args:
        message_id: whose.
        cleared: how many wishes were taken out so far.
        withdrawn: the regeneration session that may not write any more, if it has not begun to.
        edits: the changes that waited for a stream to begin.
        future: of how many there were in all.
    """

    message_id: str
    cleared: int = 0
    withdrawn: str | None = None
    edits: SkipValidation[tuple[EditText, ...]] = ()
    future: SkipValidation[Any] = Field(repr=False)


class ReportPending(Message):
    """studio → root → editor: say what waits.

    Args:
        message_id: whose.
        gathering: wishes that gather in a regeneration session.
        later: kinds of what waits for the streams before it to begin.
        future: of a `Pending`.
    """

    message_id: str
    gathering: int = 0
    later: tuple[str, ...] = ()
    future: SkipValidation[Any] = Field(repr=False)


class ReconcileDue(Message):
    """editor's timer → editor: a text was written a while ago."""

    message_id: str


class EditBegun(Message):
    """worker → editor: a thread was free for a change, and it is under way."""

    edit_id: str
    message_id: str


class EditOverdue(Message):
    """editor's timer → editor: the store, or a host's change, does not come back."""

    edit_id: str
    message_id: str


class HoldNothing(Message):
    """root → editor: the studio closes, so hold nothing back any more."""


class EndWhenIdle(Message):
    """root → editor: the last session has ended; end once nothing waits."""


class Pending(Value):
    """What waits to be written of one message.

    Args:
        message_id: the message.
        held: whether its queue is held.
        writing: what is written now: `session`, or the kind of an edit; `None` if nothing is.
        waiting: what waits, in its order.
        gathering: wishes for pictures that gather in a regeneration session.
    """

    message_id: str
    held: bool = False
    writing: str | None = None
    waiting: tuple[str, ...] = ()
    gathering: int = 0
