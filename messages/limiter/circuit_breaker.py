"""A circuit breaker: a back end that fails again and again is left alone for a while.

After Nygard, *Release It!* (2007). Closed, all calls go; so many failures in a row open it, and
none goes for a while; half-open then, one call goes as a probe, whose end closes it or opens it
again. No clock: `now` is passed in, in microseconds.
"""

from typing import Literal

State = Literal["closed", "open", "half-open"]


class Circuit:
    """The circuit of one lane. Its calls are known by their numbers, each higher than the last.

    Args:
        failures: in a row, that open it.
        pause: microseconds for which it stays open; 0 or more.
        last: the number of the last call that went before.
    """

    __slots__ = ("failures", "last", "old", "pause", "probe", "row", "state", "until")

    def __init__(self, failures: int, pause: int, last: int = 0) -> None:
        self.failures = failures
        self.pause = pause
        self.state: State = "closed"
        self.row = 0
        self.until = 0  # from the last failure on; what is open then is free, the rest forgettable
        self.probe: int | None = None
        self.last = last
        self.old = 0  # the last call that went before it opened

    def free_at(self, now: int) -> int | None:
        """Say from when on a call may go; `None` if not before the probe has ended."""
        if self.state == "open":
            return max(now, self.until)
        return now if self.probe is None else None

    def granted(self, number: int) -> None:
        """Take note of a call that goes."""
        self.last = number
        if self.state != "closed":
            self.state, self.probe = "half-open", number

    def ended(self, number: int, failed: bool | None, now: int) -> None:
        """Take note of how a call has ended.

        Calls that went before it opened have no say any more, also once it is closed again.

        Args:
            number: of the call.
            failed: whether the back end failed; `None` if it cannot be said.
            now: the time.
        """
        if number <= self.old:
            return
        self.probe = None
        if failed:
            self.row += 1
            self.until = now + self.pause
            if self.state != "closed" or self.row >= self.failures:
                self.state, self.old = "open", self.last
        elif failed is not None:
            self.state, self.row = "closed", 0
