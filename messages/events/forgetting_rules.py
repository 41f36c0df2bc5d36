"""The audit of messages that were forgotten: I18."""

from __future__ import annotations

from collections.abc import Callable

from limner.messages.events.findings import Recent, Violations, is_name, show
from limner.messages.events.record import Record


class ForgettingRules:
    """I18: a message is forgotten while it has no session, and nothing of it comes back.

    Until another session of it is opened no picture of it is kept, and none is put into its text.
    In that session no picture is taken for kept before one was kept anew.

    A call that was given up may have kept its picture just before the message was forgotten, and
    tell of it (`generation_late`) after that. A store that was given up may forget later than that
    is told, so what is told of a message after its forgetting has failed proves nothing.
    """

    def __init__(self, violations: Violations) -> None:
        self.violations = violations
        self.sessions: dict[str, tuple[str, int]] = {}  # the live one of each message
        self.failed: Recent[int] = Recent()  # messages that may be forgotten at any time
        self.forgotten: Recent[int] = Recent()  # messages without a session since
        self.empty: Recent[int] = Recent()  # messages without a kept picture since
        self.checks: dict[str, Callable[[Record, int], None]] = {
            "session_opened": self.session_opened,
            "session_ended": self.session_ended,
            "message_forgotten": self.message_forgotten,
            "edit_failed": self.edit_failed,
            "text_edited": self.text_edited,
            "generation_completed": self.picture_kept,
            "generation_late": self.picture_late,
            "actor_failed": self.actor_failed,
            "task_settled": self.task_settled,
        }

    def assume_missing(self) -> None:
        """Assume that events may be missing up to now."""
        self.sessions.clear()
        self.forgotten, self.empty = Recent(), Recent()

    def session_opened(self, event: Record, seq: int) -> None:
        """Remember the session of a message."""
        message, session = event.get("message_id"), event.get("session_id")
        if is_name(message) and is_name(session):
            self.sessions[message] = session, seq
            self.forgotten.pop(message)

    def session_ended(self, event: Record, seq: int) -> None:  # noqa: ARG002
        """Forget the session of a message."""
        message, session = event.get("message_id"), event.get("session_id")
        if is_name(message) and message in self.sessions and self.sessions[message][0] == session:
            del self.sessions[message]

    def message_forgotten(self, event: Record, seq: int) -> None:
        """Check that the message has no session."""
        message = event.get("message_id")
        if not is_name(message) or self.failed.get(message) is not None:
            return
        if message in self.sessions:
            session, opened = self.sessions[message]
            what = f"message {show(message)} is forgotten, though its session {show(session)} is"
            self.violations.add("I18", f"{what} open", opened, seq)
            return
        self.forgotten[message] = self.empty[message] = seq

    def edit_failed(self, event: Record, seq: int) -> None:
        """Remember that a message may be forgotten at any time, if its forgetting has failed."""
        message = event.get("message_id")
        if event.get("kind") == "forget" and is_name(message):
            self.failed[message] = seq

    def text_edited(self, event: Record, seq: int) -> None:
        """Check that no picture comes back."""
        if event.get("placed"):
            self.check(event, seq, "a picture is put into the text of message")

    def picture_kept(self, event: Record, seq: int) -> None:
        """Check that the picture was asked for since."""
        self.check(event, seq, "a picture is kept of message")
        self.something_kept(event)

    def picture_late(self, event: Record, seq: int) -> None:  # noqa: ARG002
        """Remember that a message has a kept picture, unless that was before it was forgotten."""
        message = event.get("message_id")
        if is_name(message) and self.forgotten.get(message) is None:
            self.empty.pop(message)

    def actor_failed(self, event: Record, seq: int) -> None:  # noqa: ARG002
        """Assume that a picture was kept that nothing is told of."""
        self.something_kept(event)

    def something_kept(self, event: Record) -> None:
        """Remember that a message may have a kept picture."""
        message = event.get("message_id")
        if is_name(message):
            self.empty.pop(message)

    def task_settled(self, event: Record, seq: int) -> None:
        """Check that a picture that was kept was kept since."""
        message = event.get("message_id")
        if event.get("kept") is True and is_name(message):
            since = self.empty.get(message)
            if since is not None:
                what = f"a kept picture is taken for message {show(message)}, which was forgotten"
                self.violations.add("I18", what, since, seq)

    def check(self, event: Record, seq: int, what: str) -> None:
        """Add a violation if the message was forgotten, and has had no session since."""
        message = event.get("message_id")
        if is_name(message):
            since = self.forgotten.get(message)
            if since is not None:
                what = f"{what} {show(message)}, which was forgotten"
                self.violations.add("I18", what, since, seq)
