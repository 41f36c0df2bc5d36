"""Which slots are revoked for which requests, and what is kept free for those."""

from collections.abc import Callable, Iterator

from limner.messages.limiter.leases import Leases, Slot
from limner.messages.limiter.protocol import RequestSlot
from limner.messages.limiter.queued_request import QueuedRequest
from limner.messages.limiter.request_queue import RequestQueue

BACKGROUND = 7
"""The first priority of those whose slots may be revoked."""


class Preemptions:
    """The requests of a lane for which slots were revoked. It is mutable; its lane owns it.

    A revoked slot stays out until its holder returns it or its grace ends. So a request *awaits*
    its slots until all that were revoked for it are back. Then it is *preferred*: it goes before
    all others, in the order in which the slots came back. What has come back for it meanwhile is
    kept free for it.

    An example with `max_concurrent=3`, where b1, b2 and b3 hold a slot each for background
    requests of weight 1, b3 the newest:

    1. An active request A of weight 2 comes. Nothing is free, so `revoke` revokes b3 and b2 for
       it, and A awaits them. No other slot is revoked for A, and b3 and b2 are revoked for no
       other request.
    2. b3 is returned: 2 are out and 1 is free. For any other request A reserves its weight less
       what it still awaits, 2 - 1 = 1. So a request B of weight 1 does not fit, even with a better
       priority, as 2 + 1 + 1 is more than 3.
    3. b2 is returned. A awaits nothing any more and is preferred. It is granted: 1 + 2 = 3.

    If A were withdrawn after the second step, `remove` would forget it. Then b2 is still out until
    it is returned, and what is free goes to whichever request is next.

    Args:
        queue: what waits.
        leases: what is out.
    """

    __slots__ = ("_awaiting", "_leases", "_preferred", "_queue")

    def __init__(self, queue: RequestQueue, leases: Leases) -> None:
        self._queue = queue
        self._leases = leases
        self._awaiting: dict[str, None] = {}
        self._preferred: list[str] = []

    def detach(self, queue: RequestQueue, leases: Leases) -> None:
        """Make this shallow copy one of its own, for copies of the queue and the leases."""
        self._queue, self._leases = queue, leases
        self._awaiting = {name: None for name in self._awaiting if name in queue}
        self._preferred = [name for name in self._preferred if name in queue]

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._awaiting or request_id in self._preferred

    def __iter__(self) -> Iterator[str]:
        yield from self._awaiting
        yield from self._preferred

    def __bool__(self) -> bool:
        return bool(self._awaiting or self._preferred)

    def revoke(
        self,
        *,
        free: int,
        budget: int | None,
        grace_ends: int,
        max_per_owner: int | None,
        allowed: Callable[[RequestSlot], bool] | None = None,
    ) -> list[Slot]:
        """Revoke slots of background requests for active ones, the newest slots first.

        Each is revoked once, for one request.

        Args:
            free: the weight that may be granted without that.
            budget: the weight of a request at most; `None` is no limit.
            grace_ends: when a slot that is revoked expires at the latest.
            max_per_owner: slots that one owner holds at one time; `None` is no limit.
            allowed: whether the lane's budgets allow a request now; `None` if it has none.
        """
        revoked: list[Slot] = []
        revocable: list[Slot] | None = None
        for request in self._candidates(max_per_owner):
            if budget is not None and request.weight > budget:
                break
            if allowed is not None and not allowed(request):
                break
            needed = request.weight - free
            if needed > 0:
                if revocable is None:
                    revocable = [slot for slot in self._leases if _may_be_revoked(slot)]
                slots = _take_newest(needed, revocable)
                if not slots:
                    break
                for slot in slots:
                    slot.revoked_for = request.request_id
                    self._leases.shorten(slot, grace_ends)
                self._awaiting[request.request_id] = None
                revoked += slots
            free = 0
        return revoked

    def slot_returned(self, slot: Slot) -> None:
        """Prefer the request that a slot was revoked for, if that was the last that it awaited."""
        request_id = slot.revoked_for
        if (
            request_id is not None
            and request_id in self._awaiting
            and all(other.revoked_for != request_id for other in self._leases)
        ):
            del self._awaiting[request_id]
            self._preferred.append(request_id)

    def remove(self, request_id: str) -> None:
        """Forget a request that does not wait any more.

        Slots that were revoked for it go to whichever request is next as they come back.
        """
        self._awaiting.pop(request_id, None)
        if self._preferred and request_id in self._preferred:
            self._preferred.remove(request_id)

    def next_request(self, is_full: Callable[[str | None], bool]) -> QueuedRequest | None:
        """Return the first preferred request whose owner is not full."""
        for request_id in self._preferred:
            queued = self._queue.get(request_id)
            if queued is not None and not is_full(queued.request.owner):
                return queued
        return None

    def reserved_weight(self, request: RequestSlot, is_full: Callable[[str | None], bool]) -> int:
        """Return the weight kept free for others than this request; 0 if it is preferred."""
        if request.request_id in self._preferred:
            return 0
        reserved = 0
        for queued in self._requests():
            request_id = queued.request.request_id
            if request_id != request.request_id and not is_full(queued.request.owner):
                awaited = (slot for slot in self._leases if slot.revoked_for == request_id)
                weight = sum(slot.request.weight for slot in awaited)
                reserved += max(0, queued.request.weight - weight)
        return reserved

    def _candidates(self, max_per_owner: int | None) -> Iterator[RequestSlot]:
        """Return the active requests that no slot was revoked for, as many as owners may hold."""
        for owner, requests in self._queue.urgent():
            left = self._queue.size
            if max_per_owner is not None and owner is not None:
                coming = sum(queued.request.owner == owner for queued in self._requests())
                left = max_per_owner - self._leases.count_of(owner) - coming
            for queued in requests:
                if left <= 0:
                    break
                if queued.request.request_id not in self:
                    left -= 1
                    yield queued.request

    def _requests(self) -> Iterator[QueuedRequest]:
        """Return the requests for which slots were revoked."""
        for request_id in self:
            queued = self._queue.get(request_id)
            if queued is not None:
                yield queued


def _take_newest(weight: int, revocable: list[Slot]) -> list[Slot]:
    """Remove slots from the end of a list until they weigh enough.

    Args:
        weight: what is needed.
        revocable: slots, the newest last.

    Returns:
        Those slots; none if all together do not weigh enough.
    """
    slots: list[Slot] = []
    while weight > 0 and revocable:
        slots.append(revocable.pop())
        weight -= slots[-1].request.weight
    return slots if weight <= 0 else []


def _may_be_revoked(slot: Slot) -> bool:
    request = slot.request
    return slot.revoked_for is None and request.revocable and request.priority >= BACKGROUND
