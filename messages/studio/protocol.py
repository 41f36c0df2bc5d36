"""The studio as a whole: edge → root, limiter."""

from limner.messages.base import Message


class CloseStudio(Message):
    """studio → root: take nothing new, wait for all sessions, then end."""


class ReportStatus(Message):
    """studio → root, limiter: asked by the edge; the reply is a value of `status`."""


class SessionsOver(Message):
    """sequencer → root: the studio closes, and nothing is left to be written."""


class FailSessions(Message):
    """root → sequencer: end all sessions as failed, since a part that all need has failed."""

    cause: BaseException
