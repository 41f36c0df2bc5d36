"""All lanes of a limiter, of which those of groups come and go, and what is asked of them.

No clock: `now` is passed in, in microseconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from limner.messages.limiter.backlog import Backlog
from limner.messages.limiter.forecast import Forecast, earliest
from limner.messages.limiter.lane import Lane
from limner.messages.limiter.lane_chain import LaneChain
from limner.messages.limiter.protocol import ReleaseSlot, RequestSlot
from limner.messages.limiter.rate_limit_headers import RateLimit
from limner.messages.limiter.reservoir import MICROSECONDS
from limner.messages.limiter.settings import LaneSettings
from limner.messages.limiter.steps import LaneStep, Step, fields_of
from limner.messages.limiter.topology import Topology
from limner.messages.validation import group_of

DROPPED = 10_000
"""Names of dropped lanes that are kept, for what is asked of one just as it goes."""


class LaneDropped(LookupError):
    """A lane was dropped before it was asked for something."""


class LaneSet:
    """The lanes of a limiter. It is mutable; the limiter owns it.

    What happens to requests and slots is decided by a `LaneChain`. What happens to the lanes
    themselves is decided here: they are opened, changed, paused, ended and dropped.

    Args:
        lanes: their settings.
        groups: settings of the lanes named `group:key`, which are opened at their first request.
        now: the time.
    """

    def __init__(
        self,
        lanes: Mapping[str, LaneSettings],
        groups: Mapping[str, LaneSettings] | None = None,
        now: int = 0,
    ) -> None:
        self.groups = dict(groups or {})
        self._topology = Topology((*lanes.values(), *self.groups.values()))
        self.lanes = self._topology.lanes
        self._steps: list[Step | LaneStep] = []
        self._chain = LaneChain(self._topology, self._steps)
        self._changed: dict[str, None] = {}
        self._ending: set[str] = set()
        self._gathering: set[str] = set()
        self._circuits: dict[str, str] = {}  # the states that are not closed, as told last
        self._dropped: dict[str, None] = {}  # by hosts, the last of them
        self._granted = 0
        for name, settings in lanes.items():
            self._open(name, settings, now)

    # What is asked of it

    def request(self, request: RequestSlot, now: int) -> None:
        """Grant a request, queue it, or drop it; one that waits already is ignored.

        Args:
            request: its lane is open, or of a group.
            now: the time.
        """
        if request.request_id not in self._chain:
            lane = self._lane(request.lane, now)
            self._conclude(self._chain.request(lane, request, now), now)

    def release(self, message: ReleaseSlot, now: int) -> None:
        """Return a slot to its lane; pause the lane if its back end asks for that."""
        if message.costs is not None:
            charged = self._chain.charges_of(message.slot_id)
            if charged is not None:
                self._chain.settle_costs(charged, message.costs, now)
        host, overloaded = message.host, message.overloaded
        lane = self._chain.release(
            message.slot_id, message.failed, now, overloaded=overloaded, host=host
        )
        if lane is None:
            return
        backing = lane if lane.alone else self._topology.backing_off(lane, host)
        if message.error is not None:
            backing.last_error = message.error
        if message.retry_after is not None:
            self._back_off(backing, message.retry_after, "its back end asked for it", now)
        if message.limits:
            self._learn(backing, message.limits, now)
        self._conclude(self._chain.settle(lane, now), now)

    def observe(
        self, name: str, limits: Iterable[RateLimit], now: int, *, host: str | None = None
    ) -> None:
        """Apply what a back end says is left of its limits.

        Args:
            name: of the lane of the call.
            limits: as the back end's answer has them.
            now: the time.
            host: that answered; `None` if that is not known.
        """
        lane = self._lane(name, now)
        self._learn(self._topology.backing_off(lane, host), limits, now)
        self._conclude(self._chain.settle(lane, now), now)

    def _learn(self, lane: Lane, limits: Iterable[RateLimit], now: int) -> None:
        """Reduce budgets of a lane; pause it if nothing is left of what it has no budget for.

        Each budget of an owner is the host's own, of which a back end says nothing.
        """
        for limit in limits:
            resets_in, remaining = limit.resets_in, limit.remaining
            budget = None if lane.budgets is None else lane.budgets.in_force.get(limit.name)
            if budget is not None and budget.each == "lane" and remaining is not None:
                resets_at = None if resets_in is None else now + round(resets_in * MICROSECONDS)
                self._correct(lane, limit.name, remaining, resets_at, now)
            elif remaining == 0 and limit.resets_in is not None:
                seconds = min(limit.resets_in, lane.settings.pause_maximum)
                if now + round(seconds * MICROSECONDS) > (lane.paused_until or 0):
                    self._back_off(lane, seconds, f"its back end has no {limit.name} left", now)

    def _back_off(self, lane: Lane, seconds: float, reason: str, now: int) -> None:
        """Pause a lane as its back end asks for, `pause_maximum` at most, if it adapts."""
        seconds = min(seconds, lane.settings.pause_maximum)
        if not lane.settings.adapt or not seconds > 0:  # nor is it no number
            return
        lane.pause_at_least(now + round(seconds * MICROSECONDS))
        fields = {"seconds": seconds, "reason": reason}
        self._steps.append(LaneStep("lane_paused", lane, fields))
        if not lane.alone:
            self._chain.check(lane)

    def settle_costs(self, name: str, costs: Mapping[str, int], now: int) -> None:
        """Take or give back the difference to what a call has cost of budgets.

        Args:
            name: of its request; one that has taken nothing, or that is over, is ignored.
            costs: by the name of the budget; others keep what was taken.
            now: the time.
        """
        lane = self._chain.settle_costs(name, costs, now)
        if lane is not None:
            self._conclude(self._chain.settle(lane, now), now)

    def correct_budget(
        self,
        name: str,
        budget: str,
        remaining: int,
        resets_at: int | None,
        now: int,
        owner: str | None = None,
    ) -> None:
        """Reduce what is left of a budget of a lane, as its back end says; never up.

        Args:
            name: of the lane; one that is not open is ignored.
            budget: its name; one that the lane does not have is ignored.
            remaining: what the back end says is left, 0 or more.
            resets_at: microseconds of the same clock at which its own budget is full again.
            now: the time.
            owner: whose budget it is, if each owner has its own.
        """
        lane = self.lanes.get(name)
        if lane is not None and self._correct(lane, budget, remaining, resets_at, now, owner):
            self._conclude(self._chain.settle(lane, now), now)

    def _correct(
        self,
        lane: Lane,
        budget: str,
        remaining: int,
        resets_at: int | None,
        now: int,
        owner: str | None = None,
    ) -> bool:
        """Reduce what is left of a budget; return whether there was more."""
        budgets = lane.budgets
        if budgets is None or not budgets.correct(budget, remaining, resets_at, now, owner):
            return False
        fields: dict[str, Any] = {"budget": budget, "remaining": max(0, remaining)}
        if owner is not None:
            fields["owner"] = owner
        fields["until"] = budgets.held_until(budget, owner) / MICROSECONDS
        self._steps.append(LaneStep("budget_corrected", lane, fields))
        self._chain.budgets_changed(lane, owner)
        if not lane.alone:
            self._chain.check(lane)
        return True

    def withdraw(self, request_id: str, now: int) -> None:
        """Remove a request, if it waits."""
        lane = self._chain.withdraw(request_id)
        if lane is not None:
            self._conclude(self._chain.settle(lane, now), now)

    def prioritise(self, name: str, priority: int, now: int) -> None:
        """Change the priority of a request that waits, or of a slot that is out.

        Args:
            name: the id of the request or slot; one that is over is ignored.
            priority: from now on.
            now: the time.
        """
        lane = self._chain.prioritise(name, priority)
        if lane is not None:
            self._conclude(self._chain.settle(lane, now), now)

    def end_session(self, session_id: str | None, now: int) -> None:
        """End all that a session holds or waits for; for `None`, all of hosts' own calls."""
        self._chain.end_session(session_id, now)
        if session_id is None:
            for name in tuple(self._gathering):  # no batch will come any more
                self.batches_sent(name, now)
        self._settle(now)

    def update(self, name: str, settings: LaneSettings, now: int, *, refill: bool = False) -> None:
        """Apply other settings in a lane, or in a group and all its lanes.

        Args:
            name: of the lane or group.
            settings: from now on.
            now: the time.
            refill: whether a reservoir is set to what the settings say, even if they have not
                changed.
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
            fields = fields_of(lane) | ({"refilled": True} if refill else {})
            self._steps.append(LaneStep("lane_updated", lane, fields))
            for drop in dropped:
                self._chain.drop(lane, drop)
            self._chain.settings_changed(lane)
            self._chain.check(lane)
        self._settle(now)

    def change_reservoir(self, name: str, by: int, now: int) -> int | None:
        """Add to what is left of a reservoir, or take from it; return what is left.

        Args:
            name: of the lane.
            by: the weight, which may be negative.
            now: the time.

        Returns:
            `None` if the lane has no reservoir.
        """
        lane = self._lane(name, now)
        left = lane.change_reservoir(by, now)
        if left is not None:
            self._steps.append(LaneStep("reservoir_changed", lane, {"by": by, "left": left}))
            self._conclude(self._chain.settle(lane, now), now)
        return left

    def is_idle(self, name: str | None) -> bool:
        """Return whether nothing waits and nothing is out in a lane and behind it.

        Args:
            name: of the lane; `None` for all lanes.
        """
        if name is None:
            return all(lane.idle for lane in self.lanes.values())
        lane = self.lanes.get(name)
        return lane is None or all(each.idle for each in (lane, *self._topology.downstreams(lane)))

    def pause(
        self, name: str, seconds: float | None, now: int, *, reason: str | None = None
    ) -> None:
        """Grant nothing in a lane for some seconds; until it is resumed, if `None`.

        Args:
            name: of the lane.
            seconds: how long.
            now: the time.
            reason: why, if not the host asked; then a pause that is longer stays as it is.
        """
        lane = self._lane(name, now)
        fields: dict[str, object] = {"seconds": seconds}
        if seconds is None:
            lane.pause()
        elif reason is None:
            lane.pause(now + round(seconds * MICROSECONDS))
        else:
            lane.pause_at_least(now + round(seconds * MICROSECONDS))
        if reason is not None:
            fields["reason"] = reason
        self._steps.append(LaneStep("lane_paused", lane, fields))
        self._conclude(self._chain.settle(lane, now), now)

    def resume(self, name: str, now: int) -> None:
        """Grant again in a lane that is paused; take requests again in one that was ended.

        With one that was ended, those downstream of it take requests again.
        """
        lane = self.lanes.get(name)
        if lane is None:
            return
        downstreams = self._topology.downstreams(lane) if lane.ending is not None else []
        for resumed in (lane, *downstreams):
            if resumed.ending is not None or (resumed is lane and lane.paused_until is not None):
                resumed.resume()
                self._steps.append(LaneStep("lane_resumed", resumed, {}))
                self._chain.check(resumed)
        self._settle(now)

    def end(self, name: str, now: int, *, drop: bool, gathering: bool = False) -> None:
        """Refuse new requests in a lane and in those downstream; `lane_drained` follows.

        Args:
            name: of the lane.
            now: the time.
            drop: whether what waits is dropped.
            gathering: whether batches may still request slots, and the lane is not drained, until
                `batches_sent`.
        """
        lane = self._lane(name, now)
        self._ending.add(name)
        if gathering:
            self._gathering.add(name)
        for ended in (lane, *self._topology.downstreams(lane)):
            ended.gathering = ended.gathering or gathering
            dropped = ended.stop() if drop else []
            ended.drain()
            self._steps.append(LaneStep("lane_ending", ended, {"how": ended.ending}))
            for request in dropped:
                self._chain.drop(ended, request)
            self._chain.check(ended)
        self._settle(now)

    def batches_sent(self, name: str, now: int) -> None:
        """Refuse batches too in a lane that ends and in those downstream: all have come."""
        self._gathering.discard(name)
        lane = self.lanes.get(name)
        if lane is None:
            return
        for ended in (lane, *self._topology.downstreams(lane)):
            ended.gathering = False
        self._conclude(self._chain.settle(lane, now), now)

    def check(self, name: str, now: int) -> None:
        """Do what is due in a lane, if it is there."""
        lane = self.lanes.get(name)
        if lane is not None:
            self._conclude(self._chain.settle(lane, now), now)

    # What it returns

    def take_steps(self) -> list[Step | LaneStep]:
        """Return what has happened since the last time, in order."""
        steps = self._steps.copy()
        self._steps.clear()
        return steps

    def take_changed(self) -> dict[str, None]:
        """Return the names of the lanes that may have changed since the last time."""
        changed, self._changed = self._changed, {}
        return changed

    def due(self, name: str, now: int) -> int | None:
        """Return when to check a lane if no message comes; `None` if never, or if it is gone."""
        lane = self.lanes.get(name)
        if lane is None:
            return None
        offered = not lane.alone and self._chain.has_offer(name)
        due = lane.next_check(now, offered=offered)
        return self._forgettable_at(lane, now) if due is None else due

    def earliest(self, request: RequestSlot, now: int) -> int | None:
        """Return the earliest time at which a request can be granted, as `forecast.earliest`.

        Args:
            request: it need not wait; its lane is open, or of a group.
            now: the time.
        """
        return earliest(self._chain_of(request.lane, now), request, now)

    def forecast(self, request: RequestSlot, now: int, held_for: Mapping[str, float]) -> int | None:
        """Return when a request can be expected to be granted, never before `earliest`.

        Args:
            request: it does not wait; its lane is open, or of a group.
            now: the time.
            held_for: seconds for which slots were held lately, by lane.

        Returns:
            A time of the same clock. `None` for never, or if that is not known: all slots are out,
            and none was returned yet.
        """

        def held(lane: Lane) -> int | None:
            seconds = held_for.get(lane.name)
            return None if seconds is None else round(seconds * MICROSECONDS)

        lane, *upstreams = chain = self._chain_of(request.lane, now)
        times = [earliest(chain, request, now)]
        forecast = Forecast(request, now)
        if times[0] is not None:
            times.append(forecast.in_lane(lane, held(lane)))
        for upstream in upstreams:
            if times[-1] is not None:
                crowd = self._chain.crowd(upstream, request.priority)
                times.append(forecast.upstream(upstream, crowd, held(upstream)))
        known = [time for time in times if time is not None]
        return max(known) if len(known) == len(times) else None

    # How it goes on

    def _settle(self, now: int) -> None:
        """Do all that is due in the lanes that the chain has to check."""
        self._conclude(self._chain.settle(None, now), now)

    def _conclude(self, lanes: Collection[Lane], now: int) -> None:
        """Revoke slots in lanes that may have changed; add the steps of the lanes themselves."""
        for lane in lanes:
            self._changed[lane.name] = None
            if lane.settings.preempt:
                self._revoke_slots(lane, now)
            circuit = lane.circuit
            state = "closed" if circuit is None else circuit.state
            if state != "closed" or lane.name in self._circuits:
                self._circuit_changed(lane, state)
            if lane.in_use and lane.idle:
                lane.in_use = False
                self._steps.append(LaneStep("lane_idle", lane, {}))
        if self._ending:
            self._add_drained(lanes)
        if self.groups:
            self._drop_idle(lanes, now)

    def _revoke_slots(self, lane: Lane, now: int) -> None:
        """Revoke slots of background requests in a lane, each told to the one that holds it."""
        for slot in lane.revoke_slots(now):
            holder = self._chain.holders_slot(lane, slot)
            step = Step("slot_asked_back", lane, slot.request, slot, None, holder)
            self._steps.append(step)

    def _circuit_changed(self, lane: Lane, state: str) -> None:
        """Add the state of a lane's circuit, if it is not the one that was added last."""
        if state == self._circuits.get(lane.name, "closed"):
            return
        if state == "closed":
            del self._circuits[lane.name]
        else:
            self._circuits[lane.name] = state
        failures = 0 if lane.circuit is None else lane.circuit.failures_in_a_row
        fields: dict[str, Any] = {"failures": failures}
        if state == "open" and lane.last_error is not None:
            fields["error"] = lane.last_error.full
        self._steps.append(LaneStep(f"circuit_{state.replace('-', '_')}", lane, fields))

    def _add_drained(self, lanes: Collection[Lane]) -> None:
        """Add that an ending lane is drained, if it is idle and so are those downstream."""
        concerned: dict[str, Lane] = {}
        for lane in lanes:
            for ending in (lane, *self._topology.upstreams(lane)):
                concerned[ending.name] = ending
        for name, lane in concerned.items():
            if name not in self._ending or name in self._gathering or not lane.idle:
                continue
            if all(downstream.idle for downstream in self._topology.downstreams(lane)):
                self._ending.discard(name)
                self._steps.append(LaneStep("lane_drained", lane, {}))

    def _drop_idle(self, lanes: Collection[Lane], now: int) -> None:
        """Drop the lanes of groups that are idle, and remember nothing that a new one would not."""
        for lane in lanes:
            if lane.idle and self._forgettable_at(lane, now) == now:
                self._drop(lane)

    def _drop(self, lane: Lane, **fields: str) -> None:
        """Remove a lane that is idle; one of the name that is opened later numbers slots on."""
        del self.lanes[lane.name]
        self._granted = max(self._granted, lane.granted)
        self._circuits.pop(lane.name, None)
        self._steps.append(LaneStep("lane_dropped", lane, fields))

    def _forgettable_at(self, lane: Lane, now: int) -> int | None:
        """Return when a lane may be dropped: one of a group that has no settings of its own."""
        if lane.settings != self.groups.get(group_of(lane.name)):
            return None
        return lane.forgettable_at(now)

    # Which lanes there are

    def open_lane(self, name: str, settings: LaneSettings, now: int) -> None:
        """Open one more lane; nothing is done if it is there.

        Args:
            name: of it; no lane of a group.
            settings: of it; the lane that it stands behind is there.
            now: the time.
        """
        if name in self.lanes:
            return
        self._dropped.pop(name, None)
        self._topology.add(settings)
        upstream = None if settings.behind is None else self.lanes[settings.behind]
        if upstream is not None and upstream.backlog is None:  # the first that stands behind it
            upstream.alone = False
            upstream.backlog = Backlog()
            for queued in upstream.all_waiting():
                upstream.backlog.add(queued)
        self._open(name, settings, now)

    def drop_lane(self, name: str) -> bool:
        """Drop a lane that is idle and not being drained, and that no lane stands behind.

        Returns:
            Whether it is not there any more.
        """
        lane = self.lanes.get(name)
        if lane is not None:
            if not lane.idle or name in self._ending or self._topology.downstreams(lane):
                return False
            self._drop(lane, by="host")
            self._dropped[name] = None
            if len(self._dropped) > DROPPED:
                del self._dropped[next(iter(self._dropped))]
        return True

    def _lane(self, name: str, now: int) -> Lane:
        """Return a lane; one of a group is opened if it is not there.

        Raises:
            LaneDropped: if it was dropped.
        """
        lane = self.lanes.get(name)
        return self._open(name, self.settings_of(name), now) if lane is None else lane

    def settings_of(self, name: str) -> LaneSettings:
        """Return the settings of a lane of a group that is not open.

        Raises:
            LaneDropped: if it was dropped by its host.
        """
        if name in self._dropped:
            raise LaneDropped(name)
        return self.groups[group_of(name)]

    def _chain_of(self, name: str, now: int) -> list[Lane]:
        """Return a lane and those upstream, the nearest first; one of a group is not opened."""
        lane = self.lanes.get(name)
        if lane is None:
            lane = Lane(name, self.settings_of(name), now)
        return [lane, *self._topology.upstreams(lane)]

    def _open(self, name: str, settings: LaneSettings, now: int) -> Lane:
        alone = settings.behind is None and not self._topology.is_upstream(name)
        lane = Lane(name, settings, now, granted=self._granted, alone=alone)
        if self._topology.is_upstream(name):
            lane.backlog = Backlog()
        self.lanes[name] = lane
        self._steps.append(LaneStep("lane_opened", lane, fields_of(lane)))
        return lane
