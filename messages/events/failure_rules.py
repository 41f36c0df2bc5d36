"""The audit of the marks of failures: I16."""

from __future__ import annotations

from collections.abc import Callable

from limner.messages.events.findings import Violations, is_name, show
from limner.messages.events.record import Record


class FailureRules:
    """I16: a write that places a picture of a prompt leaves no earlier failure of it marked.

    Failures of the session itself may stay, since its other requests have failed. Silence proves
    nothing here, so what is missing from a log changes nothing. What is remembered is forgotten
    with the session.
    """

    def __init__(self, violations: Violations) -> None:
        self.violations = violations
        self.prompts: dict[str, dict[str, tuple[str, int]]] = {}  # by session and task
        self.checks: dict[str, Callable[[Record, int], None]] = {
            "prompt_detected": self.picture_requested,
            "picture_wanted": self.picture_requested,
            "text_written": self.text_written,
            "session_ended": self.session_ended,
        }

    def picture_requested(self, event: Record, seq: int) -> None:
        """Remember the prompt of a task."""
        session, task, prompt = (event.get(name) for name in ("session_id", "task_id", "prompt_id"))
        if is_name(session) and is_name(task) and is_name(prompt):
            self.prompts.setdefault(session, {})[task] = prompt, seq

    def text_written(self, event: Record, seq: int) -> None:
        """Check the failures whose marks stand in the text."""
        session, placed, failed = (event.get(name) for name in ("session_id", "placed", "failures"))
        if not (is_name(session) and isinstance(placed, list) and isinstance(failed, list)):
            return
        tasks = self.prompts.get(session, {})
        shown = dict(tasks[task] for task in placed if is_name(task) and task in tasks)
        for name in filter(is_name, failed):
            prompt, _, task = name.partition(":")
            if prompt in shown and task not in tasks:
                what = f"the mark of failure {show(name)} stays though a picture came"
                self.violations.add("I16", what, shown[prompt], seq)

    def session_ended(self, event: Record, seq: int) -> None:  # noqa: ARG002
        """Forget a session."""
        session = event.get("session_id")
        if is_name(session):
            self.prompts.pop(session, None)
