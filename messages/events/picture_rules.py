"""The audit of pictures: I13 and I15."""

from __future__ import annotations

from collections.abc import Callable

from limner.messages.events.findings import Violations, is_name, show
from limner.messages.events.record import Record


class PictureRules:
    """I13 and I15: no picture is made anew, and none of a request that was taken back is written.

    Silence proves nothing here, so what is missing from a log changes nothing. What is remembered
    is forgotten with the session.
    """

    def __init__(self, violations: Violations) -> None:
        self.violations = violations
        self.made: dict[str, dict[str, int]] = {}
        self.taken_back: dict[str, dict[str, int]] = {}
        self.checks: dict[str, Callable[[Record, int], None]] = {
            "keep_failed": self.picture_made,
            "generation_completed": self.picture_made,
            "generation_started": self.generation_started,
            "request_taken_back": self.request_taken_back,
            "text_written": self.text_written,
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

    def request_taken_back(self, event: Record, seq: int) -> None:
        """Remember the tasks of the request."""
        session, tasks = event.get("session_id"), event.get("tasks")
        if is_name(session) and isinstance(tasks, list):
            known = self.taken_back.setdefault(session, {})
            known.update(dict.fromkeys(filter(is_name, tasks), seq))

    def text_written(self, event: Record, seq: int) -> None:
        """Check that no picture of a request that was taken back is in the text."""
        session, placed = event.get("session_id"), event.get("placed")
        if not is_name(session) or not isinstance(placed, list):
            return
        known = self.taken_back.get(session, {})
        for task in filter(is_name, placed):
            if task in known:
                what = f"task {show(task)} is placed, though its request was taken back"
                self.violations.add("I15", what, known[task], seq)

    def session_ended(self, event: Record, seq: int) -> None:  # noqa: ARG002
        """Forget a session."""
        session = event.get("session_id")
        if is_name(session):
            self.made.pop(session, None)
            self.taken_back.pop(session, None)
