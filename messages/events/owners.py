"""Whose an event is."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Record = Mapping[str, Any]
NAMES = ("task_id", "session_id", "message_id")
"""The fields that tell whose an event without an owner is, the narrowest first."""


NAMING_OWNERS = frozenset(["session_opened", "picture_wanted", "slot_requested"])
"""The events that tell for whom what follows is."""


class SessionOwner(NamedTuple):
    """For whom a session is."""

    session_id: str
    message_id: str
    owner: str | None


class Owners:
    """For whom sessions, tasks and messages are, as the events tell. Mutable; the recorder owns it.

    An event that names no owner is its task's owner's, else its session's, else that of the last
    session of its message. A regeneration that joins another owner's session has tasks of its own.

    Args:
        limit: how many sessions, tasks and messages are remembered, of each; the oldest are
            forgotten first.
    """

    def __init__(self, limit: int = 20_000) -> None:
        self._limit = limit
        self._known: dict[str, dict[str, str | None]] = {name: {} for name in NAMES}

    def add(self, sessions: Iterable[SessionOwner]) -> None:
        """Add sessions whose opening was not recorded; what was recorded stands."""
        for session in sessions:
            for name, value in (
                ("session_id", session.session_id),
                ("message_id", session.message_id),
            ):
                if value not in self._known[name]:
                    self._remember(name, value, session.owner)

    def learn(self, record: Record) -> None:
        """Learn from an event that names an owner, or that there is none."""
        match record["event"]:
            case "session_opened":
                self._remember("session_id", record["session_id"], record["owner"])
                self._remember("message_id", record["message_id"], record["owner"])
            case "picture_wanted" | "slot_requested":
                self._remember("task_id", record["task_id"], record.get("owner"))

    def owner_of(self, record: Record) -> str | None:
        """Return whose an event is; `None` if it is nobody's, or not known."""
        if "owner" in record:
            owner: str | None = record["owner"]
            return owner
        for name in NAMES:
            known, value = self._known[name], record.get(name)
            if value in known:
                return known[value]
        return None

    def _remember(self, name: str, value: str, owner: str | None) -> None:
        known = self._known[name]
        known.pop(value, None)  # so that it comes last
        known[value] = owner
        if len(known) > self._limit:
            del known[next(iter(known))]
