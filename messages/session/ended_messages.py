"""How the last session of each message has ended, of as many as are remembered."""

from collections import Counter
from collections.abc import Iterable

from limner.messages.events.owners import SessionOwner
from limner.messages.pictures import Unwritten
from limner.messages.session.lifecycle import OpenStream, Regenerate, SessionEnded
from limner.messages.status import Progress, ProgressState
from limner.messages.tasks import Task, TaskEnd

REMEMBERED = 10_000
"""Messages that are remembered after the end of their sessions; the oldest are forgotten first."""


class EndedMessages:
    """The messages whose sessions have ended. Mutable, owned by one actor.

    Args:
        size: how many are remembered at most.
    """

    __slots__ = ("_known", "_size")

    def __init__(self, size: int = REMEMBERED) -> None:
        self._size = size
        self._known: dict[str, tuple[SessionOwner, Progress]] = {}

    def add(
        self, opening: OpenStream | Regenerate, ended: SessionEnded, counts: Counter[str]
    ) -> None:
        """Remember how a session has ended.

        A regeneration that had no task and has changed nothing leaves what is known.

        Args:
            opening: what it was opened for.
            ended: how it ended.
            counts: of its tasks by their state.
        """
        name = opening.message_id
        streamed = isinstance(opening, OpenStream)
        if not streamed and ended.outcome == "skipped" and not counts and name in self._known:
            return
        progress = progress_of(opening, ended, counts)
        self._known.pop(name, None)  # so that it comes last
        self._known[name] = SessionOwner(opening.session_id, name, opening.owner), progress
        if len(self._known) > self._size:
            del self._known[next(iter(self._known))]

    def progress(self, message_id: str) -> Progress | None:
        """Return how far a message has come; `None` if it is not remembered."""
        known = self._known.get(message_id)
        return known and known[1]

    def owners(self) -> tuple[SessionOwner, ...]:
        """Return for whom the last session of each message was, the oldest first."""
        return tuple(owner for owner, _ in self._known.values())

    def forget(self, message_id: str) -> None:
        """Forget a message."""
        self._known.pop(message_id, None)


def counts_of(tasks: Iterable[Task]) -> Counter[str]:
    """Return how many tasks are in each state, without those that were withdrawn."""
    return Counter(task.state.value for task in tasks if task.end is not TaskEnd.WITHDRAWN)


def progress_of(
    opening: OpenStream | Regenerate, ended: SessionEnded, counts: Counter[str]
) -> Progress:
    """Return the progress of a message whose session has ended."""
    return Progress(
        message_id=opening.message_id,
        state=_state_of(ended),
        characters=opening.stream.characters if isinstance(opening, OpenStream) else 0,
        completed=counts["completed"],
        failed=counts["failed"],
        cancelled=counts["cancelled"],
    )


def _state_of(ended: SessionEnded) -> ProgressState:
    match ended.outcome:
        case "written":
            return "written"
        case "cancelled":
            return "cancelled"
        case "failed" | "timed_out":
            return "failed"
        case "skipped":
            gone = ended.result is not None and ended.result.unwritten is Unwritten.GONE
            return "cancelled" if gone else "written"
