"""Requests and slots of lanes that may stand behind each other. No clock: `now` is passed in.

A request is of one lane. Where that lane stands *behind* another, a slot is granted when both
grant, and neither is held while waiting for the other: the request that its own lane would grant
now is *offered* to the other lane as a request of its own, and the moment that the offer is granted
there, so is the request. An offer is withdrawn once its lane would not grant it any more, or has a
better one; one that comes again brings its age along. It is never too many in the other lane, as it
waits in its own already. An owner that may have no more in the other lane is passed over, so that
it does not hold up who comes behind it.

What happens is gathered in `steps`, in order, for the actor to tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from limner.messages.limiter.lane import Drop, Lane
from limner.messages.limiter.leases import Slot
from limner.messages.limiter.protocol import RequestSlot
from limner.messages.limiter.request_queue import QueuedRequest


class Step(NamedTuple):
    """Something that has happened to a request, in one lane.

    Args:
        event: its name in the event log.
        lane: where.
        request: to which.
        slot: that it has or had.
        reason: why it was dropped, or the request that a slot is asked back for.
        holder: of a slot that is asked back: the one that its holder knows.
    """

    event: str
    lane: Lane
    request: RequestSlot
    slot: Slot | None = None
    reason: str | None = None
    holder: Slot | None = None


class LaneStep(NamedTuple):
    """Something that has happened to a lane."""

    event: str
    lane: Lane
    fields: Mapping[str, Any]


class Offer(NamedTuple):
    """A request that waits for the lane that its own stands behind.

    Args:
        lane: its own.
        waiting: in its own.
        request: in the other one.
    """

    lane: Lane
    waiting: QueuedRequest
    request: RequestSlot


class LaneChain:
    """Lanes by name, and what waits and is out in them.

    Args:
        fronts: the names of the lanes that others stand behind.
    """

    def __init__(self, fronts: set[str | None]) -> None:
        self.lanes: dict[str, Lane] = {}
        self.steps: list[Step | LaneStep] = []
        self._upstreams = fronts
        self._where: dict[str, Lane] = {}
        self._held: dict[str, dict[str, None]] = {}
        self._agenda: dict[str, Lane] = {}
        self._busy: set[str] = set()
        self._offers: dict[str, Offer] = {}
        self._offered: dict[str, str] = {}  # the offer of a lane
        self._first_offered: dict[str, tuple[int, int]] = {}  # when, and how often since
        self._heads: dict[str, str] = {}  # whose request is next in a lane
        self._heads_of: dict[str, dict[str, None]] = {}
        self._blocked_owners: dict[tuple[str, str], dict[str, None]] = {}
        self._parent: dict[str, tuple[Lane, str]] = {}
        self._child: dict[str, tuple[Lane, str]] = {}

    # What stands behind what

    def _further(self, lane: Lane) -> Iterator[Lane]:
        """Give the lanes that a lane stands behind, the nearest first."""
        while lane.settings.behind is not None:
            lane = self.lanes[lane.settings.behind]
            yield lane

    def _behind(self, lane: Lane) -> list[Lane]:
        """Give the lanes that stand behind a lane, the nearest first."""
        if lane.name not in self._upstreams:
            return []
        near = [one for one in self.lanes.values() if one.settings.behind == lane.name]
        return near + [far for one in near for far in self._behind(one)]

    def _offer(self, lane: Lane, now: int) -> None:
        """Offer what a lane would grant to the one that it stands behind, and that alone."""
        assert lane.settings.behind is not None
        further = self.lanes[lane.settings.behind]
        self._pass_over_full(lane, now)
        waiting = lane.ready(now)
        name = self._offered.get(lane.name)
        if name is not None:
            if waiting is self._offers[name].waiting:
                return
            self._withdraw_offer(name)
        if waiting is None:
            return
        request = waiting.request
        since, times = self._first_offered.get(request.request_id, (request.since, 0))
        self._first_offered[request.request_id] = now if since is None else since, times + 1
        offered = request.but(
            request_id=f"{request.request_id}~{times + 1}",
            lane=further.name,
            since=since,
            reply_to=None,
        )
        name = offered.request_id
        self._offers[name] = Offer(lane, waiting, offered)
        self._offered[lane.name] = name
        self._busy.add(further.name)
        self.steps.append(Step("slot_requested", further, offered))
        further.admit(offered, now)

    def _pass_over_full(self, lane: Lane, now: int) -> None:
        """Bar the owners of a lane that may have no more further on, until another one is next."""
        before = self._heads.pop(lane.name, None)
        if before is not None:
            del self._heads_of[before][lane.name]
            if not self._heads_of[before]:
                del self._heads_of[before]
        while (head := lane.head()) is not None and (owner := head.request.owner) is not None:
            full = next((one for one in self._further(lane) if one.is_full(owner)), None)
            if full is None:
                self._heads[lane.name] = owner
                self._heads_of.setdefault(owner, {})[lane.name] = None
                break
            lane.block_owner(owner)
            self._blocked_owners.setdefault((full.name, owner), {})[lane.name] = None
            self._reconsider(lane, owner, now)

    def _is_stale(self, waiting: QueuedRequest, now: int) -> bool:
        """Have an offer replaced that its own lane would not grant any more; False if it would."""
        offer = self._offers.get(waiting.request.request_id)
        if offer is None:
            return False
        if offer.lane.ready(now) is not offer.waiting:
            self._agenda[offer.lane.name] = offer.lane
            return True
        return self._is_stale(offer.waiting, now)

    def _grant(
        self,
        lane: Lane,
        waiting: QueuedRequest,
        now: int,
        seen: dict[str, Lane],
        until: int | None = None,
    ) -> Slot:
        """Grant a request, until then at most; if it is an offer, the one that was offered too."""
        slot = lane.grant(waiting, now)
        if until is not None:
            lane.leases.shorten(slot, until)
        seen[lane.name] = lane
        offer = self._offers.get(slot.request.request_id)
        if offer is None:
            self._hand_out(lane, slot)
        else:
            self._forget_offer(offer)
            self.steps.append(Step("slot_granted", lane, slot.request, slot))
            own = self._grant(offer.lane, offer.waiting, now, seen, slot.expires_at)
            self._parent[own.id] = lane, slot.id
            self._child[slot.id] = offer.lane, own.id
            self._offer(offer.lane, now)
        owner = slot.request.owner
        if owner is not None and lane.is_full(owner):
            self._reconsider(lane, owner, now)
        return slot

    def _reconsider(self, lane: Lane, owner: str, now: int) -> None:
        """Let others be next in the lanes behind one in which an owner may have no more."""
        if lane.name not in self._upstreams:
            return
        for name in tuple(self._heads_of.get(owner, ())):
            near = self.lanes[name]
            if lane in self._further(near):
                self._offer(near, now)
                self._agenda[name] = near

    def _unblock(self, key: tuple[str, str]) -> None:
        """Let an owner have its turn again in the lanes behind one in which it may have more."""
        for name in self._blocked_owners.pop(key, ()):
            lane = self.lanes.get(name)
            if lane is not None:
                lane.unblock_owner(key[1])
                self._agenda[name] = lane
                self._unblock((name, key[1]))

    def _withdraw_offer(self, name: str) -> None:
        """Take an offer back, and those that were made for it in turn."""
        offer = self._offers[name]
        further = self.lanes[offer.request.lane]
        beyond = self._offered.get(further.name)
        if beyond is not None and self._offers[beyond].waiting.request is offer.request:
            self._withdraw_offer(beyond)
        self._forget_offer(offer)
        further.withdraw(name)
        self.steps.append(Step("request_withdrawn", further, offer.request))

    def _forget_offer(self, offer: Offer) -> None:
        name = offer.request.request_id
        del self._offers[name], self._offered[offer.lane.name]
        self._first_offered.pop(name, None)

    # What ends

    def _drop(self, lane: Lane, drop: Drop) -> None:
        """End a request that was dropped; if it is an offer, the one that was offered too."""
        request = drop.request
        name = request.request_id
        self._agenda_unless_alone(lane)
        self.steps.append(Step("request_dropped", lane, request, reason=drop.reason))
        offer = self._offers.get(name)
        self._retract(lane, name)
        if offer is None:
            self._forget(name, request)
            return
        self._forget_offer(offer)
        own = offer.waiting.request
        offer.lane.withdraw(own.request_id)
        reason = drop.reason if " in lane " in drop.reason else f"{drop.reason} in lane {lane.name}"
        self._drop(offer.lane, Drop(own, reason))

    def _take_request(self, lane: Lane, request_id: str) -> bool:
        """Take a request back; False if it does not wait (any more)."""
        request = lane.withdraw(request_id)
        if request is None:
            return False
        self._retract(lane, request_id)
        self._forget(request_id, request)
        self.steps.append(Step("request_withdrawn", lane, request))
        return True

    def _retract(self, lane: Lane, request_id: str) -> None:
        """Withdraw the offer of a request that does not wait any more."""
        name = self._offered.get(lane.name)
        if name is not None and self._offers[name].waiting.request.request_id == request_id:
            self._withdraw_offer(name)

    def _end_slot(
        self,
        lane: Lane,
        slot_id: str,
        failed: bool | None,
        now: int,
        *,
        expired: Slot | None = None,
    ) -> bool:
        """Take a slot back, and all that belong to it in other lanes; False if it is not out."""
        lane, slot_id = self._innermost(lane, slot_id)
        if expired is None and slot_id not in lane.leases.slots:
            return False
        own = slot_id
        while True:
            known = expired if expired is not None and expired.id == slot_id else None
            slot = known or lane.release(slot_id)
            assert slot is not None
            if slot_id == own:
                self._forget(own, slot.request)
            lane.judge(slot, failed, now, own=slot_id == own)
            if expired is not None:
                event = "slot_expired"
            else:
                event = "slot_released" if slot.revoked_for is None else "slot_revoked"
            self.steps.append(Step(event, lane, slot.request, slot))
            self._agenda_unless_alone(lane)
            owner = slot.request.owner
            if self._blocked_owners and owner is not None and not lane.is_full(owner):
                self._unblock((lane.name, owner))
            link = self._parent.pop(slot_id, None)
            if link is None:
                return True
            lane, slot_id = link
            del self._child[slot_id]

    def _innermost(self, lane: Lane, slot_id: str) -> tuple[Lane, str]:
        """Give the slot by which the holder knows one that belongs to it."""
        while slot_id in self._child:
            lane, slot_id = self._child[slot_id]
        return lane, slot_id

    # What begins

    def _hand_out(self, lane: Lane, slot: Slot) -> None:
        """Let a requester have a slot."""
        request = slot.request
        self._forget(request.request_id, request)
        self._remember(slot.id, request, lane)
        self.steps.append(Step("slot_granted", lane, request, slot))

    def _agenda_unless_alone(self, lane: Lane) -> None:
        """Look at a lane again, unless that is what is done just now."""
        if not lane.alone:
            self._agenda[lane.name] = lane

    def _remember(self, name: str, request: RequestSlot, lane: Lane) -> None:
        self._where[name] = lane
        self._held.setdefault(request.session_id, {})[name] = None

    def _forget(self, name: str, request: RequestSlot) -> None:
        del self._where[name]
        if self._first_offered:
            self._first_offered.pop(name, None)
        held = self._held[request.session_id]
        del held[name]
        if not held:
            del self._held[request.session_id]
