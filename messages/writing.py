"""The write: what it settles, and how it ended."""

from typing import Literal

from limner.messages.base import Message, Value
from limner.messages.pictures import Claim, Illustrated, Picture, Placement, Prompt
from limner.messages.tasks import Task

Version = int | str
"""A store's name for one state of a text; only compared for equality."""


class Links(Value):
    """What a write settles, for the registry.

    Args:
        prompts: the prompts that the tasks were for.
        tasks: the session's tasks, each in a final state.
        placed: pictures that are in the text now.
        removed: ids of placements that this write has taken out of the text on purpose.
        claims: all the tags of the text that are held by another prompt than the one that their
            text and ordinal name; `None` leaves what is known of them.
        anew: whether the text is a new one: then what stood in the old one and not in this has
            no claim on it any more.
    """

    prompts: tuple[Prompt, ...] = ()
    tasks: tuple[Task, ...] = ()
    placed: tuple[Placement, ...] = ()
    removed: tuple[str, ...] = ()
    claims: tuple[Claim, ...] | None = None
    anew: bool = False


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


class DeadlinePassed(Message):
    """session's timer → session → writer: the session's time is over.

    Args:
        waits: which of a session's waits is over; of an earlier one it tells nothing.
    """

    waits: int = 0


class LoadOverdue(Message):
    """session's timer → session: the store does not come back."""


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
    """writer → session: the store could not write; what was finished is kept."""

    error: BaseException


Outcome = Literal["written", "skipped", "cancelled", "timed_out", "failed"]


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
    outcome: Outcome
    result: Illustrated | None = None
    error: BaseException | None = None
    heard: frozenset[str] = frozenset()
