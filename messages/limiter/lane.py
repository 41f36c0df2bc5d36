"""One lane: which request is granted a slot, and when. No clock: `now` is passed in.

All times are integer microseconds of one clock that does not go back. `request_queue` decides
which request is next. It is granted as soon as the limits allow it, and never before. A request
that does not fit yet is not passed by lighter ones behind it.
"""

from collections.abc import Iterator
from copy import copy
from typing import Literal, NamedTuple

from limner.messages.errors import Reason
from limner.messages.limiter.adaptive import Adaptive, AdaptiveLimit
from limner.messages.limiter.backlog import Backlog
from limner.messages.limiter.budgets import LaneBudgets
from limner.messages.limiter.circuit_breaker import Circuit
from limner.messages.limiter.deadlines import Deadlines
from limner.messages.limiter.leases import Leases, Slot
from limner.messages.limiter.overflow import overflow
from limner.messages.limiter.passed_owners import PassedOwners
from limner.messages.limiter.preemption import Preemptions
from limner.messages.limiter.protocol import RequestSlot
from limner.messages.limiter.queued_request import QueuedRequest
from limner.messages.limiter.refusal import Refusal
from limner.messages.limiter.request_queue import ACTIVE, RequestQueue
from limner.messages.limiter.reservoir import MICROSECONDS, Reservoir
from limner.messages.limiter.settings import MAX_THREADS, LaneSettings

FOREVER = float("inf")

ADAPTED_FOR = 600 * MICROSECONDS
"""For how long a lane of a group is kept for its limit that has adapted, since its last grant."""

NEVER = 1 << 62
"""Microseconds that no clock comes to."""


class Drop(NamedTuple):
    """A request that is not granted, and why.

    Args:
        request: which.
        refusal: why.
        lane: the name of the lane that refused it: its own, or one upstream of that.
        detail: what more there is to say, in words for everybody.
    """

    request: RequestSlot
    refusal: Refusal
    lane: str
    detail: str = ""

    @property
    def reason(self) -> str:
        """The refusal as prose; with the lane's name, if that is not the request's own."""
        prose: str = self.refusal.value
        where = "" if self.lane == self.request.lane else f" in lane {self.lane}"
        return f"{prose}{where}{f': {self.detail}' if self.detail else ''}"


class Answer(NamedTuple):
    """What a request has led to."""

    granted: list[Slot]
    dropped: list[Drop]


