"""Checks of a scenario in which nothing takes long: what is not wanted any more is out for no time.

From the event log. In other scenarios a lease or a deadline may end what was left out by mistake,
and nobody notices.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

LIMIT = 1
"""Seconds that a request or a slot may be out after its task has settled."""


class Delays:
    """What is out for settled tasks, and how long sessions take.

    Args:
        deadline: of a session, in seconds.
    """

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._settled: dict[str, float] = {}
        self._granted: dict[str, float] = {}
        self._sealed: dict[str, float] = {}

    def feed(self, event: dict[str, Any]) -> Iterator[str]:
        """Yield a line for what the next event shows to have been out for too long."""
        t, task = event["t"], event.get("task_id")
        settled = self._settled.get(str(task))
        match event["event"]:
            case "task_settled":
                self._settled[str(task)] = t
            case "slot_granted":
                self._granted[event["slot_id"]] = t
                if settled is not None and t - settled > LIMIT:
                    yield f"task {task} gets a slot {t - settled:.1f} s after it has settled"
            case "slot_released" | "slot_revoked":
                since = max(settled or t, self._granted.pop(event["slot_id"]))
                if t - since > LIMIT:
                    yield f"slot {event['slot_id']} is out {t - since:.1f} s for a settled task"
            case "slot_expired":
                yield f"slot {event['slot_id']} has expired, and was not released"
            case "request_withdrawn" if settled is not None and t - settled > LIMIT:
                yield f"task {task} waits for a slot {t - settled:.1f} s after it has settled"
            case "session_sealed":
                self._sealed[event["session_id"]] = t
            case "session_ended":
                took = t - self._sealed.pop(event["session_id"], t)
                if took >= self._deadline:
                    yield f"session {event['session_id']} has taken {took:.1f} s after its seal"
