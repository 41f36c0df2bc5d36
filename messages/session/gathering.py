"""How far a session is that gathers requests for pictures."""

from enum import StrEnum


class GatherState(StrEnum):
    """Whether a regeneration session takes requests, and what it waits for."""

    GATHERING = "gathering"
    """The quiet period runs: requests are awaited."""
    QUIET = "quiet"
    """The quiet period has ended: it seals as soon as all is settled."""
    APPLYING = "applying"
    """It was asked to write: it seals as soon as what was requested is read."""
    SEALED = "sealed"
    """It takes no more requests."""
    CLOSED = "closed"
    """It is sealed, and a request has come that the next session gets: so do all after it."""

    @property
    def takes_requests(self) -> bool:
        """Whether a request that comes now is for this session."""
        return self in OPEN


OPEN = frozenset([GatherState.GATHERING, GatherState.QUIET, GatherState.APPLYING])
