"""Keeping a finished picture: whether it is tried again, after what pause, how it ends. No clock.

A failure of keeping is one of the store, never of the generator: the picture is there, so keeping
is what is tried again, and nothing is generated anew. A try that fails is followed by another one
until the task is settled from outside: by the session's deadline, a cancellation or the end of the
studio. A try that hangs costs a thread, so there are only as many of those as calls of a generator.
"""

from __future__ import annotations

from typing import NamedTuple

from limner.messages.errors import Reason, UnknownMessage, may_be_retried
from limner.messages.session.backoff import backoff

MIN_PAUSE = 0.1
"""Seconds before another try at least, also where the generator is called again at once."""

MISTAKES = (AttributeError, NameError, NotImplementedError, TypeError)
"""Errors of a store that come again each time, since its code is wrong."""


def may_be_kept_later(error: BaseException) -> bool:
    """Return whether another try to keep a picture may succeed."""
    return may_be_retried(error) and not isinstance(error, (UnknownMessage, *MISTAKES))


class Keeping(NamedTuple):
    """What became of the tries to keep one picture. Immutable: `failed` returns the next value.

    Args:
        made_at: when the picture was made, in microseconds of the system's clock.
        tries: how many tries have failed.
        hung: how many of them did not come back in time.
        reason: why the last one failed.
        hopeless: whether another try cannot succeed.
    """

    made_at: int
    tries: int = 0
    hung: int = 0
    reason: Reason = Reason("", "")
    hopeless: bool = False

    def failed(self, reason: Reason, *, hung: bool = False, hopeless: bool = False) -> Keeping:
        """Return what is known after one more try has failed."""
        return Keeping(self.made_at, self.tries + 1, self.hung + hung, reason, hopeless)

    def pause(self, *, hangs: int, base: float, limit: float, jitter: float) -> float | None:
        """Return the seconds until the next try; `None` if there is none.

        Args:
            hangs: tries that may hang, 1 or more.
            base: seconds after the first try, as of `backoff`.
            limit: seconds at most.
            jitter: drawn, in 0 to 1.
        """
        if self.hopeless or self.hung >= hangs:
            return None
        return max(MIN_PAUSE, backoff(max(1, self.tries), base=base, limit=limit, jitter=jitter))

    @property
    def failure(self) -> str:
        """Why the task has no picture, though one was made; in words for everybody."""
        return f"its picture was made but could not be kept: {self.reason.public}"

    @property
    def logged(self) -> str:
        """The same for the event log, in full."""
        return f"its picture was made but could not be kept: {self.reason.full}"
