"""All that waits for a lane that others stand behind, in whichever lane it stands."""

from collections import Counter, OrderedDict
from collections.abc import Iterator

from limner.messages.limiter.protocol import RequestSlot
from limner.messages.limiter.queued_request import (
    MessageIndex,
    QueuedRequest,
    insert_by_age,
    least_important_of,
    oldest_of,
)
from limner.messages.limiter.request_queue import PRIORITIES


class Backlog:
    """The requests of a lane and of those downstream. It is mutable; a `LaneChain` owns it.

    The bounds of such a lane on what waits (`high_water`, `max_waiting_per_owner`, `max_wait`) hold
    for all of them. Each has waited since it came to its own lane, whether it is offered or not.
    Offers are not in it: they stand for requests that are.
    """

    __slots__ = ("_by_owner", "_by_priority", "_messages", "size")

    def __init__(self) -> None:
        self._by_priority: tuple[OrderedDict[str, QueuedRequest], ...] = tuple(
            OrderedDict() for _ in range(PRIORITIES)
        )
        self._by_owner: Counter[str] = Counter()
        self._messages: MessageIndex | None = None
        self.size = 0

    def __iter__(self) -> Iterator[QueuedRequest]:
        for by_id in self._by_priority:
            yield from by_id.values()

    def count_of(self, owner: str | None) -> int:
        """Return how many requests of an owner wait; 0 for no owner."""
        return 0 if owner is None else self._by_owner[owner]

    def oldest(self) -> QueuedRequest | None:
        """Return the request that began to wait first; `None` if nothing waits."""
        return oldest_of(self._by_priority)

    def least_important(self) -> QueuedRequest:
        """Return the oldest request of the lowest priority; something waits."""
        return least_important_of(self._by_priority)

    def last_of(self, queued: QueuedRequest) -> QueuedRequest:
        """Return the request of the same message and priority that stands last in its text."""
        if self._messages is None:
            self._messages = MessageIndex(self)
        return self._messages.last_of(queued)

    def add(self, queued: QueuedRequest) -> None:
        """Add a request that waits."""
        request = queued.request
        self.size += 1
        insert_by_age(self._by_priority[request.priority], queued)
        if request.owner is not None:
            self._by_owner[request.owner] += 1
        if self._messages is not None:
            self._messages.add(queued)

    def remove(self, request_id: str) -> QueuedRequest | None:
        """Remove a request; `None` if it does not wait (any more)."""
        for by_id in self._by_priority:
            queued = by_id.pop(request_id, None)
            if queued is not None:
                break
        else:
            return None
        owner = queued.request.owner
        self.size -= 1
        if owner is not None:
            self._by_owner[owner] -= 1
            if not self._by_owner[owner]:
                del self._by_owner[owner]
        if self._messages is not None:
            self._messages.remove(queued.request)
        return queued

    def prioritise(self, request: RequestSlot) -> None:
        """Move a request to its place in its new priority."""
        queued = self.remove(request.request_id)
        if queued is not None:
            self.add(QueuedRequest(request, queued.number, queued.queued_at))
