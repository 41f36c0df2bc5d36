"""The arithmetic of one lane: who may have a slot, and when. No clock: `now` is passed in."""

from dataclasses import dataclass, field
from heapq import heappop, heappush

from limner.messages.settings import LaneSettings
from limner.messages.slots import RequestSlot

MICROSECONDS = 1_000_000
PRIORITY_LEVELS = 10


@dataclass(slots=True)
class Slot:
    """A slot that is out."""

    id: str
    request: RequestSlot
    expires_at: int


@dataclass(slots=True)
class Lane:
    """One lane: requests wait by priority, first come first served within, for slots.

    All times are integer microseconds of one clock that does not go back. Other settings may be
    put in force at any time; they hold for the grants after that.
    """

    name: str
    settings: LaneSettings
    out: dict[str, Slot] = field(default_factory=dict)
    weight_out: int = 0
    _leases: list[tuple[int, int, str]] = field(default_factory=list)
    _waiting: list[dict[str, RequestSlot]] = field(
        default_factory=lambda: [{} for _ in range(PRIORITY_LEVELS)]
    )
    _priority_of: dict[str, int] = field(default_factory=dict)
    _last_grant: int | None = None
    _granted: int = 0

    @property
    def _lease(self) -> int:
        return round(self.settings.lease * MICROSECONDS)

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._priority_of)

    def request(self, request: RequestSlot) -> bool:
        """Let a request wait. False if one of that id waits already."""
        if request.request_id in self._priority_of:
            return False
        self._priority_of[request.request_id] = request.priority
        self._waiting[request.priority][request.request_id] = request
        return True

    def withdraw(self, request_id: str) -> RequestSlot | None:
        """Take a waiting request out; `None` if it does not wait (any more)."""
        priority = self._priority_of.pop(request_id, None)
        return None if priority is None else self._waiting[priority].pop(request_id)

    def release(self, slot_id: str) -> Slot | None:
        """Take a slot back; `None` if it is not out (any more)."""
        slot = self.out.pop(slot_id, None)
        if slot is not None:
            self.weight_out -= slot.request.weight
        return slot

    def grants(self, now: int) -> list[Slot]:
        """Give out what may be given out now, the best request first."""
        given = []
        while (request := self._next()) is not None and self._free_at(request, now) == now:
            del self._waiting[request.priority][request.request_id]
            del self._priority_of[request.request_id]
            self._granted += 1
            self._last_grant = now
            slot = Slot(f"{self.name}-{self._granted}", request, now + self._lease)
            self.out[slot.id] = slot
            heappush(self._leases, (slot.expires_at, self._granted, slot.id))
            self.weight_out += request.weight
            given.append(slot)
        return given

    def expired(self, now: int) -> list[Slot]:
        """Take back the slots whose lease has ended."""
        over = []
        while (slot := self._first_out()) is not None and slot.expires_at <= now:
            self.release(slot.id)
            over.append(slot)
        return over

    def next_check(self, now: int) -> int | None:
        """When to look again though nothing happens; `None` if only a message can change it."""
        first_out = self._first_out()
        times = [] if first_out is None else [first_out.expires_at]
        request = self._next()
        if request is not None and (free := self._free_at(request, now)) is not None:
            times.append(free)
        return min(times, default=None)

    def _first_out(self) -> Slot | None:
        while self._leases:
            slot = self.out.get(self._leases[0][2])
            if slot is not None:
                return slot
            heappop(self._leases)
        return None

    def _next(self) -> RequestSlot | None:
        for waiting in self._waiting:
            if waiting:
                return next(iter(waiting.values()))
        return None

    def _free_at(self, request: RequestSlot, now: int) -> int | None:
        if self.weight_out + request.weight > self.settings.max_concurrent:
            return None
        if self._last_grant is None:
            return now
        return max(now, self._last_grant + round(self.settings.min_time * MICROSECONDS))
