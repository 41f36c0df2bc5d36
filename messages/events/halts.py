"""Why a lane grants nothing for a while, as the event log tells it."""

from __future__ import annotations

from limner.messages.events.record import Record

MICROSECONDS = 1_000_000
FOREVER = float("inf")
LONGEST = 86_400
"""Seconds up to which a pause is believed."""
REST = 30.0
"""Seconds that a circuit stays open, where the lane does not say it."""


class Halts:
    """The pauses of one lane, its circuit, and whether it is to end.

    Times are integer microseconds. Feed it each event of the lane, in order.

    Attributes:
        circuit: `closed`, `open` or `half-open`.
        ending: `draining` or `stopped`, once it is.
    """

    __slots__ = (
        "_paused_until",
        "_rest",
        "_resting_until",
        "_since",
        "_spent",
        "circuit",
        "ending",
    )

    def __init__(self) -> None:
        self.circuit = "closed"
        self.ending = ""
        self._paused_until = 0.0
        self._resting_until = 0
        self._rest = REST
        self._since = 0
        self._spent = 0

    def take(self, event: Record, now: int) -> None:
        """Add an event of the lane; one that is about something else is ignored."""
        name = event["event"]
        if not name.startswith(("lane_", "circuit_")):
            return
        self._spent, self._since = self.spent(now), now
        match name:
            case "lane_paused":
                self._pause(event, now)
            case "lane_resumed":
                self._paused_until = 0
            case "lane_opened" | "lane_updated":
                self._rest = _seconds(event.get("circuit_seconds")) or REST
                if event.get("adapt") is False:
                    self.circuit = "closed"
            case "circuit_open" | "circuit_half_open" | "circuit_closed":
                self.circuit = name.removeprefix("circuit_").replace("_", "-")
                self._resting_until = now + round(self._rest * MICROSECONDS)
            case "lane_ending":
                self.ending = "stopped" if event.get("how") == "stopped" else "draining"

    def until(self, now: int) -> float:
        """Return when neither a pause nor an open circuit is in the way; it may be `FOREVER`."""
        resting = self._resting_until if self.circuit == "open" else 0
        return max(now, self._paused_until, resting)

    def why(self, now: int) -> str:
        """Return in a word why the lane does not grant as usual; empty if it does."""
        if self.ending:
            return self.ending
        if now < self._paused_until:
            return "paused"
        return {"open": "resting", "half-open": "probing"}.get(self.circuit, "")

    def spent(self, now: int) -> int:
        """Return for how long, up to now, the lane was paused or its circuit open."""
        halted = min(now, self.until(self._since)) - self._since
        return self._spent + max(0, int(halted))

    def _pause(self, event: Record, now: int) -> None:
        seconds = event.get("seconds")
        until = FOREVER
        if seconds is not None:
            until = now + round(_seconds(seconds) * MICROSECONDS)
        if event.get("reason") is not None:  # its back end asked for it, and ends no longer pause
            until = max(until, self._paused_until)
        self._paused_until = until


def _seconds(given: object) -> float:
    usable = isinstance(given, int | float) and 0 <= given <= LONGEST
    return float(given) if usable else 0.0  # type: ignore[arg-type]
