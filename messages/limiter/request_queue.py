"""The waiting room of a lane: who is next, by priority, with age, and in turns between owners.

The rules, which a test holds against a slow and obvious reading of them:

- An owner's *next* request of each priority is the one that came first; those behind it have no
  say. It has been the next one *since* it came, or since the one before it was granted a slot. (Its
  whole waiting does not count: else the oldest of a thousand requests of one owner would always be
  before the first one of another.) One whose slot was revoked goes before those of its owner, and
  brings its age along, as `RequestSlot.since`.
- A next request's *rank* is since when it has been that, plus `ageing` for each priority, 0 being
  the first. The best is the one with the smallest rank, and of several such the one that became a
  next one first. So within a priority owners take turns: whoever was granted a slot last is the
  last to have another. And each `ageing` of waiting lifts a request by one priority: it goes before
  all those of the next better one that came later than that. Without `ageing` any better priority
  goes before.
- An owner may be *blocked*: then none of its requests is the best. Its age counts all the same.

A rank does not change with time, so nothing has to be moved as it ages, and what is the best stays
it until something comes or goes.

All times are integer microseconds. Each step costs no more than the logarithm of what waits.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush

from limner.messages.limiter.protocol import RequestSlot

PRIORITIES = 10

ACTIVE = 3
"""The last priority of those that may ask for the slots of others."""

FOREVER = 1 << 62
"""Microseconds that no clock comes to."""


class QueuedRequest:
    """A request that waits.

    Args:
        request: what is wanted.
        number: smaller for the one that goes first, of the same owner and priority.
        asked: when it began to wait.
    """

    __slots__ = ("asked", "gone", "number", "request")

    def __init__(self, request: RequestSlot, number: int, asked: int) -> None:
        self.request = request
        self.number = number
        self.asked = asked
        self.gone = False


class _Line:
    """The requests of one owner and priority, the next one first.

    Args:
        owner: whose.
        priority: of each.
    """

    __slots__ = ("gone", "owner", "place", "priority", "requests", "since")

    def __init__(self, owner: "_Owner", priority: int) -> None:
        self.owner = owner
        self.priority = priority
        self.requests: deque[QueuedRequest] = deque()
        self.since = 0  # when its next request became that
        self.place = 0  # of its next request, among all that became one; 0 for none yet
        self.gone = 0

    def strike(self, waiting: QueuedRequest) -> bool:
        """Take a request out, and see to it that none that is gone is the first. True if it was."""
        waiting.gone = True
        requests = self.requests
        if requests[0] is waiting:
            requests.popleft()
            while self.gone and requests[0].gone:
                requests.popleft()
                self.gone -= 1
            return True
        self.gone += 1
        if self.gone > 32 and self.gone > len(requests) // 2:
            self.requests = deque(one for one in requests if not one.gone)
            self.gone = 0
        return False


class _Owner:
    __slots__ = ("blocked", "lines", "name", "waiting")

    def __init__(self, name: str | None) -> None:
        self.name = name
        self.lines: dict[int, _Line] = {}
        self.waiting = 0
        self.blocked = False


_Entry = tuple[int, int, _Line]
"""The rank of a line's next request, its place, and the line."""


