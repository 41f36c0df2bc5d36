"""A circuit breaker: a back end that fails again and again is left alone for a while.

After Nygard, *Release It!* (2007). Closed, all calls go; so many failures in a row open it, and
none goes for a while; half-open then, one call goes as a probe, whose end closes it or opens it
again. No clock: `now` is passed in, in microseconds.
"""

from typing import Literal

State = Literal["closed", "open", "half-open"]


class Circuit:
    """The circuit of one lane.

    Args:
        failures: in a row, that open it.
        pause: microseconds for which it stays open; 0 or more.
    """

    __slots__ = ("failures", "pause", "probe", "row", "state", "until")

    def __init__(self, failures: int, pause: int) -> None:
        self.failures = failures
        self.pause = pause
        self.state: State = "closed"
        self.row = 0
        self.until = 0
        self.probe: str | None = None

    def free_at(self, now: int) -> int | None:
        """Say from when on a call may go; `None` if not before the probe has ended."""
        if self.state == "open":
            return max(now, self.until)
        return now if self.probe is None else None

    def granted(self, slot_id: str) -> State | None:
        """Take note of a call that goes; give the state if that is another one now."""
        if self.state == "closed":
            return None
        before, self.state, self.probe = self.state, "half-open", slot_id
        return None if before == "half-open" else "half-open"

    def ended(self, slot_id: str, failed: bool | None, now: int) -> State | None:
        """Take note of how a call has ended; give the state if that is another one now.

        Calls that went before it opened have no say any more.

        Args:
            slot_id: of the call.
            failed: whether the back end failed; `None` if it cannot be said.
            now: the time.
        """
        if self.state == "closed":
            if failed is not None:
                self.row = self.row + 1 if failed else 0
            return self._open(now) if self.row >= self.failures else None
        if slot_id != self.probe:
            return None
        self.probe = None
        if failed is None:
            return None
        if failed:
            self.row += 1
            return self._open(now)
        self.state, self.row = "closed", 0
        return "closed"

    def _open(self, now: int) -> State:
        self.state, self.until = "open", now + self.pause
        return "open"
