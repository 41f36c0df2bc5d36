"""A circuit breaker: a back end that fails again and again gets no calls for a while.

After Nygard, *Release It!* (2007). While it is closed, all calls go. A number of failures in a row
opens it, and no call goes for a while. Then it is half-open: one call goes as a probe, whose end
closes it or opens it again. What waits is dropped once several probes in a row have failed, so that
nothing waits for a back end that is gone. No clock: `now` is passed in, in microseconds.
"""

from typing import Literal

State = Literal["closed", "open", "half-open"]


class Circuit:
    """The circuit of one lane. It is mutable; its lane owns it.

    Args:
        failures: how many in a row open it.
        pause: microseconds for which it stays open; 0 or more.
        last: the number of the last call that began before. Each call has a higher number.

    Attributes:
        failures_in_a_row: until now.
        failed_probes: how many probes in a row have failed.
        failed_at: when the last call has failed.
        until: `pause` after the last failure. An open circuit lets a probe go then; a closed one
            may be forgotten then.
        probe: the number of the call that goes while it is half-open.
        last_before_open: the number of the last call that began before it opened.
    """

    __slots__ = (
        "failed_at",
        "failed_probes",
        "failures",
        "failures_in_a_row",
        "last",
        "last_before_open",
        "pause",
        "probe",
        "state",
        "until",
    )

    def __init__(self, failures: int, pause: int, last: int = 0) -> None:
        self.failures = failures
        self.pause = pause
        self.state: State = "closed"
        self.failures_in_a_row = 0
        self.failed_probes = 0
        self.failed_at = 0
        self.until = 0
        self.probe: int | None = None
        self.last = last
        self.last_before_open = 0

    def free_at(self, now: int) -> int | None:
        """Return from when on a call may go; `None` if not before the probe has ended."""
        if self.state == "open":
            return max(now, self.until)
        return now if self.probe is None else None

    def call_started(self, number: int) -> None:
        """Record that a call begins."""
        self.last = number
        if self.state != "closed":
            self.state, self.probe = "half-open", number

    def call_ended(self, number: int, failed: bool | None, now: int) -> None:
        """Record how a call has ended.

        Calls that began before it opened do not count any more, also once it is closed again.

        Args:
            number: of the call.
            failed: whether the back end failed; `None` if that is not known.
            now: the time.
        """
        if number <= self.last_before_open:
            return
        self.probe = None
        if failed:
            self.failures_in_a_row += 1
            self.failed_at, self.until = now, now + self.pause
            if self.state != "closed":
                self.failed_probes += 1
            if self.state != "closed" or self.failures_in_a_row >= self.failures:
                self.state, self.last_before_open = "open", self.last
        elif failed is not None:
            self.state, self.failures_in_a_row, self.failed_probes = "closed", 0, 0

    def gave_up_at(self, patience: int | None) -> int | None:
        """Return when the last of too many probes has failed; `None` if they are not too many.

        Args:
            patience: how many in a row may fail, with the last one; `None` for any number.
        """
        given_up = patience is not None and self.state == "open" and self.failed_probes >= patience
        return self.failed_at if given_up else None
