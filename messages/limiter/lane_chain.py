"""Requests and slots of lanes that may stand behind each other. No clock: `now` is passed in.

If lane A stands behind lane B, B is *upstream* of A, and A is *downstream* of B. A request is of
one lane. It is granted a slot when its own lane and all those upstream grant, and no slot of one
lane is held while the request waits for another. For that, the request that its own lane would
grant now is *offered* to the next lane upstream, as a request of its own. The moment that the offer
is granted there, the request is granted in its own lane.

An offer is withdrawn when its lane would not grant the request any more, or has a better one. If
the request is offered again, the new offer keeps the age of the first. The bounds of an upstream
lane on what waits hold for all requests that wait for it, offered or not: those are its `Backlog`.
An owner that is at its
limit upstream is passed over downstream, so that it does not hold up the requests behind it.

An example: lane `image` has `max_concurrent=1` and its one slot is out to X. Lane `host`, with
`max_concurrent=2`, stands behind `image`.

1. R comes to `host`. That has two slots free and would grant R, so it offers R to `image` as `R~1`.
   R waits in `host` and `R~1` in `image`. Nothing is held.
2. S, of a better priority, comes to `host`. That would grant S now, not R. It withdraws `R~1` and
   offers `S~1`.
3. X is released. `image` grants `S~1` the slot `image#2`, and at the same moment `host` grants S
   the slot `host#1`. The holder of S knows `host#1` alone. `host` has a slot left and would grant
   R, so it offers R again, as `R~2`, which is as old as `R~1`.
4. `host#1` is released. `image#2` returns with it, `R~2` is granted, and so is R.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from limner.messages.errors import Reason
from limner.messages.limiter.backlog import Backlog
from limner.messages.limiter.blocked_owners import BlockedOwners
from limner.messages.limiter.charges import Charges, charged_to
from limner.messages.limiter.forecast import earliest
from limner.messages.limiter.holders import Holders
from limner.messages.limiter.lane import Drop, Lane
from limner.messages.limiter.leases import Slot
from limner.messages.limiter.offers import Offer, Offers
from limner.messages.limiter.protocol import RequestSlot
from limner.messages.limiter.queued_request import QueuedRequest
from limner.messages.limiter.refusal import Refusal
from limner.messages.limiter.reservoir import MICROSECONDS
from limner.messages.limiter.steps import LaneStep, Step
from limner.messages.limiter.topology import Topology

LEASE_ENDED = Reason(*2 * ("the call held its slot for longer than its lane's lease",))
"""How a call has failed whose slot has expired."""


class LaneChain:
    """What waits and is out in lanes. It is mutable; a `LaneSet` owns it.

    Args:
        topology: of the lanes. The set of lanes adds and removes some.
        steps: what happens is added here, in order.
    """

    def __init__(self, topology: Topology, steps: list[Step | LaneStep]) -> None:
        self._topology = topology
        self._steps = steps
        self._holders = Holders()
        self._offers = Offers()
        self._charges = Charges()
        self._blocked_owners = BlockedOwners()
        self._passed_owners = BlockedOwners()  # the same for those that have spent their budgets
        self._to_check: dict[str, Lane] = {}
        self._new: list[tuple[Lane, RequestSlot]] = []  # may be too many in their lanes
        self._upstream_slot: dict[str, tuple[Lane, str]] = {}
        self._downstream_slot: dict[str, tuple[Lane, str]] = {}

    def __contains__(self, name: str) -> bool:
        """Return whether a request waits, or a slot is out, that its holder knows by this id."""
        return name in self._holders.lanes

    def has_offer(self, lane: str) -> bool:
        """Return whether a lane has a request offered upstream."""
        return self._offers.of_lane(lane) is not None

    def holders_slot(self, lane: Lane, slot: Slot) -> Slot:
        """Return the slot by which a holder knows that of an upstream lane; or the slot itself."""
        lane, slot_id = self._own(lane, slot.id)
        return lane.leases.slots[slot_id]

    def crowd(self, lane: Lane, priority: int) -> Iterator[QueuedRequest]:
        """Return what may go before a request of some priority in a lane upstream of its own.

        That is what is asked of the lane now, and all of a better priority that waits for it. For
        an offer it is the request that it stands for.
        """
        for queued in lane.all_waiting():
            own = queued
            while (offer := self._offers.of(own.request)) is not None:
                own = offer.queued
            yield QueuedRequest(own.request, own.number, queued.queued_at)
        for queued in lane.backlog or ():
            if queued.request.priority >= priority:
                break
            yield queued

    def charges_of(self, slot_id: str) -> str | None:
        """Return the name of the charges of a slot that its holder knows by that id."""
        lane = self._holders.lanes.get(slot_id)
        slot = None if lane is None else lane.leases.slots.get(slot_id)
        return None if slot is None else charged_to(slot.request)

    # What is asked of it

    def request(self, lane: Lane, request: RequestSlot, now: int) -> Collection[Lane]:
        """Grant a request, queue it, or drop it; return the lanes that may have changed."""
        self._holders.add(request.request_id, request, lane)
        lane.in_use = True
        self._steps.append(Step("slot_requested", lane, request))
        late = self._late(lane, request, now) if request.refuse_late else None
        if late is not None:
            self.drop(lane, late)
            return self.settle(lane, now)
        if lane.alone:
            if lane.has_overdue(now):
                self._end_overdue(lane, now)
            granted, dropped = lane.request(request, now)
            for slot in granted:
                self._hand_out(lane, slot)
            for drop in dropped:
                self.drop(lane, drop)
            return (lane,) if granted and not dropped else self.settle(lane, now)
        refused = self._refused(lane, request, now)
        if refused is not None:
            self.drop(lane, refused)
        else:
            queued = lane.admit(request, now)
            for backlog in self._backlogs(lane):
                backlog.add(queued)
            self._new.append((lane, request))
        return self.settle(lane, now)

    def release(
        self,
        slot_id: str,
        failed: bool | None,
        now: int,
        *,
        overloaded: bool = False,
        host: str | None = None,
    ) -> Lane | None:
        """Return a slot to its lane, and those upstream with it; `settle` follows.

        Args:
            slot_id: by which its holder knows it.
            failed: whether the back end failed; `None` if the call does not tell.
            now: the time.
            overloaded: whether the back end had too much to do.
            host: that answered; `None` if that is not known.

        Returns:
            The lane; `None` if there is no such slot out (any more).
        """
        lane = self._holders.lanes.get(slot_id)
        if lane is None:
            return None
        ended = self._end_slot(lane, slot_id, failed, now, overloaded=overloaded, host=host)
        return lane if ended else None

    def settle_costs(self, name: str, costs: Mapping[str, int], now: int) -> Lane | None:
        """Take or give back the difference to what a call has cost; `settle` follows.

        Args:
            name: of its request; one that has taken nothing, or that is over, is ignored.
            costs: by the name of the budget, in each lane of its chain that has it.
            now: the time.

        Returns:
            The lane of the call; `None` if nothing has changed.
        """
        changed = None
        for lane, slot in self._charges.of(name, now):
            budgets, request = lane.budgets, slot.request
            if budgets is None or slot.taken is None:
                continue
            if budgets.settle(slot.taken, costs, request, now):
                self._steps.append(Step("costs_settled", lane, request, slot))
                self.budgets_changed(lane, request.owner)
                changed = lane
        return changed

    def budgets_changed(self, lane: Lane, owner: str | None) -> None:
        """Look anew at the owners that budgets of a lane hold back; `settle` follows.

        Args:
            lane: of the budgets.
            owner: whose may have changed.
        """
        lane.passed_owners.recheck(owner)
        self._check_unless_alone(lane)
        if owner is not None and self._topology.is_upstream(lane.name):
            passed = self._passed_owners.by_upstream.get(lane.name, {}).get(owner, ())
            for name in (*passed, *self._blocked_owners.lanes_of(owner)):
                downstream = self._topology.lanes.get(name)
                if downstream is not None:
                    downstream.passed_owners.recheck(owner)
                    self._to_check[name] = downstream

    def withdraw(self, request_id: str) -> Lane | None:
        """Remove a request that is not wanted any more; `settle` follows.

        Returns:
            Its lane; `None` if it does not wait (any more).
        """
        lane = self._holders.lanes.get(request_id)
        return lane if lane is not None and self._withdraw(lane, request_id) else None

    def prioritise(self, name: str, priority: int) -> Lane | None:
        """Change the priority of a request or slot; `settle` follows if it waits.

        A request that is offered upstream is offered anew, as old as before. Of a slot, those
        upstream with it change too.

        Args:
            name: the id of the request or slot.
            priority: from now on.

        Returns:
            The lane of a request that waits; `None` if it has that priority, or does not wait.
        """
        lane = self._holders.lanes.get(name)
        if lane is None:
            return None
        request = lane.prioritise(name, priority)
        if request is not None:
            self._retract(lane, name)
            for backlog in self._backlogs(lane):
                backlog.prioritise(request)
            self._steps.append(Step("request_prioritised", lane, request))
            return lane
        while (upstream := self._upstream_slot.get(name)) is not None:
            upstream_lane, name = upstream
            upstream_lane.prioritise(name, priority)
        return None

    def end_session(self, session_id: str | None, now: int) -> None:
        """End all that a session holds or waits for; for `None`, of hosts' calls. `settle` follows.

        All of it ends before the next grant, so that nothing is granted to the session meanwhile.
        """
        for name in self._holders.names_of(session_id):
            lane = self._holders.lanes[name]
            self._to_check[lane.name] = lane
            if not self._withdraw(lane, name):
                self._end_slot(lane, name, None, now)

    def drop(self, lane: Lane, drop: Drop) -> None:
        """End a request that its lane has dropped; if it is an offer, what it stands for too."""
        request = drop.request
        request_id = request.request_id
        self._check_unless_alone(lane)
        self._steps.append(Step("request_dropped", lane, request, drop=drop))
        offer = self._offers.of(request)
        self._retract(lane, request_id)
        if offer is None:
            self._forget(lane, request)
            return
        self._offers.remove(offer)
        own = offer.queued.request
        offer.lane.withdraw(own.request_id)
        self.drop(offer.lane, Drop(own, drop.refusal, drop.lane, drop.detail))

    def check(self, lane: Lane) -> None:
        """Check a lane at the next `settle`."""
        self._to_check[lane.name] = lane

    def settings_changed(self, lane: Lane) -> None:
        """Apply the settings of a lane to what waits downstream."""
        if not self._topology.is_upstream(lane.name):
            return
        for owner in tuple(self._blocked_owners.by_upstream.get(lane.name, ())):
            self._unblock(owner, lane.name)
        for owner in tuple(self._passed_owners.by_upstream.get(lane.name, ())):
            self.budgets_changed(lane, owner)
        for downstream in self._topology.downstreams(lane):
            self._to_check[downstream.name] = downstream
            for queued in list(downstream.all_waiting()):
                request = queued.request
                if not lane.can_fit(request):
                    downstream.withdraw(request.request_id)
                    self.drop(downstream, Drop(request, Refusal.TOO_HEAVY, lane.name))

    def settle(self, lane: Lane | None, now: int) -> Collection[Lane]:
        """Do all that is due in a lane, in those to be checked, and in those that this affects.

        Args:
            lane: one more to check; `None` for none.
            now: the time.

        Returns:
            The lanes that may have changed.
        """
        if lane is not None:
            if lane.alone:
                self._end_overdue(lane, now)
                for slot in lane.grant_ready(now):
                    self._hand_out(lane, slot)
                return (lane,)
            self._to_check[lane.name] = lane
        checked: dict[str, Lane] = {}
        while self._to_check:
            for name in self._deepest():
                checked[name] = self._to_check.pop(name)
                self._grant_or_offer(checked[name], now, checked)
            if not self._to_check:
                self._drop_overflow(now)
        return checked.values()

    # How lanes grant

    def _deepest(self) -> list[str]:
        """Return the names of the lanes to be checked that have the most lanes upstream."""
        if len(self._to_check) == 1:
            return list(self._to_check)
        depths = {name: self._topology.depth(lane) for name, lane in self._to_check.items()}
        deepest = max(depths.values())
        return [name for name, depth in depths.items() if depth == deepest]

    def _refused(self, lane: Lane, request: RequestSlot, now: int) -> Drop | None:
        """Return why a request is refused at once, in its own lane or upstream; `None` if not."""
        for where in (lane, *self._topology.upstreams(lane)):
            refusal = where.refusal(request, now)
            if refusal is not None:
                return Drop(request, refusal, where.name)
        return None

    def _late(self, lane: Lane, request: RequestSlot, now: int) -> Drop | None:
        """Return the drop of a request that cannot be granted before its deadline, if it cannot."""
        deadline = request.deadline
        chain = [lane, *self._topology.upstreams(lane)]
        if deadline is None or any(
            each.blocked(now) or each.permanent_refusal(request, now) is not None for each in chain
        ):
            return None
        at = earliest(chain, request, now)
        if at is not None and at < deadline:
            return None
        detail = "no slot as things are"
        if at is not None:
            detail = f"no slot before {(at - now) / MICROSECONDS:,.3f} s from now"
        return Drop(request, Refusal.DEADLINE, lane.name, detail)

    def _end_overdue(self, lane: Lane, now: int) -> None:
        """End the slots and requests of a lane whose time is over."""
        for slot in lane.expire_slots(now):
            failed = True if slot.revoked_for is None else None
            if failed:
                own, _ = self._own(lane, slot.id)
                self._topology.backing_off(own, None).last_error = LEASE_ENDED
            self._end_slot(lane, slot.id, failed, now, expired=slot, overloaded=bool(failed))
        for drop in lane.drop_overdue(now):
            self._drop_wherever(lane, drop)
        if lane.passed_owners.until:
            for owner in lane.end_passing(now):
                for upstream in self._topology.upstreams(lane):
                    self._passed_owners.remove(lane.name, owner, upstream.name)

    def _grant_or_offer(self, lane: Lane, now: int, checked: dict[str, Lane]) -> None:
        """Grant what a lane may grant, or offer it upstream."""
        self._end_overdue(lane, now)
        if lane.name in self._to_check:
            return  # something has ended, and the lanes downstream come first
        if lane.settings.behind is not None:
            self._offer(lane, now)
            upstream = self._topology.lanes[lane.settings.behind]
            self._to_check[upstream.name] = upstream
            return
        while (queued := lane.ready(now)) is not None:
            if self._is_stale(queued, now):
                return
            self._grant(lane, queued, now, checked)

    def _drop_overflow(self, now: int) -> None:
        """Drop what there is no room for, among the requests that were not granted at once."""
        new, self._new = self._new, []
        for lane, request in new:
            for bounded in (lane, *self._topology.upstreams(lane)):
                if lane.waits(request.request_id):
                    for drop in bounded.overflow(request, now):
                        self._drop_wherever(bounded, drop)

    def _drop_wherever(self, lane: Lane, drop: Drop) -> None:
        """End a request that a lane has dropped, and that may stand in a lane downstream."""
        request = drop.request
        own = self._holders.lanes.get(request.request_id, lane)
        if own is lane:
            self.drop(lane, drop)
            return
        self._check_unless_alone(lane)
        offered = self._offered_to(lane, own, request)
        if offered is None:
            own.withdraw(request.request_id)
            self.drop(own, drop)
        else:
            lane.withdraw(offered.request_id)
            self.drop(lane, Drop(offered, drop.refusal, lane.name, drop.detail))

    def _offered_to(self, lane: Lane, own: Lane, request: RequestSlot) -> RequestSlot | None:
        """Return what stands for a request in a lane upstream of its own; `None` if nothing."""
        while own is not lane:
            offer = self._offers.of_lane(own.name)
            if offer is None or offer.queued.request is not request:
                return None
            request = offer.request
            own = self._topology.lanes[request.lane]
        return request

    def _grant(
        self,
        lane: Lane,
        queued: QueuedRequest,
        now: int,
        checked: dict[str, Lane],
        until: int | None = None,
    ) -> Slot:
        """Grant a request; if it is an offer, the request that it stands for too.

        Args:
            lane: of the request.
            queued: the request.
            now: the time.
            checked: the lane is added to these.
            until: when the slot expires at the latest; `None` for its lane's lease.
        """
        slot = lane.grant(queued, now)
        if until is not None:
            lane.leases.shorten(slot, until)
        checked[lane.name] = lane
        offer = self._offers.of(slot.request)
        if offer is None:
            self._hand_out(lane, slot)
        else:
            self._offers.remove(offer)
            self._steps.append(Step("slot_granted", lane, slot.request, slot))
            own = self._grant(offer.lane, offer.queued, now, checked, slot.expires_at)
            self._upstream_slot[own.id] = lane, slot.id
            self._downstream_slot[slot.id] = offer.lane, own.id
            if slot.taken is not None:
                holders = self.holders_slot(lane, slot)
                self._charges.add(charged_to(holders.request), lane, slot)
            self._offer(offer.lane, now)
        owner = slot.request.owner
        if owner is not None and (lane.is_full(owner) or lane.has_owner_budgets):
            self._pass_over(owner, lane, now)
        return slot

    def _hand_out(self, lane: Lane, slot: Slot) -> None:
        """Replace a request by the slot that it was granted."""
        request = slot.request
        self._holders.replace(request.request_id, slot.id, request, lane)
        if not lane.alone:
            self._offers.forget(request.request_id)
            for backlog in self._backlogs(lane):
                backlog.remove(request.request_id)
        if slot.taken is not None:
            self._charges.add(charged_to(request), lane, slot)
        self._steps.append(Step("slot_granted", lane, request, slot))

    # Offers

    def _offer(self, lane: Lane, now: int) -> None:
        """Offer upstream what a lane would grant now, in place of its offer so far."""
        assert lane.settings.behind is not None
        self._block_full_owners(lane, now)
        queued = lane.ready(now)
        offer = self._offers.of_lane(lane.name)
        if offer is not None:
            if queued is offer.queued:
                return
            self._withdraw_offer(offer)
        if queued is None:
            return
        upstream = self._topology.lanes[lane.settings.behind]
        offer = self._offers.make(lane, queued, upstream.name, now)
        upstream.in_use = True
        self._steps.append(Step("slot_requested", upstream, offer.request))
        upstream.admit(offer.request, now)

    def _is_stale(self, queued: QueuedRequest, now: int) -> bool:
        """Return whether a request is an offer of what its lane would not grant any more.

        If so, that lane is checked again and replaces the offer.
        """
        offer = self._offers.of(queued.request)
        if offer is None:
            return False
        if offer.lane.ready(now) is not offer.queued:
            self._to_check[offer.lane.name] = offer.lane
            return True
        return self._is_stale(offer.queued, now)

    def _retract(self, lane: Lane, request_id: str) -> None:
        """Withdraw the offer of a request that does not wait any more, if it has one."""
        offer = self._offers.of_lane(lane.name)
        if offer is not None and offer.request.stands_for == request_id:
            self._withdraw_offer(offer)

    def _withdraw_offer(self, offer: Offer) -> None:
        """Withdraw an offer, and those further upstream that were made for it."""
        request = offer.request
        upstream = self._topology.lanes[request.lane]
        self._retract(upstream, request.request_id)
        self._offers.remove(offer)
        upstream.withdraw(request.request_id)
        self._steps.append(Step("request_withdrawn", upstream, request))

    # Owners that are at their limit upstream

    def _block_full_owners(self, lane: Lane, now: int) -> None:
        """Block in a lane the owner of the next request while upstream it may have no more.

        It may not while it is at its limit there, or until a budget of its own allows the request.
        """
        self._blocked_owners.set_next(lane.name, None)
        while (head := lane.next_of_all(now)) and (owner := head.request.owner) is not None:
            upstreams = list(self._topology.upstreams(lane))
            full = next((upstream for upstream in upstreams if upstream.is_full(owner)), None)
            if full is None:
                if self._pass_over_spent(lane, head.request, owner, upstreams, now):
                    continue
                self._blocked_owners.set_next(lane.name, owner)
                break
            lane.block_owner(owner)
            self._blocked_owners.block(lane.name, owner, full.name)
            self._pass_over(owner, lane, now)

    def _pass_over_spent(
        self, lane: Lane, request: RequestSlot, owner: str, upstreams: list[Lane], now: int
    ) -> bool:
        """Pass over the owner of a request whose budget upstream does not allow it yet.

        Returns:
            False if there is no such budget.
        """
        until = now
        for upstream in upstreams:
            if upstream.budgets is not None and upstream.has_owner_budgets:
                until = max(until, upstream.budgets.owner_free_at(request, now))
        if until <= now:
            return False
        lane.pass_over(owner, until)
        for upstream in upstreams:
            if upstream.has_owner_budgets:
                self._passed_owners.block(lane.name, owner, upstream.name)
        self._pass_over(owner, lane, now)
        return True

    def _pass_over(self, owner: str, lane: Lane, now: int) -> None:
        """Offer requests of other owners in the lanes downstream of one where an owner is full."""
        if not self._topology.is_upstream(lane.name):
            return
        for name in self._blocked_owners.lanes_of(owner):
            downstream = self._topology.lanes[name]
            if lane in self._topology.upstreams(downstream):
                self._offer(downstream, now)
                self._to_check[name] = downstream

    def _unblock(self, owner: str, upstream: str) -> None:
        """Unblock an owner downstream of a lane in which it is below its limit again."""
        for name in self._blocked_owners.unblock(owner, upstream):
            lane = self._topology.lanes.get(name)
            if lane is not None:
                lane.unblock_owner(owner)
                self._to_check[name] = lane
                self._unblock(owner, name)

    # What ends

    def _withdraw(self, lane: Lane, request_id: str) -> bool:
        """Remove a request; False if it does not wait (any more)."""
        request = lane.withdraw(request_id)
        if request is None:
            return False
        self._retract(lane, request_id)
        self._forget(lane, request)
        self._steps.append(Step("request_withdrawn", lane, request))
        return True

    def _end_slot(
        self,
        lane: Lane,
        slot_id: str,
        failed: bool | None,
        now: int,
        *,
        expired: Slot | None = None,
        overloaded: bool = False,
        host: str | None = None,
    ) -> bool:
        """End a slot, and all those of the same holder in other lanes; False if it is not out.

        Args:
            lane: of the slot.
            slot_id: of it.
            failed: whether the back end failed; `None` if that is not known.
            now: the time.
            expired: the slot, if its lane has ended it already.
            overloaded: whether the back end had too much to do.
            host: that answered; `None` if that is not known.
        """
        if slot_id in self._downstream_slot:
            lane, slot_id = self._own(lane, slot_id)
        if expired is None and slot_id not in lane.leases.slots:
            return False
        backing = lane if lane.alone else self._topology.backing_off(lane, host)
        own, blocked = slot_id, self._blocked_owners.by_upstream
        while True:
            known = expired if expired is not None and expired.id == slot_id else None
            slot = known or lane.release(slot_id)
            assert slot is not None
            if slot_id == own:
                self._holders.remove(own, slot.request)
                if self._charges.running:
                    self._charges.end(charged_to(slot.request), now)
            before = lane.limit
            lane.record_outcome(slot, failed, now, own=lane is backing, overloaded=overloaded)
            if expired is not None:
                event = "slot_expired"
            else:
                event = "slot_released" if slot.revoked_for is None else "slot_revoked"
            self._steps.append(Step(event, lane, slot.request, slot))
            if lane.limit != before:
                fields = {"max_concurrent": lane.limit, "before": before}
                self._steps.append(LaneStep("limit_changed", lane, fields))
            self._check_unless_alone(lane)
            owner = slot.request.owner
            if owner is not None and lane.name in blocked and not lane.is_full(owner):
                self._unblock(owner, lane.name)
            upstream = self._upstream_slot.pop(slot_id, None)
            if upstream is None:
                return True
            lane, slot_id = upstream
            del self._downstream_slot[slot_id]

    def _own(self, lane: Lane, slot_id: str) -> tuple[Lane, str]:
        """Return the lane and id by which a holder knows its slot of this lane."""
        while slot_id in self._downstream_slot:
            lane, slot_id = self._downstream_slot[slot_id]
        return lane, slot_id

    def _check_unless_alone(self, lane: Lane) -> None:
        """Check a lane at the next `settle`; one that is alone is settled by itself."""
        if not lane.alone:
            self._to_check[lane.name] = lane

    def _forget(self, lane: Lane, request: RequestSlot) -> None:
        """Forget a request of a lane that was dropped or withdrawn."""
        self._holders.remove(request.request_id, request)
        self._offers.forget(request.request_id)
        for backlog in self._backlogs(lane):
            backlog.remove(request.request_id)

    def _backlogs(self, lane: Lane) -> list[Backlog]:
        """Return the backlogs that the requests of a lane are in."""
        if lane.alone:
            return []
        chain = (lane, *self._topology.upstreams(lane))
        return [each.backlog for each in chain if each.backlog is not None]
