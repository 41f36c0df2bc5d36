"""The audit of cancelled owners: I19."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from limner.messages.events.findings import Violations, is_name, show
from limner.messages.events.record import Record


@dataclass(slots=True)
class Stream:
    """A streamed session that has neither ended nor written, nor given that up."""

    owner: str | None
    opened: int


@dataclass(slots=True)
class Cancellation:
    """A call that has cancelled all of an owner, and is not answered yet.

    Args:
        requested: number of the event.
        open: the streamed sessions that it was for and that have not ended.
    """

    requested: int
    open: dict[str, int] = field(default_factory=dict)


class CancellationRules:
    """I19: what cancels all of an owner is answered once the streams that it had have ended.

    A stream whose text was written by then, or never will be, need not be waited for. Where the
    beginning or the call is missing, nothing is known and nothing is said; what is missing of an
    end proves nothing.
    """

    def __init__(self, violations: Violations) -> None:
        self.violations = violations
        self.streams: dict[str, Stream] = {}
        self.calls: dict[int, Cancellation] = {}
        self.checks: dict[str, Callable[[Record, int], None]] = {
            "session_opened": self.session_opened,
            "text_written": self.stream_over,
            "write_skipped": self.stream_over,
            "session_ended": self.session_ended,
            "cancel_all_requested": self.requested,
            "cancel_all_done": self.done,
        }

    def assume_missing(self) -> None:
        """Assume that events may be missing up to now."""
        self.streams.clear()
        self.calls.clear()

    def session_opened(self, event: Record, seq: int) -> None:
        """Add a stream."""
        name, owner = event.get("session_id"), event.get("owner")
        if is_name(name) and event.get("kind") == "stream" and (owner is None or is_name(owner)):
            self.streams[name] = Stream(owner, seq)

    def stream_over(self, event: Record, seq: int) -> None:  # noqa: ARG002
        """Expect no later call to wait for a stream that is about to end."""
        name = event.get("session_id")
        if is_name(name):
            self.streams.pop(name, None)

    def session_ended(self, event: Record, seq: int) -> None:
        """Remove a session from the calls that wait for it."""
        self.stream_over(event, seq)
        name = event.get("session_id")
        if is_name(name):
            for call in self.calls.values():
                call.open.pop(name, None)

    def requested(self, event: Record, seq: int) -> None:
        """Remember the streams that are to be cancelled."""
        number, owner = event.get("cancellation"), event.get("owner")
        if type(number) is int and (owner is None or is_name(owner)):
            meant = {
                name: stream.opened
                for name, stream in self.streams.items()
                if owner in (None, stream.owner)
            }
            self.calls[number] = Cancellation(seq, meant)

    def done(self, event: Record, seq: int) -> None:
        """Check that they have ended."""
        number = event.get("cancellation")
        call = self.calls.pop(number, None) if type(number) is int else None
        if call is not None:
            for name, opened in call.open.items():
                what = f"session {show(name)} has not ended, though all of its owner was cancelled"
                self.violations.add("I19", what, opened, call.requested, seq)
