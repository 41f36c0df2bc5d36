"""Which slots are asked back for which requests, and what is kept free for those."""

from collections.abc import Callable, Iterator

from limner.messages.limiter.leases import Leases, Slot
from limner.messages.limiter.protocol import RequestSlot
from limner.messages.limiter.request_queue import QueuedRequest, RequestQueue

BACKGROUND = 7
"""The first priority of those whose slots may be asked back."""


class Preemptions:
    """The requests for which slots were asked back.

    A request *asks* until all slots that were asked back for it are back; then it is *promised*
    that it goes first, in the order in which the slots came.

    Args:
        room: what waits.
        out: what is out.
    """

    __slots__ = ("_asking", "_out", "_promised", "_queue")

    def __init__(self, room: RequestQueue, out: Leases) -> None:
        self._queue = room
        self._out = out
        self._asking: dict[str, None] = {}
        self._promised: list[str] = []

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._asking or request_id in self._promised

    def __iter__(self) -> Iterator[str]:
        yield from self._asking
        yield from self._promised

    def __bool__(self) -> bool:
        return bool(self._asking or self._promised)

    def ask(
        self, *, free: int, budget: int | None, grace_ends: int, max_per_owner: int | None
    ) -> list[Slot]:
        """Ask the slots of background requests back that active ones are to have, newest first.

        Each is asked back once, for one request.

        Args:
            free: the weight that may be granted without.
            budget: the weight of a request at most; `None` is no limit.
            grace_ends: when a slot that is asked back expires at the latest.
            max_per_owner: slots that one owner holds at one time; `None` is no limit.
        """
        asked: list[Slot] = []
        spare: list[Slot] | None = None
        for request in self._urgent(max_per_owner):
            if budget is not None and request.weight > budget:
                break
            needed = request.weight - free
            if needed > 0:
                if spare is None:
                    spare = [slot for slot in self._out if _may_be_revoked(slot)]
                taken = _enough(needed, spare)
                if not taken:
                    break
                for slot in taken:
                    slot.revoked_for = request.request_id
                    self._out.shorten(slot, grace_ends)
                self._asking[request.request_id] = None
                asked += taken
            free = 0
        return asked

    def returned(self, slot: Slot) -> None:
        """Promise a request that it goes first, if the last slot is back that was asked for it."""
        wanted = slot.revoked_for
        if (
            wanted is not None
            and wanted in self._asking
            and all(other.revoked_for != wanted for other in self._out)
        ):
            del self._asking[wanted]
            self._promised.append(wanted)

    def forget(self, request_id: str) -> None:
        """Wait no longer for a slot that was asked back: it is for whoever is next then."""
        self._asking.pop(request_id, None)
        if self._promised and request_id in self._promised:
            self._promised.remove(request_id)

    def first(self, is_full: Callable[[str | None], bool]) -> QueuedRequest | None:
        """Give the first request that was promised to go first, unless its owner is full."""
        for name in self._promised:
            waiting = self._queue.get(name)
            if waiting is not None and not is_full(waiting.request.owner):
                return waiting
        return None

    def kept(self, request: RequestSlot, is_full: Callable[[str | None], bool]) -> int:
        """Say what is kept free for others than this request, for which slots were asked back."""
        if request.request_id in self._promised:
            return 0
        kept = 0
        for waiting in self._preferred():
            name = waiting.request.request_id
            if name != request.request_id and not is_full(waiting.request.owner):
                out = (slot for slot in self._out if slot.revoked_for == name)
                back = sum(slot.request.weight for slot in out)
                kept += max(0, waiting.request.weight - back)
        return kept

    def _urgent(self, most: int | None) -> Iterator[RequestSlot]:
        """Give the active requests that no slot was asked back for, as many as may have one."""
        for owner, requests in self._queue.urgent():
            left = self._queue.size
            if most is not None and owner is not None:
                coming = sum(one.request.owner == owner for one in self._preferred())
                left = most - self._out.number_of(owner) - coming
            for waiting in requests:
                if left <= 0:
                    break
                if waiting.request.request_id not in self:
                    left -= 1
                    yield waiting.request

    def _preferred(self) -> Iterator[QueuedRequest]:
        """Give the requests for which slots were asked back."""
        for name in self:
            waiting = self._queue.get(name)
            if waiting is not None:
                yield waiting


def _enough(weight: int, out: list[Slot]) -> list[Slot]:
    """Take slots from the end of a list until they weigh enough; none if all do not.

    Args:
        weight: what is needed.
        out: the slots that may be asked back, the newest last.
    """
    taken: list[Slot] = []
    while weight > 0 and out:
        taken.append(out.pop())
        weight -= taken[-1].request.weight
    return taken if weight <= 0 else []


def _may_be_revoked(slot: Slot) -> bool:
    request = slot.request
    return slot.revoked_for is None and request.revocable and request.priority >= BACKGROUND
