"""All lanes of a limiter: those of groups come and go, and some stand behind others. No clock.

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

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from limner.messages.holdings import Slot
from limner.messages.lanes import Drop, Lane
from limner.messages.reservoirs import MICROSECONDS
from limner.messages.settings import LaneSettings, group_of
from limner.messages.slots import ReleaseSlot, RequestSlot
from limner.messages.waiting import Waiting


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
    waiting: Waiting
    request: RequestSlot


class LaneSet:
    """The lanes, by name, and what waits and is out in them.

    Args:
        lanes: their settings.
        groups: settings of the lanes named `group:key`, which are made as they are asked for.
        now: the time.
    """

    def __init__(
        self,
        lanes: Mapping[str, LaneSettings],
        groups: Mapping[str, LaneSettings] | None = None,
        now: int = 0,
    ) -> None:
        self.groups = dict(groups or {})
        self.lanes: dict[str, Lane] = {}
        self.steps: list[Step | LaneStep] = []
        self.touched: dict[str, None] = {}
        self._where: dict[str, Lane] = {}
        self._held: dict[str, dict[str, None]] = {}
        self._fronts = {one.behind for one in (*lanes.values(), *self.groups.values())}
        self._offers: dict[str, Offer] = {}
        self._offered: dict[str, str] = {}
        self._first_offered: dict[str, tuple[int, int]] = {}
        self._heads: dict[str, str] = {}
        self._heads_of: dict[str, dict[str, None]] = {}
        self._fresh: list[tuple[Lane, RequestSlot]] = []
        self._agenda: dict[str, Lane] = {}
        self._barred: dict[tuple[str, str], dict[str, None]] = {}
        self._outer: dict[str, tuple[Lane, str]] = {}
        self._inner: dict[str, tuple[Lane, str]] = {}
        self._busy: set[str] = set()
        self._ending: set[str] = set()
        self._circuits: dict[str, str] = {}
        self._granted = 0
        for name, settings in lanes.items():
            self._open(name, settings, now)

    # What is asked of it

    def request(self, request: RequestSlot, now: int) -> None:
        """Take a request whose lane there is, or is in a group; one that is known is ignored."""
        name = request.request_id
        if name in self._where:
            return
        lane = self._lane(request.lane, now)
        self._remember(name, request, lane)
        self._busy.add(lane.name)
        self.steps.append(Step("slot_requested", lane, request))
        if lane.alone:
            granted, dropped = lane.request(request, now)
            for slot in granted:
                self._hand_out(lane, slot)
            for drop in dropped:
                self._drop(lane, drop)
            self._finish(lane, now)
            return
        refused = lane.refusal(request, now)
        for further in self._further(lane):
            refused = refused or further.never(request, now)
        if refused is not None:
            self._drop(lane, Drop(request, refused))
        else:
            lane.admit(request, now)
            self._fresh.append((lane, request))
        self._settle(lane, now)

    def release(self, message: ReleaseSlot, now: int) -> None:
        """Take a slot back from its holder, and learn what its back end said."""
        lane = self._where.get(message.slot_id)
        if lane is None or not self._end_slot(lane, message.slot_id, message.failed, now):
            return
        if message.retry_after is not None and lane.settings.adapt:
            seconds = min(message.retry_after, lane.settings.pause_maximum)
            if seconds > 0:
                lane.rest(now + round(seconds * MICROSECONDS))
                fields = {"seconds": seconds, "reason": "its back end asked for it"}
                self.steps.append(LaneStep("lane_paused", lane, fields))
        self._settle(lane, now)

    def withdraw(self, request_id: str, now: int) -> None:
        """Forget a request, if it waits."""
        lane = self._where.get(request_id)
        if lane is not None and self._take_request(lane, request_id):
            self._settle(lane, now)

    def take_back(self, session_id: str, now: int) -> None:
        """Take back all that an ended session holds or waits for.

        All of it before the next grant, so that nothing is granted to the session meanwhile.
        """
        for name in tuple(self._held.get(session_id, ())):
            lane = self._where[name]
            self._agenda[lane.name] = lane
            if not self._take_request(lane, name):
                self._end_slot(lane, name, None, now)
        self._settle_all(now)

    def update(self, name: str, settings: LaneSettings, now: int) -> None:
        """Put other settings in force in a lane, or in a group and all its lanes."""
        lanes = []
        if name in self.groups:
            before, self.groups[name] = self.groups[name], settings
            lanes += [
                lane
                for lane in self.lanes.values()
                if group_of(lane.name) == name and lane.settings in (before, settings)
            ]
        else:
            lanes.append(self._lane(name, now))
        for lane in lanes:
            dropped = lane.update(settings, now)
            self.steps.append(LaneStep("lane_updated", lane, settings.model_dump()))
            for drop in dropped:
                self._drop(lane, drop)
            if lane.name in self._fronts:
                self._reach_behind(lane)
            self._agenda[lane.name] = lane
        self._settle_all(now)

    def _reach_behind(self, lane: Lane) -> None:
        """Let other settings of a lane be felt in those behind it."""
        for key in [key for key in self._barred if key[0] == lane.name]:
            self._unbar(key)
        for one in self._behind(lane):
            self._agenda[one.name] = one
            for waiting in list(one.all_waiting()):
                if not lane.can_ever_give(waiting.request.weight):
                    one.withdraw(waiting.request.request_id)
                    self._drop(one, Drop(waiting.request, f"too heavy in lane {lane.name}"))

    def pause(self, name: str, seconds: float | None, now: int) -> None:
        """Grant nothing in a lane for so many seconds, or until it is resumed."""
        lane = self._lane(name, now)
        lane.pause(None if seconds is None else now + round(seconds * MICROSECONDS))
        self.steps.append(LaneStep("lane_paused", lane, {"seconds": seconds}))
        self._settle(lane, now)

    def resume(self, name: str, now: int) -> None:
        """Grant again in a lane, if it is paused."""
        lane = self.lanes.get(name)
        if lane is not None and lane.paused_until is not None:
            lane.resume()
            self.steps.append(LaneStep("lane_resumed", lane, {}))
            self._settle(lane, now)

    def end(self, name: str, now: int, *, drop: bool) -> None:
        """Take no request any more in a lane and in those behind it; `lane_drained` follows.

        Args:
            name: of the lane.
            now: the time.
            drop: whether what waits is dropped.
        """
        lane = self._lane(name, now)
        self._ending.add(name)
        for one in (lane, *self._behind(lane)):
            dropped = one.stop() if drop else []
            one.drain()
            self.steps.append(LaneStep("lane_ending", one, {"how": one.ending}))
            for gone in dropped:
                self._drop(one, gone)
            self._agenda[one.name] = one
        self._settle_all(now)

    def look(self, name: str, now: int) -> None:
        """Do what is due in a lane."""
        lane = self.lanes.get(name)
        if lane is not None:
            self._settle(lane, now)

    # What it tells

    def due(self, name: str, now: int) -> int | None:
        """When to look at a lane again though nothing happens; `None` if not, or if it is gone."""
        lane = self.lanes.get(name)
        if lane is None:
            return None
        due = lane.next_check(now, offered=name in self._offered)
        return self._forgettable_at(lane, now) if due is None else due

    def is_own(self, name: str) -> bool:
        """Say whether a request or slot is one that its holder knows, not an offer's."""
        return name in self._where

    # How it goes on

    def _settle(self, lane: Lane, now: int) -> None:
        """Do all that is due in a lane, and in those that this may concern."""
        if not lane.alone:
            self._agenda[lane.name] = lane
            self._settle_all(now)
            return
        self._tidy(lane, now)
        if lane.waiting:
            for slot in lane.grants(now):
                self._hand_out(lane, slot)
        self._finish(lane, now)
        if self._ending:
            self._tell_drained((lane,))

    def _settle_all(self, now: int) -> None:
        """Do all that is due in the lanes on the agenda, those further behind before others."""
        seen: dict[str, Lane] = {}
        while self._agenda:
            furthest = max(map(self._depth, self._agenda.values()))
            for lane in [one for one in self._agenda.values() if self._depth(one) == furthest]:
                del self._agenda[lane.name]
                seen[lane.name] = lane
                self._decide(lane, now, seen)
            if not self._agenda:
                self._overflow(now)
        for lane in seen.values():
            self._finish(lane, now)
        if self._ending:
            self._tell_drained(seen.values())

    def _decide(self, lane: Lane, now: int, seen: dict[str, Lane]) -> None:
        """Give out, or offer, what may be given out in a lane."""
        self._tidy(lane, now)
        if lane.name in self._agenda:
            return  # something has ended, and those behind it come first
        if lane.settings.behind is not None:
            self._offer(lane, now)
            further = self.lanes[lane.settings.behind]
            self._agenda[further.name] = further
            return
        while (waiting := lane.ready(now)) is not None:
            if self._is_stale(waiting, now):
                return
            self._grant(lane, waiting, now, seen)

    def _overflow(self, now: int) -> None:
        """Drop what there is no room for, of what was not granted at once."""
        fresh, self._fresh = self._fresh, []
        for lane, request in fresh:
            if lane.waits(request.request_id):
                for drop in lane.overflow(request, now):
                    self._drop(lane, drop)

    def _tidy(self, lane: Lane, now: int) -> None:
        """End what has lasted too long in a lane."""
        for slot in lane.expired(now):
            failed = True if slot.revoked_for is None else None
            self._end_slot(lane, slot.id, failed, now, expired=slot)
        for drop in lane.overdue(now):
            self._drop(lane, drop)

    def _finish(self, lane: Lane, now: int) -> None:
        """Ask slots back, and tell how the lane is now."""
        self.touched[lane.name] = None
        for slot in lane.revocations(now):
            owning, slot_id = self._innermost(lane, slot.id)
            holder = owning.out.slots[slot_id]
            step = Step("slot_asked_back", lane, slot.request, slot, slot.revoked_for, holder)
            self.steps.append(step)
        circuit = lane.circuit
        state = "closed" if circuit is None else circuit.state
        if state != "closed" or lane.name in self._circuits:
            self._tell_circuit(lane, state)
        if lane.idle:
            self._be_idle(lane, now)

    def _tell_circuit(self, lane: Lane, state: str) -> None:
        """Tell the state of a lane's circuit, if that was another one when it was told last."""
        if state == self._circuits.get(lane.name, "closed"):
            return
        if state == "closed":
            del self._circuits[lane.name]
        else:
            self._circuits[lane.name] = state
        row = 0 if lane.circuit is None else lane.circuit.row
        self.steps.append(LaneStep(f"circuit_{state.replace('-', '_')}", lane, {"failures": row}))

    def _be_idle(self, lane: Lane, now: int) -> None:
        """Tell that a lane is idle, once; drop one of a group."""
        name = lane.name
        if name in self._busy:
            self._busy.discard(name)
            self.steps.append(LaneStep("lane_idle", lane, {}))
        if self.groups and self._forgettable_at(lane, now) == now:
            del self.lanes[name]
            self._granted = max(self._granted, lane.granted)
            self._circuits.pop(name, None)
            self.steps.append(LaneStep("lane_dropped", lane, {}))

    def _tell_drained(self, lanes: Iterable[Lane]) -> None:
        """Tell that a lane is drained that was to be: it is idle, and so are those behind it."""
        concerned = {one.name: one for lane in lanes for one in (lane, *self._further(lane))}
        for name, lane in concerned.items():
            if name not in self._ending or not lane.idle:
                continue
            if all(one.idle for one in self._behind(lane)):
                self._ending.discard(name)
                self.steps.append(LaneStep("lane_drained", lane, {}))

    def _forgettable_at(self, lane: Lane, now: int) -> int | None:
        """When a lane may be dropped: one of a group, without settings of its own."""
        if lane.settings != self.groups.get(group_of(lane.name)):
            return None
        return lane.forgettable_at(now)

    def _hand_out(self, lane: Lane, slot: Slot) -> None:
        """Let a requester have a slot."""
        request = slot.request
        self._forget(request.request_id, request)
        self._remember(slot.id, request, lane)
        self.steps.append(Step("slot_granted", lane, request, slot))

    # What stands behind what

    def _further(self, lane: Lane) -> Iterator[Lane]:
        """Give the lanes that a lane stands behind, the nearest first."""
        while lane.settings.behind is not None:
            lane = self.lanes[lane.settings.behind]
            yield lane

    def _behind(self, lane: Lane) -> list[Lane]:
        """Give the lanes that stand behind a lane, the nearest first."""
        if lane.name not in self._fronts:
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
            lane.bar(owner)
            self._barred.setdefault((full.name, owner), {})[lane.name] = None
            self._reconsider(lane, owner, now)

    def _is_stale(self, waiting: Waiting, now: int) -> bool:
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
        waiting: Waiting,
        now: int,
        seen: dict[str, Lane],
        until: int | None = None,
    ) -> Slot:
        """Grant a request, until then at most; if it is an offer, the one that was offered too."""
        slot = lane.grant(waiting, now)
        if until is not None:
            lane.out.shorten(slot, until)
        seen[lane.name] = lane
        offer = self._offers.get(slot.request.request_id)
        if offer is None:
            self._hand_out(lane, slot)
        else:
            self._forget_offer(offer)
            self.steps.append(Step("slot_granted", lane, slot.request, slot))
            own = self._grant(offer.lane, offer.waiting, now, seen, slot.expires_at)
            self._outer[own.id] = lane, slot.id
            self._inner[slot.id] = offer.lane, own.id
            self._offer(offer.lane, now)
        owner = slot.request.owner
        if owner is not None and lane.is_full(owner):
            self._reconsider(lane, owner, now)
        return slot

    def _reconsider(self, lane: Lane, owner: str, now: int) -> None:
        """Let others be next in the lanes behind one in which an owner may have no more."""
        for name in tuple(self._heads_of.get(owner, ())):
            near = self.lanes[name]
            if lane in self._further(near):
                self._offer(near, now)
                self._agenda[name] = near

    def _unbar(self, key: tuple[str, str]) -> None:
        """Let an owner have its turn again in the lanes behind one in which it may have more."""
        for name in self._barred.pop(key, ()):
            lane = self.lanes.get(name)
            if lane is not None:
                lane.unbar(key[1])
                self._agenda[name] = lane
                self._unbar((name, key[1]))

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
        if expired is None and slot_id not in lane.out.slots:
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
            if self._barred and owner is not None and not lane.is_full(owner):
                self._unbar((lane.name, owner))
            link = self._outer.pop(slot_id, None)
            if link is None:
                return True
            lane, slot_id = link
            del self._inner[slot_id]

    def _innermost(self, lane: Lane, slot_id: str) -> tuple[Lane, str]:
        """Give the slot by which the holder knows one that belongs to it."""
        while slot_id in self._inner:
            lane, slot_id = self._inner[slot_id]
        return lane, slot_id

    # Which there are

    def _lane(self, name: str, now: int) -> Lane:
        """Give a lane, made if it is of a group."""
        lane = self.lanes.get(name)
        return self._open(name, self.groups[group_of(name)], now) if lane is None else lane

    def _open(self, name: str, settings: LaneSettings, now: int) -> Lane:
        alone = settings.behind is None and name not in self._fronts
        lane = Lane(name, settings, now, granted=self._granted, alone=alone)
        self.lanes[name] = lane
        self.steps.append(LaneStep("lane_opened", lane, settings.model_dump()))
        return lane

    def _depth(self, lane: Lane) -> int:
        return sum(1 for _ in self._further(lane))

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
