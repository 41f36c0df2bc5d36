"""The waiting room of a lane: who is next, by priority, with age, and in turns between owners.

The rules, which a test holds against a slow and obvious reading of them:

- An owner's *next* request of each priority is the one that has waited longest; those behind it
  have no say.
- A next request's *level* is its priority, 0 being first, less one for each `ageing` that it has
  been the next one. (Its whole waiting does not count: else the oldest of a thousand requests of
  one owner would always be before the first one of another.) One whose slot was revoked brings
  its age along, as `RequestSlot.since`.
- On each level owners take turns. An owner joins the end of a level's line when a next request of
  its comes to that level and it is not in that line; it goes to the end of the line when a request
  of its is taken from that level; it leaves the line when no next request of its is on the level.
- The best request is on the first level that has a line, of the owner at the head of that line;
  of this owner's next requests on that level the one that came first.
- An owner may be *set aside*: it is in no line then, and joins the ends of its lines when it is
  let back.

All times are integer microseconds. Each step costs no more than the logarithm of what waits.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush

from limner.messages.slots import RequestSlot

LEVELS = 10


class Waiting:
    """A request that waits.

    Args:
        request: what is wanted.
        number: smaller for the one that came first.
        asked: when it began to wait.
    """

    __slots__ = ("asked", "gone", "number", "request")

    def __init__(self, request: RequestSlot, number: int, asked: int) -> None:
        self.request = request
        self.number = number
        self.asked = asked
        self.gone = False


class _Line:
    """The requests of one owner and priority, the longest waiting first."""

    __slots__ = ("gone", "level", "owner", "priority", "requests", "since")

    def __init__(self, owner: "_Owner", priority: int) -> None:
        self.owner = owner
        self.priority = priority
        self.requests: deque[Waiting] = deque()
        self.level: int | None = None  # where its next request is; none if the owner is aside
        self.since = 0  # from when the age of its next request counts
        self.gone = 0

    def begin(self, now: int) -> None:
        """Let the age of a request count that has become the next one."""
        since = self.requests[0].request.since
        self.since = now if since is None else since

    def strike(self, waiting: Waiting) -> bool:
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
    __slots__ = ("aside", "lines", "name", "waiting")

    def __init__(self, name: str | None) -> None:
        self.name = name
        self.lines: dict[int, _Line] = {}
        self.waiting = 0
        self.aside = False


class WaitingRoom:
    """Requests that wait, `size` of them, and which of them is the best.

    Args:
        ageing: microseconds of waiting that lift a request by one level; `None` for never.
    """

    def __init__(self, ageing: int | None) -> None:
        self._ageing = ageing
        self._by_priority: list[OrderedDict[str, Waiting]] = [OrderedDict() for _ in range(LEVELS)]
        self._owners: dict[str | None, _Owner] = {}
        self._levels: list[OrderedDict[_Owner, None]] = [OrderedDict() for _ in range(LEVELS)]
        self._lifts: list[tuple[int, int, int, _Line, Waiting]] = []
        self.size = 0
        self._number = 0
        self._pushed = 0

    def __contains__(self, request_id: str) -> bool:
        return any(request_id in waiting for waiting in self._by_priority)

    def __iter__(self) -> Iterator[Waiting]:
        for waiting in self._by_priority:
            yield from waiting.values()

    def number_of(self, owner: str | None) -> int:
        """Say how many requests of an owner wait."""
        known = self._owners.get(owner)
        return 0 if known is None else known.waiting

    def add(self, request: RequestSlot, now: int, *, aside: bool) -> Waiting:
        """Let a request wait; before those of its owner and priority if it has `since`.

        Args:
            request: what is wanted; its id is none that waits.
            now: the time.
            aside: whether its owner is set aside, if it is not known yet.
        """
        self.age(now)
        self._number += 1
        again = request.since is not None
        number = -self._number if again else self._number
        waiting = Waiting(request, number, now)
        self._by_priority[request.priority][request.request_id] = waiting
        owner = self._owners.get(request.owner)
        if owner is None:
            owner = self._owners[request.owner] = _Owner(request.owner)
            owner.aside = aside
        owner.waiting += 1
        line = owner.lines.get(request.priority)
        if line is None:
            line = owner.lines[request.priority] = _Line(owner, request.priority)
        if again:
            line.requests.appendleft(waiting)
        else:
            line.requests.append(waiting)
        if line.requests[0] is waiting:
            line.begin(now)
            self._place(line, now)
        self.size += 1
        return waiting

    def remove(self, request_id: str, now: int) -> Waiting | None:
        """Take a request out that is not wanted any more; `None` if it does not wait."""
        self.age(now)
        for by_id in self._by_priority:
            waiting = by_id.pop(request_id, None)
            if waiting is not None:
                self._strike(waiting, now)
                return waiting
        return None

    def take(self, waiting: Waiting, now: int) -> None:
        """Take the best request out; its owner goes to the end of the line."""
        request = waiting.request
        owner = self._owners[request.owner]
        level = owner.lines[request.priority].level
        del self._by_priority[request.priority][request.request_id]
        if level is not None:
            self._levels[level].move_to_end(owner)
        self._strike(waiting, now)

    def best(self, now: int) -> Waiting | None:
        """Give the request that is next; `None` if none is that may be."""
        if self._lifts:
            self.age(now)
        for level, owners in enumerate(self._levels):
            if owners:
                lines = next(iter(owners)).lines.values()
                found = [one.requests[0] for one in lines if one.level == level]
                return found[0] if len(found) == 1 else min(found, key=_number)
        return None

    def oldest(self) -> Waiting | None:
        """Give the request that began to wait first."""
        first = (next(iter(by_id.values())) for by_id in self._by_priority if by_id)
        return min(first, key=_asked, default=None)

    def least(self, *, but: str) -> Waiting | None:
        """Give the oldest request of the lowest priority, one left aside."""
        for by_id in reversed(self._by_priority):
            for request_id, waiting in by_id.items():
                if request_id != but:
                    return waiting
        return None

    def get(self, request_id: str) -> Waiting | None:
        """Give a request that waits, by its id."""
        for by_id in self._by_priority:
            if request_id in by_id:
                return by_id[request_id]
        return None

    def first(self, priority: int) -> Iterator[Waiting]:
        """Give what waits with a priority up to this one, unless its owner is set aside.

        By priority, and the oldest first.
        """
        for by_id in self._by_priority[: priority + 1]:
            for waiting in by_id.values():
                if not self.is_aside(waiting.request.owner):
                    yield waiting

    def set_aside(self, owner: str | None) -> None:
        """Take an owner out of all lines until it is let back."""
        known = self._owners.get(owner)
        if known is not None and not known.aside:
            known.aside = True
            for line in known.lines.values():
                self._leave(line)

    def let_back(self, owner: str | None, now: int) -> None:
        """Let an owner join its lines again."""
        self.age(now)
        known = self._owners.get(owner)
        if known is not None and known.aside:
            known.aside = False
            for line in sorted(known.lines.values(), key=_came):
                self._place(line, now)

    def is_aside(self, owner: str | None) -> bool:
        """Say whether an owner that waits is set aside."""
        known = self._owners.get(owner)
        return known is not None and known.aside

    def rearrange(
        self, ageing: int | None, is_aside: Callable[[str | None], bool], now: int
    ) -> None:
        """Let requests age at another pace, and set other owners aside.

        What comes to a level by this comes in the order in which the requests came.
        """
        self.age(now)
        self._ageing = ageing
        self._lifts.clear()
        lines: list[_Line] = []
        for owner in self._owners.values():
            owner.aside = is_aside(owner.name)
            lines += owner.lines.values()
        for line in sorted(lines, key=_came):
            self._place(line, now)

    def next_lift(self) -> int | None:
        """Say when the next request comes to a better level."""
        while self._lifts:
            due, _, _, line, waiting = self._lifts[0]
            if _stands(line, waiting):
                return due
            heappop(self._lifts)
        return None

    def age(self, now: int) -> None:
        """Lift what has waited for long enough, in the order in which it is due."""
        while (due := self.next_lift()) is not None and due <= now:
            line = heappop(self._lifts)[3]
            self._place(line, due)

    def _strike(self, waiting: Waiting, now: int) -> None:
        owner = self._owners[waiting.request.owner]
        line = owner.lines[waiting.request.priority]
        self.size -= 1
        owner.waiting -= 1
        if line.strike(waiting):
            if line.requests:
                line.begin(now)
            self._place(line, now)
        if not owner.waiting:
            del self._owners[owner.name]

    def _place(self, line: _Line, now: int) -> None:
        """Put a line where its next request belongs."""
        owner = line.owner
        waiting = line.requests[0] if line.requests else None
        level = None
        if waiting is None:
            del owner.lines[line.priority]
        elif not owner.aside:
            level = self._level(line, now)
        if level != line.level:
            self._leave(line)
            line.level = level
            if level is not None and owner not in self._levels[level]:
                self._levels[level][owner] = None
        if level and self._ageing is not None and waiting is not None:
            due = line.since + (line.priority - level + 1) * self._ageing
            self._pushed += 1
            if len(self._lifts) > 64 + 4 * self.size:
                self._lifts = [one for one in self._lifts if _stands(one[3], one[4])]
                heapify(self._lifts)
            heappush(self._lifts, (due, waiting.number, self._pushed, line, waiting))

    def _leave(self, line: _Line) -> None:
        level, line.level = line.level, None
        if level is not None and all(one.level != level for one in line.owner.lines.values()):
            self._levels[level].pop(line.owner, None)

    def _level(self, line: _Line, now: int) -> int:
        if self._ageing is None:
            return line.priority
        return max(0, line.priority - (now - line.since) // self._ageing)


def _stands(line: _Line, waiting: Waiting) -> bool:
    """Say whether a request is still its line's next, and in a level's line."""
    return line.level is not None and bool(line.requests) and line.requests[0] is waiting


def _came(line: _Line) -> int:
    return line.requests[0].number


def _number(waiting: Waiting) -> int:
    return waiting.number


def _asked(waiting: Waiting) -> int:
    return waiting.asked