class Lane:
    """One lane. It is mutable; the limiter owns it.

    Args:
        name: of the lane.
        settings: in force from the beginning.
        now: the time.
        granted: how many slots were granted before, by another lane of the name.
        alone: whether no lane is upstream or downstream of it.

    Attributes:
        leases: the slots that are out.
        backlog: of a lane that others stand behind: all that waits for it, here and downstream.
        budgets: what is left of each; `None` if it has none.
        granted: how many slots were granted.
        last_error: how the last call failed that counts for the circuit breaker.
        passed_owners: those whose budgets do not allow their next requests yet.
        in_use: whether a request came since `lane_idle` was told last; its set of lanes keeps it.
        limit: the summed weight of slots out at one time that is in force; `None` is no limit.
        adaptive: moves the limit; `None` if it is fixed.
        gathering: whether it drains, and batches that gathered before may still request a slot.
    """

    limit: int | None = None
    adaptive: AdaptiveLimit | None = None
    _lease: int

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
        self.in_use = False
        self.backlog: Backlog | None = None
        self.leases = Leases()
        self.paused_until: float | None = None
        self.ending: Literal["draining", "stopped"] | None = None
        self.gathering = False
        self.circuit: Circuit | None = None
        self.last_error: Reason | None = None
        self.granted = granted
        self._queue = RequestQueue(_micros(settings.ageing))
        self._reservoir = Reservoir(settings, now)
        self.budgets = LaneBudgets(settings.budgets, now) if settings.budgets else None
        self._preemptions = Preemptions(self._queue, self.leases)
        self.passed_owners = PassedOwners()
        self._deadlines = Deadlines()
        self._blocked_owners: set[str | None] = set()
        self._blocked_until: int | None = None
        self._last_grant: int | None = None
        self._apply(settings)

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return self._queue.size

    @property
    def waiting_weights(self) -> tuple[tuple[int, int], ...]:
        """How many requests wait of each priority, and their summed weight."""
        return self._queue.weights

    def reservoir(self, now: int) -> int | None:
        """Return the weight that may still be granted; `None` without a reservoir."""
        self._reservoir.fill(now)
        return self._reservoir.left

    def change_reservoir(self, by: int, now: int) -> int | None:
        """Add to the reservoir, or take from it; return what is left, `None` without one."""
        self._reservoir.add(by, now)
        return self._reservoir.left

    @property
    def has_owner_budgets(self) -> bool:
        """Whether owners have budgets of their own."""
        return self.budgets is not None and self.budgets.each_owner

    def has_overdue(self, now: int) -> bool:
        """Return whether a slot or request may be over, or an owner not passed over any more."""
        return (
            self.leases.may_expire(now)
            or self.settings.max_wait is not None
            or bool(self.passed_owners.until)
            or bool(self._deadlines.heap)
        )

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is out."""
        return not self.leases.slots and not self._queue.size

    def waits(self, request_id: str) -> bool:
        """Return whether a request waits."""
        return request_id in self._queue

    def all_waiting(self) -> Iterator[QueuedRequest]:
        """Return the requests that wait, by priority, the oldest first."""
        return iter(self._queue)

    def request(self, request: RequestSlot, now: int) -> Answer:
        """Grant a request, queue it, or drop what there is no room for.

        Args:
            request: its id is none that waits.
            now: the time.
        """
        refusal = self.refusal(request, now)
        if refusal is not None:
            return Answer([], [Drop(request, refusal, self.name)])
        if not self._queue.size and not self._preemptions and self._may_grant(request, now):
            return Answer([self._grant(request, now, 0)], [])
        queued = self.admit(request, now)
        granted = self.grant_ready(now)
        return Answer(granted, [] if queued.removed else self.overflow(request, now))

    def refusal(self, request: RequestSlot, now: int) -> Refusal | None:
        """Return why a request is refused at once; `None` if it is not."""
        ended = None if self.ending is None else self._refusal_at_end(request)
        if ended is None and self._blocked_until is not None:
            if self.blocked(now):
                self._block(now)
                return Refusal.BLOCKED
            self._blocked_until = None
        refused = ended or self.permanent_refusal(request, now)
        if refused is None and request.deadline is not None and request.deadline <= now:
            return Refusal.DEADLINE
        return refused

    def permanent_refusal(self, request: RequestSlot, now: int) -> Refusal | None:
        """Return why a request can never be granted, however long it waits; `None` if it may be."""
        self._reservoir.fill(now)
        ended = None if self.ending is None else self._refusal_at_end(request)
        heavy = None if self.can_fit(request) else Refusal.TOO_HEAVY
        return ended or heavy

    def can_fit(self, request: RequestSlot) -> bool:
        """Return whether the settings, reservoir and budgets can ever allow a request."""
        limit, weight = self.settings.heaviest, request.weight
        if (limit is not None and weight > limit) or not self._reservoir.can_fit(weight):
            return False
        return self.budgets is None or self.budgets.can_fit(request)

    def admit(self, request: RequestSlot, now: int) -> QueuedRequest:
        """Queue a request that is not refused; `overflow` follows if it is not granted at once."""
        queued = self._queue.add(request, now, blocked=self._is_blocked(request.owner))
        if self.passed_owners.until:
            self.passed_owners.recheck(request.owner)
        if request.deadline is not None and request.stands_for is None:
            self._deadlines.add(request.request_id, request.deadline)
        return queued

    def overflow(self, request: RequestSlot, now: int) -> list[Drop]:
        """Drop what there is no room for, now that one more request waits."""
        settings = self.settings
        if settings.high_water is None and settings.max_waiting_per_owner is None:
            return []
        if request.revoked:
            return []  # it has waited before, and takes nobody's place
        found = overflow(self._all_waiting, settings, request)
        if found is None:
            return []
        if found.refusal is Refusal.BLOCKED:
            self._block(now)
        return [self._drop(dropped, found.refusal) for dropped in found.requests]

    @property
    def _all_waiting(self) -> RequestQueue | Backlog:
        """All that waits for the lane, here and downstream."""
        return self._queue if self.backlog is None else self.backlog

    def withdraw(self, request_id: str) -> RequestSlot | None:
        """Remove a request that waits; `None` if it does not wait (any more)."""
        queued = self._queue.remove(request_id)
        if queued is None:
            return None
        self._preemptions.remove(request_id)
        if self.passed_owners.until:
            self.passed_owners.recheck(queued.request.owner)
        return queued.request

    def prioritise(self, name: str, priority: int) -> RequestSlot | None:
        """Change the priority of a request that waits, or of a slot that is out.

        Slots that were revoked for a request that is not active any more go to whichever request
        is next as they come back.

        Args:
            name: the id of the request or slot.
            priority: from now on.

        Returns:
            The request; `None` if it does not wait. A slot that is out stays out.
        """
        slot = self.leases.slots.get(name)
        if slot is not None:
            slot.request = slot.request.but(priority=priority)
        request = self._queue.prioritise(name, priority)
        if request is not None and priority > ACTIVE:
            self._preemptions.remove(name)
        if request is not None and self.passed_owners.until:
            self.passed_owners.recheck(request.owner)
        return request

    def release(self, slot_id: str) -> Slot | None:
        """Return a slot to the lane; `None` if it is not out (any more)."""
        slot = self.leases.pop(slot_id)
        if slot is None:
            return None
        owner = slot.request.owner
        if self.settings.max_per_owner is not None and not self._is_blocked(owner):
            self._queue.unblock_owner(owner)
        if slot.revoked_for is not None:
            self._preemptions.slot_returned(slot)
        return slot

    def record_outcome(
        self,
        slot: Slot,
        failed: bool | None,
        now: int,
        *,
        own: bool = True,
        overloaded: bool = False,
    ) -> None:
        """Tell the circuit breaker and an adaptive limit how the call of a slot has ended.

        Args:
            slot: that was returned.
            failed: whether the back end failed; `None` if the call does not tell.
            now: the time.
            own: whether the call's back end is this lane's, by `backs_off`. A call to another
                one only ends a probe.
            overloaded: whether the back end had too much to do.
        """
        if own and self.adaptive is not None:
            self._adapt(self.adaptive, slot, failed, now, overloaded)
        if self.circuit is not None and (own or self.circuit.probe == slot.number):
            self.circuit.call_ended(slot.number, failed, now)

    def head(self) -> QueuedRequest | None:
        """Return the request that is next, even if the limits do not allow it yet."""
        preferred = self._preemptions.next_request(self._is_blocked) if self._preemptions else None
        return preferred or self._queue.best()

    def next_of_all(self, now: int) -> QueuedRequest | None:
        """Return the request that is next, of an owner whose own budgets allow it."""
        if self.budgets is not None:
            self._pass_over_spent(now)
        return self.head()

    def ready(self, now: int) -> QueuedRequest | None:
        """Return the next request if the limits allow it now."""
        queued = self.next_of_all(now)
        if queued is None or not self._may_grant(queued.request, now):
            return None
        return queued

    def _pass_over_spent(self, now: int) -> None:
        """Pass over the owners whose own budgets do not allow their next requests yet."""
        if self.alone and self.passed_owners.until:
            self.end_passing(now)
        budgets = self.budgets
        if budgets is None or not budgets.each_owner:
            return
        while (queued := self.head()) is not None:
            owner, until = queued.request.owner, budgets.owner_free_at(queued.request, now)
            if owner is None or until <= now:
                return
            self.pass_over(owner, until)

    def pass_over(self, owner: str, until: int) -> None:
        """Grant an owner nothing until a time, or until its requests or budgets change."""
        self.passed_owners.add(owner, until)
        self._queue.block_owner(owner)

    def end_passing(self, now: int) -> list[str]:
        """Grant again to the owners that are not passed over any more; return them."""
        owners = self.passed_owners.take_due(now)
        for owner in owners:
            if not self._is_blocked(owner):
                self._queue.unblock_owner(owner)
        return owners

    def grant(self, queued: QueuedRequest, now: int) -> Slot:
        """Grant the request that is ready."""
        request = queued.request
        self._queue.take(queued, now)
        self._preemptions.remove(request.request_id)
        return self._grant(request, now, now - queued.queued_at)

    def grant_ready(self, now: int) -> list[Slot]:
        """Grant all requests that the limits allow now, the best first."""
        granted: list[Slot] = []
        limit = self.limit
        while self._queue.size and (limit is None or self.leases.weight < limit):
            queued = self.ready(now)
            if queued is None:
                break
            granted.append(self.grant(queued, now))
        return granted

    def revoke_slots(self, now: int) -> list[Slot]:
        """Revoke slots of background requests for active ones, the newest first.

        Each is revoked once, for one request. It stays out until it is released or its grace ends.
        """
        settings = self.settings
        if not settings.preempt or self.limit is None or self.ending is not None:
            return []
        if self.halted(now):
            return []
        self._reservoir.fill(now)
        budgets = self.budgets
        return self._preemptions.revoke(
            free=max(0, self.limit - self.leases.weight),
            budget=self._reservoir.left,
            grace_ends=now + round(settings.grace * MICROSECONDS),
            max_per_owner=settings.max_per_owner,
            allowed=None if budgets is None else lambda wanted: budgets.free_at(wanted, now) == now,
        )

    def expire_slots(self, now: int) -> list[Slot]:
        """Return to the lane the slots whose lease or grace has ended."""
        expired = []
        while (slot := self.leases.next_expiry()) is not None and slot.expires_at <= now:
            self.release(slot.id)
            expired.append(slot)
        return expired

    def drop_overdue(self, now: int) -> list[Drop]:
        """Drop what waited for `max_wait` or past its deadline, and what waits in vain.

        In vain wait those that can never fit any more, and those that wait for a back end since
        before `circuit_patience` probes of it failed.
        """
        is_open = self.circuit is not None and self.circuit.state == "open"
        dropped = self._drop_at_open_circuit() if is_open else []
        if self._reservoir.left is not None and not self.halted(now):
            self._reservoir.fill(now)
            while (head := self._queue.best()) is not None and self._never_fits(head.request):
                dropped.append(self._drop(head.request, Refusal.TOO_HEAVY))
        if self.settings.max_wait is not None:
            limit = now - round(self.settings.max_wait * MICROSECONDS)
            waiting = self._all_waiting
            while (oldest := waiting.oldest()) is not None and oldest.queued_at <= limit:
                dropped.append(self._drop(oldest.request, Refusal.MAX_WAIT))
        if self._deadlines.heap:
            while (due := self._deadlines.first(self._queue)) is not None and due[0] <= now:
                dropped.append(self._drop(due[1].request, Refusal.DEADLINE))
        return dropped

    def _drop_at_open_circuit(self) -> list[Drop]:
        """Drop what waits for a back end that fails again and again, with its last error."""
        dropped: list[Drop] = []
        circuit = self.circuit
        if circuit is None:
            return dropped
        given_up = circuit.gave_up_at(self.settings.circuit_patience)
        if given_up is None:
            return dropped
        last = f", the last one: {self.last_error.public}" if self.last_error else ""
        detail = (
            f"the circuit of lane {self.name!r} is open after "
            f"{circuit.failures_in_a_row} failures in a row{last}"
        )
        waiting = self._all_waiting
        while (oldest := waiting.oldest()) is not None and oldest.queued_at < given_up:
            dropped.append(self._drop(oldest.request, Refusal.CIRCUIT_OPEN, detail))
        return dropped

    def update(self, settings: LaneSettings, now: int, *, refill: bool = False) -> list[Drop]:
        """Apply other settings at once; slots that are out stay out.

        Args:
            settings: from now on. A lower `high_water` drops nobody who waits already.
            now: the time.
            refill: whether the reservoir is set to what the settings say, even if they have not
                changed.

        Returns:
            The requests that weigh more than the lane can ever grant now.
        """
        self._reservoir.change(settings, now)
        if refill:
            self._reservoir.left = settings.reservoir
        if settings.budgets != self.settings.budgets:
            self._change_budgets(settings, now)
        self._apply(settings)
        self._queue.rebuild(_micros(settings.ageing), self._is_blocked)
        heavy = [queued for queued in self._queue if not self.can_fit(queued.request)]
        return [self._drop(queued.request, Refusal.TOO_HEAVY) for queued in heavy]

    def pause(self, until: int | None = None) -> None:
        """Grant nothing until a time; until it is resumed, if `None`."""
        self.paused_until = FOREVER if until is None else until

    def pause_at_least(self, until: int) -> None:
        """Grant nothing until a time, or for longer if it is paused for longer already."""
        self.paused_until = max(until, self.paused_until or 0)

    def resume(self) -> None:
        """Grant again, and accept requests again."""
        self.paused_until = self.ending = None
        self.gathering = False

    def blocked(self, now: int) -> bool:
        """Return whether the lane refuses all requests, by the strategy `block`."""
        return self._blocked_until is not None and now < self._blocked_until

    def paused(self, now: int) -> bool:
        """Return whether the lane is paused."""
        return self.paused_until is not None and now < self.paused_until

    def halted(self, now: int) -> bool:
        """Return whether a pause or the circuit breaker forbids every grant now."""
        if self.paused(now):
            return True
        return self.circuit is not None and self.circuit.free_at(now) != now

    def block_owner(self, owner: str | None) -> None:
        """Grant an owner nothing for now, since it is at its limit in an upstream lane."""
        self._blocked_owners.add(owner)
        self._queue.block_owner(owner)

    def unblock_owner(self, owner: str | None) -> None:
        """Grant to a blocked owner again."""
        self._blocked_owners.discard(owner)
        if not self._is_blocked(owner):
            self._queue.unblock_owner(owner)

    def _is_blocked(self, owner: str | None) -> bool:
        """Return whether none of an owner's requests is the next one."""
        return self.is_full(owner) or owner in self.passed_owners.until

    def is_full(self, owner: str | None) -> bool:
        """Return whether an owner is blocked, or holds `max_per_owner` slots."""
        if self._blocked_owners and owner in self._blocked_owners:
            return True
        limit = self.settings.max_per_owner
        return limit is not None and owner is not None and self.leases.count_of(owner) >= limit

    def drain(self) -> None:
        """Refuse new requests from now on; what waits is still granted."""
        self.ending = self.ending or "draining"

    def stop(self) -> list[Drop]:
        """Refuse all requests from now on, and drop what waits."""
        self.ending = "stopped"
        return [self._drop(queued.request, Refusal.STOPPED) for queued in list(self._queue)]

    def next_check(self, now: int, *, offered: bool = False) -> int | None:
        """Return when to check again if no message comes; `None` if time alone changes nothing.

        Args:
            now: the time.
            offered: whether the request that is ready waits for an upstream lane.
        """
        times = []
        slot = self.leases.next_expiry()
        if slot is not None:
            times.append(slot.expires_at)
        oldest = None if self.settings.max_wait is None else self._all_waiting.oldest()
        if oldest is not None:
            times.append(oldest.queued_at + round((self.settings.max_wait or 0) * MICROSECONDS))
        if self._deadlines.heap and (first := self._deadlines.first(self._queue)) is not None:
            times.append(first[0])
        if self.passed_owners.until and self.passed_owners.due is not None:
            times.append(max(now, self.passed_owners.due))
        due = None
        if offered:
            self._reservoir.fill(now)
            due = self._reservoir.due  # a refresh may leave less than the request needs
        elif self._queue.size and (queued := self.head()) is not None:
            due = self._grantable_at(queued.request, now)
        if due is not None:
            times.append(due)
        return min(times, default=None)

    def earliest(self, request: RequestSlot, after: int) -> int | None:
        """Return when the rules allow a request, if no slot is out and nothing waits.

        While the lane is blocked, that is for a request that comes once its penalty is over.

        Args:
            request: it need not wait, and is not refused for ever.
            after: the earliest time that is wanted, which need not have come.

        Returns:
            `after` or later; `None` for never, if no message comes.
        """
        at = max(after, self._blocked_until or 0, self._min_time_over_at())
        if self.paused_until is not None and at < self.paused_until:
            if self.paused_until == FOREVER:
                return None
            at = int(self.paused_until)
        if self.circuit is not None and self.circuit.state == "open":
            at = max(at, self.circuit.until)
        if self.budgets is not None:
            at = self.budgets.free_at(request, at)
        return self._reservoir.earliest(request.weight, at)

    @property
    def ageing(self) -> int | None:
        """The microseconds of waiting that lift a request by one priority; `None` for never."""
        return _micros(self.settings.ageing)

    def free_from(self, now: int) -> int:
        """Return from when on the lane does not refuse all requests: a penalty is over then."""
        return max(now, self._blocked_until or 0)

    def detach(
        self, held: int | None, now: int, *, most: int, queue: RequestQueue | None = None
    ) -> None:
        """Make this shallow copy of a lane one of its own, to be run ahead.

        Args:
            held: microseconds for which each slot is held, those that are out included. A slot
                that is out for longer already is held for half as long again. With `None` no
                slot comes back.
            now: the time.
            most: how many of the requests that wait are kept.
            queue: what waits instead.
        """
        self.adaptive = self.backlog = None
        self.circuit = copy(self.circuit)
        self.leases = self.leases.copy(lambda slot: _returned_at(slot, held, now))
        self._lease = NEVER if held is None else min(self._lease, held)
        self._queue = copy(self._queue) if queue is None else queue
        if queue is None:
            self._queue.detach(most)
        self._reservoir = copy(self._reservoir)
        self._preemptions = copy(self._preemptions)
        self._preemptions.detach(self._queue, self.leases)
        self._blocked_owners = set(self._blocked_owners)
        if self.budgets is not None:
            self.budgets = copy(self.budgets)
            self.budgets.detach()
        self.passed_owners, self._deadlines = copy(self.passed_owners), copy(self._deadlines)
        self.passed_owners.detach()
        self._deadlines.detach()
        self.alone = True

    def forgettable_at(self, now: int) -> int | None:
        """Return from when on a new lane would grant the same, if this one stays idle.

        `None` if only a message, or a change of the reservoir after `next_check`, can bring it.
        """
        if not self.idle or self.ending is not None or self.paused_until == FOREVER:
            return None
        adapted = None
        if (
            self.adaptive is not None
            and self.limit != self.adaptive.first
            and self._last_grant is not None
        ):
            adapted = self._last_grant + ADAPTED_FOR
        self._reservoir.fill(now)
        if (self._reservoir.left or 0) < (self.settings.reservoir or 0):
            again = self._reservoir.can_fit(self.settings.reservoir or 0)
            return self._reservoir.due if again else None
        full = None if self.budgets is None else self.budgets.full_at(now)
        circuit = self.circuit
        failing = None if circuit is None or not circuit.failures_in_a_row else circuit.until
        spaced = self._min_time_over_at()
        remembered = (self.paused_until, self._blocked_until, spaced, failing, adapted, full)
        return max(now, *(int(time) for time in remembered if time is not None))

    def _apply(self, settings: LaneSettings) -> None:
        self.settings = settings
        self._set_limit(settings.max_concurrent)
        self._lease = round(settings.lease * MICROSECONDS)
        self._min_time = round(settings.min_time * MICROSECONDS)
        if not settings.adapt:
            self.circuit = None
        elif self.circuit is None:
            self.circuit = Circuit(settings.circuit_failures, 0, self.granted)
        if self.circuit is not None:
            self.circuit.failures = settings.circuit_failures
            self.circuit.pause = round(settings.circuit_seconds * MICROSECONDS)

    def _set_limit(self, most: int | Adaptive | None) -> None:
        """Apply a limit: a fixed one, or one that adapts from where it is now."""
        if not isinstance(most, Adaptive):
            self.adaptive, self.limit = None, most
        elif self.adaptive is None:
            self.adaptive = AdaptiveLimit(most, self.limit)
            self.limit = self.adaptive.limit
        else:
            self.adaptive.change(most)
            self.limit = self.adaptive.limit

    def _adapt(
        self, adaptive: AdaptiveLimit, slot: Slot, failed: bool | None, now: int, overloaded: bool
    ) -> None:
        """Move the limit by the end of a call."""
        if overloaded:
            slot.overloaded = True
            adaptive.overloaded(slot.number, self.granted)
        elif failed is False and self.limit is not None:
            weight = slot.request.weight
            full = self.leases.weight + 2 * weight > self.limit
            adaptive.succeeded(slot.number, self.granted, now - slot.granted_at, full=full)
        self.limit = adaptive.limit

    def _change_budgets(self, settings: LaneSettings, now: int) -> None:
        """Apply other budgets; what was spent of those that stay is spent still."""
        if self.budgets is None or not settings.budgets:
            self.budgets = LaneBudgets(settings.budgets, now) if settings.budgets else None
        else:
            self.budgets.change(settings.budgets, now)
        self.passed_owners.recheck_all()
        if self.alone:
            self.end_passing(now)

    def _refusal_at_end(self, request: RequestSlot) -> Refusal | None:
        """Return why a lane that ends takes no request; one whose slot was revoked is not new.

        Nor is a batch that gathered before, whose names are its `requests`.
        """
        if self.ending == "draining" and not request.revoked:
            return None if self.gathering and request.requests else Refusal.DRAINING
        return Refusal.STOPPED if self.ending == "stopped" else None

    def _never_fits(self, request: RequestSlot) -> bool:
        """Return whether the reservoir alone holds a request up, and can never allow its weight.

        A refresh may have left less than there was when the request came.
        """
        limit, weight = self.limit, request.weight
        fits = limit is None or self.leases.weight + weight <= limit
        return fits and not self._reservoir.can_fit(weight)

    def _block(self, now: int) -> None:
        penalty = self.settings.penalty
        if penalty is None:
            penalty = 15 * self.settings.min_time or 5
        self._blocked_until = now + round(penalty * MICROSECONDS)

    def _drop(self, request: RequestSlot, refusal: Refusal, detail: str = "") -> Drop:
        self.withdraw(request.request_id)
        if self.backlog is not None:
            self.backlog.remove(request.request_id)
        return Drop(request, refusal, self.name, detail)

    def _grant(self, request: RequestSlot, now: int, waited: int) -> Slot:
        self.granted += 1
        self._last_grant = now
        slot = Slot(
            f"{self.name}#{self.granted}", request, self.granted, now, now + self._lease, waited
        )
        self.leases.add(slot)
        if self._reservoir.left is not None:
            self._reservoir.left -= request.weight
        if self.budgets is not None:
            slot.taken = self.budgets.take(request, now)
        if self.circuit is not None:
            self.circuit.call_started(slot.number)
        if self.settings.max_per_owner is not None and self.is_full(request.owner):
            self._queue.block_owner(request.owner)
        return slot

    def _may_grant(self, request: RequestSlot, now: int) -> bool:
        return self._grantable_at(request, now) == now

    def _grantable_at(self, request: RequestSlot, now: int) -> int | None:
        """Return when the limits allow a request if no message comes; `None` for never.

        This may be too early, and is never too late.
        """
        weight, limit = request.weight, self.limit
        if self.leases.threads >= MAX_THREADS and request.thread:
            return None
        if self.is_full(request.owner):
            return None
        if limit is not None:
            preemptions = self._preemptions
            kept = preemptions.reserved_weight(request, self._is_blocked) if preemptions else 0
            if self.leases.weight + weight + kept > limit:
                return None
        reservoir = self._reservoir
        if reservoir.left is not None:
            reservoir.fill(now)
            if weight > reservoir.left:
                return reservoir.due
        due = max(now, self._min_time_over_at())
        if now < due and reservoir.left is not None and reservoir.due is not None:
            due = min(due, reservoir.due)  # a refresh may leave less than the request needs
        if self.budgets is not None:
            due = max(due, self.budgets.free_at(request, now))
        if self.paused_until is not None and due < self.paused_until:
            if self.paused_until == FOREVER:
                return None
            due = int(self.paused_until)
        if self.circuit is not None:
            return self.circuit.free_at(due)
        return due

    def _min_time_over_at(self) -> int:
        return 0 if self._last_grant is None else self._last_grant + self._min_time


def _returned_at(slot: Slot, held: int | None, now: int) -> int:
    """Return when a slot is expected back."""
    if held is None:
        return NEVER
    at = slot.granted_at + held
    return min(slot.expires_at, at if at >= now else now + held // 2)


def _micros(seconds: float | None) -> int | None:
    return None if seconds is None else max(1, round(seconds * MICROSECONDS))
