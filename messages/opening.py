"""Opening, cancelling and closing: studio → root → session."""

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import Field, SkipValidation

from limner.messages.base import Message
from limner.messages.errors import SettingsInvalid, UnknownMessage
from limner.messages.page import Page
from limner.messages.wishes import Wish

PRIORITIES = {"active": 3, "background": 7}
"""The names of priorities; 0 is granted first, 9 last."""


MAX_NAME = 200
"""Characters of what a host names a message or an owner."""


def message_id_of(given: object) -> str:
    """Give a host's name for a message, if it is one: 1 to 200 printable characters.

    Raises:
        UnknownMessage: if it cannot be one.
    """
    if not _usable(given):
        raise UnknownMessage(
            f"a message id is 1 to {MAX_NAME} printable characters, not {given!r:.80}"
        )
    return str(given)


def owner_of(given: object) -> str | None:
    """Give a host's name for an owner, if it is one: nobody, or 1 to 200 printable characters.

    Raises:
        SettingsInvalid: if it cannot be one.
    """
    if given is None:
        return None
    if not _usable(given):
        raise SettingsInvalid(
            f"an owner is 1 to {MAX_NAME} printable characters, not {given!r:.80}"
        )
    return str(given)


def priority_of(given: object) -> int:
    """Give the number of a priority: of one of the names, or 0 (first) to 9.

    Raises:
        SettingsInvalid: if it is neither.
    """
    number = PRIORITIES.get(given) if isinstance(given, str) else given
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= 9:
        raise SettingsInvalid(f"a priority is 'active', 'background', or 0 to 9, not {given!r:.80}")
    return number


def _usable(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= MAX_NAME and name.isprintable()


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


Wishes = Callable[[Page], Sequence[Wish]]
"""Gives what is wished for of a stored text, or raises what is wrong with it."""


class Regenerate(Opening):
    """studio → root → session: one wish, or several, that gather with others of the message.

    Args:
        session_id: its name, and that of the session if it is the first of one.
        wishes: what it is, once text and registry are known; must leave the page as it is.
        future: of what the session gives.
    """

    wishes: SkipValidation[Wishes] = Field(repr=False)
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


class CloseStudio(Message):
    """studio → root: take nothing new, wait for all sessions, then end."""


class ReportStatus(Message):
    """studio → root, limiter: asked by the edge; the reply is a value of `status`."""


class ReportProgress(Message):
    """studio → root, session, processor: asked by the edge.

    The reply is whom to ask next; of the processor, how many tasks are in each state.
    """

    message_id: str = ""
