"""The arithmetic of one lane: who may have a slot, and when. No clock: `now` is passed in.

All times are integer microseconds of one clock that does not go back. Who is next of those that
wait is told by `request_queue`. The best request is granted as soon as the limits allow
it, and never before; one that does not fit yet is not passed by lighter ones behind it.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from limner.messages.limiter.circuit_breaker import Circuit
from limner.messages.limiter.leases import Leases, Slot
from limner.messages.limiter.preemption import Preemptions
from limner.messages.limiter.protocol import RequestSlot
from limner.messages.limiter.request_queue import QueuedRequest, RequestQueue
from limner.messages.limiter.reservoir import MICROSECONDS, Reservoir
from limner.messages.limiter.settings import LaneSettings

FOREVER = float("inf")

DropReason = Literal[
    "too heavy",
    "high water",
    "blocked",
    "too many of its owner wait",
    "waited too long",
    "the lane is draining",
    "the lane is stopped",
]


class Drop(NamedTuple):
    """A request that is not granted, and why."""

    request: RequestSlot
    reason: str


class Answer(NamedTuple):
    """What a request has led to."""

    granted: list[Slot]
    dropped: list[Drop]


class Lane:
    """One lane.

    Args:
        name: of the lane.
        settings: in force from the beginning.
        now: the time.
        granted: how many slots were granted before, by another lane of the name.
        alone: whether it stands behind no other lane, and none behind it.
    """

    def __init__(
        self,
        name: str,
        settings: LaneSettings,
        now: int = 0,
        *,
        granted: int = 0,
        alone: bool = True,
    ) -> None:
        self.name = name
        self.alone = alone
        self.leases = Leases()
        self.paused_until: float | None = None
        self.ending: Literal["draining", "stopped"] | None = None
        self.circuit: Circuit | None = None
        self.granted = granted
        self._queue = RequestQueue(_micros(settings.ageing))
        self._reservoir = Reservoir(settings, now)
        self._preemptions = Preemptions(self._queue, self.leases)
        self._blocked_owners: set[str | None] = set()
        self._blocked_until: int | None = None
        self._last_grant: int | None = None
        self._put_in_force(settings)

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return self._queue.size

    @property
    def waiting_weights(self) -> tuple[tuple[int, int], ...]:
        """How many requests wait of each priority, and what they weigh together."""
        return self._queue.weights

    def reservoir(self, now: int) -> int | None:
        """Give what may still be granted."""
        self._reservoir.fill(now)
        return self._reservoir.left

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is out."""
        return not self.leases.slots and not self._queue.size

    def waits(self, request_id: str) -> bool:
        """Say whether a request waits."""
        return request_id in self._queue

    def all_waiting(self) -> Iterator[QueuedRequest]:
        """Give the requests that wait."""
        return iter(self._queue)

    def request(self, request: RequestSlot, now: int) -> Answer:
        """Take a request: grant it, let it wait, or drop what there is no room for.

        Args:
            request: whose id is none that waits.
            now: the time.
        """
        refused = self.refusal(request, now)
        if refused is not None:
            return Answer([], [Drop(request, refused)])
        if not self._queue.size and not self._preemptions and self._may_go(request, now):
            return Answer([self._grant(request, now, 0)], [])
        waiting = self.admit(request, now)
        granted = self.grants(now)
        return Answer(granted, [] if waiting.gone else self.overflow(request, now))

    def refusal(self, request: RequestSlot, now: int) -> DropReason | None:
        """Say why a request is refused at once; `None` if it is not."""
        ended = self._ended(request)
        if ended is None and self._blocked_until is not None:
            if now < self._blocked_until:
                self._block(now)
                return "blocked"
            self._blocked_until = None
        return ended or self.permanent_refusal(request, now)

    def permanent_refusal(self, request: RequestSlot, now: int) -> DropReason | None:
        """Say why a request can never be granted, however long it waits; `None` if it may be."""
        self._reservoir.fill(now)
        heavy: DropReason | None = None if self.can_fit(request.weight) else "too heavy"
        return self._ended(request) or heavy

    def can_fit(self, weight: int) -> bool:
        """Say whether the lane can ever give a weight, as its settings and reservoir are now."""
        most = self.settings.max_concurrent
        return (most is None or weight <= most) and self._reservoir.can_fit(weight)

    def admit(self, request: RequestSlot, now: int) -> QueuedRequest:
        """Let a request wait that is not refused; see `overflow` if it is not granted at once."""
        return self._queue.add(request, now, blocked=self.is_full(request.owner))

    def overflow(self, request: RequestSlot, now: int) -> list[Drop]:
        """Drop what there is no room for, now that one more request waits."""
        settings, owner = self.settings, request.owner
        if request.since is not None:
            return []  # it has waited before, and is not to blame
        most = settings.max_waiting_per_owner
        if most is not None and owner is not None and self._queue.number_of(owner) > most:
            return [self._drop(request, "too many of its owner wait")]
        if settings.high_water is None or self._queue.size <= settings.high_water:
            return []
        match settings.strategy:
            case "block":
                self._block(now)
                return self._drop_all("blocked")
            case "overflow":
                return [self._drop(request, "high water")]
        least = self._queue.least(but=request.request_id)
        if least is None or (
            settings.strategy == "overflow_priority" and least.request.priority <= request.priority
        ):
            return [self._drop(request, "high water")]
        return [self._drop(least.request, "high water")]

    def withdraw(self, request_id: str) -> RequestSlot | None:
        """Take a waiting request out; `None` if it does not wait (any more)."""
        waiting = self._queue.remove(request_id)
        if waiting is None:
            return None
        self._preemptions.forget(request_id)
        return waiting.request

    def release(self, slot_id: str) -> Slot | None:
        """Take a slot back; `None` if it is not out (any more)."""
        slot = self.leases.pop(slot_id)
        if slot is None:
            return None
        owner = slot.request.owner
        if self.settings.max_per_owner is not None and not self.is_full(owner):
            self._queue.unblock_owner(owner)
        if slot.revoked_for is not None:
            self._preemptions.returned(slot)
        return slot

    def judge(self, slot: Slot, failed: bool | None, now: int, *, own: bool = True) -> None:
        """Let the circuit know how a slot's call has ended.

        Args:
            slot: that is back.
            failed: whether the back end failed; `None` if the call does not say.
            now: the time.
            own: whether the call is of this lane, not of one behind it: that counts as a probe
                only, since it speaks of another back end.
        """
        if self.circuit is not None and (own or self.circuit.probe == slot.number):
            self.circuit.ended(slot.number, failed, now)

    def head(self) -> QueuedRequest | None:
        """Give the request that is next, be it that the limits do not allow it yet."""
        promised = self._preemptions.first(self.is_full) if self._preemptions else None
        return promised or self._queue.best()

    def ready(self, now: int) -> QueuedRequest | None:
        """Give the request that the limits allow now, if one does."""
        waiting = self.head()
        if waiting is None or not self._may_go(waiting.request, now):
            return None
        return waiting

    def grant(self, waiting: QueuedRequest, now: int) -> Slot:
        """Grant the request that is ready."""
        request = waiting.request
        self._queue.take(waiting, now)
        self._preemptions.forget(request.request_id)
        return self._grant(request, now, now - waiting.asked)

    def grants(self, now: int) -> list[Slot]:
        """Give out what may be given out now, the best request first."""
        given: list[Slot] = []
        most = self.settings.max_concurrent
        while most is None or self.leases.weight < most:
            waiting = self.ready(now)
            if waiting is None:
                break
            given.append(self.grant(waiting, now))
        return given

    def revocations(self, now: int) -> list[Slot]:
        """Give the slots of background requests that active ones are to have, the newest first.

        Each is asked back once, for one request; it stays out until it is released or its grace
        ends.
        """
        settings = self.settings
        if not settings.preempt or settings.max_concurrent is None or self.ending is not None:
            return []
        if self.halted(now):
            return []
        self._reservoir.fill(now)
        return self._preemptions.ask(
            free=max(0, settings.max_concurrent - self.leases.weight),
            budget=self._reservoir.left,
            grace_ends=now + round(settings.grace * MICROSECONDS),
            max_per_owner=settings.max_per_owner,
        )

    def expired(self, now: int) -> list[Slot]:
        """Take back the slots whose lease or grace has ended."""
        over = []
        while (slot := self.leases.next_expiry()) is not None and slot.expires_at <= now:
            self.release(slot.id)
            over.append(slot)
        return over

    def overdue(self, now: int) -> list[Drop]:
        """Drop the requests that have waited too long, or that nothing can be had for any more."""
        dropped: list[Drop] = []
        if self._reservoir.left is not None and not self.halted(now):
            self._reservoir.fill(now)
            while (head := self._queue.best()) is not None and self._is_hopeless(head.request):
                dropped.append(self._drop(head.request, "too heavy"))
        if self.settings.max_wait is not None:
            limit = now - round(self.settings.max_wait * MICROSECONDS)
            while (waiting := self._queue.oldest()) is not None and waiting.asked <= limit:
                dropped.append(self._drop(waiting.request, "waited too long"))
        return dropped

    def update(self, settings: LaneSettings, now: int, *, refill: bool = False) -> list[Drop]:
        """Put other settings in force, at once; what is out stays out.

        Gives what waits and weighs more than the lane can ever give now. A lower `high_water`
        drops nobody who waits already. With `refill`, what is left of the reservoir is as the
        settings say, though they said so before.
        """
        self._reservoir.change(settings, now)
        if refill:
            self._reservoir.left = settings.reservoir
        self._put_in_force(settings)
        self._queue.rearrange(_micros(settings.ageing), self.is_full)
        heavy = [one for one in self._queue if not self.can_fit(one.request.weight)]
        return [self._drop(waiting.request, "too heavy") for waiting in heavy]

    def pause(self, until: int | None = None) -> None:
        """Grant nothing until a time, or until it is resumed."""
        self.paused_until = FOREVER if until is None else until

    def rest(self, until: int) -> None:
        """Grant nothing until a time, or for longer if it is paused for longer."""
        self.paused_until = max(until, self.paused_until or 0)

    def resume(self) -> None:
        """Grant again, and take requests again."""
        self.paused_until = self.ending = None

    def paused(self, now: int) -> bool:
        """Say whether the lane is paused."""
        return self.paused_until is not None and now < self.paused_until

    def halted(self, now: int) -> bool:
        """Say whether nothing is granted for now, whatever is free."""
        if self.paused(now):
            return True
        return self.circuit is not None and self.circuit.free_at(now) != now

    def block_owner(self, owner: str | None) -> None:
        """Let an owner have nothing here for now, since it may have no more elsewhere."""
        self._blocked_owners.add(owner)
        self._queue.block_owner(owner)

    def unblock_owner(self, owner: str | None) -> None:
        """Let a barred owner have its turn again."""
        self._blocked_owners.discard(owner)
        if not self.is_full(owner):
            self._queue.unblock_owner(owner)

    def is_full(self, owner: str | None) -> bool:
        """Say whether an owner may have no more for now."""
        if self._blocked_owners and owner in self._blocked_owners:
            return True
        most = self.settings.max_per_owner
        return most is not None and owner is not None and self.leases.number_of(owner) >= most

    def drain(self) -> None:
        """Take no request any more; what waits is still granted."""
        self.ending = self.ending or "draining"

    def stop(self) -> list[Drop]:
        """Take no request any more, and drop what waits."""
        self.ending = "stopped"
        return self._drop_all("the lane is stopped")

    def next_check(self, now: int, *, offered: bool = False) -> int | None:
        """When to look again though nothing happens; `None` if only a message can change it.

        Args:
            now: the time.
            offered: whether the request that is ready waits for another lane.
        """
        times = []
        slot = self.leases.next_expiry()
        if slot is not None:
            times.append(slot.expires_at)
        oldest = None if self.settings.max_wait is None else self._queue.oldest()
        if oldest is not None:
            times.append(oldest.asked + round((self.settings.max_wait or 0) * MICROSECONDS))
        due = None
        if offered:
            self._reservoir.fill(now)
            due = self._reservoir.due  # it may leave less than is wanted
        elif (waiting := self.head()) is not None:
            due = self._may_go_at(waiting.request, now)
        if due is not None:
            times.append(due)
        return min(times, default=None)

    def forgettable_at(self, now: int) -> int | None:
        """When nothing is remembered here that a new lane would not know, if it stays idle.

        `None` if only a message, or a change of the reservoir after `next_check`, can bring it.
        """
        if not self.idle or self.ending is not None or self.paused_until == FOREVER:
            return None
        self._reservoir.fill(now)
        if (self._reservoir.left or 0) < (self.settings.reservoir or 0):
            again = self._reservoir.can_fit(self.settings.reservoir or 0)
            return self._reservoir.due if again else None
        failing = None if self.circuit is None or not self.circuit.row else self.circuit.until
        remembered = (self.paused_until, self._blocked_until, self._free_at(), failing)
        return max(now, *(int(one) for one in remembered if one is not None))

    def _put_in_force(self, settings: LaneSettings) -> None:
        self.settings = settings
        self._lease = round(settings.lease * MICROSECONDS)
        self._min_time = round(settings.min_time * MICROSECONDS)
        if not settings.adapt:
            self.circuit = None
        elif self.circuit is None:
            self.circuit = Circuit(settings.circuit_failures, 0, self.granted)
        if self.circuit is not None:
            self.circuit.failures = settings.circuit_failures
            self.circuit.pause = round(settings.circuit_seconds * MICROSECONDS)

    def _ended(self, request: RequestSlot) -> DropReason | None:
        """Say why no new request is taken; one whose slot was revoked is none."""
        if self.ending == "draining" and request.since is None:
            return "the lane is draining"
        return "the lane is stopped" if self.ending == "stopped" else None

    def _is_hopeless(self, request: RequestSlot) -> bool:
        """Say whether a request stands before a reservoir that can never give its weight any more.

        A refresh may have left less than there was when it came.
        """
        most, weight = self.settings.max_concurrent, request.weight
        fits = most is None or self.leases.weight + weight <= most
        return fits and not self._reservoir.can_fit(weight)

    def _block(self, now: int) -> None:
        penalty = self.settings.penalty
        if penalty is None:
            penalty = 15 * self.settings.min_time or 5
        self._blocked_until = now + round(penalty * MICROSECONDS)

    def _drop_all(self, reason: DropReason) -> list[Drop]:
        return [self._drop(waiting.request, reason) for waiting in list(self._queue)]

    def _drop(self, request: RequestSlot, reason: DropReason) -> Drop:
        self.withdraw(request.request_id)
        return Drop(request, reason)

    def _grant(self, request: RequestSlot, now: int, waited: int) -> Slot:
        self.granted += 1
        self._last_grant = now
        slot = Slot(
            f"{self.name}#{self.granted}", request, self.granted, now, now + self._lease, waited
        )
        self.leases.add(slot)
        if self._reservoir.left is not None:
            self._reservoir.left -= request.weight
        if self.circuit is not None:
            self.circuit.granted(slot.number)
        if self.settings.max_per_owner is not None and self.is_full(request.owner):
            self._queue.block_owner(request.owner)
        return slot

    def _may_go(self, request: RequestSlot, now: int) -> bool:
        return self._may_go_at(request, now) == now

    def _may_go_at(self, request: RequestSlot, now: int) -> int | None:
        """When the limits allow a request, if nothing happens but time; `None` for never.

        This may be too early, and is never too late.
        """
        weight, most = request.weight, self.settings.max_concurrent
        if self.is_full(request.owner):
            return None
        if most is not None:
            kept = self._preemptions.kept(request, self.is_full) if self._preemptions else 0
            if self.leases.weight + weight + kept > most:
                return None
        reservoir = self._reservoir
        if reservoir.left is not None:
            reservoir.fill(now)
            if weight > reservoir.left:
                return reservoir.due
        due = max(now, self._free_at())
        if now < due and reservoir.left is not None and reservoir.due is not None:
            due = min(due, reservoir.due)  # it may leave less than is wanted
        if self.paused_until is not None and due < self.paused_until:
            if self.paused_until == FOREVER:
                return None
            due = int(self.paused_until)
        if self.circuit is not None:
            return self.circuit.free_at(due)
        return due

    def _free_at(self) -> int:
        """When `min_time` has passed since the last grant."""
        return 0 if self._last_grant is None else self._last_grant + self._min_time


def _micros(seconds: float | None) -> int | None:
    return None if seconds is None else max(1, round(seconds * MICROSECONDS))
