"""The studio as a whole: edge → root, limiter."""

from pydantic import SkipValidation

from limner.messages.base import Message
from limner.messages.session.lifecycle import OpenStream, Regenerate, SessionEnded
from limner.messages.settings import Settings


class CloseStudio(Message):
    """studio → root → sequencer: take nothing new, wait for sessions, then for calls, then end.

    Args:
        calls_timeout: seconds that hosts' calls may take after the last session has ended; `None`
            lets each take its lane's `lease`.
    """

    calls_timeout: float | None = None


class CloseWithin(Message):
    """studio → root: once so much time is over, wait for no picture and for no call any more.

    Args:
        seconds: from now on.
    """

    seconds: float


class EndCalls(Message):
    """root's timer → root: wait no longer for hosts' calls."""


class UpdateSettings(Message):
    """studio → sequencer: these settings are in force from now on.

    What was asked for before keeps those that it began with.
    """

    settings: SkipValidation[Settings]


class ReportOwners(Message):
    """studio → sequencer: the reply is for whom each session is, the newest of a message first."""


class InterruptSessions(Message):
    """studio → root → sequencer: write each text with what is finished, and cancel the rest.

    The root waits for no call of a host then, either.
    """


class ReportStatus(Message):
    """studio → root, sequencer, limiter: asked by the edge.

    The root replies with the refs of limiter, caller and sequencer; the sequencer with how many
    sessions live and how many wait; the limiter with a `LaneStatus` a lane.
    """


class SessionsOver(Message):
    """sequencer → root: the studio closes, and nothing is left to be written."""


class SessionsLeft(Message):
    """sequencer → root: it ends before these sessions have ended.

    Args:
        ends: what each was opened for, and how it ends.
    """

    ends: tuple[tuple[OpenStream | Regenerate, SessionEnded], ...]


class FailSessions(Message):
    """root → sequencer: end all sessions as failed, since a part that all need has failed."""

    cause: BaseException
