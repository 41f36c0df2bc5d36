"""Text on its way: host's stream → monitor."""

from typing import Literal

from limner.messages.base import Message


class TextStreamed(Message):
    """There is text to be taken from the stream. One for many chunks."""


class TextReplaced(Message):
    """The whole text so far, from hosts that get it cumulatively."""

    text: str


class StreamEnded(Message):
    """The text is complete.

    Args:
        text: the whole text as the host has it in the end, if it says so.
    """

    text: str | None = None


class StreamInterrupted(Message):
    """The model was stopped: write with what is finished, cancel the rest."""


class IdleChecked(Message):
    """monitor's timer → monitor: see whether text has come since."""


SealReason = Literal["complete", "interrupted", "timed_out"]


class SessionSealed(Message):
    """monitor → session: no more text comes, and no more tasks."""

    reason: SealReason