class RequestQueue:
    """Requests that wait, `size` of them, and which of them is the best.

    Args:
        ageing: microseconds of waiting that lift a request by one priority; `None` for never.
    """

    def __init__(self, ageing: int | None) -> None:
        self._ageing = ageing or FOREVER
        self._by_priority: tuple[OrderedDict[str, QueuedRequest], ...] = tuple(
            OrderedDict() for _ in range(PRIORITIES)
        )
        self._owners: dict[str | None, _Owner] = {}
        self._urgent: list[_Entry] = []
        self._others: list[_Entry] = []
        self._lines = 0
        self._weights = [0] * PRIORITIES
        self.size = 0
        self._number = 0
        self._places = 0

    def __contains__(self, request_id: str) -> bool:
        return any(request_id in waiting for waiting in self._by_priority)

    def __iter__(self) -> Iterator[QueuedRequest]:
        for waiting in self._by_priority:
            yield from waiting.values()

    @property
    def weights(self) -> tuple[tuple[int, int], ...]:
        """How many requests there are of each priority, and what they weigh together."""
        return tuple(zip(map(len, self._by_priority), self._weights, strict=True))

    def number_of(self, owner: str | None) -> int:
        """Say how many requests of an owner wait."""
        known = self._owners.get(owner)
        return 0 if known is None else known.waiting

    def add(self, request: RequestSlot, now: int, *, blocked: bool) -> QueuedRequest:
        """Let a request wait; before those of its owner and priority if it has `since`.

        Args:
            request: what is wanted; its id is none that waits.
            now: the time.
            blocked: whether its owner is blocked, if it is not known yet.
        """
        self._number += 1
        priority, again = request.priority, request.since is not None
        waiting = QueuedRequest(request, -self._number if again else self._number, now)
        self._by_priority[priority][request.request_id] = waiting
        self._weights[priority] += request.weight
        owner = self._owners.get(request.owner)
        if owner is None:
            owner = self._owners[request.owner] = _Owner(request.owner)
            owner.blocked = blocked
        owner.waiting += 1
        line = owner.lines.get(priority)
        if line is None:
            line = owner.lines[priority] = _Line(owner, priority)
            self._lines += 1
        if again:
            line.requests.appendleft(waiting)
        else:
            line.requests.append(waiting)
        self.size += 1
        if line.requests[0] is waiting:
            self._follow(line, now)
        return waiting

    def remove(self, request_id: str) -> QueuedRequest | None:
        """Take a request out that is not wanted any more; `None` if it does not wait."""
        waiting = self.get(request_id)
        if waiting is not None and (line := self._strike(waiting)) is not None:
            self._follow(line, max(line.since, line.requests[0].asked))
        return waiting

    def take(self, waiting: QueuedRequest, now: int) -> None:
        """Take a request out that is granted; its owner's next one is the last to be so."""
        line = self._strike(waiting)
        if line is not None:
            line.place = 0
            self._follow(line, now)

    def best(self) -> QueuedRequest | None:
        """Give the request that is next; `None` if none is that may be."""
        urgent, other = _head(self._urgent), _head(self._others)
        if urgent is None or (other is not None and other < urgent):
            urgent = other
        return None if urgent is None else urgent[2].requests[0]

    def oldest(self) -> QueuedRequest | None:
        """Give the request that began to wait first."""
        first = (next(iter(by_id.values())) for by_id in self._by_priority if by_id)
        return min(first, key=_asked, default=None)

    def least(self, *, but: str) -> QueuedRequest | None:
        """Give the oldest request of the lowest priority, `but` left out."""
        for by_id in reversed(self._by_priority):
            for request_id, waiting in by_id.items():
                if request_id != but:
                    return waiting
        return None

    def get(self, request_id: str) -> QueuedRequest | None:
        """Give a request that waits, by its id."""
        for by_id in self._by_priority:
            if request_id in by_id:
                return by_id[request_id]
        return None

    def urgent(self) -> Iterator[tuple[str | None, Iterator[QueuedRequest]]]:
        """Give what waits with a priority up to `ACTIVE`: an owner at a time, none that is blocked.

        An owner whose next request has a better rank comes earlier; twice, if it has some of
        several priorities.
        """
        for line in _in_order(self._urgent):
            yield line.owner.name, (one for one in line.requests if not one.gone)

    def block_owner(self, owner: str | None) -> None:
        """Let an owner have nothing until it is let back."""
        known = self._owners.get(owner)
        if known is not None:
            known.blocked = True

    def unblock_owner(self, owner: str | None) -> None:
        """Unblock an owner."""
        known = self._owners.get(owner)
        if known is not None and known.blocked:
            known.blocked = False
            for line in known.lines.values():
                self._push(line)

    def rearrange(self, ageing: int | None, is_full: Callable[[str | None], bool]) -> None:
        """Let requests age at another pace, and block other owners."""
        self._ageing = ageing or FOREVER
        self._urgent.clear()
        self._others.clear()
        for owner in self._owners.values():
            owner.blocked = is_full(owner.name)
            for line in owner.lines.values():
                self._push(line)

    def _strike(self, waiting: QueuedRequest) -> _Line | None:
        """Take a request out; give its line if another one is its next now."""
        request = waiting.request
        priority = request.priority
        del self._by_priority[priority][request.request_id]
        self._weights[priority] -= request.weight
        owner = self._owners[request.owner]
        line = owner.lines[priority]
        self.size -= 1
        owner.waiting -= 1
        if not owner.waiting:
            del self._owners[owner.name]
        if not line.strike(waiting):
            return None
        if line.requests:
            return line
        line.place = 0
        del owner.lines[priority]
        self._lines -= 1
        return None

    def _follow(self, line: _Line, since: int) -> None:
        """Let a line's next request be that since then; it keeps a turn of the same time."""
        brought = line.requests[0].request.since
        if brought is not None:
            since = brought
        if not line.place or since != line.since:
            line.since = since
            self._places += 1
            line.place = self._places
            self._push(line)

    def _push(self, line: _Line) -> None:
        if line.owner.blocked:
            return
        entries = self._urgent if line.priority <= ACTIVE else self._others
        if len(entries) > 64 + 4 * self._lines:
            entries[:] = {one[1]: one for one in entries if _stands(one)}.values()
            heapify(entries)
        heappush(entries, (line.since + line.priority * self._ageing, line.place, line))


def _stands(entry: _Entry) -> bool:
    """Say whether an entry tells of a line's next request, which may be granted."""
    line = entry[2]
    return line.place == entry[1] and not line.owner.blocked


def _head(entries: list[_Entry]) -> _Entry | None:
    """Give the best of a heap, and forget what has left it."""
    while entries:
        if _stands(entries[0]):
            return entries[0]
        heappop(entries)
    return None


def _in_order(entries: list[_Entry]) -> Iterator[_Line]:
    """Give the lines of a heap, the best first; each costs the logarithm of those before it."""
    if not entries:
        return
    told: _Line | None = None
    heap = [(entries[0][:2], 0)]
    while heap:
        _, index = heappop(heap)
        entry = entries[index]
        if _stands(entry) and entry[2] is not told:
            told = entry[2]
            yield told
        for child in (2 * index + 1, 2 * index + 2):
            if child < len(entries):
                heappush(heap, (entries[child][:2], child))


def _asked(waiting: QueuedRequest) -> int:
    return waiting.asked
