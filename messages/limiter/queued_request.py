"""A request that waits, and which of several is the oldest, or the one to drop."""

from collections import OrderedDict
from collections.abc import Iterable

from limner.messages.limiter.protocol import RequestSlot


class QueuedRequest:
    """A request that waits.

    Args:
        request: which.
        number: smaller for the one that goes first, of the same owner and priority.
        queued_at: when it began to wait.
        due: by when it is wanted, for its place among those of its owner and priority.

    Attributes:
        removed: whether it was granted, dropped or withdrawn.
    """

    __slots__ = ("due", "number", "queued_at", "removed", "request")

    def __init__(self, request: RequestSlot, number: int, queued_at: int, due: int = 0) -> None:
        self.request = request
        self.number = number
        self.queued_at = queued_at
        self.due = due
        self.removed = False


ByPriority = tuple[OrderedDict[str, QueuedRequest], ...]
"""Requests that wait, by priority and id, the oldest first."""


def oldest_of(by_priority: ByPriority) -> QueuedRequest | None:
    """Return the request that began to wait first; `None` if there is none."""
    first = (next(iter(by_id.values())) for by_id in by_priority if by_id)
    return min(first, key=queued_at, default=None)


def least_important_of(by_priority: ByPriority) -> QueuedRequest:
    """Return the oldest request of the lowest priority that there is; something waits."""
    return next(next(iter(by_id.values())) for by_id in reversed(by_priority) if by_id)


def insert_by_age(by_id: OrderedDict[str, QueuedRequest], queued: QueuedRequest) -> None:
    """Insert a request before those that began to wait later."""
    later = []
    for other in reversed(by_id.values()):
        if other.queued_at <= queued.queued_at:
            break
        later.append(other.request.request_id)
    by_id[queued.request.request_id] = queued
    for name in reversed(later):
        by_id.move_to_end(name)


class MessageIndex:
    """Requests that wait, by the message that they are for and their priority. It is mutable.

    Args:
        waiting: all of them, the older ones of a priority first.
    """

    __slots__ = ("_by_message",)

    def __init__(self, waiting: Iterable[QueuedRequest]) -> None:
        self._by_message: dict[tuple[str, int], dict[str, QueuedRequest]] = {}
        for queued in waiting:
            self.add(queued)

    def add(self, queued: QueuedRequest) -> None:
        """Add a request."""
        request = queued.request
        if request.message_id is not None:
            key = request.message_id, request.priority
            self._by_message.setdefault(key, {})[request.request_id] = queued

    def remove(self, request: RequestSlot) -> None:
        """Remove a request that does not wait any more, or not with this priority."""
        if request.message_id is not None:
            key = request.message_id, request.priority
            requests = self._by_message[key]
            del requests[request.request_id]
            if not requests:
                del self._by_message[key]

    def last_of(self, queued: QueuedRequest) -> QueuedRequest:
        """Return the request of the same message and priority that stands last in its text.

        A request of a host's own call is of no message, and so the last.
        """
        request = queued.request
        if request.message_id is None:
            return queued
        requests = self._by_message[request.message_id, request.priority]
        return max(reversed(requests.values()), key=_place)


def queued_at(queued: QueuedRequest) -> int:
    """Return when a request began to wait."""
    return queued.queued_at


def _place(queued: QueuedRequest) -> tuple[int, int]:
    return queued.request.place, queued.queued_at
