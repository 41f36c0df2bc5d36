"""The audit of how many pictures of one message are in generation at one time: I21."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

from limner.messages.events.findings import PROOF, Violations, is_name, show
from limner.messages.events.record import Record


@dataclass(slots=True)
class Session:
    """A session with a limit, and its slots on which something is generated.

    Args:
        most: of them at one time.
        opened: number of the event that says so.
        generating: the number of the event by which each began.
    """

    most: int
    opened: int
    generating: dict[str, int] = field(default_factory=dict)


class PerMessageRules:
    """I21: a session has `max_per_message` pictures in generation at one time at most.

    A generation ends with its slot, also if the call goes on.
    """

    def __init__(self, violations: Violations) -> None:
        self.violations = violations
        self.sessions: dict[str, Session] = {}
        self.checks: dict[str, Callable[[Record, int], None]] = {
            "session_opened": self.session_opened,
            "session_ended": self.session_ended,
            "generation_started": self.generation_started,
            "slot_released": self.slot_ended,
            "slot_revoked": self.slot_ended,
            "slot_expired": self.slot_ended,
        }

    def assume_missing(self) -> None:
        """Assume that events may be missing up to now: slots may have ended."""
        for session in self.sessions.values():
            session.generating.clear()

    def session_opened(self, event: Record, seq: int) -> None:
        """Store the limit of a session."""
        name, most = event.get("session_id"), event.get("max_per_message")
        if is_name(name) and type(most) is int:
            self.sessions[name] = Session(most, seq)

    def session_ended(self, event: Record, seq: int) -> None:  # noqa: ARG002
        """Forget a session, which starts nothing any more."""
        name = event.get("session_id")
        if is_name(name):
            self.sessions.pop(name, None)

    def generation_started(self, event: Record, seq: int) -> None:
        """Check that one more may be generated."""
        name, slot = event.get("session_id"), event.get("slot_id")
        if not is_name(name) or not is_name(slot) or name not in self.sessions:
            return
        session = self.sessions[name]
        session.generating[slot] = seq
        number = len(session.generating)
        if number > session.most:
            what = (
                f"{number:,} pictures of session {show(name)} are in generation, of "
                f"{session.most:,}"
            )
            began = islice(session.generating.values(), PROOF - 2)
            self.violations.add("I21", what, session.opened, *began, seq)

    def slot_ended(self, event: Record, seq: int) -> None:  # noqa: ARG002
        """Count a generation as over."""
        name, slot = event.get("session_id"), event.get("slot_id")
        if is_name(name) and is_name(slot) and name in self.sessions:
            self.sessions[name].generating.pop(slot, None)
