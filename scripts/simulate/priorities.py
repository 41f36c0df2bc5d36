"""Checks that what a session waits for has the session's priority soon after that was changed.

From the event log. The audit cannot check that, since a real machine may be slow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from limner.messages.events.record import stands_for

SOON = 1
"""Seconds after which a slot is granted by the new priority alone."""


class Priorities:
    """The priorities of tasks as they should be, and those of requests as they are."""

    def __init__(self) -> None:
        self._open: dict[str, set[str]] = {}  # tasks that have not settled, by session
        self._given: dict[str, tuple[int, float]] = {}  # by task, and when
        self._waiting: dict[str, int] = {}  # by request

    def feed(self, event: dict[str, Any]) -> Iterator[str]:
        """Yield a line if the next event grants a slot by a priority that was changed before."""
        session, task = event.get("session_id", ""), event.get("task_id", "")
        match event["event"]:
            case "prompt_detected" | "picture_wanted":
                self._open.setdefault(session, set()).add(task)
            case "session_prioritised":
                for known in self._open.get(session, ()):
                    self._given[known] = event["priority"], event["t"]
            case "slot_requested" | "request_prioritised":
                self._waiting[event["request_id"]] = event["priority"]
            case "request_withdrawn" | "request_dropped":
                self._waiting.pop(event["request_id"], None)
            case "slot_granted":
                yield from self._granted(event, task)
            case "task_settled":
                self._open.get(session, set()).discard(task)
                self._given.pop(task, None)
            case "session_ended":
                for known in self._open.pop(session, ()):
                    self._given.pop(known, None)

    def _granted(self, event: dict[str, Any], task: str) -> Iterator[str]:
        was = self._waiting.pop(event["request_id"], None)
        given, at = self._given.get(task, (was, event["t"]))
        if was != given and stands_for(event) is None and event["t"] - at > SOON:
            yield (
                f"task {task} gets a slot by priority {was}, {event['t'] - at:.1f} s after its "
                f"session was given priority {given}"
            )
