"""The arithmetic of one lane: who may have a slot, and when. No clock: `now` is passed in.

All times are integer microseconds of one clock that does not go back. Who is next of those that
wait is told by `limner.messages.waiting`. The best request is granted as soon as the limits allow
it, and never before; one that does not fit yet is not passed by lighter ones behind it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Literal, NamedTuple

from limner.messages.reservoirs import MICROSECONDS, Reservoir
from limner.messages.settings import LaneSettings
from limner.messages.slots import RequestSlot
from limner.messages.waiting import Waiting, WaitingRoom

BACKGROUND = 7
"""The first priority of those whose slots may be asked back."""

DropReason = Literal[
    "too heavy",
    "high water",
    "blocked",
    "too many of its owner wait",
    "waited too long",
    "the lane is draining",
    "the lane is stopped",
]


@dataclass(slots=True)
class Slot:
    """A slot that is out.

    Args:
        id: its name.
        request: what it was granted to.
        number: how many were granted, this one counted.
        granted_at: when.
        expires_at: when it is taken back.
        waited: how long its request waited.
        revoked_for: the request that it was asked back for.
    """

    id: str
    request: RequestSlot
    number: int
    granted_at: int
    expires_at: int
    waited: int
    revoked_for: str | None = None


class Drop(NamedTuple):
    """A request that is not granted, and why."""

    request: RequestSlot
    reason: DropReason


class Answer(NamedTuple):
    """What a request has led to."""

    granted: list[Slot]
    dropped: list[Drop]


NOTHING = Answer([], [])


class Lane:
    """One lane.

    Args:
        name: of the lane.
        settings: in force from the beginning.
        now: the time.
    """

    def __init__(self, name: str, settings: LaneSettings, now: int = 0) -> None:
        self.name = name
        self.out: dict[str, Slot] = {}
        self.weight_out = 0
        self.paused_until: float | None = None
        self.ending: Literal["draining", "stopped"] | None = None
        self._room = WaitingRoom(_micros(settings.ageing))
        self._reservoir = Reservoir(settings, now)
        self._leases: list[tuple[int, int, str]] = []
        self._held: dict[str, int] = {}
        self._promised: list[str] = []
        self._asked_for: dict[str, None] = {}
        self._blocked_until: int | None = None
        self._last_grant: int | None = None
        self._granted = 0
        self._put_in_force(settings)

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return self._room.size

    @property
    def reservoir(self) -> int | None:
        """What may still be granted, as of the last time that was looked."""
        return self._reservoir.left

    def waits(self, request_id: str) -> bool:
        """Say whether a request waits."""
        return request_id in self._room

    def all_waiting(self) -> Iterator[Waiting]:
        """Give the requests that wait."""
        return iter(self._room)

    def request(self, request: RequestSlot, now: int) -> Answer:
        """Take a request: grant it, let it wait, or drop what there is no room for.

        Args:
            request: whose id is none that waits.
            now: the time.
        """
        refused = self._refused(request, now)
        if refused is not None:
            return Answer([], [Drop(request, refused)])
        room = self._room
        if not room.size and not self._promised and self._may_go(request, now):
            return Answer([self._grant(request, now, 0)], [])
        waiting = room.add(request, now, aside=self._is_full(request.owner))
        granted = self.grants(now)
        return Answer(granted, [] if waiting.gone else self._overflow(request, now))

    def withdraw(self, request_id: str) -> RequestSlot | None:
        """Take a waiting request out; `None` if it does not wait (any more)."""
        waiting = self._room.remove(request_id)
        if waiting is None:
            return None
        self._forget(request_id)
        return waiting.request

    def release(self, slot_id: str) -> Slot | None:
        """Take a slot back; `None` if it is not out (any more)."""
        slot = self.out.pop(slot_id, None)
        if slot is None:
            return None
        self.weight_out -= slot.request.weight
        owner = slot.request.owner
        if owner is not None:
            held = self._held[owner] - 1
            if held:
                self._held[owner] = held
            else:
                del self._held[owner]
            if self.settings.max_per_owner is not None and not self._is_full(owner):
                self._room.let_back(owner)
        wanted = slot.revoked_for
        if (
            wanted is not None
            and wanted in self._asked_for
            and all(other.revoked_for != wanted for other in self.out.values())
        ):
            del self._asked_for[wanted]
            self._promised.append(wanted)
        return slot

    def grants(self, now: int) -> list[Slot]:
        """Give out what may be given out now, the best request first."""
        given: list[Slot] = []
        most = self.settings.max_concurrent
        while most is None or self.weight_out < most:
            waiting = self._next()
            if waiting is None or not self._may_go(waiting.request, now):
                break
            request = waiting.request
            self._room.take(waiting, now)
            self._forget(request.request_id)
            given.append(self._grant(request, now, now - waiting.asked))
        return given

    def revocations(self, now: int) -> list[Slot]:
        """Give the slots of background requests that active ones are to have, the newest first.

        Each is asked back once, for one request; it stays out until it is released or its grace
        ends.
        """
        settings = self.settings
        if not settings.preempt or settings.max_concurrent is None or self.paused(now):
            return []
        asked: list[Slot] = []
        spare: list[Slot] | None = None
        free = max(0, settings.max_concurrent - self.weight_out)
        self._reservoir.fill(now)
        for request in self._urgent():
            if self._reservoir.left is not None and request.weight > self._reservoir.left:
                break
            if spare is None:
                spare = [slot for slot in self.out.values() if _may_be_revoked(slot)]
            needed = request.weight - free
            taken: list[Slot] = []
            while needed > 0 and spare:
                taken.append(spare.pop())
                needed -= taken[-1].request.weight
            if needed > 0:
                break
            free = 0
            for slot in taken:
                slot.revoked_for = request.request_id
                slot.expires_at = min(slot.expires_at, now + round(settings.grace * MICROSECONDS))
                heappush(self._leases, (slot.expires_at, slot.number, slot.id))
            if taken:
                self._asked_for[request.request_id] = None
                asked += taken
        return asked

    def _urgent(self) -> Iterator[RequestSlot]:
        """Give the active requests that no slot was asked back for, as many as may have one."""
        most = self.settings.max_per_owner
        for owner, requests in self._room.urgent():
            left = self._room.size
            if most is not None and owner is not None:
                coming = sum(one.request.owner == owner for one in self._preferred())
                left = most - self._held.get(owner, 0) - coming
            for waiting in requests:
                if left <= 0:
                    break
                name = waiting.request.request_id
                if name not in self._asked_for and name not in self._promised:
                    left -= 1
                    yield waiting.request

    def expired(self, now: int) -> list[Slot]:
        """Take back the slots whose lease or grace has ended."""
        over = []
        while (slot := self._first_out()) is not None and slot.expires_at <= now:
            self.release(slot.id)
            over.append(slot)
        return over

    def overdue(self, now: int) -> list[Drop]:
        """Drop the requests that have waited too long, or that nothing can be had for any more."""
        dropped: list[Drop] = []
        if self._reservoir.left is not None and not self.paused(now):
            self._reservoir.fill(now)
            while (head := self._room.best()) is not None and self._is_hopeless(head.request):
                dropped.append(self._drop(head, "too heavy"))
        if self.settings.max_wait is not None:
            limit = now - round(self.settings.max_wait * MICROSECONDS)
            while (waiting := self._room.oldest()) is not None and waiting.asked <= limit:
                dropped.append(self._drop(waiting, "waited too long"))
        return dropped

    def update(self, settings: LaneSettings, now: int) -> list[Drop]:
        """Put other settings in force, at once; what is out stays out.

        Gives what waits and weighs more than the lane can ever give now. A lower `high_water`
        drops nobody who waits already.
        """
        self._reservoir.change(settings, now)
        self._put_in_force(settings)
        self._room.rearrange(_micros(settings.ageing), self._is_full)
        heavy = [one for one in self._room if not self._can_ever_give(one.request.weight)]
        return [self._drop(waiting, "too heavy") for waiting in heavy]

    def pause(self, until: int | None = None) -> None:
        """Grant nothing until a time, or until it is resumed."""
        self.paused_until = float("inf") if until is None else until

    def resume(self) -> None:
        """Grant again."""
        self.paused_until = None

    def drain(self) -> None:
        """Take no request any more; what waits is still granted."""
        self.ending = self.ending or "draining"

    def stop(self) -> list[Drop]:
        """Take no request any more, and drop what waits."""
        self.ending = "stopped"
        return self._drop_all("the lane is stopped")

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is out."""
        return not self.out and not self._room.size

    def next_check(self, now: int) -> int | None:
        """When to look again though nothing happens; `None` if only a message can change it."""
        times = []
        slot = self._first_out()
        if slot is not None:
            times.append(slot.expires_at)
        oldest = None if self.settings.max_wait is None else self._room.oldest()
        if oldest is not None:
            times.append(oldest.asked + round((self.settings.max_wait or 0) * MICROSECONDS))
        if self.paused_until is not None and self.paused_until > now:
            if self.paused_until != float("inf") and self._room.size:
                times.append(int(self.paused_until))
            return min(times, default=None)
        waiting = self._next()
        if waiting is not None and (due := self._may_go_at(waiting.request, now)) is not None:
            times.append(due)
        return min(times, default=None)

    def _put_in_force(self, settings: LaneSettings) -> None:
        self.settings = settings
        self._lease = round(settings.lease * MICROSECONDS)
        self._min_time = round(settings.min_time * MICROSECONDS)

    def _refused(self, request: RequestSlot, now: int) -> DropReason | None:
        if self.ending is not None:
            return "the lane is draining" if self.ending == "draining" else "the lane is stopped"
        if self._blocked_until is not None:
            if now < self._blocked_until:
                self._block(now)
                return "blocked"
            self._blocked_until = None
        self._reservoir.fill(now)
        if not self._can_ever_give(request.weight):
            return "too heavy"
        return None

    def _can_ever_give(self, weight: int) -> bool:
        most = self.settings.max_concurrent
        return (most is None or weight <= most) and self._reservoir.ever(weight)

    def _is_hopeless(self, request: RequestSlot) -> bool:
        """Say whether a request stands before a reservoir that can never give its weight any more.

        A refresh may have left less than there was when it came.
        """
        most, weight = self.settings.max_concurrent, request.weight
        fits = most is None or self.weight_out + weight <= most
        return fits and not self._reservoir.ever(weight)

    def _overflow(self, request: RequestSlot, now: int) -> list[Drop]:
        settings, owner = self.settings, request.owner
        if request.since is not None:
            return []  # it has waited before, and is not to blame
        most = settings.max_waiting_per_owner
        if most is not None and owner is not None and self._room.number_of(owner) > most:
            return [self._drop_id(request, "too many of its owner wait")]
        if settings.high_water is None or self._room.size <= settings.high_water:
            return []
        match settings.strategy:
            case "block":
                self._block(now)
                return self._drop_all("blocked")
            case "overflow":
                return [self._drop_id(request, "high water")]
        least = self._room.least(but=request.request_id)
        if least is None or (
            settings.strategy == "overflow_priority" and least.request.priority <= request.priority
        ):
            return [self._drop_id(request, "high water")]
        return [self._drop(least, "high water")]

    def _block(self, now: int) -> None:
        penalty = self.settings.penalty
        if penalty is None:
            penalty = 15 * self.settings.min_time or 5
        self._blocked_until = now + round(penalty * MICROSECONDS)

    def _drop_all(self, reason: DropReason) -> list[Drop]:
        return [self._drop(waiting, reason) for waiting in list(self._room)]

    def _drop_id(self, request: RequestSlot, reason: DropReason) -> Drop:
        self.withdraw(request.request_id)
        return Drop(request, reason)

    def _drop(self, waiting: Waiting, reason: DropReason) -> Drop:
        return self._drop_id(waiting.request, reason)

    def _forget(self, request_id: str) -> None:
        """Wait no longer for a slot that was asked back: it is for whoever is next then."""
        self._asked_for.pop(request_id, None)
        if self._promised and request_id in self._promised:
            self._promised.remove(request_id)

    def _grant(self, request: RequestSlot, now: int, waited: int) -> Slot:
        self._granted += 1
        self._last_grant = now
        slot = Slot(
            f"{self.name}-{self._granted}", request, self._granted, now, now + self._lease, waited
        )
        self.out[slot.id] = slot
        self.weight_out += request.weight
        if len(self._leases) > 64 + 4 * len(self.out):
            self._leases = [one for one in self._leases if one[2] in self.out]
            heapify(self._leases)
        heappush(self._leases, (slot.expires_at, slot.number, slot.id))
        if self._reservoir.left is not None:
            self._reservoir.left -= request.weight
        owner = request.owner
        if owner is not None:
            self._held[owner] = self._held.get(owner, 0) + 1
            if self._is_full(owner):
                self._room.set_aside(owner)
        return slot

    def _is_full(self, owner: str | None) -> bool:
        most = self.settings.max_per_owner
        return most is not None and owner is not None and self._held.get(owner, 0) >= most

    def paused(self, now: int) -> bool:
        """Say whether nothing is granted for now."""
        return self.paused_until is not None and now < self.paused_until

    def _next(self) -> Waiting | None:
        if self._promised:
            for name in self._promised:
                waiting = self._room.get(name)
                if waiting is not None and not self._is_full(waiting.request.owner):
                    return waiting
        return self._room.best()

    def _may_go(self, request: RequestSlot, now: int) -> bool:
        return not self.paused(now) and self._may_go_at(request, now) == now

    def _may_go_at(self, request: RequestSlot, now: int) -> int | None:
        """When the limits allow a request, if nothing happens but time; `None` for never."""
        weight, most = request.weight, self.settings.max_concurrent
        if self._is_full(request.owner):
            return None
        if most is not None and self.weight_out + weight + self._kept(request) > most:
            return None
        reservoir = self._reservoir
        if reservoir.left is not None:
            reservoir.fill(now)
            if weight > reservoir.left:
                return reservoir.due
        if self._last_grant is None:
            return now
        due = self._last_grant + self._min_time
        return max(now, due)

    def _kept(self, request: RequestSlot) -> int:
        """What is kept free for others, for which slots were asked back."""
        if not self._asked_for and not self._promised:
            return 0
        if request.request_id in self._promised:
            return 0
        kept = 0
        for waiting in self._preferred():
            name = waiting.request.request_id
            if name != request.request_id and not self._is_full(waiting.request.owner):
                out = (slot for slot in self.out.values() if slot.revoked_for == name)
                back = sum(slot.request.weight for slot in out)
                kept += max(0, waiting.request.weight - back)
        return kept

    def _preferred(self) -> Iterator[Waiting]:
        """Give the requests for which slots were asked back."""
        for name in (*self._asked_for, *self._promised):
            waiting = self._room.get(name)
            if waiting is not None:
                yield waiting

    def _first_out(self) -> Slot | None:
        while self._leases:
            due, _, slot_id = self._leases[0]
            slot = self.out.get(slot_id)
            if slot is not None and slot.expires_at == due:
                return slot
            heappop(self._leases)
        return None


def _micros(seconds: float | None) -> int | None:
    return None if seconds is None else max(1, round(seconds * MICROSECONDS))


def _may_be_revoked(slot: Slot) -> bool:
    request = slot.request
    return slot.revoked_for is None and request.revocable and request.priority >= BACKGROUND
