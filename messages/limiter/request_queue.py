"""The queue of a lane: which request is next, by priority, age, and turns between owners.

The rules, which a test holds against a slow and obvious reading of them:

- The *head* of an owner's requests of one priority is the one that came first; those behind it do
  not compete. One with a deadline, as it comes, goes before those at the end of them that are due
  later. A request is due at its deadline, and `ageing` after it came at the latest: so those that
  have none are not passed for ever. A new head takes over the turn of the head before it. So
  deadlines order the requests of an owner, and no owner is served earlier for having them.
- A head has been the head *since* it came, or since the one before it was granted a slot.
  (Its whole waiting does not count: else the oldest of a thousand requests of one owner would
  always be before the first one of another.) One whose slot was revoked goes before those of its
  owner, and keeps its age, as `RequestSlot.since`.
- A head's *rank* is since when it has been that, plus `ageing` for each priority, 0 being the
  first. The best is the one with the smallest rank, and of several such the one that became a head
  first. So within a priority owners take turns: the owner that was granted a slot last is the last
  to have another. And each `ageing` of waiting lifts a request by one priority: it goes before all
  those of the next better one that came later than that. Without `ageing` any better priority goes
  before.
- An owner may be *blocked*: then none of its requests is the best. Its age counts all the same.

A rank does not change with time, so nothing has to be moved as it ages, and what is the best stays
it until something comes or goes.

An example, with an `ageing` of 10 s; times and ranks are in seconds:

| request | owner | priority | came at | head since | rank         |
|---------|-------|----------|---------|------------|--------------|
| a1      | ann   | 3        | 0       | 0          | 0 + 30 = 30  |
| a2      | ann   | 3        | 0       | not a head |              |
| b1      | bob   | 3        | 1       | 1          | 1 + 30 = 31  |
| c1      | cleo  | 5        | 2       | 2          | 2 + 50 = 52  |

A slot that is free at 4 goes to a1. Then a2 is ann's head since 4, with rank 34. So the next slot
goes to b1, though a2 came earlier, and the one after it to a2. A head of priority 3 that comes
before 22 goes before c1. One that comes at 23 has rank 53 and goes after it: by 22, c1 has waited
twice the `ageing`, which has lifted it by two priorities.

If a3 of ann comes at 5 with a deadline at 8, it goes before a2, which is due at 10. It is the head
in place of a2, since 4, with rank 34. With a deadline at 12 it would go behind a2.

All times are integer microseconds. Each step costs no more than the logarithm of what waits; one
with a deadline costs as much as those of its owner that it passes.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from heapq import heapify, heappop, heappush, nsmallest
from itertools import islice

from limner.messages.limiter.protocol import RequestSlot
from limner.messages.limiter.queued_request import (
    MessageIndex,
    QueuedRequest,
    insert_by_age,
    least_important_of,
    oldest_of,
    queued_at,
)

PRIORITIES = 10

ACTIVE = 3
"""The last priority of those for which slots of others may be revoked."""

FOREVER = 1 << 62
"""Microseconds that no clock comes to."""


class _OwnerQueue:
    """The requests of one owner and priority, the head first.

    Args:
        owner: whose.
        priority: of each.

    Attributes:
        requests: some behind the head may be removed already.
        since: when the head became that.
        turn: of the head, among all that became one; 0 for none yet.
        removed: how many of `requests` are removed.
    """

    __slots__ = ("owner", "priority", "removed", "requests", "since", "turn")

    def __init__(self, owner: "_Owner", priority: int) -> None:
        self.owner = owner
        self.priority = priority
        self.requests: deque[QueuedRequest] = deque()
        self.since = 0
        self.turn = 0
        self.removed = 0

    def remove(self, queued: QueuedRequest) -> bool:
        """Remove a request, so that the first is one that still waits; True if it was the head."""
        queued.removed = True
        requests = self.requests
        if requests[0] is queued:
            requests.popleft()
            while self.removed and requests[0].removed:
                requests.popleft()
                self.removed -= 1
            return True
        self.removed += 1
        if self.removed > 32 and self.removed > len(requests) // 2:
            self.requests = deque(queued for queued in requests if not queued.removed)
            self.removed = 0
        return False


class _Owner:
    """An owner of whom something waits: its queues by priority, and how many requests in all."""

    __slots__ = ("blocked", "name", "queues", "waiting")

    def __init__(self, name: str | None) -> None:
        self.name = name
        self.queues: dict[int, _OwnerQueue] = {}
        self.waiting = 0
        self.blocked = False


_Entry = tuple[int, int, _OwnerQueue]
"""The rank and the turn of a head, and its queue."""


class RequestQueue:
    """Requests that wait, `size` of them. It is mutable; its lane owns it.

    Args:
        ageing: microseconds of waiting that lift a request by one priority; `None` for never.
    """

    def __init__(self, ageing: int | None) -> None:
        self._ageing = ageing or FOREVER
        self._number = 0
        self._turns = 0
        self._begin()

    def _begin(self) -> None:
        """Begin with nothing that waits."""
        self._by_priority: tuple[OrderedDict[str, QueuedRequest], ...] = tuple(
            OrderedDict() for _ in range(PRIORITIES)
        )
        self._owners: dict[str | None, _Owner] = {}
        self._urgent: list[_Entry] = []
        self._others: list[_Entry] = []
        self._messages: MessageIndex | None = None  # made when it is needed first
        self._queues = 0
        self._weights = [0] * PRIORITIES
        self.size = 0

    def __contains__(self, request_id: str) -> bool:
        return any(request_id in by_id for by_id in self._by_priority)

    def __iter__(self) -> Iterator[QueuedRequest]:
        for by_id in self._by_priority:
            yield from by_id.values()

    @property
    def weights(self) -> tuple[tuple[int, int], ...]:
        """How many requests there are of each priority, and their summed weight."""
        return tuple(zip(map(len, self._by_priority), self._weights, strict=True))

    def count_of(self, owner: str | None) -> int:
        """Return how many requests of an owner wait."""
        known = self._owners.get(owner)
        return 0 if known is None else known.waiting

    def add(self, request: RequestSlot, now: int, *, blocked: bool) -> QueuedRequest:
        """Queue a request; before those of its owner and priority if it has `since`.

        Args:
            request: its id is none that waits.
            now: the time.
            blocked: whether its owner is blocked, if nothing of that owner waits yet.
        """
        self._number += 1
        priority, again = request.priority, request.since is not None
        queued = QueuedRequest(
            request, -self._number if again else self._number, now, now + self._ageing
        )
        self._by_priority[priority][request.request_id] = queued
        if self._messages is not None:
            self._messages.add(queued)
        self._weights[priority] += request.weight
        queue = self._queue_for(request, blocked=blocked)
        if again:
            queue.requests.appendleft(queued)
        elif request.deadline is not None:
            queued.due = min(queued.due, request.deadline)
            return self._add_by_deadline(queue, queued)
        else:
            queue.requests.append(queued)
        if queue.requests[0] is queued:
            self._rank_head(queue, now)
        return queued

    def _add_by_deadline(self, queue: _OwnerQueue, queued: QueuedRequest) -> QueuedRequest:
        """Add a request with a deadline before those at the end that are due later."""
        requests = queue.requests
        since, place = queue.since if requests else queued.queued_at, len(requests)
        while place:
            last = requests[place - 1]
            if not last.removed and (last.number < 0 or last.due <= queued.due):
                break
            place -= 1
        requests.insert(place, queued)
        if requests[0] is queued:
            self._rank_head(queue, since)
        return queued

    def remove(self, request_id: str) -> QueuedRequest | None:
        """Remove a request that is withdrawn or dropped; `None` if it does not wait."""
        queued = self.get(request_id)
        if queued is not None and (queue := self._unlink(queued)) is not None:
            self._rank_head(queue, max(queue.since, queue.requests[0].queued_at))
        return queued

    def prioritise(self, request_id: str, priority: int) -> RequestSlot | None:
        """Change the priority of a request that waits; return it as it is then.

        It goes to its place among its owner's requests of that priority, by when each came. If it
        is the head there, it keeps its age, or takes over the turn of the head before it.

        Args:
            request_id: of the request.
            priority: from now on.

        Returns:
            The request; `None` if it does not wait, or has that priority already.
        """
        queued = self.get(request_id)
        if queued is None or queued.request.priority == priority:
            return None
        blocked = self._owners[queued.request.owner].blocked
        left = self._unlink(queued)
        if left is not None:
            self._rank_head(left, max(left.since, left.requests[0].queued_at))
        request = queued.request.but(priority=priority)
        moved = QueuedRequest(request, queued.number, queued.queued_at, queued.due)
        insert_by_age(self._by_priority[priority], moved)
        if self._messages is not None:
            self._messages.add(moved)
        self._weights[priority] += request.weight
        queue = self._queue_for(request, blocked=blocked)
        since = queue.since if queue.requests else moved.queued_at
        place = len(queue.requests)
        while place and queue.requests[place - 1].number > moved.number:
            place -= 1
        queue.requests.insert(place, moved)
        if place == 0:
            self._rank_head(queue, since)
        return request

    def take(self, queued: QueuedRequest, now: int) -> None:
        """Remove a request that is granted; its owner's next one is then the last to be."""
        queue = self._unlink(queued)
        if queue is not None:
            queue.turn = 0
            self._rank_head(queue, now)

    def best(self) -> QueuedRequest | None:
        """Return the request that is next; `None` if nothing waits but of blocked owners."""
        urgent, other = _peek(self._urgent), _peek(self._others)
        if urgent is None or (other is not None and other < urgent):
            urgent = other
        return None if urgent is None else urgent[2].requests[0]

    def oldest(self) -> QueuedRequest | None:
        """Return the request that began to wait first."""
        return oldest_of(self._by_priority)

    def least_important(self) -> QueuedRequest:
        """Return the oldest request of the lowest priority; something waits."""
        return least_important_of(self._by_priority)

    def last_of(self, queued: QueuedRequest) -> QueuedRequest:
        """Return the request of the same message and priority that stands last in its text."""
        if self._messages is None:
            self._messages = MessageIndex(self)
        return self._messages.last_of(queued)

    def get(self, request_id: str) -> QueuedRequest | None:
        """Return a request that waits, by its id."""
        for by_id in self._by_priority:
            if request_id in by_id:
                return by_id[request_id]
        return None

    def urgent(self) -> Iterator[tuple[str | None, Iterator[QueuedRequest]]]:
        """Return the requests of a priority up to `ACTIVE`, by owner; none of a blocked owner.

        An owner whose head has a better rank comes earlier. An owner with requests of several
        priorities comes once for each.
        """
        for queue in _in_order(self._urgent):
            yield queue.owner.name, (queued for queued in queue.requests if not queued.removed)

    def block_owner(self, owner: str | None) -> None:
        """Pass an owner's requests over until it is unblocked."""
        known = self._owners.get(owner)
        if known is not None:
            known.blocked = True

    def unblock_owner(self, owner: str | None) -> None:
        """Unblock an owner."""
        known = self._owners.get(owner)
        if known is not None and known.blocked:
            known.blocked = False
            for queue in known.queues.values():
                self._push(queue)

    def rebuild(self, ageing: int | None, is_full: Callable[[str | None], bool]) -> None:
        """Rank all heads by another `ageing`, and block exactly the owners that are full."""
        self._ageing = ageing or FOREVER
        self._urgent.clear()
        self._others.clear()
        for owner in self._owners.values():
            owner.blocked = is_full(owner.name)
            for queue in owner.queues.values():
                self._push(queue)

    def detach(self, most: int) -> None:
        """Make this shallow copy of a queue one of its own, with so many requests at most.

        If there are more, those of each owner that go first are kept, of as many owners and
        priorities as possible.
        """
        queues = [queue for owner in self._owners.values() for queue in owner.queues.values()]
        self._begin()
        if len(queues) > most:
            queues = nsmallest(most, queues, key=self._rank)
        each = max(1, most // max(1, len(queues)))
        for queue in queues:
            waiting = (queued for queued in queue.requests if not queued.removed)
            self._add_queue(queue, islice(waiting, each))
        for by_id in self._by_priority:
            for name in [q.request.request_id for q in sorted(by_id.values(), key=queued_at)]:
                by_id.move_to_end(name)

    def _add_queue(self, queue: _OwnerQueue, waiting: Iterable[QueuedRequest]) -> None:
        """Add copies of an owner's requests of one priority, as the owner stands now."""
        for queued in waiting:
            request, number = queued.request, queued.number
            own = QueuedRequest(request, number, queued.queued_at, queued.due)
            self._by_priority[queue.priority][request.request_id] = own
            self._weights[queue.priority] += request.weight
            added = self._queue_for(request, blocked=queue.owner.blocked)
            added.requests.append(own)
        added.since, added.turn = queue.since, queue.turn
        self._push(added)

    def _rank(self, queue: _OwnerQueue) -> tuple[int, int]:
        return queue.since + queue.priority * self._ageing, queue.turn

    def _queue_for(self, request: RequestSlot, *, blocked: bool) -> _OwnerQueue:
        """Return the queue that one more request is added to, and count that request.

        Args:
            request: which.
            blocked: whether its owner is blocked, if nothing of that owner waits yet.
        """
        owner = self._owners.get(request.owner)
        if owner is None:
            owner = self._owners[request.owner] = _Owner(request.owner)
            owner.blocked = blocked
        owner.waiting += 1
        self.size += 1
        queue = owner.queues.get(request.priority)
        if queue is None:
            queue = owner.queues[request.priority] = _OwnerQueue(owner, request.priority)
            self._queues += 1
        return queue

    def _unlink(self, queued: QueuedRequest) -> _OwnerQueue | None:
        """Remove a request; return its queue if another one is the head of it now."""
        request = queued.request
        priority = request.priority
        del self._by_priority[priority][request.request_id]
        if self._messages is not None:
            self._messages.remove(request)
        self._weights[priority] -= request.weight
        owner = self._owners[request.owner]
        queue = owner.queues[priority]
        self.size -= 1
        owner.waiting -= 1
        if not owner.waiting:
            del self._owners[owner.name]
        if not queue.remove(queued):
            return None
        if queue.requests:
            return queue
        queue.turn = 0
        del owner.queues[priority]
        self._queues -= 1
        return None

    def _rank_head(self, queue: _OwnerQueue, since: int) -> None:
        """Rank a new head by since when it is that; one of the same time keeps the turn."""
        own_since = queue.requests[0].request.since
        if own_since is not None:
            since = own_since
        if not queue.turn or since != queue.since:
            queue.since = since
            self._turns += 1
            queue.turn = self._turns
            self._push(queue)

    def _push(self, queue: _OwnerQueue) -> None:
        if queue.owner.blocked:
            return
        entries = self._urgent if queue.priority <= ACTIVE else self._others
        if len(entries) > 64 + 4 * self._queues:
            entries[:] = {entry[1]: entry for entry in entries if _is_current(entry)}.values()
            heapify(entries)
        heappush(entries, (queue.since + queue.priority * self._ageing, queue.turn, queue))


def _is_current(entry: _Entry) -> bool:
    """Return whether an entry is of the present head of a queue, whose owner is not blocked."""
    queue = entry[2]
    return queue.turn == entry[1] and not queue.owner.blocked


def _peek(entries: list[_Entry]) -> _Entry | None:
    """Return the best entry of a heap, and remove those before it that are not current."""
    while entries:
        if _is_current(entries[0]):
            return entries[0]
        heappop(entries)
    return None


def _in_order(entries: list[_Entry]) -> Iterator[_OwnerQueue]:
    """Return the queues of a heap, the best first; each costs the logarithm of those before it."""
    if not entries:
        return
    last: _OwnerQueue | None = None
    heap = [(entries[0][:2], 0)]
    while heap:
        _, index = heappop(heap)
        entry = entries[index]
        if _is_current(entry) and entry[2] is not last:
            last = entry[2]
            yield last
        for child in (2 * index + 1, 2 * index + 2):
            if child < len(entries):
                heappush(heap, (entries[child][:2], child))
