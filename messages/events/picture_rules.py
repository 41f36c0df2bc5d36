"""The audit of pictures: I13."""

from __future__ import annotations

from collections.abc import Callable

from limner.messages.events.findings import Violations, is_name, show
from limner.messages.events.record import Record


class PictureRules:
    """I13: nothing is generated anew for a task once a picture of it was made.

    Silence proves nothing here, so what is missing from a log changes nothing. What is remembered
    is forgotten with the session.
    """

    def __init__(self, violations: Violations) -> None:
        self.violations = violations
        self.made: dict[str, dict[str, int]] = {}
        self.checks: dict[str, Callable[[Record, int], None]] = {
            "keep_failed": self.picture_made,
            "generation_completed": self.picture_made,
            "generation_started": self.generation_started,
            "session_ended": self.session_ended,
        }

    def picture_made(self, event: Record, seq: int) -> None:
        """Remember that a task has a picture."""
        session, task = event.get("session_id"), event.get("task_id")
        if is_name(session) and is_name(task):
            self.made.setdefault(session, {}).setdefault(task, seq)

    def generation_started(self, event: Record, seq: int) -> None:
        """Check that the task has no picture."""
        session, task = event.get("session_id"), event.get("task_id")
        if is_name(session) and is_name(task):
            made = self.made.get(session, {}).get(task)
            if made is not None:
                what = f"task {show(task)} is generated again, though its picture was made"
                self.violations.add("I13", what, made, seq)

    def session_ended(self, event: Record, seq: int) -> None:  # noqa: ARG002
        """Forget a session."""
        session = event.get("session_id")
        if is_name(session):
            self.made.pop(session, None)
