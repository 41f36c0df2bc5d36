"""All lanes of a limiter, of which those of groups come and go, and what is asked of them.

No clock: `now` is passed in, in microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from limner.messages.limiter.lane import Drop, Lane
from limner.messages.limiter.lane_chain import LaneChain, LaneStep, Step
from limner.messages.limiter.protocol import ReleaseSlot, RequestSlot
from limner.messages.limiter.reservoir import MICROSECONDS
from limner.messages.limiter.settings import LaneSettings
from limner.messages.validation import group_of


class LaneSet(LaneChain):
    """The lanes of a limiter, and what is asked of them.

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
        super().__init__({one.behind for one in (*lanes.values(), *self.groups.values())})
        self.touched: dict[str, None] = {}
        self._fresh: list[tuple[Lane, RequestSlot]] = []
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
            if lane.leases.may_expire(now) or lane.settings.max_wait is not None:
                self._tidy(lane, now)
            granted, dropped = lane.request(request, now)
            for slot in granted:
                self._hand_out(lane, slot)
            for drop in dropped:
                self._drop(lane, drop)
            if granted and not dropped:
                self._finish(lane, now)
            else:
                self._settle(lane, now)
            return
        refused: str | None = lane.refusal(request, now)
        for further in self._further(lane):
            never = further.permanent_refusal(request, now)
            refused = refused or (never and f"{never} in lane {further.name}")
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

    def update(self, name: str, settings: LaneSettings, now: int, *, refill: bool = False) -> None:
        """Put other settings in force in a lane, or in a group and all its lanes.

        With `refill`, what is left of a reservoir is as the settings say.
        """
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
            dropped = lane.update(settings, now, refill=refill)
            fields = settings.model_dump() | ({"refilled": True} if refill else {})
            self.steps.append(LaneStep("lane_updated", lane, fields))
            for drop in dropped:
                self._drop(lane, drop)
            if lane.name in self._upstreams:
                self._reach_behind(lane)
            self._agenda[lane.name] = lane
        self._settle_all(now)

    def _reach_behind(self, lane: Lane) -> None:
        """Let other settings of a lane be felt in those behind it."""
        for key in [key for key in self._blocked_owners if key[0] == lane.name]:
            self._unblock(key)
        for one in self._behind(lane):
            self._agenda[one.name] = one
            for waiting in list(one.all_waiting()):
                if not lane.can_fit(waiting.request.weight):
                    one.withdraw(waiting.request.request_id)
                    self._drop(one, Drop(waiting.request, f"too heavy in lane {lane.name}"))

    def pause(self, name: str, seconds: float | None, now: int) -> None:
        """Grant nothing in a lane for so many seconds, or until it is resumed."""
        lane = self._lane(name, now)
        lane.pause(None if seconds is None else now + round(seconds * MICROSECONDS))
        self.steps.append(LaneStep("lane_paused", lane, {"seconds": seconds}))
        self._settle(lane, now)

    def resume(self, name: str, now: int) -> None:
        """Grant again in a lane that is paused; take requests again in one that was ended.

        One that was ended is open again with those behind it.
        """
        lane = self.lanes.get(name)
        if lane is None:
            return
        behind = self._behind(lane) if lane.ending is not None else []
        for one in (lane, *behind):
            if one.ending is not None or (one is lane and one.paused_until is not None):
                one.resume()
                self.steps.append(LaneStep("lane_resumed", one, {}))
                self._agenda[one.name] = one
        self._settle_all(now)

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
        self._end_idle((lane,), now)

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
        self._end_idle(seen.values(), now)

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
            holder = owning.leases.slots[slot_id]
            step = Step("slot_asked_back", lane, slot.request, slot, slot.revoked_for, holder)
            self.steps.append(step)
        circuit = lane.circuit
        state = "closed" if circuit is None else circuit.state
        if state != "closed" or lane.name in self._circuits:
            self._tell_circuit(lane, state)
        if lane.idle and lane.name in self._busy:
            self._busy.discard(lane.name)
            self.steps.append(LaneStep("lane_idle", lane, {}))

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

    def _end_idle(self, lanes: Iterable[Lane], now: int) -> None:
        """Tell of the lanes that are drained now, and drop those of groups that are idle."""
        if self._ending:
            self._tell_drained(lanes)
        if not self.groups:
            return
        for lane in lanes:
            if self._forgettable_at(lane, now) == now:
                del self.lanes[lane.name]
                self._granted = max(self._granted, lane.granted)
                self._circuits.pop(lane.name, None)
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

    # Which there are

    def _lane(self, name: str, now: int) -> Lane:
        """Give a lane, made if it is of a group."""
        lane = self.lanes.get(name)
        return self._open(name, self.groups[group_of(name)], now) if lane is None else lane

    def _open(self, name: str, settings: LaneSettings, now: int) -> Lane:
        alone = settings.behind is None and name not in self._upstreams
        lane = Lane(name, settings, now, granted=self._granted, alone=alone)
        self.lanes[name] = lane
        self.steps.append(LaneStep("lane_opened", lane, settings.model_dump()))
        return lane

    def _depth(self, lane: Lane) -> int:
        return sum(1 for _ in self._further(lane))
