"""Calls that hosts cancel, and slots that they hold themselves: each slot comes back at once."""

from __future__ import annotations

from typing import NamedTuple

from limner.messages.events.record import Record

SOON = 1
"""Seconds after a call was cancelled, or a slot returned, in which its slot is back."""

ENDS = frozenset(["slot_released", "slot_revoked", "slot_expired"])


class Cancel(NamedTuple):
    """It is time to cancel a call, if it has not begun."""

    number: int


class Granted(NamedTuple):
    """A slot that is held was granted, or its request has failed."""

    number: int


class Return(NamedTuple):
    """It is time to return a slot that is held, or to wait for it no longer."""

    number: int


class Given:
    """What was given up, by name, and when; judged by the event log."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}
        self.problems: list[str] = []

    def give(self, name: str, now: int) -> None:
        """Record that nobody wants a call or a slot any more.

        Args:
            name: of the call, or of the request of the slot.
            now: the time, in microseconds.
        """
        self._at[name] = now / 1_000_000

    def feed(self, event: Record) -> None:
        """Judge an event."""
        name = event["event"]
        if name in ("studio_opened", "studio_closed"):
            self._at.clear()  # the names of another studio begin again
        elif name in ENDS:
            at = self._at.get(event.get("task_id") or "")
            if at is not None and event["t"] > at + SOON:
                late = event["t"] - at
                self.problems.append(
                    f"{event['slot_id']} ended {late:.3f} s after its call was cancelled"
                )
